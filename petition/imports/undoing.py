"""Undoing a whole import: what it added leaves the letter and stands aside for a week, from where it can come back.

The rows do not stay as "removed": a removed row keeps its mailbox from signing, and its key would keep the corrected
file from being imported. In batches, each with an exact count; who has been decided about since stays.
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
    """Take the next signatures of an import out of the letter, in this transaction; return how many.

    Locks in the order of all decisions: signatures by id, organizations, words, the count.
    """
    rows = await queries.lock_imported(conn, letter_id, number, -1, size)
    if not rows:
        return 0
    ids = [row["id"] for row in rows]
    organizations = sorted({row["organization"] for row in rows if row["organization"] is not None})
    if organizations:
        await organization_queries.lock(conn, letter_id)
    known = await moderation_queries.lock_organizations(conn, letter_id, organizations)
    before = await organization_queries.load_counted(conn, letter_id, organizations)
    await queries.keep_undone(conn, letter_id, number, ids)
    change = EntryChange(before, await organization_queries.load_counted(conn, letter_id, organizations))
    await organization_queries.delete_unused(conn, letter_id, organizations)
    await audit_log.record(conn, actor_id, letter_id, "import.take_back", ids=ids, before="confirmed")
    await _forget_words(conn, letter_id, rows, known, change)
    await _count(conn, letter_id, rows, change)
    return len(rows)


async def _forget_words(
    conn: Connection, letter_id: LetterId, rows: list[Record], known: list[Record], change: EntryChange
) -> None:
    gone = {row["name_key"] for row in known if row["id"] in change.before and row["id"] not in change.after}
    people = {row["name_key"] for row in rows if row["kind"] == Kind.PERSON and row["name_key"]}
    for kind, keys in ((Kind.PERSON, people), (Kind.ORGANIZATION, gone)):
        if found := {word for key in keys for word in naming.words(key)}:
            await search_words.remove_unused(conn, letter_id, kind, sorted(found))


async def _count(conn: Connection, letter_id: LetterId, rows: list[Record], change: EntryChange) -> None:
    counted = [row for row in rows if row["kind"] == Kind.PERSON and row["state"] == SignatureState.CONFIRMED]
    hidden = sum(row["visibility"] != Visibility.PUBLIC for row in counted)
    count_change = CountChange.of_list(-len(counted), -hidden) + CountChange.of_entries(change)
    await counting.apply(conn, letter_id, count_change, revision=True)


async def bring_back(conn: Connection, letter_id: LetterId, number: int) -> ImportReport:
    """Bring back what undoing took away, in this transaction, by the rules of any import.

    Who has signed since, or was barred, is not added a second time.
    """
    await adding_queries.stage_by(conn, lambda conn: queries.stage_undone(conn, letter_id, number))
    entries: Entries = {}
    for row in await queries.undone_organizations(conn, letter_id, number):
        told = row["organization"]
        entries[OrganizationNames(told["en"], told["ru"], told["website"])] = (row["entry"], row["listed_at"])
    rows = await queries.undone(conn, letter_id, number)
    settled = await adding.settle(conn, letter_id, entries, number, dry_run=False)
    await queries.restore_what_was_noted(conn, letter_id, number)
    await queries.drop_undone(conn, letter_id, number)
    return adding.reported(rows, *settled)
