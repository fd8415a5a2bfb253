"""Tells shared caches (Varnish, a CDN) what was taken back, by the keys that our responses carry.

Each web process does so, after its own copies are gone: what a cache asks for next is not answered with an old one. The
last process that noticed is the last to tell. No request waits for it.
"""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from petition.core import metrics
from petition.core.backoff import Backoff
from petition.core.cache_requests import (
    KEY_HEADER,
    SEVERAL,
    SITE,
    TAG_HEADER,
    letter_key,
    opened_session,
    request_purge,
)
from petition.core.cache_settings import CacheSettings, SharedCache
from petition.letters.published import PublishedLetters
from petition.web.page_cache import ALL, Header, KeyHeaders

if TYPE_CHECKING:
    import aiohttp

SPACING = 1.0  # seconds between two soft purges of one letter: its count may move twice a second
AGAIN = 1.0  # seconds after which a hard purge is repeated, for responses that were on their way into the cache
GATHERING = 0.05  # seconds in which more keys may come for one request
MAX_KEYS = 30  # of one request, as many as Cloudflare takes
MAX_ORDERS = 1000  # for a cache that is away; beyond, all of it is purged
RETRY, MAX_RETRY = 0.5, 10.0  # seconds

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Order:
    """What a cache has still to be asked for; ``due_at`` is the loop's time."""

    is_hard: bool
    due_at: float
    is_repeat: bool = False


class CachePurger:
    """Asks every shared cache for the same; one that fails is asked again until it has done it."""

    def __init__(self, settings: CacheSettings) -> None:
        self._caches = settings.caches
        self._lanes = [_Lane(cache, settings.token) for cache in settings.caches]
        self._known: set[str] = set()

    @property
    def key_headers(self) -> KeyHeaders | None:
        """What gives responses their keys; None if no cache reads them."""
        return self._key_headers if self._caches else None

    def _key_headers(self, group: str) -> Sequence[Header]:
        """Return the headers of responses of a group: a letter's slug, what begins with it, or ``ALL``."""
        slug = group.partition("/")[0]
        keys = SITE, SEVERAL if slug == ALL else letter_key(slug)
        headers = []
        if not all(cache.takes_tags for cache in self._caches):
            headers.append((KEY_HEADER.lower().encode(), " ".join(keys).encode()))
        if any(cache.takes_tags for cache in self._caches):
            headers.append((TAG_HEADER.lower().encode(), ",".join(keys).encode()))
        return headers

    def attach(self, letters: PublishedLetters) -> None:
        """Follow the published letters. To be called after the page cache does."""
        letters.on_names_hidden(self.purge)
        letters.on_taken_down(self.purge)
        letters.on_change(self.refresh)

    def purge(self, slug: str) -> None:
        """Have caches drop a letter: something on its pages was taken back."""
        for lane in self._lanes:
            lane.add(letter_key(slug), is_hard=True)
            lane.add(SEVERAL, is_hard=True)

    def refresh(self, slug: str) -> None:
        """Have caches that store for long ask again for a letter; "": for everything.

        Letters seen for the first time have not changed.
        """
        if slug and slug not in self._known:
            self._known.add(slug)
            return
        for lane in self._lanes:
            if lane.cache.follows_changes:
                for key in (letter_key(slug), SEVERAL) if slug else (SITE,):
                    lane.add(key, is_hard=False)

    async def run(self) -> None:
        """Send requests until cancelled; first of all, drop what was taken back while no process ran."""
        if not self._lanes:
            return
        for lane in self._lanes:
            lane.add(SITE, is_hard=True)
        async with opened_session() as session:
            await asyncio.gather(*(lane.run(session) for lane in self._lanes), self._watch())

    async def _watch(self) -> None:
        """Keep the figure of caches that fail."""
        while True:
            metrics.CACHES_FAILING.set(sum(lane.is_failing for lane in self._lanes))
            await asyncio.sleep(1)


class _Lane:
    """The requests to one cache, one after the other."""

    def __init__(self, cache: SharedCache, token: str) -> None:
        self.cache = cache
        self._token = token
        self._orders: dict[str, _Order] = {}
        self._sent_at: dict[str, float] = {}  # of soft purges
        self._has_work = asyncio.Event()
        self._backoff = Backoff(RETRY, MAX_RETRY)

    @property
    def is_failing(self) -> bool:
        return self._backoff.failures > 0

    def add(self, key: str, *, is_hard: bool) -> None:
        now = asyncio.get_running_loop().time()
        if len(self._orders) >= MAX_ORDERS:
            is_hard = is_hard or any(order.is_hard for order in self._orders.values())
            self._orders, key = {}, SITE
        if is_hard:
            self._orders[key] = _Order(True, now)
        elif key not in self._orders:
            self._orders[key] = _Order(False, max(now, self._sent_at.get(key, 0.0) + SPACING))
        self._has_work.set()

    async def run(self, session: "aiohttp.ClientSession") -> None:
        while True:
            await self._until_due()
            for is_hard in (True, False):
                await self._send(session, is_hard=is_hard)

    async def _until_due(self) -> None:
        self._has_work.clear()
        due_at = min((order.due_at for order in self._orders.values()), default=None)
        pause = None if due_at is None else max(0.0, due_at - asyncio.get_running_loop().time())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._has_work.wait()
        await asyncio.sleep(GATHERING)

    async def _send(self, session: "aiohttp.ClientSession", *, is_hard: bool) -> None:
        now = asyncio.get_running_loop().time()
        orders = {key: order for key, order in self._orders.items() if order.is_hard is is_hard and order.due_at <= now}
        keys = list(orders)[:MAX_KEYS]
        if not keys:
            return
        trouble = await request_purge(session, self.cache, self._token, keys, is_soft=not is_hard)
        metrics.CACHE_PURGES.labels("failed" if trouble else "done").inc()
        if trouble:
            await self._put_off(trouble)
            return
        if self._backoff.worked():
            log.info("the cache is purged again", extra={"cache": self.cache.name})
        for key in keys:
            self._settle(key, orders[key], now)

    async def _put_off(self, trouble: str) -> None:
        seconds = self._backoff.failed()
        if self._backoff.failures == 1:
            log.warning("a cache was not purged", extra={"cache": self.cache.name, "trouble": trouble})
        await asyncio.sleep(seconds)

    def _settle(self, key: str, order: _Order, now: float) -> None:
        if self._orders.get(key) is not order:  # a newer one came meanwhile
            return
        if order.is_hard and not order.is_repeat:
            self._orders[key] = _Order(True, now + AGAIN, is_repeat=True)
            return
        del self._orders[key]
        if not order.is_hard:
            self._sent_at[key] = now
