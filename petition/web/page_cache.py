"""Pages cached as bytes: the same for every client, rendered again when their data has changed.

A page is rendered and compressed once per change, then served without a template, a query or a framework. While the
database is down or slow, stale copies are served, and no reader waits for it.
"""

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import NamedTuple

from petition.core import metrics
from petition.core.errors import Unavailable
from petition.core.settings import PATIENCE
from petition.web.content_codings import Coding, best_coding, compress, compress_hard

Header = tuple[bytes, bytes]
KeyHeaders = Callable[[str], Sequence[Header]]  # of a group, for shared caches

# In shared caches for a second: with the half second of a poll, no count there is older than two, and a name that was
# hidden is gone. See docs/decisions/shared-caches.md.
PUBLIC = b"public, max-age=0, s-maxage=1"
NO_STORE = b"no-store"  # in this cache, and in no other
# What a 304 must repeat (RFC 9110, 15.4.5), and CORS, without which a script of another site cannot read it.
_NOT_MODIFIED_HEADERS = (b"cache-control", b"etag", b"vary", b"access-control-")
ALL = ""  # the group of pages that show more than one letter
MAX_AGE = 5.0  # seconds a ``dated`` response is served
HURRY = 0.05  # of the seconds a form may wait for the database: what a reader waits who can have a stale copy
PAUSE = 0.1  # seconds at least between two invalidations by single signatures
LASTING = 10.0  # seconds unchanged after which a page is worth compressing harder
MAX_PAGES = 4000  # the oldest is evicted first
MAX_BYTES = 64 * 1024 * 1024  # of all pages together, plain and compressed


def list_group(slug: str) -> str:
    """Return the group of a letter's list of signatories, which moves with each of them."""
    return f"{slug}/signatories"


class CacheTier(StrEnum):
    """The order of eviction, last first: a flood of one tier's pages evicts nothing of an earlier one."""

    COMMON = "common"  # the same for all: the letter, its versions, its count, its badge
    VARIANT = "variant"  # one of a limited number: a partner's copy, another style
    ARBITRARY = "arbitrary"  # under one of millions of addresses that a client can choose: a colour


# Pages of each tier; the oldest is evicted first. When there are too many in total, those of the last tier go.
CAPACITY = {CacheTier.COMMON: MAX_PAGES, CacheTier.VARIANT: 1500, CacheTier.ARBITRARY: 250}


class Encoded(NamedTuple):
    """A response in one coding: its headers, the same with the status as lines of HTTP/1.1, and its body."""

    headers: list[Header]
    lines: bytes  # without the empty line after them
    body: bytes


@dataclass(slots=True)
class CachedResponse:
    """A response ready to be sent; each coding is made when a client first takes it."""

    etag: bytes
    plain: bytes
    headers: list[Header]  # of all codings
    not_modified_headers: list[Header]
    not_modified_lines: bytes
    can_shrink: bool = field(default=False, compare=False)  # its brotli was made in a hurry
    _encodings: dict[Coding, Encoded] = field(default_factory=dict, compare=False)

    @property
    def size(self) -> int:
        """Bytes in memory once all codings are there, without the header lists."""
        gzipped = self.encoded(Coding.GZIP)
        return 2 * len(self.plain) + 3 * (len(gzipped.lines) + len(gzipped.body))

    @property
    def wire_size(self) -> int:
        """Bytes on the wire for today's browsers, which take brotli, status line and headers included (HTTP/1.1)."""
        small = self.encoded(Coding.BROTLI)
        return len(small.lines) + len(b"\r\n") + len(small.body)

    def select(self, accept_encoding: bytes | None, if_none_match: bytes | None) -> tuple[int, list[Header], bytes]:
        """Return the status, headers and body for a client that sent these headers."""
        if if_none_match is not None and etag_matches(self.etag, if_none_match):
            return 304, self.not_modified_headers, b""
        encoded = self.encoded(best_coding(accept_encoding))
        return 200, encoded.headers, encoded.body

    def encoded(self, coding: Coding) -> Encoded:
        """Return the response in this coding, compressed now if it has not been yet."""
        encoded = self._encodings.get(coding)
        if encoded is None:
            encoded = self._encodings[coding] = self._encode(coding, compress(self.plain, coding))
            self.can_shrink = self.can_shrink or coding is Coding.BROTLI
        return encoded

    def with_headers(self, more: Sequence[Header]) -> "CachedResponse":
        """Return the same response with more headers; what is compressed already is not compressed again."""
        page = replace(self, headers=[*self.headers, *more], _encodings={})
        for coding, encoded in self._encodings.items():
            page._encodings[coding] = page._encode(coding, encoded.body)
        return page

    async def shrink(self) -> None:
        """Compress brotli as far as it goes, in a thread."""
        self.can_shrink = False
        body = await asyncio.to_thread(compress_hard, self.plain)
        self._encodings[Coding.BROTLI] = self._encode(Coding.BROTLI, body)

    def _encode(self, coding: Coding, body: bytes) -> Encoded:
        named = [] if coding is Coding.IDENTITY else [(b"content-encoding", coding.encode())]
        headers = [*self.headers, *named, (b"content-length", b"%d" % len(body))]
        return Encoded(headers, _lines(b"200 OK", headers), body)


