"""Taking a letter down: its short name answers 410 from then on, and everything else about it is deleted.

First, in one transaction, the letter's row is emptied while nothing can be added to the letter: its keys go, its
dates. From the commit on no page shows it, signing and confirming are refused, and nothing encrypted can be read.
Then its rows go in batches, so that no other transaction waits long even for a million of them. What is left after
some seconds, or after a crash in between, the worker deletes within a minute.
"""

import asyncio
import time
from collections.abc import Iterable

from petition.core import audit_log
from petition.core.database import Connection, Database
from petition.core.errors import Gone, NotFound, Refused
from petition.core.i18n import N_
from petition.core.ids import LetterId, OrganizerId
from petition.letters import lifecycle_queries as queries
from petition.letters.model import State

BATCH = 5000  # rows a transaction
PATIENCE = 10.0  # seconds of deleting before the rest is left to the worker
PAUSE = 0.05  # seconds until rows that were locked are tried again

OTHER_NAME = N_("That is not this letter’s short name. Nothing has been deleted.")


async def take_down(conn: Connection, actor_id: OrganizerId | None, letter_id: LetterId, typed: str) -> None:
    """Empty a letter's row, in this transaction of its own; ``delete_rows`` deletes the rest.

    ``typed`` must be its short name. Raises ``Refused``, ``NotFound``, and ``Gone`` if it was taken down already.
    """
    row = await queries.lock_alone(conn, letter_id)
    if row is None:
        raise NotFound("there is no such letter")
    if row["state"] == State.GONE:
        raise Gone("the letter was taken down")
    if typed.strip() != row["slug"]:
        raise Refused(OTHER_NAME, "slug")
    await queries.take_down(conn, letter_id)
    await audit_log.record(conn, actor_id, letter_id, "letter.take_down", before=row["state"], after=State.GONE)


async def delete_rows(
    database: Database, letter_id: LetterId, patience: float = PATIENCE, tables: Iterable[str] = queries.LETTER_TABLES
) -> int:
    """Delete a letter's rows of ``tables``, for ``patience`` seconds at most; return how many went.

    Nothing may add rows any more. Raises ``Unavailable``.
    """
    total, ends = 0, time.monotonic() + patience
    while True:
        left = False
        for table in tables:
            dropped = BATCH
            while dropped == BATCH:
                async with database.transaction() as conn:
                    dropped = await queries.drop_rows(conn, table, letter_id, BATCH)
                total += dropped
                if time.monotonic() > ends:
                    return total
            async with database.connection() as conn:
                left = await queries.is_left(conn, table, letter_id) or left
        if not left:
            return total
        await asyncio.sleep(PAUSE)


async def delete_all_rows(database: Database) -> int:
    """Delete what is left of letters that were taken down; return how many rows. Raises ``Unavailable``."""
    async with database.connection() as conn:
        letters = await queries.gone_letters(conn)
    return sum([await delete_rows(database, letter) for letter in letters])
