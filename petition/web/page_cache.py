"""Pages kept as bytes: the same for everyone, remade when what they show has moved.

A page is made once per change, compressed once, and then answered without a template, a query or a framework. While
the database is away the last one made is still good.
"""

import asyncio
import gzip
import hashlib
import re
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from petition.core.errors import Unavailable

Header = tuple[bytes, bytes]

PUBLIC = b"public, max-age=0, s-maxage=5"
_NO_GZIP = re.compile(rb"gzip\s*;\s*q=0(?:\.0*)?\s*(?:,|$)", re.IGNORECASE)
# What a 304 has to carry (RFC 9110, 15.4.5), and what a script of another site needs to be given it; all else is with
# the answer that its reader has.
_NOT_MODIFIED_HEADERS = (b"cache-control", b"etag", b"vary", b"access-control-")
MAX_AGE = 5.0  # seconds that a time in an answer may lie behind the last look
MAX_PAGES = 4000  # kept pages; the oldest goes first
MAX_BYTES = 64 * 1024 * 1024  # of all of them together, plain and compressed


class CacheTier(StrEnum):
    """What may crowd out what. The letter, its list of versions, its count, its badge are one for everybody."""

    COMMON = "usual"
    VARIANT = "chosen"  # one of many that there are: a partner's copy, another style
    ARBITRARY = "made up"  # under an address that anybody can make up by the million: a colour


# Pages of each; the oldest goes first, and when there are too many of all, those of the last shelf.
CAPACITY = {CacheTier.COMMON: MAX_PAGES, CacheTier.VARIANT: 1500, CacheTier.ARBITRARY: 250}


@dataclass(frozen=True, slots=True)
class CachedResponse:
    """One answer, ready to be sent: plain and compressed, each with its whole header list, also as lines (HTTP/1.1)."""

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
        """Bytes it takes in memory, its header lists aside."""
        lines = len(self.plain_lines) + len(self.gzip_lines) + len(self.not_modified_lines)
        return len(self.plain) + len(self.gzipped) + lines

    @property
    def wire_size(self) -> int:
        """Bytes on the wire of the compressed answer, status line and headers included (HTTP/1.1)."""
        return len(self.gzip_lines) + len(b"\r\n") + len(self.gzipped)


def accepts_gzip(accept_encoding: bytes) -> bool:
    """Tell whether who sent this ``Accept-Encoding`` can read gzip (RFC 9110, 12.5.3)."""
    if b"gzip" not in accept_encoding:
        return False
    return _NO_GZIP.search(accept_encoding) is None


def etag_matches(etag: bytes, if_none_match: bytes) -> bool:
    """Tell whether who sent this ``If-None-Match`` has what ``etag`` marks; a proxy may have made it strong."""
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
    """Return ``body`` as a kept answer with ``headers`` (security, language, …) and the caching headers added.

    ``etag`` is of the body unless it is given.
    """
    etag = etag or b'W/"' + hashlib.sha256(body).hexdigest()[:20].encode() + b'"'
    small = gzip.compress(body, compresslevel=9, mtime=0)
    shared = [(b"cache-control", cache_control), (b"etag", etag), (b"vary", b"Accept-Encoding"), *headers]
    full = [(b"content-type", content_type), *shared]
    plain_headers = [*full, (b"content-length", b"%d" % len(body))]
    small_headers = [*full, (b"content-encoding", b"gzip"), (b"content-length", b"%d" % len(small))]
    unchanged_headers = [header for header in shared if header[0].startswith(_NOT_MODIFIED_HEADERS)]
    return CachedResponse(
        etag=etag,
        plain=body,
        plain_headers=plain_headers,
        plain_lines=_lines(b"200 OK", plain_headers),
        gzipped=small,
        gzip_headers=small_headers,
        gzip_lines=_lines(b"200 OK", small_headers),
        not_modified_headers=unchanged_headers,
        not_modified_lines=_lines(b"304 Not Modified", unchanged_headers),
    )


def _lines(status: bytes, headers: Iterable[Header]) -> bytes:
    """Return the status line and the header lines, without the empty line behind them."""
    return b"".join((b"HTTP/1.1 ", status, b"\r\n", *(b"%b: %b\r\n" % header for header in headers)))


