"""Bulk acts: one action on all signatures that match a filter.

An organizer sees how many they are, and some of them, before starting it; the worker carries it out in steps, the
newest signatures first, each step a transaction with a row of the log and an exact count. A bulk act can be paused,
cancelled, and reverted step by step. Signatures listed after it was created are left alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from petition.core import audit_log
from petition.core.audit_log import TOO_LATE, Actor
from petition.core.database import Connection, Database, Record
from petition.core.decryptions import DecryptionPurpose, decrypts_for
from petition.core.encryption import LetterKeys, Wrapper
from petition.core.errors import NotFound, Refused
from petition.core.i18n import N_
from petition.core.ids import BulkActId, LetterId, OrganizerId, SignatureId
from petition.letters.keys import keys_for
from petition.moderation import bulk_act_queries as queries
from petition.moderation import decisions, filters, queue_queries, undoing
from petition.moderation.model import Action, Filter
from petition.moderation.queue import search_expression
from petition.signatures.model import Reason

STEP = 500  # signatures per transaction, so that a confirmation hardly waits for one
POLL = 1.0  # seconds between two polls while nothing is to be done
EXAMPLES = 10

NO_WORDS = N_("Enter at least one word to search for.")
FINISHED = N_("It had finished by then. The page shows how it is now.")


class BulkActState(StrEnum):
    """The state of a bulk act."""

    DRAFT = "draft"
    RUNNING = "running"
    PAUSED = "paused"
    CANCELLED = "cancelled"
    DONE = "done"
    REVERTING = "reverting"
    REVERTED = "reverted"


# What an organizer may do: from which states, and to which.
TRANSITIONS: Mapping[str, tuple[tuple[BulkActState, ...], BulkActState]] = {
    "start": ((BulkActState.DRAFT,), BulkActState.RUNNING),
    "pause": ((BulkActState.RUNNING,), BulkActState.PAUSED),
    "resume": ((BulkActState.PAUSED,), BulkActState.RUNNING),
    "cancel": ((BulkActState.DRAFT, BulkActState.RUNNING, BulkActState.PAUSED), BulkActState.CANCELLED),
    "revert": (
        (BulkActState.RUNNING, BulkActState.PAUSED, BulkActState.CANCELLED, BulkActState.DONE),
        BulkActState.REVERTING,
    ),
}


@dataclass(frozen=True, slots=True)
class BulkAct:
    """A bulk act as organizers see it."""

    id: BulkActId
    organizer_id: OrganizerId | None
    organizer_name: str | None
    action: Action
    reason: Reason | None
    filter: Filter
    state: BulkActState
    matched: int
    changed: int
    created_at: datetime
    ended_at: datetime | None

    @property
    def transitions(self) -> tuple[str, ...]:
        """What an organizer may do now."""
        useless = set() if self.changed else {"revert"}
        return tuple(name for name, (before, _) in TRANSITIONS.items() if self.state in before and name not in useless)

    @property
    def too_late(self) -> str:
        """Why a transition is not possible any more: only the worker finishes a bulk act, the rest is organizers'."""
        return FINISHED if self.state in {BulkActState.DONE, BulkActState.REVERTED} else TOO_LATE

    @property
    def is_moving(self) -> bool:
        """True while the worker carries out its steps."""
        return self.state in {BulkActState.RUNNING, BulkActState.REVERTING}


def bulk_act_in(row: Record) -> BulkAct:
    return BulkAct(
        id=row["id"],
        organizer_id=row["organizer"],
        organizer_name=row["organizer_name"],
        action=Action(row["act"]),
        reason=Reason(row["reason"]) if row["reason"] else None,
        filter=filters.filter_of(row["conditions"]),
        state=BulkActState(row["state"]),
        matched=row["matched"],
        changed=row["changed"],
        created_at=row["created_at"],
        ended_at=row["ended_at"],
    )


async def create(conn: Connection, actor: Actor, action: Action, filter: Filter) -> BulkActId:
    """Add a draft with the number of its matches; return its id. Raises ``Refused``, ``Gone``."""
    words = await search_expression(conn, actor.letter_id, filter.q)
    if filter.q and not words:
        raise Refused(NO_WORDS, "q")
    now = await queries.now(conn)
    matched = await queue_queries.count(conn, actor.letter_id, action, filter, words, now)
    # After counting, because taking the letter down waits for this lock.
    await audit_log.hold_letter(conn, actor.letter_id)
    return await queries.add(
        conn,
        actor.letter_id,
        actor.organizer_id,
        act=action.value,
        conditions=filter.as_fields(),
        matched=matched,
        listed_before=now,
    )


