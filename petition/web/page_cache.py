"""Pages cached as bytes: the same for every client, rendered again when their data has changed.

A page is rendered and compressed once per change, then served without a template, a query or a framework. While the
database is down, stale copies are served.
"""

import asyncio
import gzip
import hashlib
import re
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from petition.core.errors import Unavailable

Header = tuple[bytes, bytes]

PUBLIC = b"public, max-age=0, s-maxage=5"
# Of what may hold names: with the half second of a poll they are out of shared caches within two seconds.
WITH_NAMES = b"public, max-age=0, s-maxage=1"
_NO_GZIP = re.compile(rb"gzip\s*;\s*q=0(?:\.0*)?\s*(?:,|$)", re.IGNORECASE)
# What a 304 must repeat (RFC 9110, 15.4.5), and CORS, without which a script of another site cannot read it.
_NOT_MODIFIED_HEADERS = (b"cache-control", b"etag", b"vary", b"access-control-")
ALL = ""  # the group of pages that show more than one letter
MAX_AGE = 5.0  # seconds a ``dated`` response is served
MAX_PAGES = 4000  # the oldest is evicted first
MAX_BYTES = 64 * 1024 * 1024  # of all pages together, plain and compressed


class CachedReply(Protocol):
    """Return (status and header lines, body), or None if the application has to answer."""

    def __call__(
        self, method: bytes, url: bytes, headers: list[Header], *, is_onion: bool
    ) -> tuple[bytes, bytes] | None: ...


class CacheTier(StrEnum):
    """The order of eviction, last first: a flood of one tier's pages evicts nothing of an earlier one."""

    COMMON = "common"  # the same for all: the letter, its versions, its count, its badge
    VARIANT = "variant"  # one of a limited number: a partner's copy, another style
    ARBITRARY = "arbitrary"  # under one of millions of addresses that a client can choose: a colour


# Pages of each tier; the oldest is evicted first. When there are too many in total, those of the last tier go.
CAPACITY = {CacheTier.COMMON: MAX_PAGES, CacheTier.VARIANT: 1500, CacheTier.ARBITRARY: 250}


@dataclass(frozen=True, slots=True)
class CachedResponse:
    """A response ready to be sent: plain and gzipped, each with all its headers, also as lines (HTTP/1.1)."""

    etag: bytes
    plain: bytes
    plain_headers: list[Header]
    plain_lines: bytes
    gzipped: bytes
    gzip_headers: list[Header]
    gzip_lines: bytes
    not_modified_headers: list[Header]
    not_modified_lines: bytes

    @property
    def size(self) -> int:
        """Bytes in memory, without the header lists."""
        lines = len(self.plain_lines) + len(self.gzip_lines) + len(self.not_modified_lines)
        return len(self.plain) + len(self.gzipped) + lines

    @property
    def wire_size(self) -> int:
        """Bytes on the wire of the compressed response, status line and headers included (HTTP/1.1)."""
        return len(self.gzip_lines) + len(b"\r\n") + len(self.gzipped)

    def select(self, accept_encoding: bytes | None, if_none_match: bytes | None) -> tuple[int, list[Header], bytes]:
        """Return the status, headers and body for a client that sent these headers."""
        if if_none_match is not None and etag_matches(self.etag, if_none_match):
            return 304, self.not_modified_headers, b""
        if accept_encoding is not None and accepts_gzip(accept_encoding):
            return 200, self.gzip_headers, self.gzipped
        return 200, self.plain_headers, self.plain


def accepts_gzip(accept_encoding: bytes) -> bool:
    """Return whether this ``Accept-Encoding`` allows gzip (RFC 9110, 12.5.3)."""
    if b"gzip" not in accept_encoding:
        return False
    return _NO_GZIP.search(accept_encoding) is None


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
    gzipped = gzip.compress(body, compresslevel=9, mtime=0)
    shared = [(b"cache-control", cache_control), (b"etag", etag), (b"vary", b"Accept-Encoding"), *headers]
    full = [(b"content-type", content_type), *shared]
    plain_headers = [*full, (b"content-length", b"%d" % len(body))]
    gzip_headers = [*full, (b"content-encoding", b"gzip"), (b"content-length", b"%d" % len(gzipped))]
    not_modified_headers = [header for header in shared if header[0].startswith(_NOT_MODIFIED_HEADERS)]
    return CachedResponse(
        etag=etag,
        plain=body,
        plain_headers=plain_headers,
        plain_lines=_lines(b"200 OK", plain_headers),
        gzipped=gzipped,
        gzip_headers=gzip_headers,
        gzip_lines=_lines(b"200 OK", gzip_headers),
        not_modified_headers=not_modified_headers,
        not_modified_lines=_lines(b"304 Not Modified", not_modified_headers),
    )


def weak_etag(body: bytes) -> bytes:
    return b'W/"' + hashlib.sha256(body).hexdigest()[:20].encode() + b'"'


def _lines(status: bytes, headers: Iterable[Header]) -> bytes:
    """Return the status line and the header lines, without the empty line after them."""
    return b"".join((b"HTTP/1.1 ", status, b"\r\n", *(b"%b: %b\r\n" % header for header in headers)))


class PageCache:
    """The cached pages of one process, by address; each depends on a group, a letter's slug or ``ALL``."""

    def __init__(self) -> None:
        self.fresh: dict[str, CachedResponse] = {}
        self._stale: dict[str, CachedResponse] = {}  # all pages, the fresh ones too
        self._tiers: dict[CacheTier, dict[str, None]] = {tier: {} for tier in CacheTier}  # oldest first
        self._tier_of: dict[str, CacheTier] = {}
        self._bytes = 0  # of all in ``_stale``
        self._dated: set[str] = set()
        self._groups: dict[str, set[str]] = defaultdict(set)
        self._group_of: dict[str, str] = {}
        self._invalidations: dict[str, int] = defaultdict(int)  # by group
        self._purges: dict[str, int] = defaultdict(int)
        self._render_locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def invalidate(self, group: str) -> None:
        """Have every page of ``group`` rendered again when it is next requested."""
        self._invalidations[group] += 1
        for key in self._groups.pop(group, ()):
            self.fresh.pop(key, None)

    def purge(self, group: str) -> None:
        """Evict every page of ``group``, including stale copies served while the database is down."""
        self.invalidate(group)
        self._purges[group] += 1
        for key in [key for key, key_group in self._group_of.items() if key_group == group]:
            self._drop(key)

    async def expire_dated(self) -> None:
        """Expire ``dated`` responses every ``MAX_AGE`` seconds, until cancelled."""
        while True:
            await asyncio.sleep(MAX_AGE)
            for key in self._dated:
                self.fresh.pop(key, None)
            self._dated.clear()

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

        A ``dated`` page contains the time it was rendered and expires after ``MAX_AGE``. Raises what ``render`` raises,
        except ``Unavailable`` if there is a stale copy.
        """
        async with self._render_locks[key]:
            if (page := self.fresh.get(key)) is not None:
                return page
            invalidations, purges = self._invalidations[group], self._purges[group]
            try:
                page = await render()
            except Exception as error:
                if key not in self._stale:
                    self._render_locks.pop(key, None)  # else locks of addresses without a page would accumulate
                elif isinstance(error, Unavailable):
                    return self._stale[key]
                raise
            if purges != self._purges[group]:  # it may show what has to disappear
                return page
            self._store(key, group, tier, page)
            if invalidations == self._invalidations[group]:
                self.fresh[key] = page
                self._groups[group].add(key)
            if dated:
                self._dated.add(key)
            return page

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
        self._render_locks.pop(key, None)
