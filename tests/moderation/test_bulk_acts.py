"""Bulk acts: their number, started, paused, cancelled half-way, reverted; the count is exact after each step."""

import asyncio
import contextlib
import itertools
from datetime import UTC, datetime, timedelta

import pytest

from petition.core.audit_log import Actor
from petition.core.errors import Refused
from petition.core.ids import BulkActId, LogId, OrganizerId, SignatureId
from petition.moderation import bulk_acts, decisions, queue, queue_queries
from petition.moderation.bulk_acts import BulkActState
from petition.moderation.model import ANY, Action, Filter, Source, Wait
from petition.signatures import self_service
from petition.signatures.model import Kind, Reason, SignatureState
from tests.moderation.desk import WRAPPER, Bench


async def create(bench: Bench, action: Action, **conditions: object) -> BulkActId:
    async with bench.database.transaction() as conn:
        return await bulk_acts.create(conn, bench.actor, action, Filter(**conditions))  # type: ignore[arg-type]


async def advance(bench: Bench, bulk_act_id: BulkActId, transition: str, reason: Reason | None = None) -> None:
    async with bench.database.transaction() as conn:
        await bulk_acts.advance(conn, bench.actor, bulk_act_id, transition, reason)


async def load(bench: Bench, bulk_act_id: BulkActId) -> bulk_acts.BulkAct:
    async with bench.database.connection() as conn:
        return await bulk_acts.load(conn, bench.letter.id, bulk_act_id)


async def work(bench: Bench, size: int = 100, limit: int = 1000) -> int:
    for steps in range(limit):
        if not await bulk_acts.step(bench.database, WRAPPER, size):
            return steps
        await bench.check()
    return limit


async def test_ten_thousand_cancelled_half_way_and_reverted(bench: Bench) -> None:
    await bench.crowd(10_000, country="FJ")
    others = await bench.sign("Vera Novak")
    before = await bench.snapshot()
    bulk_act_id = await create(bench, Action.REMOVE, country="FJ")
    assert (await load(bench, bulk_act_id)).matched == 10_000
    await advance(bench, bulk_act_id, "start", Reason.FAKE)
    await work(bench, 1000, limit=4)
    await advance(bench, bulk_act_id, "pause")
    assert not await bulk_acts.step(bench.database, WRAPPER)
    assert (await bench.check())["people"] == 6_001
    await advance(bench, bulk_act_id, "resume")
    await work(bench, 1000, limit=1)
    await advance(bench, bulk_act_id, "cancel")
    assert not await bulk_acts.step(bench.database, WRAPPER)
    assert (await load(bench, bulk_act_id)).changed == 5_000
    assert (await bench.check())["people"] == 5_001
    assert await bench.states(*others) == ["confirmed"]
    await advance(bench, bulk_act_id, "revert")
    await work(bench, 1000)
    bulk_act = await load(bench, bulk_act_id)
    assert (bulk_act.state, bulk_act.changed) == (BulkActState.REVERTED, 0)
    assert await bench.snapshot() == before


async def test_all_of_it(bench: Bench) -> None:
    await bench.crowd(250, country="FJ")
    await bench.crowd(20, country="TO")
    bulk_act_id = await create(bench, Action.REMOVE, country="FJ")
    await advance(bench, bulk_act_id, "start", Reason.FAKE)
    await work(bench)
    bulk_act = await load(bench, bulk_act_id)
    assert (bulk_act.state, bulk_act.changed, bulk_act.matched) == (BulkActState.DONE, 250, 250)
    assert (await bench.check())["people"] == 20
    back = await create(bench, Action.RESTORE, country="FJ", state=SignatureState.REMOVED)
    assert (await load(bench, back)).matched == 250
    await advance(bench, back, "start")
    await work(bench)
    assert (await bench.check())["people"] == 270


async def test_a_rare_match_among_many_is_found_in_steps(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue_queries, "STEP_SCAN", 50)
    await bench.crowd(300)
    rare = await bench.sign("Zinaida Rare")
    await bench.crowd(300)
    bulk_act_id = await create(bench, Action.REMOVE, q="zinaida")
    await advance(bench, bulk_act_id, "start", Reason.ABUSE)
    assert await work(bench) > 5
    assert await bench.states(*rare) == ["removed"]
    assert (await bench.check())["people"] == 600


