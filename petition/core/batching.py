"""Batches without a timer, unless one is asked for: items that arrive while a batch is being stored form the next one.

A lone item therefore waits for nothing, and a crowd shares commits. No result is returned before the commit.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from typing import Generic, TypeVar

from petition.core import metrics, patience
from petition.core.errors import Unavailable

Item = TypeVar("Item")
Result = TypeVar("Result")

log = logging.getLogger(__name__)


class Batcher(Generic[Item, Result]):
    """Gathers items for ``store``, which takes a batch and returns one result each, in the same order.

    When a batch fails for any other reason than a lost database, its items are stored one by one, so that a row which
    cannot go in does not take its neighbours down.
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
        self._max_batch = max_batch
        self._max_waiting = max_waiting
        self._waiting: list[tuple[Item, asyncio.Future[Result]]] = []
        self._running: asyncio.Task[None] | None = None

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
        if self._patience is None:
            return await future
        # A timer of each item's own: ``asyncio.timeout`` takes five times as long.
        timer = loop.call_later(self._patience, _give_up, future)
        try:
            return await future
        finally:
            timer.cancel()

    async def drain(self) -> None:
        """Wait until everything submitted has been stored, for a clean shutdown."""
        if self._running is not None:
            await asyncio.wait([self._running])

    async def _run(self) -> None:
        try:
            while self._waiting:
                if self.pause:
                    await asyncio.sleep(self.pause)
                waiting = [entry for entry in self._waiting if not entry[1].done()]
                batch, self._waiting = waiting[: self._max_batch], waiting[self._max_batch :]
                if batch:
                    patience.begin(self._patience)
                    await self._store_batch(batch)
        finally:
            self._running = None

    async def _store_batch(self, batch: "list[tuple[Item, asyncio.Future[Result]]]") -> None:
        try:
            results = await self._store([item for item, _ in batch])
        except Unavailable as error:
            _fail(batch, error)
        except Exception as error:
            if len(batch) == 1:
                _fail(batch, error)
                return
            log.warning("a batch failed; storing its items one by one", exc_info=error)
            for entry in batch:
                await self._store_batch([entry])
        else:
            metrics.BATCH.observe(len(batch))
            for (_, future), result in zip(batch, results, strict=True):
                if not future.done():
                    future.set_result(result)


def _give_up(future: "asyncio.Future[Result]") -> None:
    """End the wait for an item, which is left out if its batch has not begun."""
    if not future.done():
        future.set_exception(Unavailable("the database takes too long"))


def _fail(batch: "list[tuple[Item, asyncio.Future[Result]]]", error: Exception) -> None:
    for _, future in batch:
        if not future.done():
            future.set_exception(error)
