"""Deciding, and taking it back: the count is what the rows say after each act."""

import asyncio
import json
import random

import pytest

from petition.core.audit_log import Actor
from petition.core.errors import NotFound, Refused
from petition.core.ids import LogId, OrganizerId, SignatureId
from petition.moderation import decisions, queries, reports, second_mailbox
from petition.moderation.model import Action, ActOutcome, ReviewStatus
from petition.signatures import counting, search_words, self_service
from petition.signatures.counting import CountChange
from petition.signatures.model import Kind, Reason, SignatureState
from tests.moderation.desk import Bench

LOG = """
SELECT act, ids, before, after, reason, undoes FROM log WHERE letter = $1 AND act NOT LIKE 'letter.%' ORDER BY id
"""
DIRTY = "UPDATE signature SET flags = $3 WHERE letter = $1 AND id = $2"


async def test_removing_and_bringing_back(bench: Bench) -> None:
    vera, ivan, hidden = [
        *await bench.sign("Vera Novak", "Иван Петров"),
        *await bench.sign("Kim", visibility="counted"),
    ]
    before = await bench.snapshot()
    assert (await bench.remove(vera, hidden, reason=Reason.DUPLICATE)).changed
    assert await bench.states(vera, ivan, hidden) == ["removed", "confirmed", "removed"]
    assert await bench.check() == {"people": 1, "organizations": 0, "hidden": 0, "imported": 0}
    assert len(await bench.rows("SELECT digest FROM bar WHERE letter = $1")) == 2
    await bench.decide(Action.RESTORE, vera, hidden)
    assert await bench.snapshot() == before
    written = await bench.rows(LOG)
    assert [(row["act"], row["before"], row["after"], row["reason"]) for row in written] == [
        ("signature.remove", "confirmed", "removed", "duplicate"),
        ("signature.back", "removed", "confirmed", None),
    ]
    assert sorted(written[0]["ids"]) == sorted([vera, hidden])


async def test_approving_lets_an_organization_in_and_undoing_holds_it_again(bench: Bench) -> None:
    first, second = [await bench.sign_for("North Pier", name, visibility="public") for name in ("Anna Berg", "Olaf")]
    before = await bench.snapshot()
    outcome = await bench.decide(Action.APPROVE, first)
    assert (await bench.check())["organizations"] == 1
    both = await bench.decide(Action.APPROVE, second)
    assert (await bench.check())["organizations"] == 1
    await bench.undo(both.log_id)
    assert (await bench.check())["organizations"] == 1
    await bench.undo(outcome.log_id)
    assert await bench.snapshot() == before
    assert await bench.rows("SELECT id FROM organization WHERE letter = $1") == []
    await bench.decide(Action.APPROVE, first, second)
    (named,) = await bench.rows("SELECT name_en FROM organization WHERE letter = $1")
    assert named["name_en"] == "North Pier"


async def test_undoing_an_approval_brings_back_what_was_typed(bench: Bench) -> None:
    first = await bench.sign_for("Open Net", organization_ru="Открытая сеть", website="https://open.example")
    second = await bench.sign_for("Open Net", website="https://other.example", position="Chair")
    await bench.decide(Action.APPROVE, first)
    typed = await _typed(bench, second)
    for _ in range(2):  # a second time, too
        approved = await bench.decide(Action.APPROVE, second)
        await bench.undo(approved.log_id)
        assert await _typed(bench, second) == typed
    assert await bench.rows("SELECT * FROM typed WHERE letter = $1 AND signature = $2", second) == []
    approved = await bench.decide(Action.APPROVE, second)
    await self_service.correct(bench.database, bench.letter, second, "Anna Bergson")  # that is theirs, and stays
    await bench.undo(approved.log_id)
    assert await _typed(bench, second) == typed | {"name": "Anna Bergson"}
    await bench.decide(Action.APPROVE, second)
    await self_service.withdraw(bench.database, bench.letter, second)
    assert [row["signature"] for row in await bench.rows("SELECT signature FROM typed WHERE letter = $1")] == [first]


async def _typed(bench: Bench, signature_id: SignatureId) -> dict[str, str]:
    (row,) = await bench.rows("SELECT private FROM signature WHERE letter = $1 AND id = $2", signature_id)
    return dict(bench.letter.keys.reveal(row["private"]))


