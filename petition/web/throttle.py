"""Limits against floods: requests per network and minute, and what goes on at the same time, in fair lines.

Counted in the memory of one process and dropped after the minute: nothing is stored. Limits over a longer time, shared
by all processes, are in ``petition.core.quotas``.
"""

import hashlib
import secrets
import time
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from petition.captcha import hcaptcha_service
from petition.core import metrics, patience
from petition.core.client_networks import ONION, ONION_SERVICE, ClientNetwork
from petition.core.errors import TooMany
from petition.core.limits import Limits
from petition.web.turns import ConcurrencyLimit

MINUTE = 60
clock = time.monotonic  # seconds
MAX_PREFIXES = 60_000  # counted in one minute; beyond, those are forgotten that were counted the longest time ago
PRINTS = 6  # pages with all names, a network and minute
MAX_FORMS_WAITING = 1000
FORM_TIMEOUT = 15.0  # seconds
MAX_PROBES, MAX_PROBES_WAITING, PROBE_TIMEOUT = 2, 200, 0.7  # load balancers wait for two seconds in all
DRAWN_PART = 8  # a network may send up to one eighth more than the limit, drawn for each minute
SHARED = frozenset((ONION, ONION_SERVICE))  # the clients of the Onion service without an exported circuit: not counted


class MinuteLimit:
    """Counts one kind of request per network and minute, in all its prefixes at once.

    Clients that have nothing in common never share a count. Memory is bounded: when too many prefixes are counted, the
    one counted the longest time ago starts again at none. A flood from very many networks makes others start again
    earlier, which lets through more and refuses no one; its own wide prefixes stay, since each request counts in them.

    How much more than the limit is let through is drawn for each prefix and minute: an exact limit would be a meter of
    what the others of a network send (docs/decisions/no-meter.md).
    """

    def __init__(self, limit: int, max_prefixes: int = MAX_PREFIXES, *, name: str = "other") -> None:
        self._hits = metrics.LIMITS.labels(name)
        self._limit = limit
        self._max_prefixes = max_prefixes
        self._minute = -1
        self._key = b""
        self._counts: OrderedDict[str, int] = OrderedDict()

    def take(self, network: ClientNetwork) -> None:
        """Count one request. Raises ``TooMany``, and counts nothing, if one of the prefixes is at its limit.

        What is refused must not count: otherwise one address could use up the limit of its neighbours' prefix.
        """
        now = clock()
        if now // MINUTE != self._minute:
            self._minute = int(now // MINUTE)
            self._counts.clear()
            self._key = secrets.token_bytes(16)
        limits = [(prefix, limit) for prefix, limit in network.limits(self._limit) if prefix not in SHARED]
        if any(self._is_used_up(prefix, limit) for prefix, limit in limits):
            self._hits.inc()
            raise TooMany("too many requests from this network", retry_after=MINUTE - int(now % MINUTE))
        for prefix, _ in limits:
            self._counts[prefix] = self._counts.pop(prefix, 0) + 1  # the newest is the last
        while len(self._counts) > self._max_prefixes:
            self._counts.popitem(last=False)

    def _is_used_up(self, prefix: str, limit: int) -> bool:
        more = self._counts.get(prefix, 0) - limit
        return more >= 0 and more >= self._drawn(prefix, limit)

    def _drawn(self, prefix: str, limit: int) -> int:
        """Return how much more than ``limit`` a prefix may send in this minute; the same each time in the minute."""
        digest = hashlib.blake2b(prefix.encode(), key=self._key, digest_size=8).digest()
        return int.from_bytes(digest) % (limit // DRAWN_PART + 1)


class Throttle:
    """All limits of one web process. Every method raises ``TooMany``."""

    def __init__(self, limits: Limits) -> None:
        self._read_slots = ConcurrencyLimit(name="reading_slots")
        self._form_slots = ConcurrencyLimit(max_waiting=MAX_FORMS_WAITING, timeout=FORM_TIMEOUT, name="form_slots")
        self._verify_slots = ConcurrencyLimit(
            hcaptcha_service.AT_ONCE, MAX_FORMS_WAITING, hcaptcha_service.PATIENCE, name="captcha_slots"
        )
        self._probe_slots = ConcurrencyLimit(MAX_PROBES, MAX_PROBES_WAITING, PROBE_TIMEOUT, name="probe_slots")
        self._reads = MinuteLimit(limits.reading, name="reading")
        self._forms = MinuteLimit(limits.forms, name="forms")
        self._api_calls = MinuteLimit(limits.api, name="api")
        self._renders = MinuteLimit(limits.api, name="renders")
        self._prints = MinuteLimit(PRINTS, name="prints")

    @asynccontextmanager
    async def read_slot(self, network: ClientNetwork) -> AsyncIterator[None]:
        """Hold a slot to read or search the list. Raises ``Unavailable`` too."""
        self._reads.take(network)
        async with self._read_slots.slot(network):
            yield

    @asynccontextmanager
    async def part_slot(self, network: ClientNetwork) -> AsyncIterator[None]:
        """Hold a slot to read one part of a page that ``allow_print`` has counted. Raises ``Unavailable`` too."""
        async with self._read_slots.slot(network):
            yield

    @asynccontextmanager
    async def form_slot(self, network: ClientNetwork) -> AsyncIterator[None]:
        """Hold a slot for what a form costs beside being stored: a page in answer to it, a challenge, tries to count.

        A form with everything right that asks for none of them needs no slot. Raises ``Unavailable`` too. Not to be
        entered twice. The wait for it is one for the database.
        """
        started = clock()
        async with self._form_slots.slot(network, patience.left_in_all()):
            patience.spend(clock() - started)
            yield

    @property
    def has_form_slot(self) -> bool:
        """Whether ``form_slot`` would not have to wait."""
        return self._form_slots.is_free

    @asynccontextmanager
    async def verify_slot(self, network: ClientNetwork) -> AsyncIterator[None]:
        """Hold a slot for a conversation with hCaptcha. Raises ``Unavailable`` too."""
        async with self._verify_slots.slot(network):
            yield

    @asynccontextmanager
    async def probe_slot(self, network: ClientNetwork) -> AsyncIterator[None]:
        """Hold a slot to ask whether this process is ready. Raises ``Unavailable`` too."""
        async with self._probe_slots.slot(network):
            yield

    def allow_print(self, network: ClientNetwork) -> None:
        """Count a page with all names of the list."""
        self._prints.take(network)

    def allow_form(self, network: ClientNetwork) -> None:
        self._forms.take(network)

    def allow_api_call(self, network: ClientNetwork) -> None:
        """Count an API call answered from memory."""
        self._api_calls.take(network)

    def allow_render(self, network: ClientNetwork) -> None:
        """Count a render of a page that only this client needs: an embed in a colour of its own."""
        self._renders.take(network)