async def test_held_organizations_are_approved(bench: Bench) -> None:
    held = [await bench.sign_for(name) for name in ("North Pier", "Third Line", "North Pier")]
    bulk_act_id = await create(bench, Action.APPROVE, state=SignatureState.HELD, kind=Kind.ORGANIZATION)
    async with bench.database.connection() as conn:
        examples = await bulk_acts.examples(
            conn, bench.letter.id, await bulk_acts.load(conn, bench.letter.id, bulk_act_id)
        )
    assert sorted(examples) == sorted(held)
    await advance(bench, bulk_act_id, "start")
    await work(bench, 2)
    assert (await bench.check())["organizations"] == 2
    await advance(bench, bulk_act_id, "revert")
    await work(bench)
    assert await bench.states(*held) == ["held"] * 3


async def test_what_comes_later_and_what_goes_meanwhile(bench: Bench) -> None:
    first, second = await bench.sign("Vera", "Olga")
    bulk_act_id = await create(bench, Action.REMOVE)
    (late,) = await bench.sign("Late")
    await advance(bench, bulk_act_id, "start", Reason.FAKE)
    await self_service.withdraw(bench.database, bench.letter, first)
    await work(bench)
    assert await bench.states(first, second, late) == ["withdrawn", "removed", "confirmed"]
    assert (await load(bench, bulk_act_id)).changed == 1


async def test_reverting_leaves_what_somebody_decided_since(bench: Bench) -> None:
    first, second = await bench.sign("Vera", "Olga")
    bulk_act_id = await create(bench, Action.REMOVE)
    await advance(bench, bulk_act_id, "start", Reason.FAKE)
    await work(bench)
    await bench.decide(Action.RESTORE, first)
    await bench.remove(first)
    await advance(bench, bulk_act_id, "revert")
    await work(bench)
    assert await bench.states(first, second) == ["removed", "confirmed"]
    assert (await load(bench, bulk_act_id)).state is BulkActState.REVERTED


async def test_refusals(bench: Bench) -> None:
    await bench.sign("Vera")
    bulk_act_id = await create(bench, Action.REMOVE)
    with pytest.raises(Refused):
        await advance(bench, bulk_act_id, "start")
    with pytest.raises(Refused):
        await advance(bench, bulk_act_id, "pause")
    with pytest.raises(Refused):
        await advance(bench, bulk_act_id, "fly")
    with pytest.raises(Refused):
        await create(bench, Action.REMOVE, q="***")
    assert (await bench.check())["people"] == 1


async def test_every_filter_is_a_statement(bench: Bench) -> None:
    await bench.sign("Vera", country="FJ")
    choices = itertools.product(
        (None, SignatureState.HELD, SignatureState.CONFIRMED),
        (None, Kind.ORGANIZATION, Kind.PERSON),
        ((None, ""), (None, ANY), (5, "link")),
        ("", "en"),
        (("", ""), ("FJ", ""), ("", "press")),
        (None, *Source),
    )
    waits = itertools.cycle((None, *Wait))
    async with bench.database.connection() as conn:
        for state, kind, (group, flag), lang, (country, partner), source in choices:
            q = "vera nov" if lang else ""
            filter = Filter(state, kind, lang, country, source, flag, group, q, partner, next(waits))
            words = await queue.search_expression(conn, bench.letter.id, q)
            page = await queue.load_page(conn, bench.letter.id, bench.letter.keys, filter, None)
            assert len(page.items) <= 1
            for act in Action:
                number = await queue_queries.count(conn, bench.letter.id, act, filter, words, later())
                seen, end = await queue_queries.step(conn, bench.letter.id, act, filter, words, (later(), 0), 10)
                assert (len(seen), end) == (number, None)


def later() -> datetime:
    return datetime.now(UTC) + timedelta(days=1)


async def test_two_workers_do_not_do_the_same_step(bench: Bench) -> None:
    await bench.crowd(400)
    bulk_act_id = await create(bench, Action.REMOVE)
    await advance(bench, bulk_act_id, "start", Reason.FAKE)
    while any(await asyncio.gather(*(bulk_acts.step(bench.database, WRAPPER, 50) for _ in range(3)))):
        await bench.check()
    assert (await load(bench, bulk_act_id)).changed == 400


