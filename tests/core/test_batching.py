"""Batches without a timer: who shares a commit, who waits, and what a bad neighbour costs."""

import asyncio
import logging
from collections.abc import Sequence

import pytest

from petition.core.batching import Batcher
from petition.core.errors import Unavailable


class Store:
    """Keeps every batch it was given; waits where it is told to; fails at what it is told to."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.open = asyncio.Event()
        self.open.set()
        self.bad: set[int] = set()
        self.away = False

    async def __call__(self, items: Sequence[int]) -> list[int]:
        self.batches.append(list(items))
        await self.open.wait()
        if self.away:
            raise Unavailable
        if self.bad & set(items):
            raise ValueError("a row that cannot go in")
        return [item * 10 for item in items]


async def turns() -> None:
    """Let whatever is ready run."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_lone_item_waits_for_nobody() -> None:
    store = Store()
    assert await Batcher(store).submit(4) == 40
    assert store.batches == [[4]]


async def test_what_comes_during_a_commit_shares_the_next_one() -> None:
    store, answers = Store(), []
    batcher: Batcher[int, int] = Batcher(store)
    store.open.clear()
    first = asyncio.create_task(batcher.submit(1))
    await turns()
    others = [asyncio.create_task(batcher.submit(n)) for n in (2, 3, 4)]
    await turns()
    assert store.batches == [[1]]
    assert not first.done()  # nobody is answered before the commit
    store.open.set()
    answers = [await first, *[await each for each in others]]
    assert store.batches == [[1], [2, 3, 4]]
    assert answers == [10, 20, 30, 40]


async def test_a_batch_holds_no_more_than_it_may() -> None:
    store = Store()
    batcher: Batcher[int, int] = Batcher(store, max_batch=3)
    assert await asyncio.gather(*(batcher.submit(n) for n in range(7))) == [n * 10 for n in range(7)]
    assert [len(batch) for batch in store.batches] == [3, 3, 1]


async def test_too_many_are_turned_away_at_once() -> None:
    store = Store()
    batcher: Batcher[int, int] = Batcher(store, max_batch=1, max_waiting=2)
    store.open.clear()
    tasks = []
    for number in range(3):  # one is being stored, two wait
        tasks.append(asyncio.create_task(batcher.submit(number)))
        await turns()
    with pytest.raises(Unavailable) as refused:
        await batcher.submit(9)
    assert refused.value.retry_after == 10
    store.open.set()
    assert await asyncio.gather(*tasks) == [0, 10, 20]
    assert await batcher.submit(5) == 50  # there is room again


async def test_a_row_that_cannot_go_in_takes_no_neighbour_down(caplog: pytest.LogCaptureFixture) -> None:
    store = Store()
    store.bad = {2}
    batcher: Batcher[int, int] = Batcher(store)
    with caplog.at_level(logging.WARNING):
        done = await asyncio.gather(*(batcher.submit(n) for n in (1, 2, 3)), return_exceptions=True)
    assert done[0] == 10
    assert isinstance(done[1], ValueError)
    assert done[2] == 30
    assert store.batches == [[1, 2, 3], [1], [2], [3]]
    assert "storing its items one by one" in caplog.text


async def test_a_lost_database_is_told_to_all_and_nothing_is_tried_again() -> None:
    store = Store()
    store.away = True
    batcher: Batcher[int, int] = Batcher(store)
    done = await asyncio.gather(*(batcher.submit(n) for n in (1, 2)), return_exceptions=True)
    assert [type(each) for each in done] == [Unavailable, Unavailable]
    assert store.batches == [[1, 2]]
    store.away = False
    assert await batcher.submit(3) == 30


async def test_an_asker_who_leaves_does_not_disturb_the_others() -> None:
    store = Store()
    batcher: Batcher[int, int] = Batcher(store)
    store.open.clear()
    staying, leaving = (asyncio.create_task(batcher.submit(n)) for n in (1, 2))
    await turns()
    leaving.cancel()
    await turns()
    store.open.set()
    assert await staying == 10
    assert store.batches == [[1, 2]]  # it had been sent: it is stored


async def test_draining_waits_for_all_that_was_taken() -> None:
    store = Store()
    batcher: Batcher[int, int] = Batcher(store, max_batch=1)
    await batcher.drain()  # nothing to wait for
    store.open.clear()
    tasks = [asyncio.create_task(batcher.submit(n)) for n in (1, 2)]
    await turns()
    draining = asyncio.create_task(batcher.drain())
    await turns()
    assert not draining.done()
    store.open.set()
    await draining
    assert [each.done() for each in tasks] == [True, True]


async def test_a_pause_gathers_what_comes_meanwhile() -> None:
    store = Store()
    batcher: Batcher[int, int] = Batcher(store, pause=0.05)
    first = asyncio.create_task(batcher.submit(1))
    await turns()
    assert store.batches == []
    assert list(await asyncio.gather(first, batcher.submit(2))) == [10, 20]
    assert store.batches == [[1, 2]]
