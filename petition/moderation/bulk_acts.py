"""Campaigns: one decision about everything that matches some conditions, however much that is.

An organizer sees how many it would be, and some of them, before starting it; the worker carries it out in steps, the
newest first, each a transaction with a row of the log and an exact count. It can be paused, cancelled, and reverted
step by step. What was listed after it had been made is left alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from petition.core import audit_log
from petition.core.audit_log import Actor
from petition.core.database import Connection, Database, Record
from petition.core.encryption import Wrapper
from petition.core.errors import NotFound, Refused
from petition.core.i18n import N_
from petition.core.ids import BulkActId, LetterId, OrganizerId, SignatureId
from petition.moderation import bulk_act_queries as queries
from petition.moderation import decisions, filters, queue_queries, undoing
from petition.moderation.model import Action, Filter
from petition.moderation.queue import search_expression
from petition.signatures.model import Reason

STEP = 500  # signatures a transaction, so that those who sign meanwhile hardly wait
POLL = 1.0  # seconds between two looks when there is nothing to do
EXAMPLES = 10

TOO_LATE = N_("Somebody else was faster: look at where it stands now.")
NO_WORDS = N_("There is no word in what you search for.")


class BulkActState(StrEnum):
    """Where a campaign stands."""

    DRAFT = "draft"
    RUNNING = "running"
    PAUSED = "paused"
    CANCELLED = "cancelled"
    DONE = "done"
    REVERTING = "reverting"
    REVERTED = "reverted"


# What an organizer may do, from which states, and where it leads.
STEPS: Mapping[str, tuple[tuple[BulkActState, ...], BulkActState]] = {
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
    """A campaign as organizers see it."""

    id: BulkActId
    who: str | None
    organizer_id: OrganizerId | None
    act: Action
    reason: Reason | None
    wanted: Filter
    state: BulkActState
    matched: int
    changed: int
    created_at: datetime
    ended_at: datetime | None

    @property
    def offers(self) -> tuple[str, ...]:
        """What can be done with it now."""
        useless = {"revert"} if not self.changed else set()
        return tuple(name for name, (before, _) in STEPS.items() if self.state in before and name not in useless)

    @property
    def is_moving(self) -> bool:
        """Tell whether the worker is at it."""
        return self.state in {BulkActState.RUNNING, BulkActState.REVERTING}


def bulk_act_in(row: Record) -> BulkAct:
    """Read a campaign out of a row."""
    return BulkAct(
        id=row["id"],
        who=row["who"],
        organizer_id=row["organizer"],
        act=Action(row["act"]),
        reason=Reason(row["reason"]) if row["reason"] else None,
        wanted=filters.filter_of(row["conditions"]),
        state=BulkActState(row["state"]),
        matched=row["matched"],
        changed=row["changed"],
        created_at=row["created_at"],
        ended_at=row["ended_at"],
    )


async def create(conn: Connection, by: Actor, act: Action, wanted: Filter) -> BulkActId:
    """Make a draft that knows how many signatures it would be about; return its id. Raises ``Refused``, ``Gone``."""
    words = await search_expression(conn, by.letter_id, wanted.q)
    if wanted.q and not words:
        raise Refused(NO_WORDS, "q")
    now = await queries.now(conn)
    matched = await queue_queries.count(conn, by.letter_id, act, wanted, words, now)
    await audit_log.hold_letter(
        conn, by.letter_id
    )  # not while it counts: taking a letter down waits for whoever holds it
    return await queries.add(conn, by.letter_id, by.organizer_id, act.value, None, wanted.as_fields(), matched, now)


async def read(conn: Connection, letter_id: LetterId, bulk_act_id: BulkActId) -> BulkAct:
    """Return a campaign. Raises ``NotFound``."""
    row = await queries.one(conn, letter_id, bulk_act_id)
    if row is None:
        raise NotFound("there is no such campaign")
    return bulk_act_in(row)


async def examples(conn: Connection, letter_id: LetterId, campaign: BulkAct) -> list[SignatureId]:
    """Return the ids of some signatures that it is about."""
    before = (campaign.created_at, 0)
    words = await search_expression(conn, letter_id, campaign.wanted.q)
    seen, _ = await queue_queries.step(conn, letter_id, campaign.act, campaign.wanted, words, before, EXAMPLES)
    return list(seen)


async def move(conn: Connection, by: Actor, bulk_act_id: BulkActId, step: str, reason: Reason | None) -> None:
    """Start, pause, resume, cancel or revert. Raises ``Refused``, ``NotFound``."""
    if step not in STEPS:
        raise Refused(filters.WHAT)
    now = await read(conn, by.letter_id, bulk_act_id)
    before, to = STEPS[step]
    if step == "start" and now.act is Action.REMOVE and reason is None:
        raise Refused(filters.WHY, "reason")
    given = reason.value if reason and step == "start" and now.act is Action.REMOVE else None
    if not await queries.set_state(conn, by.letter_id, bulk_act_id, tuple(map(str, before)), to.value, given):
        raise Refused(TOO_LATE)
    await audit_log.record(
        *(conn, by.organizer_id, by.letter_id, f"campaign.{step}"),
        ids=[bulk_act_id],
        before=now.state.value,
        after=to.value,
        reason=given,
        bulk_act_id=bulk_act_id,
    )


async def step(database: Database, wrapper: Wrapper, size: int = STEP) -> bool:
    """Do the next step of some campaign; tell whether there was one."""
    async with database.transaction() as conn:
        row = await queries.take(conn)
        if row is None:
            return False
        by = Actor(row["organizer"], row["letter"], row["id"])
        if row["state"] == BulkActState.REVERTING:
            await _revert(conn, by, wrapper, row)
        else:
            await _go_on(conn, by, wrapper, row, size)
        return True


async def _go_on(conn: Connection, by: Actor, wrapper: Wrapper, row: Record, size: int) -> None:
    act, wanted = Action(row["act"]), filters.filter_of(row["conditions"])
    place = (row["listed_at"], row["signature"])
    words = await search_expression(conn, by.letter_id, wanted.q)
    # With the act that was last on each when it matched: whom somebody decides about at this moment is left to them.
    seen, end = await queue_queries.step(conn, by.letter_id, act, wanted, words, place, size)
    reason = Reason(row["reason"]) if row["reason"] else None
    # Noted first: the count that the decision moves is to be held for as short as can be.
    following = (end["listed_at"], end["id"]) if end else None
    await queries.go_on(conn, row["id"], len(seen), following, None if end else BulkActState.DONE.value)
    outcome = await decisions.decide(conn, by, wrapper, act, seen, reason)
    if outcome.missed:
        await queries.go_on(conn, row["id"], -len(outcome.missed), None, None)


async def _revert(conn: Connection, by: Actor, wrapper: Wrapper, row: Record) -> None:
    last = await queries.last_step(conn, row["id"], by.letter_id, row["signature"])
    if last is None:
        await queries.go_on(conn, row["id"], 0, None, BulkActState.REVERTED.value)
        return
    outcome = await undoing.undo(conn, by, wrapper, last)
    await queries.go_on(conn, row["id"], -len(outcome.changed), (row["listed_at"], last), None)
