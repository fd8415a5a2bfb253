"""Undoing a whole import: what it added leaves the letter and stands aside for a week, from where it can come back.

The rows do not stay as "removed": a removed row keeps its mailbox from signing, and its key would keep the corrected
file from being imported. In batches, each with an exact count; who has been decided about since stays.
"""

from petition.core import audit_log
from petition.core.database import Connection, Record
from petition.imports import adding, adding_queries, queries
from petition.imports.adding import Entries, Report
from petition.moderation import queries as moderation_queries
from petition.signatures import counting, organization_queries, search_words
from petition.signatures import names as naming
from petition.signatures.counting import Change, move_counts
from petition.signatures.model import Kind, SignatureState, Visibility
from petition.signatures.organizations import Named

STEP = 500  # signatures a transaction, so that those who sign meanwhile hardly wait


async def take_back(conn: Connection, letter: int, number: int, size: int = STEP, *, by: int | None = None) -> int:
    """Take the next signatures of an import out of the letter, in this transaction; return how many.

    Locks in the order of all decisions: signatures by id, organizations, words, the count.
    """
    rows = await queries.lock_imported(conn, letter, number, -1, size)
    if not rows:
        return 0
    ids = [row["id"] for row in rows]
    organizations = sorted({row["organization"] for row in rows if row["organization"] is not None})
    if organizations:
        await organization_queries.lock(conn, letter)
    known = await moderation_queries.lock_organizations(conn, letter, organizations)
    before = await organization_queries.shown(conn, letter, organizations)
    await queries.keep_undone(conn, letter, number, ids)
    change = Change(before, await organization_queries.shown(conn, letter, organizations))
    await organization_queries.drop_unused(conn, letter, organizations)
    await audit_log.write(conn, by, letter, "import.take_back", ids=ids, before="confirmed")
    await _forget_words(conn, letter, rows, known, change)
    await counting.move_revision(conn, letter)
    await _count(conn, letter, rows, change)
    return len(rows)


async def _forget_words(conn: Connection, letter: int, rows: list[Record], known: list[Record], change: Change) -> None:
    gone = {row["name_key"] for row in known if row["id"] in change.before and row["id"] not in change.after}
    people = {row["name_key"] for row in rows if row["kind"] == Kind.PERSON and row["name_key"]}
    for kind, keys in ((Kind.PERSON, people), (Kind.ORGANIZATION, gone)):
        if found := {word for key in keys for word in naming.words(key)}:
            await search_words.forget(conn, letter, kind, sorted(found))


async def _count(conn: Connection, letter: int, rows: list[Record], change: Change) -> None:
    counted = [row for row in rows if row["kind"] == Kind.PERSON and row["state"] == SignatureState.CONFIRMED]
    hidden = sum(row["visibility"] != Visibility.PUBLIC for row in counted)
    people = len(counted)
    move = (letter, -people, change.entries, -hidden, change.imported - people)
    if any(move[1:]):
        await move_counts(conn, [move])


async def bring_back(conn: Connection, letter: int, number: int) -> Report:
    """Bring back what undoing took away, in this transaction, by the rules of any import.

    Who has signed since, or was barred, is not added a second time.
    """
    await adding_queries.stage_by(conn, lambda conn: queries.stage_undone(conn, letter, number))
    entries: Entries = {}
    for row in await queries.undone_organizations(conn, letter, number):
        told = row["organization"]
        entries[Named(told["en"], told["ru"], told["website"])] = (row["entry"], row["listed_at"])
    rows = await queries.undone(conn, letter, number)
    settled = await adding.settle(conn, letter, entries, number, dry_run=False)
    await queries.restore_what_was_noted(conn, letter, number)
    await queries.drop_undone(conn, letter, number)
    return adding.reported(rows, *settled)