async def test_ten_thousand_while_two_others_decide_and_people_sign(bench: Bench) -> None:
    crowd = await bench.crowd(10_000, country="FJ")
    bulk_act_id = await create(bench, Action.REMOVE, country="FJ")
    await advance(bench, bulk_act_id, "start", Reason.FAKE)
    by_hand: set[SignatureId] = set()
    for n in range(0, 20):
        some = crowd[n * 470 : n * 470 + 60]  # of the next step, or of one before
        await asyncio.gather(
            bulk_acts.step(bench.database, WRAPPER, 500),
            decide(bench, Action.REMOVE, some[:40]),
            decide(bench, Action.RESTORE, some[20:]),
            self_service.withdraw(bench.database, bench.letter, crowd[-1 - n]),
            bench.sign(f"Voice {chr(97 + n)}"),
        )
        by_hand |= set(some)
        await bench.check()
    while await bulk_acts.step(bench.database, WRAPPER, 500):
        await bench.check()
    assert (await load(bench, bulk_act_id)).state is BulkActState.DONE
    left = await bench.rows("SELECT id FROM signature WHERE letter = $1 AND state = 'confirmed' AND country = 'FJ'")
    assert {row["id"] for row in left} <= by_hand  # only those restored meanwhile
    await advance(bench, bulk_act_id, "revert")
    await work(bench)
    states = await bench.rows("SELECT state, count(*) AS n FROM signature WHERE letter = $1 GROUP BY 1 ORDER BY 1")
    assert sum(row["n"] for row in states) == 10_020
    removed = await bench.rows("SELECT id FROM signature WHERE letter = $1 AND state = 'removed'")
    assert {row["id"] for row in removed} <= by_hand


async def decide(bench: Bench, act: Action, ids: list[SignatureId]) -> None:
    async with bench.database.transaction() as conn:
        seen = dict.fromkeys(ids, decisions.ANY_ACT)
        await decisions.decide(conn, bench.actor, bench.letter.keys, act, seen, Reason.ABUSE)


@pytest.mark.parametrize("typed", ["Nowak", "vera nowak", "Novek ver", "novak"])
async def test_it_is_about_all_that_the_queue_finds_with_a_typing_error_too(bench: Bench, typed: str) -> None:
    ids = await bench.sign("Vera Novak", "Novak Vera", "Ivan Petrov")
    filter = Filter(q=typed)
    async with bench.database.connection() as conn:
        page = await queue.load_page(conn, bench.letter.id, bench.letter.keys, filter, None)
    assert {item.id for item in page.items} == set(ids[:2])
    bulk_act_id = await create(bench, Action.REMOVE, q=typed)
    assert (await load(bench, bulk_act_id)).matched == 2
    await advance(bench, bulk_act_id, "start", Reason.FAKE)
    await work(bench, 1)
    assert (await load(bench, bulk_act_id)).changed == 2
    assert await bench.states(*ids) == ["removed", "removed", "confirmed"]


async def test_whom_somebody_decides_about_at_this_moment_is_left_to_them(bench: Bench) -> None:
    vera, olga = await bench.sign("Vera", "Olga")
    flagged = "UPDATE signature SET flags = '{link}' WHERE letter = $1"
    async with bench.database.connection() as conn:
        await conn.execute(flagged, bench.letter.id)
    bulk_act_id = await create(bench, Action.REMOVE, flag="link")
    await advance(bench, bulk_act_id, "start", Reason.FAKE)
    async with bench.database.transaction() as conn:
        others = await decisions.decide(
            conn, Actor(OrganizerId(1), bench.letter.id), bench.letter.keys, Action.APPROVE, {vera: LogId(0)}
        )
        assert others.changed == (vera,)
        step = asyncio.create_task(bulk_acts.step(bench.database, WRAPPER))
        async with bench.database.connection() as other:  # the step has matched both, and waits for this transaction
            while not await other.fetchval(
                "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype <> 'relation'"
            ):
                await asyncio.sleep(0.01)
    assert await step
    await work(bench)
    assert await bench.states(vera, olga) == ["confirmed", "removed"]
    assert (await load(bench, bulk_act_id)).changed == 1


async def seven_removed(bench: Bench) -> tuple[BulkActId, list[LogId]]:
    """Have a bulk act remove seven in two steps; return it and its rows of the log."""
    await bench.crowd(7)
    bulk_act_id = await create(bench, Action.REMOVE)
    await advance(bench, bulk_act_id, "start", Reason.FAKE)
    await work(bench, 4)
    steps = await bench.rows("SELECT id FROM log WHERE letter = $1 AND act = 'signature.remove' ORDER BY id")
    return bulk_act_id, [step["id"] for step in steps]


async def all_come_back(bench: Bench, bulk_act_id: BulkActId) -> None:
    """Revert it, and see that nobody is left out."""
    await advance(bench, bulk_act_id, "revert")
    await work(bench)
    bulk_act = await load(bench, bulk_act_id)
    assert (bulk_act.state, bulk_act.changed) == (BulkActState.REVERTED, 0)
    assert (await bench.check())["people"] == 7
    assert await bench.rows("SELECT id FROM signature WHERE letter = $1 AND state = 'removed'") == []


