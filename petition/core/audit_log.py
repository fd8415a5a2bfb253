"""The desk's audit log: append-only, one row for every act, written in the transaction of the act itself.

It holds ids and words of the code, never typed text; the database refuses anything else, and refuses to change or
delete a row.

Writing about a letter locks its row: taking the letter down waits for the act, or the act finds the letter gone and
is rolled back as a whole. So no row is written about a letter after it was taken down.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from petition.core.database import Connection
from petition.core.errors import Gone
from petition.core.i18n import N_
from petition.core.ids import BulkActId, LetterId, LogId, OrganizerId

TOO_LATE = N_("This has changed in the meantime. The page shows how it is now.")


# Taking down locks the row exclusively; a transaction that waited for it reads the state again.
HOLD = "SELECT state FROM letter WHERE id = $1 FOR KEY SHARE"

# The only act recorded for a letter that is gone is that it was taken down.
WRITE = """
WITH held AS (SELECT state FROM letter WHERE id = $2 FOR KEY SHARE)
INSERT INTO log (organizer, letter, act, ids, before, after, reason, campaign, undoes, command)
SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10
WHERE $3 = 'letter.take_down' OR NOT EXISTS (SELECT FROM held WHERE state = 'gone') RETURNING id
"""


async def hold_letter(conn: Connection, letter_id: LetterId) -> None:
    """Keep a letter from being taken down until this transaction ends; for what adds rows and is no act by itself.

    Raises ``Gone``.
    """
    if await conn.fetchval(HOLD, letter_id) == "gone":
        raise Gone("the letter was taken down")


async def record(
    conn: Connection,
    organizer_id: OrganizerId | None,
    letter_id: LetterId | None,
    act: str,
    *,
    ids: Iterable[int] = (),
    before: str = "",
    after: str = "",
    reason: str | None = None,
    bulk_act_id: BulkActId | None = None,
    undoes: LogId | None = None,
    command: bool = False,
) -> LogId:
    """Write down one act; return the row's id. Raises ``Gone`` if the letter was taken down meanwhile.

    ``organizer_id`` is None for the worker and for commands, ``letter_id`` None for what concerns the installation.
    ``act`` is like ``member.role``; ``ids`` are of what was acted upon; ``before`` and ``after`` its states;
    ``bulk_act_id`` is the bulk act that it is a step of, ``undoes`` the row that it undoes; ``command`` means that it
    was done at the command line.
    """
    values = before, after, reason, bulk_act_id, undoes, command
    row: LogId | None = await conn.fetchval(WRITE, organizer_id, letter_id, act, list(ids), *values)
    if row is None:
        raise Gone("the letter was taken down")
    return row


@dataclass(frozen=True, slots=True)
class Actor:
    """The author of an act on a letter, and the bulk act that it is a step of."""

    organizer_id: OrganizerId | None  # None for the worker and for commands
    letter_id: LetterId
    bulk_act_id: BulkActId | None = None
    command: bool = False  # at the command line, where no organizer is known


async def record_by(
    conn: Connection,
    actor: Actor,
    act: str,
    *,
    ids: Iterable[int],
    before: str = "",
    after: str = "",
    reason: str | None = None,
    undoes: LogId | None = None,
) -> LogId:
    """Write an act of ``actor`` on the letter, as ``record`` does. Raises ``Gone``."""
    return await record(
        conn,
        actor.organizer_id,
        actor.letter_id,
        act,
        ids=ids,
        before=before,
        after=after,
        reason=reason,
        bulk_act_id=actor.bulk_act_id,
        undoes=undoes,
        command=actor.command,
    )