def etag_matches(etag: bytes, if_none_match: bytes) -> bool:
    """Return whether this ``If-None-Match`` names ``etag``; a proxy may have made it strong."""
    if if_none_match == etag:  # nearly always
        return True
    return etag.removeprefix(b"W/") in if_none_match or if_none_match.strip() == b"*"


def build_response(
    body: bytes,
    content_type: bytes,
    headers: Iterable[Header],
    cache_control: bytes = PUBLIC,
    etag: bytes | None = None,
) -> CachedResponse:
    """Return a response with ``headers`` and the caching headers; ``etag`` defaults to the body's."""
    etag = etag or weak_etag(body)
    tags = [] if cache_control == NO_STORE else [(b"etag", etag)]
    shared = [(b"cache-control", cache_control), *tags, (b"vary", b"Accept-Encoding"), *headers]
    not_modified_headers = [header for header in shared if header[0].startswith(_NOT_MODIFIED_HEADERS)]
    return CachedResponse(
        etag=etag,
        plain=body,
        headers=[(b"content-type", content_type), *shared],
        not_modified_headers=not_modified_headers,
        not_modified_lines=_lines(b"304 Not Modified", not_modified_headers),
    )


def weak_etag(body: bytes) -> bytes:
    return b'W/"' + hashlib.sha256(body).hexdigest()[:20].encode() + b'"'


def _lines(status: bytes, headers: Iterable[Header]) -> bytes:
    """Return the status line and the header lines, without the empty line after them."""
    return b"".join((b"HTTP/1.1 ", status, b"\r\n", *(b"%b: %b\r\n" % header for header in headers)))


@dataclass(slots=True, eq=False)
class _Render:
    """A render under way, since when (the loop's time), and what has become of its group meanwhile."""

    began: float
    task: asyncio.Task[CachedResponse] = field(init=False)
    is_outdated: bool = False
    is_purged: bool = False


