"""What keeps a flood from taking everything: how often one network may ask, and how many may read the list at once.

Counted in the memory of one process and forgotten with the minute: nothing of it is written down. What is limited for
longer, and for all processes together, is in ``limits``.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from petition.core.client_networks import ONION, is_public
from petition.core.errors import TooMany, Unavailable
from petition.core.settings import Limits

MAX_CONCURRENT = 4  # of a pool of ten connections: signing, kept pages and the desk always find one
MAX_WAITING = 32
WAIT_TIMEOUT = 5.0  # seconds
MINUTE = 60
MAX_QUEUED = 1000  # requests that wait for their turn of the event loop
MAX_QUEUED_PER_NETWORK = 32  # of these from one network of the open net
MAX_NETWORKS = 20_000  # counted apart in one minute; any more share one count
ONION_FACTOR = 10  # all that comes through Tor is one network to us


class ConcurrencyLimit:
    """Lets so many through at once, and a few more wait for their turn."""

    def __init__(
        self, at_once: int = MAX_CONCURRENT, waiting: int = MAX_WAITING, patience: float = WAIT_TIMEOUT
    ) -> None:
        self._turns = asyncio.Semaphore(at_once)
        self._waiting_at_most = waiting
        self._waiting = 0
        self._patience = patience

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Wait for one's turn, and have it while the block runs. Raises ``Unavailable`` if too many wait, or too long.

        Nobody who waits holds anything that others need.
        """
        if self._turns.locked() and self._waiting >= self._waiting_at_most:
            raise Unavailable("too many people are reading the list at the moment")
        self._waiting += 1
        try:
            async with asyncio.timeout(self._patience):
                await self._turns.acquire()
        except TimeoutError:
            raise Unavailable("too many people are reading the list at the moment") from None
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._turns.release()


class RenderQueue:
    """Lets one after another go on, each in a turn of the event loop of its own.

    Making a page takes some milliseconds in which nothing else runs. Of sixty that are asked for at once all would be
    made before a signature, which has to wait for the database again and again, gets on by one step.

    One network has a share of the line: whoever is refused asks again at once, and would have every place that gets
    free. What is no address of the open net is a proxy, which brings everybody, or Tor.
    """

    def __init__(self, most: int = MAX_QUEUED, share: int = MAX_QUEUED_PER_NETWORK) -> None:
        self._lock = asyncio.Lock()
        self._most = most
        self._share = share
        self._waiting = 0
        self._from: Counter[str] = Counter()

    async def wait(self, network: str) -> bool:
        """Wait for one's turn; return False, at once, if too many wait already, in all or of this ``network``."""
        if self._waiting >= self._most:
            return False
        if self._from[network] >= self._share and network != ONION and is_public(network):
            return False
        self._waiting += 1
        self._from[network] += 1
        try:
            async with self._lock:
                await asyncio.sleep(0)
        finally:
            self._waiting -= 1
            self._from[network] -= 1
            if not self._from[network]:
                del self._from[network]
        return True


class Remaining(NamedTuple):
    """What a network may still do: of ``most`` so many ``times`` in the ``seconds`` until the minute is over."""

    limit: int
    remaining: int
    seconds: int


class MinuteLimit:
    """Counts what each network does in this minute."""

    def __init__(self, most: int, networks: int = MAX_NETWORKS) -> None:
        self._most = most
        self._networks_at_most = networks
        self._minute = -1
        self._counted: dict[str, int] = {}

    def take(self, network: str) -> Remaining:
        """Count once; return what is left. Raises ``TooMany``."""
        now = time.monotonic()
        if now // MINUTE != self._minute:
            self._minute = int(now // MINUTE)
            self._counted = {}
        known = network in self._counted or len(self._counted) < self._networks_at_most
        key = network if known else ""
        self._counted[key] = counted = self._counted.get(key, 0) + 1
        most, seconds = self._most * (ONION_FACTOR if network == ONION else 1), MINUTE - int(now % MINUTE)
        if counted > most:
            raise TooMany("too many requests from this network", retry_after=seconds)
        return Remaining(most, most - counted, seconds)


class Throttle:
    """What one web process lets through."""

    def __init__(self, bounds: Limits) -> None:
        self._lane = ConcurrencyLimit()
        self._reads = MinuteLimit(bounds.reading)
        self._forms = MinuteLimit(bounds.forms)
        self._asked = MinuteLimit(bounds.api)
        self._made = MinuteLimit(bounds.api)

    @asynccontextmanager
    async def read_slot(self, network: str) -> AsyncIterator[Remaining]:
        """Let somebody read a page of the list, or search it. Raises ``TooMany``, ``Unavailable``."""
        left = self._reads.take(network)
        async with self._lane.slot():
            yield left

    def allow_form(self, network: str) -> None:
        """Let somebody send a form, whatever is in it. Raises ``TooMany``."""
        self._forms.take(network)

    def allow_api_call(self, network: str) -> Remaining:
        """Let a program ask for what is in memory. Raises ``TooMany``."""
        return self._asked.take(network)

    def allow_render(self, network: str) -> None:
        """Let somebody have made what is not kept for everybody: a colour of their own. Raises ``TooMany``."""
        self._made.take(network)