class PageCache:
    """The kept pages of one process, each under its address and in the group (a letter's slug) it depends on."""

    def __init__(self) -> None:
        self.fresh: dict[str, CachedResponse] = {}
        self._stale: dict[str, CachedResponse] = {}
        self._shelves: dict[CacheTier, dict[str, None]] = {
            shelf: {} for shelf in CacheTier
        }  # each in the order of making
        self._shelf_of: dict[str, CacheTier] = {}
        self._bytes = 0  # of all in ``_last``
        self._dated: set[str] = set()
        self._groups: dict[str, set[str]] = defaultdict(set)
        self._group_of: dict[str, str] = {}
        self._generation: dict[str, int] = defaultdict(int)
        self._forgotten: dict[str, int] = defaultdict(int)
        self._making: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def invalidate(self, group: str) -> None:
        """Say that what the pages of ``group`` show has changed."""
        self._generation[group] += 1
        for key in self._groups.pop(group, ()):
            self.fresh.pop(key, None)

    def purge(self, group: str) -> None:
        """Forget every page of ``group``, also those kept for when the database is away: it is not to be seen again."""
        self.invalidate(group)
        self._forgotten[group] += 1
        for key in [key for key, each in self._group_of.items() if each == group]:
            self._drop(key)

    async def expire_dated(self) -> None:
        """Have answers that say when something was counted made anew every few seconds, until cancelled."""
        while True:
            await asyncio.sleep(MAX_AGE)
            for key in self._dated:
                self.fresh.pop(key, None)
            self._dated.clear()

    async def get(
        self,
        key: str,
        group: str,
        make: Callable[[], Awaitable[CachedResponse]],
        shelf: CacheTier = CacheTier.COMMON,
        *,
        dated: bool = False,
    ) -> CachedResponse:
        """Return the kept page under ``key``, made by ``make`` if need be; once, however many ask at the same time.

        A ``dated`` one is made anew every few seconds, for the time it says. Raises what ``make`` raises; but if that
        is ``Unavailable``, the last page made is returned if there is one.
        """
        async with self._making[key]:
            if (kept := self.fresh.get(key)) is not None:
                return kept
            generation, forgotten = self._generation[group], self._forgotten[group]
            try:
                kept = await make()
            except Exception as error:
                if key not in self._stale:
                    self._making.pop(key, None)  # addresses at which nothing could be made would pile up
                elif isinstance(error, Unavailable):
                    return self._stale[key]
                raise
            if forgotten != self._forgotten[group]:  # it may show what is not to be seen again
                return kept
            self._store(key, group, shelf, kept, still_true=generation == self._generation[group])
            if dated:
                self._dated.add(key)
            return kept

    def _store(self, key: str, group: str, shelf: CacheTier, kept: CachedResponse, *, still_true: bool) -> None:
        if key in self._stale:
            self._evict(key)
        while len(self._shelves[shelf]) >= CAPACITY[shelf]:
            self._drop(next(iter(self._shelves[shelf])))
        while self._stale and (len(self._stale) >= MAX_PAGES or self._bytes + kept.size > MAX_BYTES):
            self._drop(self._choose_victim())
        self._stale[key] = kept
        self._bytes += kept.size
        self._shelves[shelf][key] = None
        self._shelf_of[key] = shelf
        self._group_of[key] = group
        if still_true:
            self.fresh[key] = kept
            self._groups[group].add(key)

    def _choose_victim(self) -> str:
        """Return the oldest page of the last shelf that has any."""
        return next(next(iter(pages)) for shelf in reversed(CacheTier) if (pages := self._shelves[shelf]))

    def _evict(self, key: str) -> None:
        self._bytes -= self._stale.pop(key).size
        del self._shelves[self._shelf_of.pop(key)][key]

    def _drop(self, key: str) -> None:
        self._evict(key)
        if (group := self._group_of.pop(key, None)) is not None and group in self._groups:
            self._groups[group].discard(key)
        self.fresh.pop(key, None)
        self._making.pop(key, None)