async def test_the_last_representative_takes_the_entry_along(bench: Bench) -> None:
    first, second = [await bench.sign_for("North Pier") for _ in range(2)]
    await bench.decide(Action.APPROVE, first, second)
    await bench.remove(first)
    assert (await bench.check())["organizations"] == 1
    outcome = await bench.remove(second)
    assert (await bench.check())["organizations"] == 0
    await bench.undo(outcome.log_id)
    assert (await bench.check())["organizations"] == 1
    await bench.decide(Action.RESTORE, first)
    assert await bench.states(first, second) == ["confirmed", "confirmed"]


async def test_undoing_that_somebody_was_brought_back_brings_the_reason_back(bench: Bench) -> None:
    vera, ivan, olga = await bench.sign("Vera", "Иван", "Olga")
    await bench.remove(vera, reason=Reason.ABUSE)
    await bench.remove(ivan, olga, reason=Reason.DUPLICATE)
    before = await bench.snapshot()
    brought = await bench.decide(Action.RESTORE, vera, ivan, olga)
    undone = await bench.undo(brought.log_id)
    assert set(undone.changed) == {vera, ivan, olga}
    assert await bench.snapshot() == before  # each with the reason for which it had been removed
    await bench.undo((await bench.undo(undone.log_id)).log_id)
    assert await bench.snapshot() == before


async def test_refusing_an_organization_that_waits(bench: Bench) -> None:
    held = await bench.sign_for("North Pier")
    outcome = await bench.remove(held, reason=Reason.NOT_AUTHORIZED)
    assert await bench.states(held) == ["removed"]
    (contact,) = await bench.rows("SELECT until FROM contact WHERE letter = $1 AND purpose = 'representative'")
    assert contact["until"] is not None
    await bench.undo(outcome.log_id)
    assert await bench.states(held) == ["held"]
    (contact,) = await bench.rows("SELECT until FROM contact WHERE letter = $1 AND purpose = 'representative'")
    assert contact["until"] is None


async def test_keeping_what_is_flagged_clears_the_flags(bench: Bench) -> None:
    (vera,) = await bench.sign("Vera")
    async with bench.database.connection() as conn:
        await conn.execute(DIRTY, bench.letter.id, vera, ["link", "burst"])
    before = await bench.snapshot()
    outcome = await bench.decide(Action.APPROVE, vera)
    assert (await bench.rows("SELECT flags FROM signature WHERE letter = $1"))[0]["flags"] == []
    assert (await bench.rows(LOG))[0]["before"] == "confirmed:burst,link"
    assert await bench.decide(Action.APPROVE, vera) == ActOutcome(missed=(vera,))
    await bench.undo(outcome.log_id)
    after = await bench.snapshot()
    assert sorted((await bench.rows("SELECT flags FROM signature WHERE letter = $1"))[0]["flags"]) == ["burst", "link"]
    assert after[1:] == before[1:]


async def test_one_act_on_different_states_is_undone_as_one(bench: Bench) -> None:
    (vera,) = await bench.sign("Vera")
    held = await bench.sign_for("North Pier")
    outcome = await bench.remove(vera, held)
    assert len(await bench.rows(LOG)) == 2
    assert sorted((await bench.undo(outcome.log_id)).changed) == sorted([vera, held])
    assert await bench.states(vera, held) == ["confirmed", "held"]


async def test_undoing_twice_changes_nothing(bench: Bench) -> None:
    (vera,) = await bench.sign("Vera")
    outcome = await bench.remove(vera)
    await bench.undo(outcome.log_id)
    written = await bench.rows(LOG)
    assert await bench.undo(outcome.log_id) == ActOutcome()
    assert await bench.rows(LOG) == written
    assert await bench.states(vera) == ["confirmed"]


async def test_acts_are_undone_one_after_the_other_and_done_again(bench: Bench) -> None:
    held = await bench.sign_for("North Pier")
    approved = await bench.decide(Action.APPROVE, held)
    removed = await bench.remove(held, reason=Reason.ABUSE)
    undone = await bench.undo(removed.log_id)
    assert await bench.states(held) == ["confirmed"]
    await bench.undo(undone.log_id)
    assert await bench.states(held) == ["removed"]
    (row,) = await bench.rows("SELECT removed_for FROM signature WHERE letter = $1")
    assert row["removed_for"] == "abuse"
    assert (await bench.undo(approved.log_id)).missed == (held,)
    (last,) = await bench.rows("SELECT max(id) AS id FROM log WHERE letter = $1")
    await bench.undo(last["id"])
    await bench.undo(approved.log_id)
    assert await bench.states(held) == ["held"]


