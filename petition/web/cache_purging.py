"""Tells shared caches (Varnish, a CDN) what has changed, by the keys that our responses carry.

Each web process does so, after its own copies are gone: what a cache asks for next is not answered with an old one. The
last process that noticed is the last to tell. No request waits for it.
"""

import asyncio
import contextlib
import logging
from dataclasses import dataclass

import aiohttp

from petition.core.backoff import Backoff
from petition.core.cache_settings import CacheSettings, SharedCache
from petition.letters.published import PublishedLetters
from petition.web.page_cache import ALL, Header

HEADER = "Surrogate-Key"
SITE = "petition"  # the key of every response
SEVERAL = "letters"  # of pages that show more than one letter
SOFT = {"Fastly-Soft-Purge": "1"}  # an old copy may still be shown while no new one is to be had
SPACING = 1.0  # seconds between two soft purges of one letter: its count may move twice a second
AGAIN = 1.0  # seconds after which a hard purge is repeated, for responses that were on their way into the cache
GATHERING = 0.05  # seconds in which more keys may come for one request
MAX_KEYS = 100  # of one request
RETRY, MAX_RETRY = 0.5, 10.0  # seconds
TIMEOUT = aiohttp.ClientTimeout(total=3)

log = logging.getLogger(__name__)


def letter_key(slug: str) -> str:
    return f"letter-{slug}"


def key_header(group: str) -> Header:
    """Return the header of responses about the letter ``group``, or about several (``ALL``)."""
    key = SEVERAL if group == ALL else letter_key(group)
    return HEADER.lower().encode(), f"{SITE} {key}".encode()


@dataclass(slots=True)
class _Order:
    """What a cache has still to be asked for; ``due_at`` is the loop's time."""

    is_hard: bool
    due_at: float
    is_repeat: bool = False


class CachePurger:
    """Asks every shared cache for the same; one that fails is asked again until it has done it."""

    def __init__(self, settings: CacheSettings) -> None:
        self._lanes = [_Lane(cache, settings.token) for cache in settings.caches]
        self._known: set[str] = set()

    def attach(self, letters: PublishedLetters) -> None:
        """Follow the published letters. To be called after the page cache does."""
        if self._lanes:
            letters.on_names_hidden(self.purge)
            letters.on_taken_down(self.purge)
            letters.on_change(self.refresh)

    def purge(self, slug: str) -> None:
        """Have caches drop a letter: what they hold must not be shown any more."""
        for lane in self._lanes:
            lane.add(letter_key(slug), is_hard=True)
            lane.add(SEVERAL, is_hard=True)

    def refresh(self, slug: str) -> None:
        """Have caches ask again for a letter; "": for everything. Letters seen for the first time have not changed."""
        if slug and slug not in self._known:
            self._known.add(slug)
            return
        for lane in self._lanes:
            for key in (letter_key(slug), SEVERAL) if slug else (SITE,):
                lane.add(key, is_hard=False)

    async def run(self) -> None:
        """Send requests until cancelled."""
        async with aiohttp.ClientSession(timeout=TIMEOUT, cookie_jar=aiohttp.DummyCookieJar()) as session:
            await asyncio.gather(*(lane.run(session) for lane in self._lanes))


class _Lane:
    """The requests to one cache, one after the other."""

    def __init__(self, cache: SharedCache, token: str | None) -> None:
        self._cache = cache
        self._token = token
        self._orders: dict[str, _Order] = {}
        self._sent_at: dict[str, float] = {}  # of soft purges
        self._has_work = asyncio.Event()
        self._backoff = Backoff(RETRY, MAX_RETRY)

    def add(self, key: str, *, is_hard: bool) -> None:
        now, order = asyncio.get_running_loop().time(), self._orders.get(key)
        if is_hard:
            self._orders[key] = _Order(True, now)
        elif order is None:
            self._orders[key] = _Order(False, max(now, self._sent_at.get(key, 0.0) + SPACING))
        self._has_work.set()

    async def run(self, session: aiohttp.ClientSession) -> None:
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

    async def _send(self, session: aiohttp.ClientSession, *, is_hard: bool) -> None:
        now = asyncio.get_running_loop().time()
        orders = {key: order for key, order in self._orders.items() if order.is_hard is is_hard and order.due_at <= now}
        keys = list(orders)[:MAX_KEYS]
        if not keys:
            return
        if trouble := await self._ask(session, keys, is_hard=is_hard):
            seconds = self._backoff.failed()
            if self._backoff.failures == 1:
                log.warning("a cache was not purged", extra={"cache": self._cache.name, "reason": trouble})
            await asyncio.sleep(seconds)
            return
        if self._backoff.worked():
            log.info("the cache is purged again", extra={"cache": self._cache.name})
        for key in keys:
            self._settle(key, orders[key], now)

    def _settle(self, key: str, order: _Order, now: float) -> None:
        if self._orders[key] is not order:  # a newer one came meanwhile
            return
        if order.is_hard and not order.is_repeat:
            self._orders[key] = _Order(True, now + AGAIN, is_repeat=True)
            return
        del self._orders[key]
        self._sent_at[key] = now

    async def _ask(self, session: aiohttp.ClientSession, keys: list[str], *, is_hard: bool) -> str | None:
        """Send one request; return what went wrong, in words for the log."""
        headers = {HEADER: " ".join(keys)} | ({} if is_hard else SOFT)
        if self._token is not None and self._cache.token_header is None:
            headers["Authorization"] = f"Bearer {self._token}"
        elif self._token is not None and self._cache.token_header is not None:
            headers[self._cache.token_header] = self._token
        try:
            async with session.request(
                self._cache.method, self._cache.url, headers=headers, allow_redirects=False
            ) as answer:
                return None if answer.status < 300 else f"status {answer.status}"
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            return type(error).__name__
