"""Batches without a timer: who shares a commit, who waits, and what a bad neighbour costs."""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from itertools import pairwise

import pytest

from petition.core import batching, patience
from petition.core.batching import PER_ITERATION, Batcher
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


async def test_a_crowd_that_comes_again_is_not_split_into_a_large_and_a_small_batch() -> None:
    """Each of 64 sends the next item when the last one is stored; one of them began before the others."""

    class SlowStore(Store):
        async def __call__(self, items: Sequence[int]) -> list[int]:
            await asyncio.sleep(0.05)
            return await super().__call__(items)

    store = SlowStore()
    batcher: Batcher[int, int] = Batcher(store)

    async def come_again() -> None:
        for number in range(12):
            await batcher.submit(number)

    first = asyncio.create_task(come_again())
    await turns()
    await asyncio.gather(first, *(come_again() for _ in range(63)))
    assert len(store.batches) <= 12 + 3, [len(batch) for batch in store.batches]  # 24 if two of them took turns


async def test_who_waits_for_a_batch_sees_whether_the_next_one_has_room() -> None:
    store = Store()
    batcher: Batcher[int, int] = Batcher(store, max_batch=2)
    store.open.clear()
    tasks = [asyncio.create_task(batcher.submit(0))]
    await turns()
    assert batcher.has_room
    tasks += [asyncio.create_task(batcher.submit(n)) for n in (1, 2)]
    await turns()
    assert not batcher.has_room
    store.open.set()
    assert await asyncio.gather(*tasks) == [0, 10, 20]
    assert batcher.has_room


async def test_batches_are_as_large_as_the_database_can_store_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(batching, "monotonic", lambda: now[0])
    seconds = [0.01]  # for each item

    class SlowStore(Store):
        async def __call__(self, items: Sequence[int]) -> list[int]:
            now[0] += seconds[0] * len(items)
            return await super().__call__(items)

    store = SlowStore()
    batcher: Batcher[int, int] = Batcher(store, patience=5.5)  # so a batch may take 2.2 seconds
    await asyncio.gather(*(batcher.submit(n) for n in range(600)))
    assert [len(batch) for batch in store.batches] == [200, 200, 200]
    seconds[0] = 0.02
    await asyncio.gather(*(batcher.submit(n) for n in range(300)))
    assert [len(batch) for batch in store.batches[3:]] == [200, 100]
    seconds[0] = 1.0
    await asyncio.gather(*(batcher.submit(n) for n in range(140)))
    assert [len(batch) for batch in store.batches[5:]] == [110, 30]
    seconds[0] = 0.001
    await asyncio.gather(*(batcher.submit(n) for n in range(400)))
    assert [len(batch) for batch in store.batches[7:]] == [64, 128, 200, 8]  # it was no smaller


@pytest.mark.parametrize("away", [False, True])
async def test_a_few_hear_of_their_result_at_a_time(*, away: bool) -> None:
    store, done, counts = Store(), [], []
    store.away = away
    batcher: Batcher[int, int] = Batcher(store)

    async def submit(number: int) -> None:
        with contextlib.suppress(Unavailable):
            await batcher.submit(number)
        done.append(number)

    async def serve_others() -> None:
        while len(done) < 100:
            counts.append(len(done))
            await asyncio.sleep(0)

    await asyncio.gather(*(submit(n) for n in range(100)), serve_others())
    assert max(after - before for before, after in pairwise(counts)) <= PER_ITERATION


async def test_an_item_waits_no_longer_than_its_request_may() -> None:
    store = Store()
    batcher: Batcher[int, int] = Batcher(store, patience=60.0)
    store.open.clear()

    async def submit() -> int:
        patience.begin(0.01, is_total=True)
        return await batcher.submit(1)

    with pytest.raises(Unavailable):
        await asyncio.create_task(submit())
    store.open.set()
    await batcher.drain()