async def test_undoing_leaves_alone_what_somebody_has_decided_since(bench: Bench) -> None:
    vera, ivan = await bench.sign("Vera", "Иван")
    outcome = await bench.remove(vera, ivan)
    await bench.decide(Action.RESTORE, vera)
    await bench.remove(vera, reason=Reason.ABUSE)
    result = await bench.undo(outcome.log_id)
    assert (result.changed, result.missed) == ((ivan,), (vera,))
    assert await bench.states(vera, ivan) == ["removed", "confirmed"]


async def test_the_second_of_two_moderators_changes_nothing(bench: Bench) -> None:
    (vera,) = await bench.sign("Vera")
    outcomes = await asyncio.gather(
        bench.decide(Action.REMOVE, vera, reason=Reason.FAKE, seen=LogId(0)),
        bench.decide(Action.REMOVE, vera, reason=Reason.ABUSE, seen=LogId(0)),
    )
    assert sorted((len(outcome.changed), len(outcome.missed)) for outcome in outcomes) == [(0, 1), (1, 0)]
    assert len(await bench.rows(LOG)) == 1


async def test_what_was_decided_meanwhile_is_not_overruled(bench: Bench) -> None:
    held = await bench.sign_for("North Pier")
    await bench.decide(Action.APPROVE, held, seen=LogId(0))
    late = await bench.decide(Action.REMOVE, held, reason=Reason.FAKE, seen=LogId(0))
    assert late == ActOutcome(missed=(held,))
    assert await bench.states(held) == ["confirmed"]


async def test_withdrawn_and_strange_ids_are_left_alone(bench: Bench) -> None:
    (vera,) = await bench.sign("Vera")
    await self_service.withdraw(bench.database, bench.letter, vera)
    assert (await bench.remove(vera, SignatureId(12345))).changed == ()
    assert await bench.rows(LOG) == []
    with pytest.raises(NotFound):
        await bench.undo(LogId(12345))


async def test_ten_thousand_in_one_act(bench: Bench) -> None:
    ids = await bench.crowd(10_000)
    before = await bench.snapshot()
    outcome = await bench.remove(*ids)
    assert await bench.check() == {"people": 0, "organizations": 0, "hidden": 0, "imported": 0}
    await bench.undo(outcome.log_id)
    assert await bench.snapshot() == before


@pytest.mark.parametrize("seed", range(3))
async def test_the_count_stays_exact_whatever_happens(bench: Bench, seed: int) -> None:
    draw = random.Random(seed)
    ids = await bench.sign("Vera Novak", "Иван Петров", "O'Brien")
    ids += await bench.sign("Kim", "Lee", visibility="organizers")
    ids += [await bench.sign_for(name) for name in ("North Pier", "North Pier", "Third Line")]
    for _ in range(60):
        chosen = draw.sample(ids, draw.randint(1, 4))
        log = await bench.rows("SELECT id FROM log WHERE letter = $1 AND act NOT LIKE 'letter.%'")
        match draw.choice(("approve", "remove", "back", "undo", "undo", "withdraw", "visibility")):
            case "undo" if log:
                await bench.undo(draw.choice(log)["id"])
            case "withdraw" if draw.random() < 0.15:
                await _unless_refused(self_service.withdraw(bench.database, bench.letter, chosen[0]))
            case "visibility":
                visibility = draw.choice(("public", "organizers"))
                await _unless_refused(
                    self_service.change_visibility(bench.database, bench.letter, chosen[0], visibility, "Vera Novak")
                )
            case "approve" | "remove" | "back" as act:
                await bench.decide(Action(act), *chosen, reason=Reason.OTHER)
        await bench.check()
    assert len(await bench.rows(LOG)) > 10


async def _unless_refused(act: object) -> None:
    try:
        await act  # type: ignore[misc]
    except Refused:
        return


async def test_many_moderators_at_once(bench: Bench) -> None:
    ids = await bench.sign("Vera Novak", "Иван Петров", "O'Brien")
    ids += [await bench.sign_for(name) for name in ("North Pier", "North Pier", "Third Line")]
    outcomes: list[ActOutcome] = []

    async def keep_on(seed: int) -> None:
        draw = random.Random(seed)
        for _ in range(15):
            act = draw.choice(list(Action))
            seen = dict.fromkeys(draw.sample(ids, 3), decisions.ANY_ACT)
            actor = Actor(OrganizerId(seed), bench.letter.id)
            async with bench.database.transaction() as conn:
                outcomes.append(await decisions.decide(conn, actor, bench.letter.keys, act, seen, Reason.OTHER))

    await asyncio.gather(*map(keep_on, range(6)))
    await bench.check()
    assert any(outcome.changed for outcome in outcomes)


