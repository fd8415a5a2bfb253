"""Undoing an act of the log: a new act that reverts it, where no later act has changed the same."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from petition.core.audit_log import Actor
from petition.core.database import Connection, Record
from petition.core.encryption import LetterKeys
from petition.core.errors import NotFound
from petition.core.ids import LetterId, LogId, SignatureId
from petition.moderation import bulk_act_queries, decisions, organizations, queries, second_mailbox
from petition.moderation.decisions import SignatureMove
from petition.moderation.model import UNDO, Action, ActOutcome, ReviewStatus, ordered
from petition.signatures.flags import Flag
from petition.signatures.model import SignatureState

ACTS_ON_SIGNATURES = frozenset({*(action.logged for action in Action), UNDO})


async def undo(conn: Connection, actor: Actor, keys: LetterKeys, log_id: LogId) -> ActOutcome:
    """Undo the whole act that wrote the row ``log_id``, in this transaction. A second time changes nothing.

    Signatures with a later act, or that no longer exist, are ``missed``. Raises ``NotFound`` if the letter has no such
    act, or the act cannot be undone, ``Refused``, ``KeyDestroyed``.
    """
    rows = await queries.rows_of_act(conn, actor.letter_id, log_id)
    if not rows:
        raise NotFound("there is no such act")
    bulk_act_id = rows[0]["campaign"] if actor.bulk_act_id is None else None
    if bulk_act_id is not None:
        # lock order: see docs/decisions/lock-order.md (the bulk act before any signature)
        await bulk_act_queries.lock(conn, bulk_act_id)
        actor = replace(actor, bulk_act_id=bulk_act_id)
    outcome = await _undo(conn, actor, keys, [row for row in rows if not row["is_undone"]])
    if bulk_act_id is not None:
        is_step = await bulk_act_queries.is_step(conn, actor.letter_id, rows[0]["id"])
        await bulk_act_queries.add_changed(conn, bulk_act_id, len(outcome.changed) * (-1 if is_step else 1))
    return outcome


async def _undo(conn: Connection, actor: Actor, keys: LetterKeys, rows: Sequence[Record]) -> ActOutcome:
    if all(row["act"] in ACTS_ON_SIGNATURES for row in rows):
        return await _undo_decision(conn, actor, keys, rows)
    if any(row["act"] not in organizations.UNDO for row in rows):
        raise NotFound("this act cannot be undone")
    outcomes = [await organizations.UNDO[row["act"]](conn, actor, keys, row) for row in rows]
    return ActOutcome(
        tuple(id for outcome in outcomes for id in outcome.changed),
        tuple(id for outcome in outcomes for id in outcome.missed),
        next((outcome.log_id for outcome in outcomes if outcome.log_id), None),
    )


async def _undo_decision(conn: Connection, actor: Actor, keys: LetterKeys, acts: Sequence[Record]) -> ActOutcome:
    # lock order: see docs/decisions/lock-order.md (the signatures of all rows first)
    ids = [id for act in acts for id in act["ids"]]
    locked = await queries.lock(conn, actor.letter_id, ids)
    before_undone = await queries.acts_before_undone(conn, actor.letter_id, ids)
    moves = [move for act in acts for move in await _moves(conn, actor.letter_id, act, locked, before_undone)]
    await queries.reopen_reports(conn, actor.letter_id, [act["id"] for act in acts if _settled(act)])
    log_id = await decisions.apply_moves(conn, actor, keys, UNDO, sorted(moves, key=lambda move: move.id))
    changed = {move.id for move in moves}
    return ActOutcome(tuple(changed), tuple(id for id in ids if id not in changed), log_id)


def _settled(act: Record) -> bool:
    """True if a row of the log settled the reports of its signatures."""
    return ReviewStatus.parse(act["after"]).settles(ReviewStatus.parse(act["before"]))


async def _moves(
    conn: Connection,
    letter_id: LetterId,
    act: Record,
    locked: Sequence[Record],
    before_undone: Mapping[SignatureId, LogId],
) -> list[SignatureMove]:
    """Return the moves that revert one row of the log, for signatures without a later act."""
    before, after, ids = ReviewStatus.parse(act["before"]), ReviewStatus.parse(act["after"]), set(act["ids"])
    moves = [
        SignatureMove(row, status, _reverted(row, status, before, after), act["reason"], act["id"])
        for row in locked
        if row["id"] in ids
        and act["id"] in {row["last_act"], before_undone.get(row["id"])}
        and (status := decisions.status_in(row)).state is after.state
    ]
    # An act without a reason had restored a removed signature: the removal has its former reason again.
    removed = [move.id for move in moves if move.after.state is SignatureState.REMOVED]
    if act["reason"] is not None or not removed:
        return moves
    reasons = await queries.reasons_before(conn, letter_id, act["id"], removed)
    return [replace(move, reason=reasons.get(move.id)) for move in moves]


def _reverted(row: Record, status: ReviewStatus, before: ReviewStatus, after: ReviewStatus) -> ReviewStatus:
    """Return the status after undoing. A flag added since (a reader's report) stays, because it is not reviewed yet; a
    flag settled since (a second mailbox on the website's domain confirmed) does not return."""
    added = set(status.flags) - set(after.flags)
    settled = {Flag.OTHER_DOMAIN.value, Flag.DENIED.value} if second_mailbox.YES in (row["signals"] or {}) else set()
    return ReviewStatus(before.state, ordered({*before.flags, *added} - settled))