async def load(conn: Connection, letter_id: LetterId, bulk_act_id: BulkActId) -> BulkAct:
    """Raises ``NotFound``."""
    row = await queries.one(conn, letter_id, bulk_act_id)
    if row is None:
        raise NotFound("there is no such bulk act")
    return bulk_act_in(row)


async def examples(conn: Connection, letter_id: LetterId, bulk_act: BulkAct) -> list[SignatureId]:
    """Return the ids of some signatures that match."""
    before = (bulk_act.created_at, 0)
    words = await search_expression(conn, letter_id, bulk_act.filter.q)
    last_acts, _ = await queue_queries.step(conn, letter_id, bulk_act.action, bulk_act.filter, words, before, EXAMPLES)
    return list(last_acts)


async def advance(
    conn: Connection, actor: Actor, bulk_act_id: BulkActId, transition: str, reason: Reason | None
) -> None:
    """Start, pause, resume, cancel or revert. Raises ``Refused``, ``NotFound``."""
    if transition not in TRANSITIONS:
        raise Refused(filters.NO_ACTION)
    bulk_act = await load(conn, actor.letter_id, bulk_act_id)
    if transition not in bulk_act.transitions:
        raise Refused(bulk_act.too_late)
    before, after = TRANSITIONS[transition]
    if transition != "start" or bulk_act.action is not Action.REMOVE:
        reason = None
    elif reason is None:
        raise Refused(filters.NO_REASON, "reason")
    if not await queries.set_state(
        conn, actor.letter_id, bulk_act_id, before=tuple(map(str, before)), after=after.value, reason=reason
    ):
        raise Refused((await load(conn, actor.letter_id, bulk_act_id)).too_late)
    await audit_log.record_by(
        conn,
        replace(actor, bulk_act_id=bulk_act_id),
        f"campaign.{transition}",
        ids=[bulk_act_id],
        before=bulk_act.state.value,
        after=after.value,
        reason=reason,
    )


@decrypts_for(DecryptionPurpose.MODERATION)
async def step(database: Database, wrapper: Wrapper, size: int = STEP) -> bool:
    """Carry out the next step of a bulk act; return whether there was one."""
    async with database.transaction() as conn:
        row = await queries.claim(conn)
        if row is None:
            return False
        author = await queries.author(conn, row["id"])
        actor = Actor(author["organizer"] if author else row["organizer"], row["letter"], row["id"])
        if author and not author["may"] and row["state"] == BulkActState.RUNNING:
            await _pause(conn, replace(actor, organizer_id=None))
            return True
        keys = await keys_for(conn, actor.letter_id, wrapper)
        if row["state"] == BulkActState.REVERTING:
            await _revert_step(conn, actor, keys, row)
        else:
            await _apply_step(conn, actor, keys, row, size)
        return True


async def _pause(conn: Connection, actor: Actor) -> None:
    """Pause a bulk act whose author was removed from the letter, until another organizer looks at it."""
    running, paused = BulkActState.RUNNING.value, BulkActState.PAUSED.value
    bulk_act_id = BulkActId(actor.bulk_act_id or 0)
    await queries.set_state(conn, actor.letter_id, bulk_act_id, before=(running,), after=paused, reason=None)
    await audit_log.record_by(conn, actor, "campaign.pause", ids=[bulk_act_id], before=running, after=paused)


async def _apply_step(conn: Connection, actor: Actor, keys: LetterKeys, row: Record, size: int) -> None:
    action, filter = Action(row["act"]), filters.filter_of(row["conditions"])
    position = (row["listed_at"], row["signature"])
    words = await search_expression(conn, actor.letter_id, filter.q)
    # With the last act on each match: a signature that a moderator decides about meanwhile is left to that decision.
    last_acts, end = await queue_queries.step(conn, actor.letter_id, action, filter, words, position, size)
    reason = Reason(row["reason"]) if row["reason"] else None
    # Before the decision, whose last statement locks the count: so that it is locked as briefly as possible.
    following = (end["listed_at"], end["id"]) if end else None
    await queries.add_progress(conn, row["id"], len(last_acts), following, None if end else BulkActState.DONE.value)
    outcome = await decisions.decide(conn, actor, keys, action, last_acts, reason)
    if outcome.missed:
        await queries.add_progress(conn, row["id"], -len(outcome.missed), None, None)


async def _revert_step(conn: Connection, actor: Actor, keys: LetterKeys, row: Record) -> None:
    last = await queries.last_step(conn, row["id"], actor.letter_id, row["signature"])
    if last is None:
        await queries.add_progress(conn, row["id"], 0, None, BulkActState.REVERTED.value)
        return
    outcome = await undoing.undo(conn, actor, keys, last)
    await queries.add_progress(conn, row["id"], -len(outcome.changed), (row["listed_at"], last), None)
