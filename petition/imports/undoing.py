"""Undoing a whole import: the signatures it added move out of the letter, and can be restored for a week.

The rows do not stay as "removed": a removed row bars its mailbox from signing, and its key would keep the corrected
file from being imported. They are stored encrypted. In batches, each with an exact count; signatures that were decided
about since stay.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence

from petition.core import audit_log
from petition.core.database import Connection, Database, Record
from petition.core.encryption import LetterKeys, Wrapper, padded_json
from petition.core.ids import LetterId, OrganizerId, SignatureId
from petition.count_log.entries import Exit
from petition.imports import adding, adding_queries, queries
from petition.imports.adding import ImportReport
from petition.imports.row_reading import Entries
from petition.letters.keys import keys_of
from petition.moderation import queries as moderation_queries
from petition.signatures import counting, organization_queries, search_words
from petition.signatures import names as naming
from petition.signatures.counting import CountChange, EntryChange
from petition.signatures.model import Kind, SignatureState, Visibility
from petition.signatures.organizations import OrganizationNames

STEP = 500  # signatures a transaction, so that those who sign meanwhile hardly wait
LONG = 3600.0  # seconds

# Without those that a moderator has decided about since, or that have a note.
LOCK_IMPORTED = """
SELECT s.id, s.kind, s.state, s.visibility, s.organization, s.name_key, s.listed_at FROM signature s
WHERE s.letter = $1 AND s.import = $2 AND s.state IN ('confirmed', 'held') AND s.last_act IS NULL
  AND NOT EXISTS (SELECT FROM note n WHERE n.letter = s.letter AND n.signature = s.id)
ORDER BY s.id LIMIT $3 FOR UPDATE
"""

# In any state.
COUNT_LEFT = "SELECT count(*) FROM signature WHERE letter = $1 AND import = $2"

COUNT_IMPORTED = """
SELECT count(*) FROM signature s WHERE s.letter = $1 AND s.import = $2 AND s.state IN ('confirmed', 'held')
"""

# With the readers' reports, which are deleted with the signature.
ROWS_TO_UNDO = """
SELECT s.id, jsonb_build_object(
  'fields', to_jsonb(s) || jsonb_build_object('reports', ARRAY(
    SELECT to_jsonb(r) FROM report r WHERE r.letter = s.letter AND r.signature = s.id ORDER BY r.id)),
  'organization',
  CASE WHEN o.id IS NOT NULL THEN jsonb_build_object('en', o.name_en, 'ru', o.name_ru, 'website', o.website) END) AS row
FROM signature s LEFT JOIN organization o ON o.letter = s.letter AND o.id = s.organization
WHERE s.letter = $1 AND s.id = ANY($2::bigint[])
"""

ADD_UNDONE = """
INSERT INTO undone (letter, number, signature, sealed) SELECT $1, $2, u.signature, u.sealed
FROM unnest($3::bigint[], $4::bytea[]) AS u (signature, sealed)
"""

DROP_SIGNATURES = "DELETE FROM signature WHERE letter = $1 AND id = ANY($2::bigint[])"

# What was undone, decrypted, for as long as the transaction that restores it.
CREATE_OPENED = """
CREATE TEMPORARY TABLE opened (signature bigint, fields jsonb, organization jsonb) ON COMMIT DROP
"""
ADD_OPENED = """
INSERT INTO opened (signature, fields, organization) SELECT * FROM unnest($1::bigint[], $2::jsonb[], $3::jsonb[])
"""

# As many as are decrypted at once.
LOAD_UNDONE = """
SELECT signature, sealed, fields, organization FROM undone
WHERE letter = $1 AND number = $2 AND signature > $3 ORDER BY signature LIMIT $4
"""

STAGE_UNDONE = """
INSERT INTO staged (line, id, kind, digest, import_key, signed_at, visibility, country, name, affiliation, city,
                    name_key, private, entry)
SELECT row_number() OVER (ORDER BY s.listed_at DESC, s.id DESC), s.id, s.kind, s.digest, s.import_key, s.signed_at,
       s.visibility, s.country, s.name, s.affiliation, s.city, s.name_key, s.private,
       CASE WHEN u.organization IS NOT NULL THEN dense_rank() OVER (ORDER BY u.organization) END
FROM opened u CROSS JOIN LATERAL jsonb_populate_record(NULL::signature, u.fields) AS s
"""

UNDONE_ORGANIZATIONS = """
SELECT t.entry, u.organization, coalesce(min(t.signed_at), now()) AS listed_at
FROM staged t JOIN opened u ON u.signature = t.id
WHERE t.entry IS NOT NULL GROUP BY t.entry, u.organization ORDER BY t.entry
"""

RESTORE_FLAGS = """
UPDATE signature s SET flags = ARRAY(SELECT jsonb_array_elements_text(u.fields -> 'flags'))
FROM opened u
WHERE u.fields -> 'flags' <> '[]' AND s.letter = $1 AND s.id = u.signature AND s.import = $2
"""

RESTORE_HIDING = """
UPDATE signature s SET visible_until = (u.fields ->> 'visible_until')::date,
       hide_as = (u.fields ->> 'hide_as')::visibility
