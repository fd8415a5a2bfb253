"""Undoing a whole import: the signatures it added move out of the letter, and can be restored for a week.

The rows do not stay as "removed": a removed row bars its mailbox from signing, and its key would keep the corrected
file from being imported. In batches, each with an exact count; signatures that were decided about since stay.
"""

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


async def take_back(
    conn: Connection, letter_id: LetterId, number: int, size: int = STEP, *, actor_id: OrganizerId | None = None
) -> int:
    """Move the next signatures of an import out of the letter, in this transaction; return how many."""
    # lock order: see docs/decisions/lock-order.md (signatures by id, organizations, words, the count)
    rows = await queries.lock_imported(conn, letter_id, number, size)
    if not rows:
        return 0
    ids = [row["id"] for row in rows]
    organizations = sorted({row["organization"] for row in rows if row["organization"] is not None})
    if organizations:
        await organization_queries.lock(conn, letter_id)
    known = await moderation_queries.lock_organizations(conn, letter_id, organizations)
    before = await organization_queries.load_counted(conn, letter_id, organizations)
    await queries.move_to_undone(conn, letter_id, number, ids)
    change = EntryChange(before, await organization_queries.load_counted(conn, letter_id, organizations))
    await organization_queries.delete_unused(conn, letter_id, organizations)
    await audit_log.record(conn, actor_id, letter_id, "import.take_back", ids=ids, before="confirmed")
    await _remove_words(conn, letter_id, rows, known, change)
    await _count(conn, letter_id, rows, change)
    return len(rows)


async def _remove_words(
    conn: Connection, letter_id: LetterId, rows: list[Record], known: list[Record], change: EntryChange
) -> None:
    uncounted = {row["name_key"] for row in known if row["id"] in change.before and row["id"] not in change.after}
    people = {row["name_key"] for row in rows if row["kind"] == Kind.PERSON and row["name_key"]}
    for kind, keys in ((Kind.PERSON, people), (Kind.ORGANIZATION, uncounted)):
        if words := {word for key in keys for word in naming.words(key)}:
            await search_words.remove_unused(conn, letter_id, kind, sorted(words))


async def _count(conn: Connection, letter_id: LetterId, rows: list[Record], change: EntryChange) -> None:
    counted = [row for row in rows if row["kind"] == Kind.PERSON and row["state"] == SignatureState.CONFIRMED]
    hidden = sum(row["visibility"] != Visibility.PUBLIC for row in counted)
    count_change = CountChange.of_list(-len(counted), -hidden) + CountChange.of_entries(change)
    await counting.apply(conn, letter_id, count_change, revision=True)


async def bring_back(conn: Connection, letter_id: LetterId, number: int) -> ImportReport:
    """Restore what was undone, in this transaction, by the rules of any import.

    Mailboxes that have signed since, or were barred, are not added again.
    """
    await adding_queries.stage_by(conn, lambda conn: queries.stage_undone(conn, letter_id, number))
    entries: Entries = {}
    for row in await queries.load_undone_organizations(conn, letter_id, number):
        names = row["organization"]
        entries[OrganizationNames(names["en"], names["ru"], names["website"])] = (row["entry"], row["listed_at"])
    rows = await queries.count_undone(conn, letter_id, number)
    result = await adding.add_staged(conn, letter_id, entries, number, dry_run=False)
    await queries.finish_restoring(conn, letter_id, number)
    return result.report(rows)
