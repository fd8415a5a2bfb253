"""Limits against floods: requests per network and minute, and concurrent reads of the list.

Counted in the memory of one process and dropped after the minute: nothing is stored. Limits over a longer time, shared
by all processes, are in ``petition.core.quotas``.
"""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from petition.core.client_networks import ClientNetwork
from petition.core.errors import TooMany
from petition.core.settings import Limits
from petition.web.turns import ConcurrencyLimit

MINUTE = 60
MAX_NETWORKS = 20_000  # counted separately in one minute; any more share one count
PRINTS = 6  # pages with all names, a network and minute


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
        async with self._read_slots.slot(network):
            yield remaining

    @asynccontextmanager
    async def part_slot(self, network: ClientNetwork) -> AsyncIterator[None]:
        """Hold a slot to read one part of a page that ``allow_print`` has counted. Raises ``Unavailable`` too."""
        async with self._read_slots.slot(network):
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