FROM opened u
WHERE u.fields ->> 'visible_until' IS NOT NULL AND s.letter = $1 AND s.id = u.signature AND s.import = $2
"""

RESTORE_REPORTS = """
INSERT INTO report (letter, signature, reason, note, at, settled_by)
SELECT s.letter, s.id, r.reason, r.note, r.at, r.settled_by
FROM opened u JOIN signature s ON s.letter = $1 AND s.id = u.signature AND s.import = $2
CROSS JOIN LATERAL jsonb_populate_recordset(NULL::report, u.fields -> 'reports') AS r
WHERE u.fields -> 'reports' <> '[]' ORDER BY r.id
"""

DROP_UNDONE = "DELETE FROM undone WHERE letter = $1 AND number = $2"

# Undone before rows were encrypted.
LETTERS_IN_THE_CLEAR = """
SELECT id AS letter, wrapped_digest_key, wrapped_name_key, kept FROM letter
WHERE id IN (SELECT letter FROM undone WHERE fields IS NOT NULL)
"""
LOCK_IN_THE_CLEAR = """
SELECT number, signature, fields, organization FROM undone WHERE letter = $1 AND fields IS NOT NULL
LIMIT $2 FOR UPDATE SKIP LOCKED
"""
ENCRYPT_UNDONE = """
UPDATE undone SET sealed = u.sealed, fields = NULL, organization = NULL
FROM unnest($2::integer[], $3::bigint[], $4::bytea[]) AS u (number, signature, sealed)
WHERE undone.letter = $1 AND undone.number = u.number AND undone.signature = u.signature
"""
DROP_IN_THE_CLEAR = "DELETE FROM undone WHERE letter = $1 AND fields IS NOT NULL"


async def take_back(
    conn: Connection,
    letter_id: LetterId,
    keys: LetterKeys,
    number: int,
    size: int = STEP,
    *,
    actor_id: OrganizerId | None = None,
) -> int:
    """Move the next signatures of an import out of the letter, in this transaction; return how many.

    They can be restored unless the letter's name key has been destroyed.
    """
    # lock order: see docs/decisions/lock-order.md (signatures by id, organizations, words, the count)
    rows = await conn.fetch(LOCK_IMPORTED, letter_id, number, size, timeout=LONG)
    if not rows:
        return 0
    ids = [row["id"] for row in rows]
    organizations = sorted({row["organization"] for row in rows if row["organization"] is not None})
    if organizations:
        await organization_queries.lock(conn, letter_id)
    known = await moderation_queries.lock_organizations(conn, letter_id, organizations)
    before = await organization_queries.load_counted(conn, letter_id, organizations)
    listed_at = await organization_queries.load_listed_at(conn, letter_id, organizations)
    if keys.name_key is not None:
        await _store_undone(conn, letter_id, keys, number, ids)
    await conn.execute(DROP_SIGNATURES, letter_id, ids, timeout=LONG)
    change = EntryChange(before, await organization_queries.load_counted(conn, letter_id, organizations))
    await organization_queries.delete_unused(conn, letter_id, organizations)
    # Without the ids: how many there are would show how many mailboxes of the file had signed.
    await audit_log.record(conn, actor_id, letter_id, "import.take_back", ids=[number], before="confirmed")
    await _remove_words(conn, letter_id, rows, known, change)
    await _count(conn, letter_id, number, rows, CountChange.of_entries(change, listed_at, Exit.UNDONE))
    return len(rows)


async def _remove_words(
    conn: Connection, letter_id: LetterId, rows: list[Record], known: list[Record], change: EntryChange
) -> None:
    uncounted = {row["name_key"] for row in known if row["id"] in change.before and row["id"] not in change.after}
    people = {row["name_key"] for row in rows if row["kind"] == Kind.PERSON and row["name_key"]}
    for kind, keys in ((Kind.PERSON, people), (Kind.ORGANIZATION, uncounted)):
        if words := {word for key in keys for word in naming.words(key)}:
            await search_words.remove_unused(conn, letter_id, kind, sorted(words))


async def _count(conn: Connection, letter_id: LetterId, number: int, rows: list[Record], change: CountChange) -> None:
    counted = [row for row in rows if row["kind"] == Kind.PERSON and row["state"] == SignatureState.CONFIRMED]
    hidden = sum(row["visibility"] != Visibility.PUBLIC for row in counted)
    by_hour = Counter(counting.hour_of(row["listed_at"]) for row in counted)
    await counting.apply(conn, letter_id, CountChange.of_list(number, by_hour, hidden, sign=-1) + change, purge=True)


async def _store_undone(
    conn: Connection, letter_id: LetterId, keys: LetterKeys, number: int, ids: Sequence[SignatureId]
) -> None:
    rows = await conn.fetch(ROWS_TO_UNDO, letter_id, ids, timeout=LONG)
    sealed = [keys.encrypt(padded_json(row["row"])) for row in rows]
    await conn.execute(ADD_UNDONE, letter_id, number, [row["id"] for row in rows], sealed, timeout=LONG)


async def bring_back(
    conn: Connection, letter_id: LetterId, keys: LetterKeys, number: int, min_mailboxes: int | None = 0
) -> ImportReport:
    """Restore what was undone, in this transaction, by the rules of any import.

    Mailboxes that have signed since, or were barred, are not added again. Raises ``KeyDestroyed``, and what
    ``adding.add_staged`` raises.
    """
    rows = await _open_undone(conn, letter_id, keys, number)
    await adding_queries.stage_by(conn, lambda conn: conn.execute(STAGE_UNDONE, timeout=LONG))
    entries: Entries = {}
    for row in await conn.fetch(UNDONE_ORGANIZATIONS, timeout=LONG):
        names = row["organization"]
        entries[OrganizationNames(names["en"], names["ru"], names["website"])] = (row["entry"], row["listed_at"])
    result = await adding.add_staged(conn, letter_id, entries, number, dry_run=False, min_mailboxes=min_mailboxes)
    for statement in (RESTORE_FLAGS, RESTORE_HIDING, RESTORE_REPORTS, DROP_UNDONE):
        await conn.execute(statement, letter_id, number, timeout=LONG)
    return result.report(rows)


async def _open_undone(conn: Connection, letter_id: LetterId, keys: LetterKeys, number: int) -> int:
    """Decrypt what was undone into a temporary table; return how many rows."""
    await conn.execute(CREATE_OPENED)
    total, after = 0, -1
    while rows := await conn.fetch(LOAD_UNDONE, letter_id, number, after, STEP, timeout=LONG):
        opened = [(row["signature"], *_opened(row, keys)) for row in rows]
        await conn.execute(ADD_OPENED, *map(list, zip(*opened, strict=True)), timeout=LONG)
        total, after = total + len(rows), rows[-1]["signature"]
    return total


def _opened(row: Record, keys: LetterKeys) -> tuple[object, object]:
    """Return the row and its organization; one that the worker has not encrypted yet is as it was undone."""
    if row["sealed"] is None:
        return row["fields"], row["organization"]
    opened = json.loads(keys.decrypt(row["sealed"]))
    return opened["fields"], opened["organization"]


async def encrypt_all(database: Database, wrapper: Wrapper) -> int:
    """Encrypt what was undone before such rows were encrypted; return how many rows.

    Of a letter whose name key has been destroyed, they are deleted.
    """
    async with database.connection() as conn:
        letters = await conn.fetch(LETTERS_IN_THE_CLEAR)
    return sum([await _encrypt(database, row["letter"], keys_of(row, wrapper, row["letter"])) for row in letters])


async def _encrypt(database: Database, letter_id: LetterId, keys: LetterKeys) -> int:
    total = 0
    while True:
        async with database.transaction() as conn:
            if keys.name_key is None:
                return int((await conn.execute(DROP_IN_THE_CLEAR, letter_id, timeout=LONG)).split()[-1])
            rows = await conn.fetch(LOCK_IN_THE_CLEAR, letter_id, STEP)
            if not rows:
                return total
            contents = [{"fields": row["fields"], "organization": row["organization"]} for row in rows]
            sealed = [keys.encrypt(padded_json(content)) for content in contents]
            numbers, ids = [row["number"] for row in rows], [row["signature"] for row in rows]
            await conn.execute(ENCRYPT_UNDONE, letter_id, numbers, ids, sealed, timeout=LONG)
            total += len(rows)


async def count_undone_rows(conn: Connection, letter_id: LetterId, number: int, report: Mapping[str, int]) -> int:
    """Return how many rows of the file are undone, also those that were dropped when they were imported.

    Imports by the command have no report.
    """
    left = int(await conn.fetchval(COUNT_LEFT, letter_id, number, timeout=LONG))
    if "people" in report:
        taken = report["people"] + report["representatives"]
    else:
        taken = await queries.count_taken(conn, letter_id, number)
    return max(taken - left, 0)


async def count_imported(conn: Connection, letter_id: LetterId, number: int) -> int:
    """Return how many signatures of an import are in the letter."""
    return int(await conn.fetchval(COUNT_IMPORTED, letter_id, number, timeout=LONG))
