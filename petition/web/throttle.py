"""Limits against floods: requests per network and minute, concurrent reads of the list, queued page renders.

Counted in the memory of one process and dropped after the minute: nothing is stored. Limits over a longer time, shared
by all processes, are in ``petition.core.quotas``.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from petition.core.client_networks import ClientNetwork
from petition.core.errors import TooMany, Unavailable
from petition.core.settings import Limits

MAX_CONCURRENT = 4  # of a pool of ten connections: the others stay free for signing, cached pages and the desk
MAX_WAITING = 32
WAIT_TIMEOUT = 5.0  # seconds
MINUTE = 60
MAX_QUEUED = 1000  # requests that wait to render a page
MAX_QUEUED_PER_NETWORK = 32  # of these from one public network
MAX_NETWORKS = 20_000  # counted separately in one minute; any more share one count
PRINTS = 6  # pages with all names, a network and minute


class ConcurrencyLimit:
    """A semaphore with a bounded queue and a timeout (seconds)."""

    def __init__(
        self, max_concurrent: int = MAX_CONCURRENT, max_waiting: int = MAX_WAITING, timeout: float = WAIT_TIMEOUT
    ) -> None:
        self._semaphore = asyncio.Semaphore(max_concurrent)
        self._max_waiting = max_waiting
        self._waiting = 0
        self._timeout = timeout

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Hold a slot while the block runs. Raises ``Unavailable`` if too many wait for one, or after the timeout.

        Enter it before taking what others need (a connection): the wait may be long.
        """
        if self._semaphore.locked() and self._waiting >= self._max_waiting:
            raise Unavailable("too many concurrent requests")
        self._waiting += 1
        try:
            async with asyncio.timeout(self._timeout):
                await self._semaphore.acquire()
        except TimeoutError:
            raise Unavailable("too many concurrent requests") from None
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._semaphore.release()


class RenderQueue:
    """Admits one page render per event-loop iteration, so that a burst of renders cannot starve signing.

    A render blocks the loop for some milliseconds. Without the queue, sixty concurrent renders would all run before a
    signing request, which waits for the database several times, advances by one step.

    The share per network keeps a client that retries at once from taking every slot that becomes free. Networks that
    are not public are exempt: a proxy or Tor, with many clients behind them.
    """

    def __init__(self, max_waiting: int = MAX_QUEUED, max_per_network: int = MAX_QUEUED_PER_NETWORK) -> None:
        self._lock = asyncio.Lock()
        self._max_waiting = max_waiting
        self._max_per_network = max_per_network
        self._waiting = 0
        self._by_network: Counter[str] = Counter()

    async def wait(self, network: ClientNetwork) -> bool:
        """Wait to be admitted; return False at once if too many wait already, in total or of this ``network``."""
        if self._waiting >= self._max_waiting:
            return False
        if self._by_network[network.narrowest] >= self._max_per_network and network.is_public:
            return False
        self._waiting += 1
        self._by_network[network.narrowest] += 1
        try:
            async with self._lock:
                await asyncio.sleep(0)
        finally:
            self._waiting -= 1
            self._by_network[network.narrowest] -= 1
            if not self._by_network[network.narrowest]:
                del self._by_network[network.narrowest]
        return True


class Remaining(NamedTuple):
    """What is left of a network's ``limit`` for the ``seconds`` until the minute ends."""

    limit: int
    remaining: int
    seconds: int


class MinuteLimit:
    """Counts one kind of request per network and minute."""

    def __init__(self, limit: int, max_networks: int = MAX_NETWORKS) -> None:
        self._limit = limit
        self._max_networks = max_networks
        self._minute = -1
        self._counts: dict[str, int] = {}

    def take(self, network: ClientNetwork) -> Remaining:
        """Count one request. Raises ``TooMany``."""
        now = time.monotonic()
        if now // MINUTE != self._minute:
            self._minute = int(now // MINUTE)
            self._counts = {}
        own = network.narrowest
        is_counted_alone = own in self._counts or len(self._counts) < self._max_networks
        key = own if is_counted_alone else ""
        self._counts[key] = count = self._counts.get(key, 0) + 1
        limit, seconds = self._limit * network.factors[0], MINUTE - int(now % MINUTE)
        if count > limit:
            raise TooMany("too many requests from this network", retry_after=seconds)
        return Remaining(limit, limit - count, seconds)


class Throttle:
    """All limits of one web process. Every method raises ``TooMany``."""

    def __init__(self, limits: Limits) -> None:
        self._read_slots = ConcurrencyLimit()
        self._reads = MinuteLimit(limits.reading)
        self._forms = MinuteLimit(limits.forms)
        self._api_calls = MinuteLimit(limits.api)
        self._renders = MinuteLimit(limits.api)
        self._prints = MinuteLimit(PRINTS)

    @asynccontextmanager
    async def read_slot(self, network: ClientNetwork) -> AsyncIterator[Remaining]:
        """Hold a slot to read or search the list. Raises ``Unavailable`` too."""
        remaining = self._reads.take(network)
        async with self._read_slots.slot():
            yield remaining

    @asynccontextmanager
    async def part_slot(self) -> AsyncIterator[None]:
        """Hold a slot to read one part of a page that ``allow_print`` has counted. Raises ``Unavailable`` too."""
        async with self._read_slots.slot():
            yield

    def allow_print(self, network: ClientNetwork) -> None:
        """Count a page with all names of the list."""
        self._prints.take(network)

    def allow_form(self, network: ClientNetwork) -> None:
        self._forms.take(network)

    def allow_api_call(self, network: ClientNetwork) -> Remaining:
        """Count an API call answered from memory."""
        return self._api_calls.take(network)

    def allow_render(self, network: ClientNetwork) -> None:
        """Count a render of a page that only this client needs: an embed in a colour of its own."""
        self._renders.take(network)
