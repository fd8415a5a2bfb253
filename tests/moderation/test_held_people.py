"""Everything is held: people wait as organizations do, and the count and the words are exact after each decision."""

import pytest

from petition.core.ids import SignatureId
from petition.letters import switch_actions
from petition.letters.switches import OFF, ON, Switch
from petition.moderation.model import Action
from tests.moderation.desk import Bench

NAMES = "SELECT name, private IS NULL AS plain FROM signature WHERE letter = $1 AND id = $2"


@pytest.fixture
async def held(bench: Bench) -> list[SignatureId]:
    """Have somebody of each visibility, and an organization, wait."""
    async with bench.database.transaction() as conn:
        await switch_actions.set_switch(conn, None, bench.letter.id, Switch.HOLD, 0, ON, {})
    ids = [*await bench.sign("Zora Quill"), *await bench.sign("Ivo Held", visibility="organizers")]
    ids += await bench.sign("Nobody Known", visibility="counted")
    ids.append(await bench.sign_for("North Pier Network"))
    assert await bench.states(*ids) == ["held"] * 4
    assert await bench.check() == {"people": 0, "organizations": 0, "hidden": 0, "imported": 0}
    return ids


async def test_all_are_let_in_at_once_and_it_is_undone(bench: Bench, held: list[SignatureId]) -> None:
    before = await bench.states(*held)
    outcome = await bench.decide(Action.APPROVE, *held)
    assert set(outcome.changed) == set(held)
    assert await bench.check() == {"people": 3, "organizations": 1, "hidden": 2, "imported": 0}
    ((public,), (hidden,), (counted,)) = [await bench.rows(NAMES, each) for each in held[:3]]
    assert public == {"name": "Zora Quill", "plain": True}
    assert hidden == {"name": None, "plain": False}
    assert counted == {"name": None, "plain": True}
    await bench.undo(outcome.log_id)
    assert await bench.states(*held) == before
    assert await bench.rows(NAMES, held[0]) == [{"name": None, "plain": False}]  # not public any more
    assert await bench.check() == {"people": 0, "organizations": 0, "hidden": 0, "imported": 0}
    await bench.decide(Action.APPROVE, *held)
    assert await bench.check() == {"people": 3, "organizations": 1, "hidden": 2, "imported": 0}


async def test_removed_while_held_and_brought_back(bench: Bench, held: list[SignatureId]) -> None:
    await bench.remove(*held)
    await bench.decide(Action.RESTORE, *held)
    assert await bench.states(*held) == ["held"] * 4
    await bench.decide(Action.APPROVE, *held)
    assert (await bench.check())["people"] == 3


async def test_who_comes_after_the_switch_is_off_counts_at_once(bench: Bench, held: list[SignatureId]) -> None:
    async with bench.database.transaction() as conn:
        await switch_actions.set_switch(conn, None, bench.letter.id, Switch.HOLD, 1, OFF, {})
    (later,) = await bench.sign("Later Comer")
    assert await bench.states(later, held[0]) == ["confirmed", "held"]
    assert (await bench.check())["people"] == 1
