"""The SQL of decisions on signatures, and of undoing them."""

from collections.abc import Sequence

from petition.core.database import Connection, Record
from petition.core.ids import LetterId, LogId, SignatureId
from petition.stored_data import words

# By id, before any other lock, so that decisions on overlapping sets wait for each other here.
LOCK_SIGNATURES = """
SELECT id, kind, state, visibility, employer, organization, import, digest, name_key, private, flags, signals,
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

# The update locks a bar that exists: without, a concurrent UNBAR would not see why the bar must stay. DISTINCT since
# a mailbox that signed as a person and for an organization may be removed twice in one act.
BAR = """
INSERT INTO bar AS b (letter, digest)
SELECT DISTINCT $1::integer, digest FROM unnest($2::bytea[]) AS digest ORDER BY digest
ON CONFLICT (letter, digest) DO UPDATE SET kept = b.kept
"""

# A statement of its own: the next one sees what the former holders of the locks have committed.
LOCK_BARS = "SELECT FROM bar WHERE letter = $1 AND digest = ANY($2::bytea[]) ORDER BY digest FOR UPDATE"

# A mailbox may have signed as a person and for an organization: it stays barred while either is removed, or was when
# the signatory deleted it.
UNBAR = """
DELETE FROM bar b WHERE b.letter = $1 AND b.digest = ANY($2::bytea[]) AND NOT b.kept AND NOT EXISTS (
  SELECT FROM signature s WHERE s.letter = b.letter AND s.kind IN ('person', 'organization') AND s.digest = b.digest
    AND s.state = 'removed')
"""

SET_CONTACTS_EXPIRY = f"""
UPDATE contact SET until = CASE WHEN $3 THEN now() + {words.REPRESENTATIVES.sql} END
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

STORE_TYPED = """
INSERT INTO typed (letter, signature, fields)
SELECT $1, id, fields FROM unnest($2::bigint[], $3::bytea[]) AS u (id, fields)
ON CONFLICT (letter, signature) DO UPDATE SET fields = excluded.fields
"""

DROP_TYPED = "DELETE FROM typed WHERE letter = $1 AND signature = ANY($2::bigint[])"

# One act writes a row for each pair of states, all in one transaction.
ROWS_OF_ACT = """
SELECT l.id, l.act, l.ids, l.before, l.after, l.reason, l.campaign, l.undoes,
       (SELECT u.id FROM log u WHERE u.undoes = l.id LIMIT 1) IS NOT NULL AS is_undone
FROM log l JOIN log one ON one.letter = l.letter AND one.at = l.at AND one.act = l.act
  AND one.organizer IS NOT DISTINCT FROM l.organizer
WHERE one.letter = $1 AND one.id = $2 ORDER BY l.id
"""

# After an act is undone, the act before it is the last one again.
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

# Restoring has no reason in the log; undoing it needs the one of the removal before.
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

# By letter, because no index starts with the id.
STATES = """
SELECT s.letter, s.id, s.state FROM letter l JOIN signature s ON s.letter = l.id AND s.id = ANY($1::bigint[])
ORDER BY s.letter, s.id
"""


async def lock(conn: Connection, letter_id: LetterId, ids: Sequence[int]) -> list[Record]:
    """Lock signatures; return those that exist, by id."""
    return await conn.fetch(LOCK_SIGNATURES, letter_id, ids)


async def lock_organizations(conn: Connection, letter_id: LetterId, ids: Sequence[int]) -> list[Record]:
    """Lock organizations; return them by id. Take ``organization_queries.lock`` first."""
    return await conn.fetch(LOCK_ORGANIZATIONS, letter_id, ids)


async def move(
    conn: Connection,
    letter_id: LetterId,
    ids: Sequence[int],
    *,
    states: tuple[str, str],
    flags: Sequence[str],
    log_id: LogId,
    reason: str | None,
) -> None:
    """Move signatures from the first of ``states`` to the second."""
    await conn.execute(MOVE_SIGNATURES, letter_id, ids, *states, flags, log_id, reason)


async def acts_before_undone(conn: Connection, letter_id: LetterId, ids: Sequence[int]) -> dict[SignatureId, LogId]:
    """Return, for signatures whose last act undid another, the act before the undone one."""
    return {row["id"]: row["log"] for row in await conn.fetch(ACTS_BEFORE_UNDONE, letter_id, ids)}


async def reasons_before(
    conn: Connection, letter_id: LetterId, log_id: LogId, ids: Sequence[int]
) -> dict[SignatureId, str | None]:
    """Return why signatures had been removed before the act ``log_id`` restored them."""
    return {row["id"]: row["reason"] for row in await conn.fetch(REASONS_BEFORE, letter_id, ids, log_id)}


async def bar(conn: Connection, letter_id: LetterId, digests: Sequence[bytes]) -> None:
    await conn.execute(BAR, letter_id, digests)


async def unbar(conn: Connection, letter_id: LetterId, digests: Sequence[bytes]) -> None:
    """Lift the bars of mailboxes without a removed signature."""
    await conn.execute(LOCK_BARS, letter_id, digests)
    await conn.execute(UNBAR, letter_id, digests)


async def set_contacts_expiry(conn: Connection, letter_id: LetterId, ids: Sequence[int], *, is_decided: bool) -> None:
    """Store representatives' addresses for 30 days after a decision, without end before one."""
    await conn.execute(SET_CONTACTS_EXPIRY, letter_id, ids, is_decided)


async def settle_reports(conn: Connection, letter_id: LetterId, ids: Sequence[int], log_id: LogId) -> None:
    """Mark open reports on signatures as reviewed by the act ``log_id``."""
    await conn.execute(SETTLE_REPORTS, letter_id, ids, log_id)


async def reopen_reports(conn: Connection, letter_id: LetterId, log_ids: Sequence[int]) -> None:
    await conn.execute(REOPEN_REPORTS, letter_id, log_ids)


async def representatives(conn: Connection, letter_id: LetterId, ids: Sequence[int]) -> list[Record]:
    """Return approved signatures with their organization's names, and with the names as they were typed."""
    return await conn.fetch(REPRESENTATIVES, letter_id, ids)


async def hold_again(conn: Connection, letter_id: LetterId, ids: Sequence[int], private: Sequence[bytes]) -> None:
    """Store representatives as held ones are stored: no organization, all names encrypted."""
    await conn.execute(HOLD_AGAIN, letter_id, ids, private)
    await conn.execute(DROP_TYPED, letter_id, ids)


async def store_typed(conn: Connection, letter_id: LetterId, ids: Sequence[int], fields: Sequence[bytes]) -> None:
    """Store the organization's names, encrypted, as representatives have typed them."""
    await conn.execute(STORE_TYPED, letter_id, ids, fields)


async def rows_of_act(conn: Connection, letter_id: LetterId, log_id: LogId) -> list[Record]:
    return await conn.fetch(ROWS_OF_ACT, letter_id, log_id)


async def public_people(conn: Connection, letter_id: LetterId, ids: Sequence[int]) -> list[Record]:
    """Return the people whose name is in plain columns."""
    return await conn.fetch(PUBLIC_PEOPLE, letter_id, ids)


async def public_name_keys(conn: Connection, letter_id: LetterId, ids: Sequence[int]) -> list[str]:
    """Return the folded names of the people whose name is public."""
    return [row["name_key"] for row in await conn.fetch(PUBLIC_NAME_KEYS, letter_id, ids)]


async def states(conn: Connection, ids: Sequence[int]) -> list[Record]:
    """Return (letter, id, state) of signatures of any letter that exist, by letter and id."""
    return await conn.fetch(STATES, ids)