class PageCache:
    """The cached pages of one process, by address; each depends on a group.

    That is a letter's slug, or ``list_group`` of it, or ``ALL``.
    """

    def __init__(self, patience: float = PATIENCE) -> None:
        self.key_headers: KeyHeaders | None = None
        self.is_up: Callable[[], bool] = lambda: True  # is there a database to render from?
        self._hurry = patience * HURRY
        self.fresh: dict[str, CachedResponse] = {}
        self._stale: dict[str, CachedResponse] = {}  # all pages, the fresh ones too
        self._tiers: dict[CacheTier, dict[str, None]] = {tier: {} for tier in CacheTier}  # oldest first
        self._tier_of: dict[str, CacheTier] = {}
        self._bytes = 0  # of all in ``_stale``
        self._dated: set[str] = set()
        self._groups: dict[str, set[str]] = defaultdict(set)
        self._group_of: dict[str, str] = {}
        self._renders: dict[str, set[_Render]] = defaultdict(set)  # those under way, by group
        self._current: dict[str, _Render] = {}  # that of each page which is not outdated
        self._pausing: dict[str, bool] = {}  # groups that were invalidated a moment ago; True if again meanwhile

    def __contains__(self, key: str) -> bool:
        """Whether there is a copy, be it stale."""
        return key in self._stale

    def common(self) -> list[tuple[str, CachedResponse]]:
        """Return address and newest copy of the pages that are the same for all, except of those no cache may have."""
        pages = [(key, self._stale[key]) for key in self._tiers[CacheTier.COMMON]]
        return [(key, page) for key, page in pages if (b"cache-control", NO_STORE) not in page.headers]

    def invalidate(self, group: str) -> None:
        """Have every page of ``group`` rendered again when it is next requested."""
        for render in self._renders.get(group, ()):
            render.is_outdated = True
        for key in self._groups.pop(group, ()):
            self.fresh.pop(key, None)

    def invalidate_in_turn(self, group: str) -> None:
        """Invalidate as ``invalidate`` does, but at most once in ``PAUSE``: for what may happen a thousand times."""
        if group in self._pausing:
            self._pausing[group] = True
            return
        self.invalidate(group)
        self._pausing[group] = False
        asyncio.get_running_loop().call_later(PAUSE, self._end_pause, group)

    def _end_pause(self, group: str) -> None:
        if self._pausing.pop(group):
            self.invalidate_in_turn(group)

    def purge(self, group: str) -> None:
        """Evict every page of ``group``, including stale copies served while the database is down."""
        self.invalidate(group)
        for render in self._renders.get(group, ()):
            render.is_purged = True
        for key in [key for key, key_group in self._group_of.items() if key_group == group]:
            self._drop(key)

    async def expire_dated(self) -> None:
        """Expire ``dated`` responses every ``MAX_AGE`` seconds, until cancelled."""
        while True:
            await asyncio.sleep(MAX_AGE)
            for key in self._dated:
                self.fresh.pop(key, None)
            self._dated.clear()

    async def shrink_lasting(self) -> None:
        """Compress pages harder that have not changed for ``LASTING`` seconds, one after the other, until cancelled."""
        earlier: dict[str, CachedResponse] = {}
        while True:
            await asyncio.sleep(LASTING)
            for key, page in tuple(earlier.items()):
                if page.can_shrink and self.fresh.get(key) is page:
                    await page.shrink()
            earlier = dict(self.fresh)

    async def get(
        self,
        key: str,
        group: str,
        render: Callable[[], Awaitable[CachedResponse]],
        tier: CacheTier = CacheTier.COMMON,
        *,
        dated: bool = False,
    ) -> CachedResponse:
        """Return the page under ``key``, rendered if need be; once, however many clients request it meanwhile.

        A ``dated`` page contains the time it was rendered and expires after ``MAX_AGE``. While the database is down or
        slow, a stale copy is returned; the page is rendered nevertheless, for those who come later. Raises what
        ``render`` raises, except ``Unavailable`` if there is a stale copy.
        """
        if (page := self.fresh.get(key)) is not None:
            return page
        if key in self._stale and not self.is_up():
            metrics.PAGES.labels("stale").inc()
            return self._stale[key]
        running, is_own = self._current.get(key), False
        if running is None or running.is_outdated:
            running, is_own = self._begin(key, group, render, tier, dated=dated), True
        task = running.task
        if key in self._stale:
            await asyncio.wait([task], timeout=running.began + self._hurry - asyncio.get_running_loop().time())
            is_late = not task.done() or isinstance(task.exception(), Unavailable)
            if is_late and (stale := self._stale.get(key)) is not None:  # a purge meanwhile has left none
                metrics.PAGES.labels("stale").inc()
                return stale
        try:
            return await asyncio.shield(task)
        except Unavailable:
            raise
        except Exception:
            if is_own:
                raise
        return await self.get(key, group, render, tier, dated=dated)  # what another client is refused for

    def _begin(
        self,
        key: str,
        group: str,
        render: Callable[[], Awaitable[CachedResponse]],
        tier: CacheTier,
        *,
        dated: bool,
    ) -> _Render:
        running = self._current[key] = _Render(asyncio.get_running_loop().time())
        self._renders[group].add(running)
        running.task = asyncio.create_task(self._render(key, group, render, tier, running, dated=dated))

        def end(task: asyncio.Task[CachedResponse]) -> None:
            self._end(running, key, group)
            if not task.cancelled():
                task.exception()  # retrieved, though all who asked may have left

        running.task.add_done_callback(end)
        return running

    async def _render(
        self,
        key: str,
        group: str,
        render: Callable[[], Awaitable[CachedResponse]],
        tier: CacheTier,
        running: _Render,
        *,
        dated: bool,
    ) -> CachedResponse:
        """Render the page and store it, unless something on it was taken back meanwhile."""
        page = self._with_keys(await render(), group)
        metrics.PAGES.labels("rendered").inc()
        # Purged: it may show what has to disappear. Or a later one was quicker.
        if running.is_purged or (running.is_outdated and key in self.fresh):
            return page
        earlier = self._stale.get(key)
        if earlier is not None and earlier == page:
            page = earlier  # its codings are made, perhaps the hard one
        self._store(key, group, tier, page)
        if not running.is_outdated:
            self.fresh[key] = page
            self._groups[group].add(key)
        if dated:
            self._dated.add(key)
        return page

    def _end(self, running: _Render, key: str, group: str) -> None:
        if self._current.get(key) is running:
            del self._current[key]
        self._renders[group].discard(running)
        if not self._renders[group]:
            del self._renders[group]

    def _with_keys(self, page: CachedResponse, group: str) -> CachedResponse:
        if self.key_headers is None or (b"cache-control", NO_STORE) in page.headers:
            return page
        return page.with_headers(self.key_headers(group))

    def _store(self, key: str, group: str, tier: CacheTier, page: CachedResponse) -> None:
        if key in self._stale:
            self._remove(key)
        while len(self._tiers[tier]) >= CAPACITY[tier]:
            self._drop(next(iter(self._tiers[tier])))
        while self._stale and (len(self._stale) >= MAX_PAGES or self._bytes + page.size > MAX_BYTES):
            self._drop(self._choose_victim())
        self._stale[key] = page
        self._bytes += page.size
        self._tiers[tier][key] = None
        self._tier_of[key] = tier
        self._group_of[key] = group

    def _choose_victim(self) -> str:
        """Return the oldest page of the last tier that has any."""
        return next(next(iter(pages)) for tier in reversed(CacheTier) if (pages := self._tiers[tier]))

    def _remove(self, key: str) -> None:
        self._bytes -= self._stale.pop(key).size
        del self._tiers[self._tier_of.pop(key)][key]

    def _drop(self, key: str) -> None:
        self._remove(key)
        if (group := self._group_of.pop(key, None)) is not None and group in self._groups:
            self._groups[group].discard(key)
        self.fresh.pop(key, None)
