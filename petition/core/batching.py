"""Batches without a timer, unless one is asked for: items that arrive while a batch is being stored form the next one.

A lone item therefore waits for nothing, and a crowd shares commits. No result is returned before the commit.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from time import monotonic
from typing import Generic, TypeVar

from petition.core import metrics, patience
from petition.core.errors import Unavailable

Item = TypeVar("Item")
Result = TypeVar("Result")

log = logging.getLogger(__name__)

BATCH_PART = 0.4  # of the patience: for how long a batch may take, as an item waits for two
MIN_BATCH = 64  # to which batches shrink where they take longer: smaller ones take as long
# A crowd that was just answered comes again, so the batch after it waits for a moment, until it has half the size.
# Otherwise batches of 61 and of three take turns, and one of three took half as long as one of 61.
CROWD = 16  # items of a batch
GATHER_PART, MAX_GATHER, GATHER_TICK = 0.25, 0.02, 0.001  # of the last batch's time; seconds
PER_ITERATION = 16  # items that hear of their result in one iteration of the event loop


class Batcher(Generic[Item, Result]):
    """Gathers items for ``store``, which takes a batch and returns one result each, in the same order.

    When a batch fails for any other reason than a lost database, its items are stored one by one, so that a row which
    cannot go in does not take its neighbours down.

    With a ``patience`` batches are as large as the database can store in a part of it: what is rolled back because
    time is up is stored by no one.
    """

    def __init__(
        self,
        store: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]],
        *,
        max_batch: int = 200,
        max_waiting: int = 2000,
        pause: float = 0.0,
        patience: float | None = None,
    ) -> None:
        self._store = store
        self._patience = patience  # seconds in which each batch, and each item, must be done
        self.pause = pause  # seconds before each batch, in which it grows: for items that can wait
        self._max_batch = self._size = max_batch
        self._max_waiting = max_waiting
        self._waiting: list[tuple[Item, asyncio.Future[Result]]] = []
        self._running: asyncio.Task[None] | None = None

    @property
    def has_room(self) -> bool:
        """Whether the next batch has room for one more item."""
        return len(self._waiting) < self._size

    async def submit(self, item: Item) -> Result:
        """Store ``item`` in the next batch; return its result after the commit.

        Raises ``Unavailable`` when too many items wait, the database is lost, or it takes too long; whether an item
        whose batch had begun is stored is then unknown.
        """
        if len(self._waiting) >= self._max_waiting:
            raise Unavailable("too many people are signing at the moment", retry_after=10)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        self._waiting.append((item, future))
        if self._running is None:
            # In a context of its own: the batch is not that of the request that happened to begin it.
            self._running = asyncio.create_task(self._run(), context=Context())
        limit = self._limit()
        if limit is None:
            return await future
        # A timer of each item's own: ``asyncio.timeout`` takes five times as long.
        timer = loop.call_later(limit, _give_up, future)
        try:
            return await future
        finally:
            timer.cancel()

    def _limit(self) -> float | None:
        """Return for how long (seconds) an item may wait: no longer than its request still may."""
        return min((limit for limit in (self._patience, patience.left()) if limit is not None), default=None)

    async def drain(self) -> None:
        """Wait until everything submitted has been stored, for a clean shutdown."""
        if self._running is not None:
            await asyncio.wait([self._running])

    async def _gather(self, number: int, seconds: float) -> None:
        """Let the next batch grow to half of the last one, of ``number`` items, which took ``seconds``."""
        for _ in range(int(min(seconds * GATHER_PART, MAX_GATHER) / GATHER_TICK)):
            if 2 * len(self._waiting) >= number:
                return
            await asyncio.sleep(GATHER_TICK)

    async def _run(self) -> None:
        try:
            while self._waiting:
                if self.pause:
                    await asyncio.sleep(self.pause)
                waiting = [entry for entry in self._waiting if not entry[1].done()]
                batch, self._waiting = waiting[: self._size], waiting[self._size :]
                if batch:
                    patience.begin(self._patience)
                    started = monotonic()
                    await self._store_batch(batch)
                    seconds = monotonic() - started
                    self._resize(len(batch), seconds)
                    if len(batch) >= CROWD:
                        await self._gather(len(batch), seconds)
        finally:
            self._running = None

    def _resize(self, number: int, seconds: float) -> None:
        """Have the next batches take no longer than their part, by the time that ``number`` items took."""
        if self._patience is None:
            return
        limit = self._patience * BATCH_PART
        if seconds > limit:
            self._size = min(self._size, max(MIN_BATCH, int(number * limit / seconds)))
        elif number >= self._size:
            self._size = min(self._max_batch, 2 * self._size)

    async def _store_batch(self, batch: "list[tuple[Item, asyncio.Future[Result]]]") -> None:
        try:
            results = await self._store([item for item, _ in batch])
        except Unavailable as error:
            _settle([(future, error) for _, future in batch])
        except Exception as error:
            if len(batch) == 1:
                _settle([(batch[0][1], error)])
                return
            log.warning("a batch failed; storing its items one by one", exc_info=error)
            for entry in batch:
                await self._store_batch([entry])
        else:
            metrics.BATCH.observe(len(batch))
            futures = (future for _, future in batch)
            _settle(list(zip(futures, results, strict=True)))


def _give_up(future: "asyncio.Future[Result]") -> None:
    """End the wait for an item, which is left out if its batch has not begun."""
    if not future.done():
        future.set_exception(Unavailable("the database takes too long"))


def _settle(results: "Sequence[tuple[asyncio.Future[Result], Result | Exception]]") -> None:
    """Wake a few, and the others in the next iterations of the event loop: in between it serves those who read."""
    for future, result in results[:PER_ITERATION]:
        if future.done():
            continue
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)
    if rest := results[PER_ITERATION:]:
        asyncio.get_running_loop().call_soon(_settle, rest)
