"""All SQL of decisions on signatures, and of undoing them."""

from collections.abc import Sequence

from petition.core.database import Connection, Record
from petition.core.ids import LetterId, LogId, SignatureId

# In the order of their ids, before anything else: whoever decides about some of the same waits here.
LOCK_SIGNATURES = """
SELECT id, kind, state, visibility, organization, import IS NOT NULL AS imported, digest, name_key, private, flags,
       signals,
       coalesce(removed_from,
                CASE WHEN kind = 'organization' AND organization IS NULL THEN 'held' ELSE 'confirmed' END
                  ::signature_state) AS removed_from,
       removed_for, coalesce(last_act, 0) AS last_act
FROM signature WHERE letter = $1 AND id = ANY($2::bigint[]) ORDER BY id FOR UPDATE
"""

LOCK_ORGANIZATIONS = """
SELECT id, name_en, name_ru, website, key_en, key_ru, name_key, merged_into FROM organization
WHERE letter = $1 AND id = ANY($2::bigint[]) ORDER BY id FOR UPDATE
"""

MOVE_SIGNATURES = """
UPDATE signature SET state = $4::signature_state, flags = $5::text[], last_act = $6,
       removed_from = CASE WHEN $4::signature_state = 'removed' THEN $3::signature_state END,
       removed_for = CASE WHEN $4::signature_state = 'removed' THEN $7 END
WHERE letter = $1 AND id = ANY($2::bigint[]) AND state IN ($3::signature_state, $4::signature_state)
"""

# One that is there already is locked as well: else whoever lifts it at this moment would not see why it is to stay.
# A mailbox that has signed as a person and for an organization may be removed twice in one act.
BAR = """
INSERT INTO bar AS b (letter, digest)
SELECT DISTINCT $1::integer, digest FROM unnest($2::bytea[]) AS digest ORDER BY digest
ON CONFLICT (letter, digest) DO UPDATE SET kept = b.kept
"""

# In a statement of its own: the next one sees what they had committed who held the bars until now.
LOCK_BARS = "SELECT FROM bar WHERE letter = $1 AND digest = ANY($2::bytea[]) ORDER BY digest FOR UPDATE"

# One mailbox may have signed as a person and for an organization: it stays barred while either is removed, or was when
# its signatory deleted it.
UNBAR = """
DELETE FROM bar b WHERE b.letter = $1 AND b.digest = ANY($2::bytea[]) AND NOT b.kept AND NOT EXISTS (
  SELECT FROM signature s WHERE s.letter = b.letter AND s.kind IN ('person', 'organization') AND s.digest = b.digest
    AND s.state = 'removed')
"""

KEEP_CONTACTS = """
UPDATE contact SET until = CASE WHEN $3 THEN now() + interval '30 days' END
WHERE letter = $1 AND signature = ANY($2::bigint[]) AND purpose = 'representative'
"""

SETTLE_REPORTS = """
UPDATE report SET settled_by = $3 WHERE letter = $1 AND signature = ANY($2::bigint[]) AND settled_by IS NULL
"""

REOPEN_REPORTS = "UPDATE report SET settled_by = NULL WHERE letter = $1 AND settled_by = ANY($2::bigint[])"

HOLD_AGAIN = """
UPDATE signature s SET organization = NULL, name = NULL, "position" = NULL, private = u.private
FROM unnest($2::bigint[], $3::bytea[]) AS u (id, private)
WHERE s.letter = $1 AND s.id = u.id
"""

REPRESENTATIVES = """
SELECT s.id, s.name, s."position", s.private, s.visibility, o.name_en, o.name_ru, o.website, t.fields AS typed
FROM signature s JOIN organization o ON o.letter = s.letter AND o.id = s.organization
LEFT JOIN typed t ON t.letter = s.letter AND t.signature = s.id
WHERE s.letter = $1 AND s.id = ANY($2::bigint[])
"""

KEEP_TYPED = """
INSERT INTO typed (letter, signature, fields)
SELECT $1, id, fields FROM unnest($2::bigint[], $3::bytea[]) AS u (id, fields)
ON CONFLICT (letter, signature) DO UPDATE SET fields = excluded.fields
"""

DROP_TYPED = "DELETE FROM typed WHERE letter = $1 AND signature = ANY($2::bigint[])"

# One act writes a row for each pair of states, all in one transaction.
ROWS_OF_ACT = """
SELECT l.id, l.act, l.ids, l.before, l.after, l.reason, l.campaign, l.undoes,
       (SELECT u.id FROM log u WHERE u.undoes = l.id LIMIT 1) IS NOT NULL AS undone
FROM log l JOIN log one ON one.letter = l.letter AND one.at = l.at AND one.act = l.act
  AND one.organizer IS NOT DISTINCT FROM l.organizer
WHERE one.letter = $1 AND one.id = $2 ORDER BY l.id
"""

# Where an act was undone, the one before it has the last word again.
ACTS_BEFORE_UNDONE = """
SELECT s.id, before.id AS log
FROM signature s JOIN log u ON u.id = s.last_act AND u.act = 'signature.undo'
CROSS JOIN LATERAL (
  SELECT l.id FROM log l
  WHERE l.ids @> ARRAY[s.id] AND l.letter = $1 AND l.id < u.undoes AND l.act LIKE 'signature.%'
    AND l.act <> 'signature.undo' AND NOT EXISTS (SELECT FROM log later WHERE later.undoes = l.id)
  ORDER BY l.id DESC LIMIT 1
) AS before
WHERE s.letter = $1 AND s.id = ANY($2::bigint[])
"""

