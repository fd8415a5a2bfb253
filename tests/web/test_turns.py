"""Turns are fair: a network that asks a lot waits for itself, and only its own requests are dropped."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from itertools import pairwise

import pytest

from petition.core.client_networks import ONION_NETWORK, UNKNOWN_NETWORK, ClientNetwork, of_circuit, of_client
from petition.core.errors import Unavailable
from petition.web.fair_lines import FairLines
from petition.web.turns import ConcurrencyLimit, RenderQueue


def at(address: str) -> ClientNetwork:
    """Return the network of the client at ``address``."""
    return of_client(address, (), ())


HERE, ALICE, BOB = at("127.0.0.1"), at("198.51.101.1"), at("2a00:1450:4001::7")
CROWD = [at(f"203.{n}.114.9") for n in range(40)]


def test_lines_are_served_in_turn_and_the_oldest_first() -> None:
    lines: FairLines[str] = FairLines()
    for item in ("a1", "a2", "a3", "b1", "c1", "c2"):
        lines.add(item, ["wide" if item[0] in "ab" else "other", item[0]])
    lines.discard("a2")
    lines.discard("never there")
    assert [lines.pop_next() for _ in range(5)] == ["a1", "c1", "b1", "c2", "a3"]
    assert not lines
    with pytest.raises(LookupError):
        lines.pop_next()
    with pytest.raises(LookupError):
        lines.pop_from_largest()


def test_the_longest_line_pays_the_widest_prefix_first() -> None:
    lines: FairLines[str] = FairLines()
    for n in range(4):
        lines.add(f"spread{n}", ["attacker", f"small{n}"])
    for n in range(3):
        lines.add(f"single{n}", ["visitor", "visitor/64"])
    lines.add("spread4", ["attacker", "small0"])
    popped = [lines.pop_from_largest() for _ in range(2)]
    assert popped[0] == "spread0"
    assert popped[1].startswith("spread")
    assert len(lines) == 6


def test_a_circuit_and_the_whole_service_have_lines_beside_each_other() -> None:
    lines: FairLines[int] = FairLines()
    for item, network in enumerate((ONION_NETWORK, of_circuit("fc00::1"), ONION_NETWORK, of_circuit("fc00::2"))):
        lines.add(item, network.prefixes[::-1])
    assert [lines.pop_next() for _ in range(4)] == [0, 1, 3, 2]


async def test_a_slot_lets_some_through_others_wait_and_the_longest_line_loses() -> None:
    limit = ConcurrencyLimit(max_concurrent=2, max_waiting=2)
    entered: list[str] = []

    async def come(name: str, network: ClientNetwork) -> None:
        async with limit.slot(network):
            entered.append(name)

    async with AsyncExitStack() as stack:
        for _ in range(2):
            await stack.enter_async_context(limit.slot(CROWD[0]))
        first, second = (asyncio.create_task(come(f"crowd{n}", CROWD[0])) for n in range(2))
        await asyncio.sleep(0)
        alice = asyncio.create_task(come("alice", ALICE))
        with pytest.raises(Unavailable):
            await first
        assert not entered
    await asyncio.gather(alice, second)
    assert sorted(entered) == ["alice", "crowd1"]
    async with limit.slot(ALICE), limit.slot():
        pass


async def test_a_wait_has_an_end_and_an_error_gives_the_slot_back() -> None:
    limit = ConcurrencyLimit(max_concurrent=1, timeout=0.01)

    async def fail() -> None:
        async with limit.slot(ALICE):
            with pytest.raises(Unavailable):
                await stack.enter_async_context(limit.slot(BOB))
            raise ZeroDivisionError

    async with AsyncExitStack() as stack:
        with pytest.raises(ZeroDivisionError):
            await fail()
    async with limit.slot(BOB):
        pass


async def test_a_slot_handed_to_one_who_leaves_at_that_moment_is_free_again() -> None:
    limit = ConcurrencyLimit(max_concurrent=1)

    async def come() -> None:
        async with limit.slot(ALICE):
            raise AssertionError("cancelled before")

    async with limit.slot(BOB):
        leaving = asyncio.create_task(come())
        await asyncio.sleep(0)
    leaving.cancel()  # the slot is handed over already, and the task has not run since
    with pytest.raises(asyncio.CancelledError):
        await leaving
    async with asyncio.timeout(30), limit.slot(BOB):
        pass


async def test_between_two_renders_the_loop_goes_round() -> None:
    """Concurrent renders run one by one, and a signing request advances between any two of them."""
    queue, happened = RenderQueue(), []

    async def render(number: int) -> None:
        assert await queue.wait(HERE)
        happened.append(number)

    async def sign() -> None:
        while len([number for number in happened if number >= 0]) < 20:
            happened.append(-1)
            await asyncio.sleep(0)

    await asyncio.gather(*(render(number) for number in range(20)), sign())
    positions = [position for position, number in enumerate(happened) if number >= 0]
    assert [happened[position] for position in positions] == list(range(20))
    assert all(after - before > 1 for before, after in pairwise(positions))


async def test_a_queue_has_an_end_for_the_longest_line() -> None:
    queue = RenderQueue(max_waiting=2)
    waiting = [asyncio.create_task(queue.wait(HERE)) for _ in range(4)]
    assert await asyncio.gather(*waiting) == [True, False, True, True]
    admitted, cancelled = (asyncio.create_task(queue.wait(HERE)) for _ in range(2))
    assert await admitted
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    assert await queue.wait(HERE)


@pytest.mark.parametrize("visitor", [ALICE, BOB, ONION_NETWORK, UNKNOWN_NETWORK, of_circuit("fc00::1")])
async def test_forty_networks_that_fill_the_queue_delay_a_visitor_by_one_turn_of_each(visitor: ClientNetwork) -> None:
    queue, admitted = RenderQueue(max_waiting=100), Counter[str]()

    async def ask(network: ClientNetwork) -> bool:
        is_admitted = await queue.wait(network)
        admitted["crowd"] += is_admitted
        return is_admitted

    flood = [asyncio.create_task(ask(CROWD[n % 40])) for n in range(1150)]
    await asyncio.sleep(0)
    assert await queue.wait(visitor)
    assert admitted["crowd"] <= 42
    outcomes = await asyncio.gather(*flood)
    assert outcomes.count(True) < 150


async def test_a_link_with_a_token_waits_for_one_page_only() -> None:
    queue, admitted = RenderQueue(max_waiting=100), Counter[str]()

    async def ask(network: ClientNetwork) -> None:
        admitted["crowd"] += await queue.wait(network)

    flood = [asyncio.create_task(ask(CROWD[n % 40])) for n in range(1150)]
    await asyncio.sleep(0)
    assert await queue.wait(ALICE, has_token=True)
    assert admitted["crowd"] <= 3
    await asyncio.gather(*flood)
