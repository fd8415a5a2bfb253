"""Undoing a whole import: the signatures it added move out of the letter, and can be restored for a week.

The rows do not stay as "removed": a removed row bars its mailbox from signing, and its key would keep the corrected
file from being imported. In batches, each with an exact count; signatures that were decided about since stay.
"""

from collections import Counter

from petition.core import audit_log
from petition.core.database import Connection, Record
from petition.core.ids import LetterId, OrganizerId
from petition.imports import adding, adding_queries, queries
from petition.imports.adding import Entries, ImportReport
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

COUNT_IMPORTED = """
SELECT count(*) FROM signature s WHERE s.letter = $1 AND s.import = $2 AND s.state IN ('confirmed', 'held')
"""

# With the readers' reports, which are deleted with the signature.
COPY_TO_UNDONE = """
INSERT INTO undone (letter, number, signature, fields, organization)
SELECT s.letter, $2, s.id,
       to_jsonb(s) || jsonb_build_object('reports', ARRAY(
         SELECT to_jsonb(r) FROM report r WHERE r.letter = s.letter AND r.signature = s.id ORDER BY r.id)),
       CASE WHEN o.id IS NOT NULL THEN jsonb_build_object('en', o.name_en, 'ru', o.name_ru, 'website', o.website) END
FROM signature s LEFT JOIN organization o ON o.letter = s.letter AND o.id = s.organization
WHERE s.letter = $1 AND s.id = ANY($3::bigint[])
"""

DROP_SIGNATURES = "DELETE FROM signature WHERE letter = $1 AND id = ANY($2::bigint[])"

STAGE_UNDONE = """
INSERT INTO staged (line, id, kind, digest, import_key, signed_at, visibility, country, name, affiliation, city,
                    name_key, private, entry)
SELECT row_number() OVER (ORDER BY s.listed_at DESC, s.id DESC), s.id, s.kind, s.digest, s.import_key, s.signed_at,
       s.visibility, s.country, s.name, s.affiliation, s.city, s.name_key, s.private,
       CASE WHEN u.organization IS NOT NULL THEN dense_rank() OVER (ORDER BY u.organization) END
FROM undone u CROSS JOIN LATERAL jsonb_populate_record(NULL::signature, u.fields) AS s
WHERE u.letter = $1 AND u.number = $2
"""

UNDONE_ORGANIZATIONS = """
SELECT t.entry, u.organization, coalesce(min(t.signed_at), now()) AS listed_at
FROM staged t JOIN undone u ON u.letter = $1 AND u.number = $2 AND u.signature = t.id
WHERE t.entry IS NOT NULL GROUP BY t.entry, u.organization ORDER BY t.entry
"""

RESTORE_FLAGS = """
UPDATE signature s SET flags = ARRAY(SELECT jsonb_array_elements_text(u.fields -> 'flags'))
FROM undone u
WHERE u.letter = $1 AND u.number = $2 AND u.fields -> 'flags' <> '[]'
  AND s.letter = u.letter AND s.id = u.signature AND s.import = u.number
"""

RESTORE_REPORTS = """
INSERT INTO report (letter, signature, reason, note, at, settled_by)
SELECT s.letter, s.id, r.reason, r.note, r.at, r.settled_by
FROM undone u JOIN signature s ON s.letter = u.letter AND s.id = u.signature AND s.import = u.number
CROSS JOIN LATERAL jsonb_populate_recordset(NULL::report, u.fields -> 'reports') AS r
WHERE u.letter = $1 AND u.number = $2 AND u.fields -> 'reports' <> '[]' ORDER BY r.id
"""

DROP_UNDONE = "DELETE FROM undone WHERE letter = $1 AND number = $2"


async def take_back(
    conn: Connection, letter_id: LetterId, number: int, size: int = STEP, *, actor_id: OrganizerId | None = None
) -> int:
    """Move the next signatures of an import out of the letter, in this transaction; return how many."""
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
    await conn.execute(COPY_TO_UNDONE, letter_id, number, ids, timeout=LONG)
    await conn.execute(DROP_SIGNATURES, letter_id, ids, timeout=LONG)
    change = EntryChange(before, await organization_queries.load_counted(conn, letter_id, organizations))
    await organization_queries.delete_unused(conn, letter_id, organizations)
    await audit_log.record(conn, actor_id, letter_id, "import.take_back", ids=ids, before="confirmed")
    await _remove_words(conn, letter_id, rows, known, change)
    await _count(conn, letter_id, rows, CountChange.of_entries(change, listed_at))
    return len(rows)


async def _remove_words(
    conn: Connection, letter_id: LetterId, rows: list[Record], known: list[Record], change: EntryChange
) -> None:
    uncounted = {row["name_key"] for row in known if row["id"] in change.before and row["id"] not in change.after}
    people = {row["name_key"] for row in rows if row["kind"] == Kind.PERSON and row["name_key"]}
    for kind, keys in ((Kind.PERSON, people), (Kind.ORGANIZATION, uncounted)):
        if words := {word for key in keys for word in naming.words(key)}:
            await search_words.remove_unused(conn, letter_id, kind, sorted(words))


async def _count(conn: Connection, letter_id: LetterId, rows: list[Record], change: CountChange) -> None:
    counted = [row for row in rows if row["kind"] == Kind.PERSON and row["state"] == SignatureState.CONFIRMED]
    hidden = sum(row["visibility"] != Visibility.PUBLIC for row in counted)
    by_hour = Counter(counting.hour_of(row["listed_at"]) for row in counted)
    await counting.apply(conn, letter_id, CountChange.of_list(by_hour, hidden, sign=-1) + change, purge=True)


async def bring_back(conn: Connection, letter_id: LetterId, number: int) -> ImportReport:
    """Restore what was undone, in this transaction, by the rules of any import.

    Mailboxes that have signed since, or were barred, are not added again.
    """
    await adding_queries.stage_by(conn, lambda conn: conn.execute(STAGE_UNDONE, letter_id, number, timeout=LONG))
    entries: Entries = {}
    for row in await conn.fetch(UNDONE_ORGANIZATIONS, letter_id, number, timeout=LONG):
        names = row["organization"]
        entries[OrganizationNames(names["en"], names["ru"], names["website"])] = (row["entry"], row["listed_at"])
    rows = await queries.count_undone(conn, letter_id, number)
    result = await adding.add_staged(conn, letter_id, entries, number, dry_run=False)
    for statement in (RESTORE_FLAGS, RESTORE_REPORTS, DROP_UNDONE):
        await conn.execute(statement, letter_id, number, timeout=LONG)
    return result.report(rows)


async def count_imported(conn: Connection, letter_id: LetterId, number: int) -> int:
    """Return how many signatures of an import are in the letter."""
    return int(await conn.fetchval(COUNT_IMPORTED, letter_id, number, timeout=LONG))
