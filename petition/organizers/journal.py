"""The log of the desk: append-only, one row for every act, in the transaction of the act itself.

Numbers and words of ours only, never anything that somebody typed; the database refuses anything else, and refuses to
change or delete a row.
"""

from collections.abc import Iterable

from petition.database import Connection

WRITE = """
INSERT INTO log (organizer, letter, act, ids, before, after, reason, campaign, undoes, command)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING id
"""


async def write(
    conn: Connection,
    organizer: int | None,
    letter: int | None,
    act: str,
    *,
    ids: Iterable[int] = (),
    before: str = "",
    after: str = "",
    reason: str | None = None,
    campaign: int | None = None,
    undoes: int | None = None,
    command: bool = False,
) -> int:
    """Write down one act; return the row's id.

    ``organizer`` is None for the worker and for commands, ``letter`` None for what concerns the installation. ``act``
    is like ``member.role``; ``ids`` are of what was acted upon; ``before`` and ``after`` its states;
    ``campaign`` is what it was a step of, ``undoes`` the row that it takes back; ``command`` says
    that it was done at the command line.
    """
    told = before, after, reason, campaign, undoes, command
    row: int = await conn.fetchval(WRITE, organizer, letter, act, list(ids), *told)
    return row