# Bringing back asks for no reason, so the row of the log has none; undoing it needs the one of before.
REASONS_BEFORE = """
SELECT u.id, (
  SELECT l.reason FROM log l
  WHERE l.ids @> ARRAY[u.id] AND l.letter = $1 AND l.id < $3 AND l.after LIKE 'removed%' AND l.reason IS NOT NULL
  ORDER BY l.id DESC LIMIT 1
) AS reason FROM unnest($2::bigint[]) AS u (id)
"""

PUBLIC_PEOPLE = """
SELECT id, name, affiliation, city FROM signature
WHERE letter = $1 AND id = ANY($2::bigint[]) AND kind = 'person' AND visibility = 'public' AND name IS NOT NULL
ORDER BY id
"""

PUBLIC_NAME_KEYS = """
SELECT DISTINCT name_key FROM signature
WHERE letter = $1 AND id = ANY($2::bigint[]) AND kind = 'person' AND visibility = 'public' AND name_key IS NOT NULL
"""

# Every letter is asked by its own key: an id alone stands in no index.
PLACES = """
SELECT s.letter, s.id, s.state FROM letter l JOIN signature s ON s.letter = l.id AND s.id = ANY($1::bigint[])
ORDER BY s.letter, s.id
"""


async def lock(conn: Connection, letter_id: LetterId, ids: Sequence[int]) -> list[Record]:
    """Return those of ``ids`` that are there, locked, by id."""
    return await conn.fetch(LOCK_SIGNATURES, letter_id, ids)


async def lock_organizations(conn: Connection, letter_id: LetterId, ids: Sequence[int]) -> list[Record]:
    """Return organizations, locked, by id. Take ``organization_queries.lock`` first."""
    return await conn.fetch(LOCK_ORGANIZATIONS, letter_id, ids)


async def move(
    conn: Connection,
    letter_id: LetterId,
    ids: Sequence[int],
    states: tuple[str, str],
    flags: Sequence[str],
    log_id: LogId,
    reason: str | None,
) -> None:
    """Move signatures from the first of ``states`` to the second, by the act ``log``."""
    await conn.execute(MOVE_SIGNATURES, letter_id, ids, *states, flags, log_id, reason)


async def acts_before_undone(conn: Connection, letter_id: LetterId, ids: Sequence[int]) -> dict[SignatureId, LogId]:
    """Return, for those whose last act was to undo another, the act before the undone one."""
    return {row["id"]: row["log"] for row in await conn.fetch(ACTS_BEFORE_UNDONE, letter_id, ids)}


async def reasons_before(
    conn: Connection, letter_id: LetterId, log_id: LogId, ids: Sequence[int]
) -> dict[SignatureId, str | None]:
    """Return why signatures had been removed before the act ``log`` brought them back."""
    return {row["id"]: row["reason"] for row in await conn.fetch(REASONS_BEFORE, letter_id, ids, log_id)}


async def bar(conn: Connection, letter_id: LetterId, digests: Sequence[bytes]) -> None:
    """Have mailboxes never sign this letter again."""
    await conn.execute(BAR, letter_id, digests)


async def unbar(conn: Connection, letter_id: LetterId, digests: Sequence[bytes]) -> None:
    """Take that back for those of which nothing is removed any more."""
    await conn.execute(LOCK_BARS, letter_id, digests)
    await conn.execute(UNBAR, letter_id, digests)


async def keep_contacts(conn: Connection, letter_id: LetterId, ids: Sequence[int], *, decided: bool) -> None:
    """Keep representatives' addresses for 30 days after a decision, without end before one."""
    await conn.execute(KEEP_CONTACTS, letter_id, ids, decided)


async def settle_reports(conn: Connection, letter_id: LetterId, ids: Sequence[int], log_id: LogId) -> None:
    """Say that the act ``log`` has looked at what readers reported."""
    await conn.execute(SETTLE_REPORTS, letter_id, ids, log_id)


async def reopen_reports(conn: Connection, letter_id: LetterId, logs: Sequence[int]) -> None:
    """Take that back."""
    await conn.execute(REOPEN_REPORTS, letter_id, logs)


async def representatives(conn: Connection, letter_id: LetterId, ids: Sequence[int]) -> list[Record]:
    """Return approved signatures with the names of their organizations, and with those they had signed with."""
    return await conn.fetch(REPRESENTATIVES, letter_id, ids)


async def hold_again(conn: Connection, letter_id: LetterId, ids: Sequence[int], private: Sequence[bytes]) -> None:
    """Store signatures as those are stored that wait: no organization, all names encrypted."""
    await conn.execute(HOLD_AGAIN, letter_id, ids, private)
    await conn.execute(DROP_TYPED, letter_id, ids)


async def keep_typed(conn: Connection, letter_id: LetterId, ids: Sequence[int], fields: Sequence[bytes]) -> None:
    """Keep, encrypted, the names with which representatives have signed."""
    await conn.execute(KEEP_TYPED, letter_id, ids, fields)


async def rows_of_act(conn: Connection, letter_id: LetterId, log_id: LogId) -> list[Record]:
    """Return all rows that the act of row ``log`` wrote, and whether each was undone."""
    return await conn.fetch(ROWS_OF_ACT, letter_id, log_id)


async def public_people(conn: Connection, letter_id: LetterId, ids: Sequence[int]) -> list[Record]:
    """Return those people whose name stands in its plain columns."""
    return await conn.fetch(PUBLIC_PEOPLE, letter_id, ids)


async def public_name_keys(conn: Connection, letter_id: LetterId, ids: Sequence[int]) -> list[str]:
    """Return the folded names of those people whose name is public."""
    return [row["name_key"] for row in await conn.fetch(PUBLIC_NAME_KEYS, letter_id, ids)]


async def places(conn: Connection, ids: Sequence[int]) -> list[Record]:
    """Return (letter, id, state) of those of ``ids`` that are there, by letter and id."""
    return await conn.fetch(PLACES, ids)
