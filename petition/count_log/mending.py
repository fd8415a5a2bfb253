"""Adds to a log what it lacks: entries of what old processes counted while the database was already a new one.

Whether anything is missing is one cheap statement. What is missing is worked out only then, from the rows, all
entries of the log and what waits, while nothing else counts on the letter.
"""

from collections import Counter

from petition.core.database import Connection, Database
from petition.core.encryption import Wrapper
from petition.core.ids import LetterId
from petition.count_log import queries, receipts, tiles
from petition.count_log.entries import EntryKind, Exit, LogEntry

BUNDLES = 200  # that are read at once

Counted = Counter[tuple[EntryKind, bytes]]  # by kind and token


async def mend(database: Database, wrapper: Wrapper) -> int:
    """Queue what the logs lack; return how many entries. Raises ``Unavailable``."""
    async with database.connection() as conn:
        letters = [row["letter"] for row in await conn.fetch(queries.UNEQUAL, timeout=queries.LONG)]
    return sum([await _mend(database, wrapper, letter_id) for letter_id in letters])


async def _mend(database: Database, wrapper: Wrapper, letter_id: LetterId) -> int:
    async with database.transaction() as conn:
        # lock order: see docs/decisions/lock-order.md (the log, the count)
        row = await conn.fetchrow(queries.LOCK, letter_id)
        if row is None:
            return 0
        await conn.fetchval(queries.LOCK_COUNT, letter_id, timeout=queries.LONG)
        key = wrapper.unwrap(row["wrapped_receipt_key"])
        missing = await _counted(conn, letter_id, key)
        missing.subtract(await _logged(conn, letter_id, key))
        rows = [(kind, token, number, _exit_of(kind, number)) for (kind, token), number in missing.items() if number]
        # What leaves first: an organization may be listed by another source.
        await queries.add_waiting(conn, letter_id, sorted(rows, key=lambda row: row[2]))
        await conn.execute(queries.SET_COMPARED, letter_id)
        return len(rows)


async def _counted(conn: Connection, letter_id: LetterId, key: bytes) -> Counted:
    rows = await conn.fetch(queries.COUNTED, letter_id, timeout=queries.LONG)
    kinds = [(EntryKind(row["kind"]), row) for row in rows]
    return Counter({(kind, receipts.token_for(key, kind, row["subject"])): row["number"] for kind, row in kinds})


async def _logged(conn: Connection, letter_id: LetterId, key: bytes) -> Counted:
    """Return what counts by the log and what waits for it."""
    counted: Counted = Counter()
    first = 0
    while rows := await queries.bundles(conn, letter_id, first, BUNDLES):
        for row in rows:
            for entry in map(LogEntry.parse, tiles.split_entries(row["entries"])):
                counted[entry.kind, entry.token] += entry.change
        first = rows[-1]["number"] + 1
    for row in await conn.fetch(queries.WAITING, letter_id, None, None, timeout=queries.LONG):
        kind = EntryKind(row["kind"])
        counted[kind, row["token"] or receipts.token_for(key, kind, row["subject"])] += row["number"]
    return counted


def _exit_of(kind: EntryKind, number: int) -> Exit:
    if number > 0:
        return Exit.NONE
    return {EntryKind.PAPER: Exit.CORRECTED, EntryKind.LISTED_PEOPLE: Exit.UNDONE}.get(kind, Exit.WITHDRAWN)