async def test_a_step_that_is_undone_in_the_log_is_not_told_as_changed(bench: Bench) -> None:
    bulk_act_id, steps = await seven_removed(bench)
    undone = await bench.undo(steps[0])
    assert (await load(bench, bulk_act_id)).changed == 3
    again = await bench.undo(undone.log_id)
    assert (await load(bench, bulk_act_id)).changed == 7
    await bench.undo(again.log_id)
    assert (await load(bench, bulk_act_id)).changed == 3
    await all_come_back(bench, bulk_act_id)


async def test_reverting_takes_a_step_along_that_was_undone_and_done_again(bench: Bench) -> None:
    bulk_act_id, steps = await seven_removed(bench)
    first, second = [await bench.undo((await bench.undo(step)).log_id) for step in steps]
    await bench.undo((await bench.undo(first.log_id)).log_id)  # and once more
    assert (await load(bench, bulk_act_id)).changed == 7
    await bench.undo(second.log_id)
    assert (await load(bench, bulk_act_id)).changed == 4
    await all_come_back(bench, bulk_act_id)


async def test_of_one_partner(bench: Bench) -> None:
    ids = await bench.sign("Vera Novak", "Ivan Petrov", "Kim Lee")
    async with bench.database.connection() as conn:
        for name, signature in (("press", ids[0]), ("radio", ids[1])):
            partner = await conn.fetchval(PARTNER, bench.letter.id, name)
            await conn.execute(CAME_BY, bench.letter.id, signature, partner)
        for filter, some in ((Filter(partner="press"), ids[:1]), (Filter(source=Source.PARTNER), ids[:2])):
            page = await queue.load_page(conn, bench.letter.id, bench.letter.keys, filter, None)
            assert {item.id for item in page.items} == set(some)
        assert (
            await queue.load_page(conn, bench.letter.id, bench.letter.keys, Filter(partner="none"), None)
        ).items == []
        with_words = Filter(partner="radio", q="ivan", country="", group=None)
        assert len((await queue.load_page(conn, bench.letter.id, bench.letter.keys, with_words, None)).items) == 1
    assert (await load(bench, await create(bench, Action.REMOVE, partner="radio"))).matched == 1


PARTNER = "INSERT INTO partner (letter, name, title) VALUES ($1, $2, $2) RETURNING id"
CAME_BY = "UPDATE signature SET signals = jsonb_build_object('partner', $3::integer) WHERE letter = $1 AND id = $2"


STATES_BY_ACT = [(action, state) for action in Action for state in BulkActState]


@pytest.mark.parametrize(("action", "state"), STATES_BY_ACT)
@pytest.mark.parametrize("transition", [*bulk_acts.TRANSITIONS, "fly", ""])
async def test_every_transition_in_every_state_is_done_or_refused(
    bench: Bench, action: Action, state: BulkActState, transition: str
) -> None:
    reason = "fake" if action is Action.REMOVE and state is not BulkActState.DRAFT else None
    for with_reason in (None, Reason.FAKE):
        made = await create(bench, action)
        async with bench.database.connection() as conn:
            await conn.execute("UPDATE campaign SET state = $2, reason = $3 WHERE id = $1", made, state.value, reason)
        with contextlib.suppress(Refused):
            await advance(bench, made, transition, with_reason)
        after = (await load(bench, made)).state
        assert after in {state, *(new for old, new in bulk_acts.TRANSITIONS.values() if state in old)}


async def test_a_draft_without_a_reason_is_cancelled_and_stays_so(bench: Bench) -> None:
    await bench.crowd(14)
    made = await create(bench, Action.REMOVE)
    await advance(bench, made, "cancel")
    assert (await load(bench, made)).state is BulkActState.CANCELLED
    for transition in bulk_acts.TRANSITIONS:
        with pytest.raises(Refused):
            await advance(bench, made, transition, Reason.FAKE)
    assert (await load(bench, made)).transitions == ()


async def test_what_the_worker_finished_is_not_said_of_a_person(bench: Bench) -> None:
    await bench.crowd(14)
    made = await create(bench, Action.REMOVE)
    await advance(bench, made, "start", Reason.FAKE)
    await work(bench)
    with pytest.raises(Refused) as refused:
        await advance(bench, made, "pause")
    assert refused.value.message == bulk_acts.FINISHED
