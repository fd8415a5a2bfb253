"""Undoing any act of the log: a new act that leads back, wherever nobody has acted since."""

from petition.database import Connection, Record
from petition.errors import NotFound
from petition.moderation import decisions, organizations, queries
from petition.moderation.decisions import Move
from petition.moderation.model import UNDO, Act, By, Outcome, Standing, ordered
from petition.sealing import Wrapper

OF_SIGNATURES = frozenset({*(act.logged for act in Act), UNDO})


async def undo(conn: Connection, by: By, wrapper: Wrapper, log: int) -> Outcome:
    """Undo the whole act to which row ``log`` belongs, in this transaction. A second time changes nothing.

    Signatures on which somebody has acted since, or that are gone, stay as they are (``missed``). Raises ``NotFound``
    if there is no such act on this letter, or none that could be undone.
    """
    rows = await queries.rows_of_act(conn, by.letter, log)
    if not rows:
        raise NotFound("there is no such act")
    done = [await _undo(conn, by, wrapper, row) for row in rows if not row["undone"]]
    return Outcome(
        tuple(id for each in done for id in each.changed),
        tuple(id for each in done for id in each.missed),
        next((each.log for each in done if each.log), None),
    )


async def _undo(conn: Connection, by: By, wrapper: Wrapper, row: Record) -> Outcome:
    if row["act"] in OF_SIGNATURES:
        return await _undo_decision(conn, by, wrapper, row)
    if row["act"] in organizations.UNDO:
        return await organizations.UNDO[row["act"]](conn, by, wrapper, row)
    raise NotFound("this act cannot be undone")


async def _undo_decision(conn: Connection, by: By, wrapper: Wrapper, act: Record) -> Outcome:
    before, after = Standing.read(act["before"]), Standing.read(act["after"])
    rows = await queries.lock(conn, by.letter, act["ids"])
    before_undone = await queries.acts_before_undone(conn, by.letter, act["ids"])
    moves = [
        Move(row, now, _back(now, before, after))
        for row in rows
        if act["id"] in {row["last_act"], before_undone.get(row["id"])}
        and (now := decisions.standing_of(row)).state is after.state
    ]
    logs = await decisions.carry_out(conn, by, wrapper, UNDO, moves, act["reason"], undoes=act["id"])
    if before.flags:
        await queries.reopen_reports(conn, by.letter, [act["id"]])
    changed = {move.id for move in moves}
    return Outcome(tuple(changed), tuple(id for id in act["ids"] if id not in changed), next(iter(logs.values()), None))


def _back(now: Standing, before: Standing, after: Standing) -> Standing:
    """Return where undoing leads. A flag that came since (a reader's report) stays: nobody has looked at that yet."""
    came = set(now.flags) - set(after.flags)
    return Standing(before.state, ordered({*before.flags, *came}))
