"""Do together what comes in together: one commit for all who sign in the same moment.

There is no timer. While one batch is being stored the next one gathers, so that a lone item waits for nothing and a
crowd shares commits. Nobody is answered before the commit.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from petition.core import metrics
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
        most: int = 200,
        waiting: int = 2000,
    ) -> None:
        self._store = store
        self._most = most
        self._waiting_at_most = waiting
        self._waiting: list[tuple[Item, asyncio.Future[Result]]] = []
        self._running: asyncio.Task[None] | None = None

    async def submit(self, item: Item) -> Result:
        """Store ``item`` with whoever comes at the same time; return its result once that is committed.

        Raises ``Unavailable`` when too much waits already, or the database is lost.
        """
        if len(self._waiting) >= self._waiting_at_most:
            raise Unavailable("too many people are signing at the moment", retry_after=10)
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        return await future

    async def drain(self) -> None:
        """Wait until all that was submitted has been stored (a clean shutdown)."""
        if self._running is not None:
            await asyncio.wait([self._running])

    async def _run(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
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
            for each in batch:
                await self._store_batch([each])
        else:
            metrics.BATCH.observe(len(batch))
            for (_, future), result in zip(batch, results, strict=True):
                if not future.done():
                    future.set_result(result)


def _fail(batch: "list[tuple[Item, asyncio.Future[Result]]]", error: Exception) -> None:
    for _, future in batch:
        if not future.done():
            future.set_exception(error)