def test_a_status_parses_back() -> None:
    for status in (ReviewStatus(SignatureState.HELD), ReviewStatus(SignatureState.CONFIRMED, ("burst", "link"))):
        assert ReviewStatus.parse(str(status)) == status


async def test_statements_fit_the_schema_and_hot_ones_use_an_index(bench: Bench) -> None:
    async with bench.database.connection() as conn:
        for name, statement in vars(queries).items():
            if name.isupper():
                await conn.prepare(statement)
        await conn.execute("SET enable_seqscan = off")
        plan = json.dumps(await (await conn.prepare(queries.ROWS_OF_ACT)).explain(bench.letter.id, 1))
        await conn.execute("RESET enable_seqscan")
    assert "log_at" in plan


async def test_an_approval_is_undone_although_a_reader_has_reported_the_entry_since(bench: Bench) -> None:
    held = await bench.sign_for("North Pier", website="https://northpier.example")
    approved = await bench.decide(Action.APPROVE, held)
    async with bench.database.transaction() as conn:
        await conn.execute(reports.ADD_REPORT, bench.letter.id, held, "fake", None)
    outcome = await bench.undo(approved.log_id)
    assert (outcome.changed, outcome.missed) == ((held,), ())
    (row,) = await bench.rows("SELECT state, flags FROM signature WHERE letter = $1")
    assert row["state"] == "held"
    assert sorted(row["flags"]) == ["other_domain", "reported"]  # the report is not reviewed yet
    (report,) = await bench.rows("SELECT settled_by FROM report WHERE letter = $1")
    assert report["settled_by"] is None
    # And forward again: whoever undoes that has it approved, with the report still open.
    await bench.undo(outcome.log_id)
    (row,) = await bench.rows("SELECT state, flags FROM signature WHERE letter = $1")
    assert (row["state"], row["flags"]) == ("confirmed", ["reported"])


async def test_a_flag_that_was_answered_since_does_not_come_back(bench: Bench) -> None:
    held = await bench.sign_for("North Pier", website="https://northpier.example")
    assert (await bench.rows("SELECT flags FROM signature WHERE letter = $1"))[0]["flags"] == ["other_domain"]
    approved = await bench.decide(Action.APPROVE, held)
    async with bench.database.transaction() as conn:
        await second_mailbox.store_answer(conn, bench.letter.id, held, second_mailbox.YES)
    await bench.undo(approved.log_id)
    (row,) = await bench.rows("SELECT state, flags FROM signature WHERE letter = $1")
    assert (row["state"], row["flags"]) == ("held", [])


async def test_what_somebody_has_decided_since_is_not_undone(bench: Bench) -> None:
    held = await bench.sign_for("North Pier")
    approved = await bench.decide(Action.APPROVE, held)
    async with bench.database.transaction() as conn:
        await conn.execute(reports.ADD_REPORT, bench.letter.id, held, "fake", None)
    await bench.decide(Action.APPROVE, held)  # "keep": the report was looked at
    outcome = await bench.undo(approved.log_id)
    assert (outcome.changed, outcome.missed) == ((), (held,))
    assert await bench.states(held) == ["confirmed"]


async def test_undoing_moves_the_count_once_all_else_is_locked(bench: Bench) -> None:
    hidden, public = await bench.sign("Vera Novak", visibility="organizers"), await bench.sign("Ivan Petrov")
    while hidden[0] > public[0]:  # ids are drawn; whose names are hidden has no words that need a lock
        public = await bench.sign("Ivan Petrov")
    await bench.sign("Kim Lee")
    await bench.remove(*hidden, reason=Reason.FAKE)
    await bench.remove(*public, reason=Reason.ABUSE)
    before = await bench.snapshot()
    brought = await bench.decide(Action.RESTORE, *hidden, *public)
    async with bench.database.transaction() as conn:  # as who confirms: words first, then the count
        await search_words.add(conn, [(bench.letter.id, Kind.PERSON, "kim")])
        undoer = asyncio.create_task(bench.undo(brought.log_id))
        async with bench.database.connection() as other:
            while not await other.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'advisory'"):
                await asyncio.sleep(0.01)
        for change in (CountChange(people=1), CountChange(people=-1)):
            await counting.apply(conn, bench.letter.id, change)
    assert set((await undoer).changed) == {*hidden, *public}
    assert await bench.snapshot() == before
