"""Names end as the letter says: the worker deletes them, and the count stays.

From the moment that the end begins the letter is closed and nothing with a name is stored. What was there goes in
batches; a worker that is killed between two of them is followed by another, which goes on.
"""

from petition.core import audit_log
from petition.core.database import Connection, Database, Record
from petition.core.ids import LetterId
from petition.signatures import counting, names, search_words
from petition.signatures import names_end_queries as queries
from petition.signatures.counting import CountChange
from petition.signatures.model import Kind, SignatureState, Visibility

BATCH = 500


async def end_due(database: Database) -> int:
    """Begin the end of names that is due, and go on with what has begun; return how many names went."""
    async with database.connection() as conn:
        due = await queries.due(conn)
    for letter_id in due:
        async with database.transaction() as conn:
            if await queries.begin(conn, letter_id):
                await audit_log.record(conn, None, letter_id, "letter.names_ended")
    async with database.connection() as conn:
        begun = await queries.begun(conn)
    return sum([await _erase_all(database, letter_id) for letter_id in begun])


async def _erase_all(database: Database, letter_id: LetterId) -> int:
    """Erase what is left of a letter's names; a pass that finds nothing, a while after the first, is the last one."""
    total, after = 0, -1
    while True:
        async with database.transaction() as conn:
            rows = await queries.lock_named(conn, letter_id, after, BATCH)
            await erase(conn, letter_id, rows)
        if not rows:
            break
        total, after = total + len(rows), rows[-1]["id"]
    async with database.transaction() as conn:
        await queries.erase_documents(conn, letter_id)
        if not total:
            await queries.finish(conn, letter_id)
    return total


async def erase(conn: Connection, letter_id: LetterId, rows: list[Record]) -> None:
    """Erase the names of signatures, which are locked; those that only wait to be approved go as a whole."""
    # lock order: see docs/decisions/lock-order.md
    if not rows:
        return
    waiting = [row["id"] for row in rows if _only_waits(row)]
    named = [row for row in rows if not _only_waits(row)]
    await queries.delete(conn, letter_id, waiting)
    await queries.erase(conn, letter_id, [row["id"] for row in named])
    words = {word for row in named if row["name_key"] for word in names.words(row["name_key"])}
    if words:
        await search_words.remove_unused(conn, letter_id, Kind.PERSON, sorted(words))
    change = CountChange()
    for row in named:
        if row["kind"] == Kind.PERSON and row["state"] == SignatureState.CONFIRMED:
            change += CountChange.of_visibility(row["visibility"], Visibility.COUNTED)
    await counting.apply(conn, letter_id, change, purge=True)


def _only_waits(row: Record) -> bool:
    return SignatureState.HELD in {row["state"], row["removed_from"]} and row["state"] != SignatureState.CONFIRMED


async def erase_removed(database: Database) -> int:
    """Erase the names of signatures that were removed long ago: they can be restored no more but as a number."""
    total = 0
    while True:
        async with database.transaction() as conn:
            letter_id = await queries.letter_with_removed(conn)
            if letter_id is None:
                return total
            rows = await queries.lock_removed(conn, letter_id, BATCH)
            await erase(conn, letter_id, rows)
        if not rows:  # another transaction holds them
            return total
        total += len(rows)
