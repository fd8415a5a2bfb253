"""Undoing any act of the log: a new act that leads back, wherever nobody has acted since."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from petition.database import Connection, Record
from petition.errors import NotFound
from petition.moderation import campaign_queries, decisions, organizations, queries
from petition.moderation.decisions import Move
from petition.moderation.model import UNDO, Act, By, Outcome, Standing, ordered
from petition.sealing import Wrapper
from petition.signatures.flags import Flag
from petition.signatures.model import SignatureState

OF_SIGNATURES = frozenset({*(act.logged for act in Act), UNDO})


async def undo(conn: Connection, by: By, wrapper: Wrapper, log: int) -> Outcome:
    """Undo the whole act to which row ``log`` belongs, in this transaction. A second time changes nothing.

    Signatures on which somebody has acted since, or that are gone, stay as they are (``missed``). Raises ``NotFound``
    if there is no such act on this letter, or none that could be undone.
    """
    rows = await queries.rows_of_act(conn, by.letter, log)
    if not rows:
        raise NotFound("there is no such act")
    campaign = rows[0]["campaign"] if by.campaign is None else None
    if campaign is not None:  # before any signature, as the campaign's own steps do
        await campaign_queries.lock(conn, campaign)
        by = replace(by, campaign=campaign)
    done = [await _undo(conn, by, wrapper, row) for row in rows if not row["undone"]]
    if campaign is not None:
        number = sum(len(each.changed) for each in done) * (1 if await _led_back(conn, by.letter, rows[0]) else -1)
        await campaign_queries.note_undone(conn, campaign, number)
    return Outcome(
        tuple(id for each in done for id in each.changed),
        tuple(id for each in done for id in each.missed),
        next((each.log for each in done if each.log), None),
    )


async def _led_back(conn: Connection, letter: int, row: Record) -> bool:
    """Tell whether an act undid what its campaign had done (and not undid the undoing, and so on)."""
    back, place = False, row
    while place["undoes"] is not None:
        back, before = not back, await queries.act(conn, letter, place["undoes"])
        if before is None:
            break
        place = before
    return back


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
        Move(row, now, _back(row, now, before, after))
        for row in rows
        if act["id"] in {row["last_act"], before_undone.get(row["id"])}
        and (now := decisions.standing_of(row)).state is after.state
    ]
    logs: decisions.Logs = {}
    for reason, some in (await _by_reason(conn, by.letter, act, moves)).items():
        logs |= await decisions.carry_out(conn, by, wrapper, UNDO, some, reason, undoes=act["id"])
    if before.flags:
        await queries.reopen_reports(conn, by.letter, [act["id"]])
    changed = {move.id for move in moves}
    return Outcome(tuple(changed), tuple(id for id in act["ids"] if id not in changed), next(iter(logs.values()), None))


async def _by_reason(
    conn: Connection, letter: int, act: Record, moves: Sequence[Move]
) -> dict[str | None, Sequence[Move]]:
    """Return moves by the reason that is to stand with them: that of the act, or the former one of who was removed."""
    removed = [move.id for move in moves if move.after.state is SignatureState.REMOVED]
    if act["reason"] is not None or not removed:
        return {act["reason"]: moves}
    known = await queries.reasons_before(conn, letter, act["id"], removed)
    found: dict[str | None, list[Move]] = defaultdict(list)
    for move in moves:
        found[known.get(move.id)].append(move)
    return dict(found)


def _back(row: Record, now: Standing, before: Standing, after: Standing) -> Standing:
    """Return where undoing leads. A flag that came since (a reader's report) stays: nobody has looked at that yet. One
    that was answered since (by a second mailbox, on the website's domain) stays away."""
    came = set(now.flags) - set(after.flags)
    answered = {Flag.OTHER_DOMAIN.value} if "second" in (row["signals"] or {}) else set()
    return Standing(before.state, ordered({*before.flags, *came} - answered))
