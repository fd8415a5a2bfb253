"""Undoing any act of the log: a new act that leads back, wherever nobody has acted since."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from petition.core.audit_log import Actor
from petition.core.database import Connection, Record
from petition.core.encryption import Wrapper
from petition.core.errors import NotFound
from petition.core.ids import LetterId, LogId, SignatureId
from petition.moderation import bulk_act_queries, decisions, organizations, queries
from petition.moderation.decisions import SignatureMove
from petition.moderation.model import UNDO, Action, ActOutcome, ReviewStatus, ordered
from petition.signatures.flags import Flag
from petition.signatures.model import SignatureState

OF_SIGNATURES = frozenset({*(act.logged for act in Action), UNDO})


async def undo(conn: Connection, by: Actor, wrapper: Wrapper, log_id: LogId) -> ActOutcome:
    """Undo the whole act to which row ``log`` belongs, in this transaction. A second time changes nothing.

    Signatures on which somebody has acted since, or that are gone, stay as they are (``missed``). Raises ``NotFound``
    if there is no such act on this letter, or none that could be undone.
    """
    rows = await queries.rows_of_act(conn, by.letter_id, log_id)
    if not rows:
        raise NotFound("there is no such act")
    campaign = rows[0]["campaign"] if by.bulk_act_id is None else None
    if campaign is not None:  # before any signature, as the campaign's own steps do
        await bulk_act_queries.lock(conn, campaign)
        by = replace(by, bulk_act_id=campaign)
    outcome = await _undo(conn, by, wrapper, [row for row in rows if not row["undone"]])
    if campaign is not None:
        forth = await bulk_act_queries.is_of_campaign(conn, by.letter_id, rows[0]["id"])
        await bulk_act_queries.note_undone(conn, campaign, len(outcome.changed) * (-1 if forth else 1))
    return outcome


async def _undo(conn: Connection, by: Actor, wrapper: Wrapper, rows: Sequence[Record]) -> ActOutcome:
    """Undo rows of the log that one act wrote."""
    if all(row["act"] in OF_SIGNATURES for row in rows):
        return await _undo_decision(conn, by, wrapper, rows)
    if any(row["act"] not in organizations.UNDO for row in rows):
        raise NotFound("this act cannot be undone")
    done = [await organizations.UNDO[row["act"]](conn, by, wrapper, row) for row in rows]
    return ActOutcome(
        tuple(id for each in done for id in each.changed),
        tuple(id for each in done for id in each.missed),
        next((each.log_id for each in done if each.log_id), None),
    )


async def _undo_decision(conn: Connection, by: Actor, wrapper: Wrapper, acts: Sequence[Record]) -> ActOutcome:
    """Lock whom all the rows are about, then move them in one go: nothing is locked once the count has moved."""
    ids = [id for act in acts for id in act["ids"]]
    locked = await queries.lock(conn, by.letter_id, ids)
    before_undone = await queries.acts_before_undone(conn, by.letter_id, ids)
    moves = [move for act in acts for move in await _moves(conn, by.letter_id, act, locked, before_undone)]
    if flagged := [act["id"] for act in acts if ReviewStatus.read(act["before"]).flags]:
        await queries.reopen_reports(conn, by.letter_id, flagged)
    log = await decisions.apply_moves(conn, by, wrapper, UNDO, sorted(moves, key=lambda move: move.id))
    changed = {move.id for move in moves}
    return ActOutcome(tuple(changed), tuple(id for id in ids if id not in changed), log)


async def _moves(
    conn: Connection,
    letter_id: LetterId,
    act: Record,
    locked: Sequence[Record],
    before_undone: Mapping[SignatureId, LogId],
) -> list[SignatureMove]:
    """Return the moves that lead back from one row of the log, of those on whom nobody has acted since."""
    before, after, ids = ReviewStatus.read(act["before"]), ReviewStatus.read(act["after"]), set(act["ids"])
    moves = [
        SignatureMove(row, now, _back(row, now, before, after), act["reason"], act["id"])
        for row in locked
        if row["id"] in ids
        and act["id"] in {row["last_act"], before_undone.get(row["id"])}
        and (now := decisions.status_in(row)).state is after.state
    ]
    # With who was removed stands the former reason again, if the act had none.
    removed = [move.id for move in moves if move.after.state is SignatureState.REMOVED]
    if act["reason"] is not None or not removed:
        return moves
    known = await queries.reasons_before(conn, letter_id, act["id"], removed)
    return [replace(move, reason=known.get(move.id)) for move in moves]


def _back(row: Record, now: ReviewStatus, before: ReviewStatus, after: ReviewStatus) -> ReviewStatus:
    """Return where undoing leads. A flag that came since (a reader's report) stays: nobody has looked at that yet. One
    that was answered since (by a second mailbox, on the website's domain) stays away."""
    came = set(now.flags) - set(after.flags)
    answered = {Flag.OTHER_DOMAIN.value} if "second" in (row["signals"] or {}) else set()
    return ReviewStatus(before.state, ordered({*before.flags, *came} - answered))
