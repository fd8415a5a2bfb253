"""Turns for what is scarce, fair between networks: page renders, and slots to read the list.

Each network has a line of its own, lines are served in turn, and when too many wait, the longest line loses its oldest
request: however much one network asks, the others wait for one turn of it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from petition.core import metrics
from petition.core.client_networks import ClientNetwork
from petition.core.errors import Crowded
from petition.web.fair_lines import FairLines

MAX_CONCURRENT = 4  # of a pool of ten connections: the others stay free for signing, cached pages and the desk
MAX_WAITING = 32
WAIT_TIMEOUT = 5.0  # seconds
MAX_QUEUED = 1000  # requests that wait to render a page
TURN = "petition.turn"  # in the ASGI scope of a form: waits until a page may be rendered in answer; returns whether
LINKS, PAGES = "links", "pages"  # the widest lines of a render queue

Waiter = asyncio.Future[bool]  # True: admitted; False: dropped


class _Waiting:
    """Those who wait, at most ``limit``: the longest line pays for a newcomer."""

    def __init__(self, limit: int, give_back: Callable[[], None]) -> None:
        self._limit = limit
        self._give_back = give_back  # takes a turn back that was admitted too late
        self._lines: FairLines[Waiter] = FairLines()

    def __len__(self) -> int:
        return len(self._lines)

    async def wait(self, path: Sequence[str]) -> bool:
        """Wait in the line of ``path``; return whether the turn has come."""
        waiter: Waiter = asyncio.get_running_loop().create_future()
        self._lines.add(waiter, path)
        if len(self._lines) > self._limit:
            _set(self._lines.pop_from_largest(), is_admitted=False)
        try:
            return await waiter
        except BaseException:
            if waiter.done() and not waiter.cancelled() and waiter.result():
                self._give_back()
            raise
        finally:
            self._lines.discard(waiter)

    def admit_next(self) -> bool:
        """Admit the next one; return whether there was one."""
        while self._lines:
            if _set(self._lines.pop_next(), is_admitted=True):
                return True
        return False


def _set(waiter: Waiter, *, is_admitted: bool) -> bool:
    """Wake ``waiter``; return False if it was cancelled, and is not out of its line yet."""
    if waiter.done():
        return False
    waiter.set_result(is_admitted)
    return True


class ConcurrencyLimit:
    """At most ``max_concurrent`` at a time; further ones wait in fair lines, up to a timeout (seconds)."""

    def __init__(
        self,
        max_concurrent: int = MAX_CONCURRENT,
        max_waiting: int = MAX_WAITING,
        timeout: float = WAIT_TIMEOUT,
        *,
        name: str = "other_slots",
    ) -> None:
        self._refusals = metrics.LIMITS.labels(name)
        self._free = max_concurrent
        self._max_waiting = max_waiting
        self._waiting = _Waiting(max_waiting, self._release)
        self._timeout = timeout

    @property
    def is_free(self) -> bool:
        """Whether a slot can be had without waiting."""
        return self._free > 0 and not self._waiting

    @asynccontextmanager
    async def slot(self, network: ClientNetwork | None = None, limit: float | None = None) -> AsyncIterator[None]:
        """Hold a slot while the block runs; without a network, in a line with all others of none.

        Raises ``Unavailable`` if the network's line is the longest of too many (without one: if too many wait), or
        after the timeout, or ``limit`` seconds if they are fewer. Enter it before taking what others need (a
        connection): the wait may be long.
        """
        if self.is_free:
            self._free -= 1
        elif network is None and len(self._waiting) >= self._max_waiting:
            self._refusals.inc()
            raise Crowded()
        else:
            await self._wait(line_of(network), self._timeout if limit is None else min(limit, self._timeout))
        try:
            yield
        finally:
            self._release()

    async def _wait(self, path: Sequence[str], seconds: float) -> None:
        """Wait for a slot, which is handed over by the one that leaves."""
        try:
            async with asyncio.timeout(seconds):
                is_admitted = await self._waiting.wait(path)
        except TimeoutError:
            is_admitted = False
        if not is_admitted:
            self._refusals.inc()
            raise Crowded()

    def _release(self) -> None:
        if not self._waiting.admit_next():
            self._free += 1


class RenderQueue:
    """Admits one page render per event-loop iteration, so that a burst of renders cannot starve signing.

    A render blocks the loop for some milliseconds. Without the queue, sixty concurrent renders would all run before a
    signing request, which waits for the database several times, advances by one step.

    Links with a valid token are lines beside those of all other pages: the two kinds are served in turn.
    """

    def __init__(self, max_waiting: int = MAX_QUEUED) -> None:
        self._waiting = _Waiting(max_waiting, lambda: None)
        self._is_busy = False  # a render has been admitted in this iteration

    async def wait(self, network: ClientNetwork, *, has_token: bool = False) -> bool:
        """Wait to be admitted; return False if too many wait and the network's line is the longest."""
        if not self._is_busy:
            self._is_busy = True
            asyncio.get_running_loop().call_soon(self._admit_next)
            return True
        is_admitted = await self._waiting.wait((LINKS if has_token else PAGES, *line_of(network)))
        if not is_admitted:
            metrics.LIMITS.labels("page_renders").inc()
        return is_admitted

    def _admit_next(self) -> None:
        self._is_busy = self._waiting.admit_next()
        if self._is_busy:
            asyncio.get_running_loop().call_soon(self._admit_next)


def line_of(network: ClientNetwork | None) -> tuple[str, ...]:
    """Return the prefixes of a network from the widest to the narrowest."""
    return network.prefixes[::-1] if network is not None else ()
