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

from petition.errors import Unavailable

Header = tuple[bytes, bytes]

PUBLIC = b"public, max-age=0, s-maxage=5"
_NO_GZIP = re.compile(rb"gzip\s*;\s*q=0(?:\.0*)?\s*(?:,|$)")
AGE = 5.0  # seconds that a time in an answer may lie behind the last look
MOST = 4000  # kept pages; the oldest goes first
MOST_BYTES = 64 * 1024 * 1024  # of all of them together, plain and compressed


@dataclass(frozen=True, slots=True)
class Kept:
    """One answer, ready to be sent: plain and compressed, each with its whole header list."""

    etag: bytes
    plain: bytes
    plain_headers: list[Header]
    small: bytes
    small_headers: list[Header]
    unchanged_headers: list[Header]

    @property
    def size(self) -> int:
        """Bytes it takes in memory, its headers aside."""
        return len(self.plain) + len(self.small)

    @property
    def weight(self) -> int:
        """Bytes on the wire of the compressed answer, status line and headers included (HTTP/1.1)."""
        lines = sum(len(name) + len(value) + 4 for name, value in self.small_headers)
        return len(b"HTTP/1.1 200 OK\r\n") + lines + 2 + len(self.small)


def takes_gzip(accept_encoding: bytes) -> bool:
    """Tell whether who sent this ``Accept-Encoding`` can read gzip (RFC 9110, 12.5.3)."""
    if b"gzip" not in accept_encoding:
        return False
    return _NO_GZIP.search(accept_encoding) is None


def is_known(etag: bytes, if_none_match: bytes) -> bool:
    """Tell whether who sent this ``If-None-Match`` has what ``etag`` marks; a proxy may have made it strong."""
    return etag.removeprefix(b"W/") in if_none_match or if_none_match.strip() == b"*"


def keep(
    body: bytes,
    content_type: bytes,
    headers: Iterable[Header],
    cache_control: bytes = PUBLIC,
    etag: bytes | None = None,
) -> Kept:
    """Return ``body`` as a kept answer with ``headers`` (security, language, …) and the caching headers added.

    ``etag`` is of the body unless it is given.
    """
    etag = etag or b'W/"' + hashlib.sha256(body).hexdigest()[:20].encode() + b'"'
    small = gzip.compress(body, compresslevel=9, mtime=0)
    shared = [(b"cache-control", cache_control), (b"etag", etag), (b"vary", b"Accept-Encoding"), *headers]
    full = [(b"content-type", content_type), *shared]
    return Kept(
        etag=etag,
        plain=body,
        plain_headers=[*full, (b"content-length", b"%d" % len(body))],
        small=small,
        small_headers=[*full, (b"content-encoding", b"gzip"), (b"content-length", b"%d" % len(small))],
        unchanged_headers=shared,
    )


class Pages:
    """The kept pages of one process, each under its address and in the group (a letter's slug) it depends on."""

    def __init__(self) -> None:
        self.fresh: dict[str, Kept] = {}
        self._last: dict[str, Kept] = {}
        self._bytes = 0  # of all in ``_last``
        self._dated: set[str] = set()
        self._groups: dict[str, set[str]] = defaultdict(set)
        self._group_of: dict[str, str] = {}
        self._generation: dict[str, int] = defaultdict(int)
        self._making: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def moved(self, group: str) -> None:
        """Say that what the pages of ``group`` show has changed."""
        self._generation[group] += 1
        for key in self._groups.pop(group, ()):
            self.fresh.pop(key, None)

    def forget(self, group: str) -> None:
        """Forget every page of ``group``, also those kept for when the database is away: it is not to be seen again."""
        self.moved(group)
        for key in [key for key, each in self._group_of.items() if each == group]:
            self._drop(key)

    async def age(self) -> None:
        """Have answers that say when something was counted made anew every few seconds, until cancelled."""
        while True:
            await asyncio.sleep(AGE)
            for key in self._dated:
                self.fresh.pop(key, None)
            self._dated.clear()

    async def answer(self, key: str, group: str, make: Callable[[], Awaitable[Kept]], *, dated: bool = False) -> Kept:
        """Return the kept page under ``key``, made by ``make`` if need be; once, however many ask at the same time.

        A ``dated`` one is made anew every few seconds, for the time it says. Raises what ``make`` raises; but if that
        is ``Unavailable``, the last page made is returned if there is one.
        """
        async with self._making[key]:
            if (kept := self.fresh.get(key)) is not None:
                return kept
            generation = self._generation[group]
            try:
                kept = await make()
            except Unavailable:
                if key in self._last:
                    return self._last[key]
                raise
            self._remember(key, group, kept, still_true=generation == self._generation[group])
            if dated:
                self._dated.add(key)
            return kept

    def _remember(self, key: str, group: str, kept: Kept, *, still_true: bool) -> None:
        before = self._last.pop(key, None)
        self._bytes += kept.size - (before.size if before else 0)
        while self._last and (len(self._last) >= MOST or self._bytes > MOST_BYTES):
            self._drop(next(iter(self._last)))
        self._last[key] = kept
        self._group_of[key] = group
        if still_true:
            self.fresh[key] = kept
            self._groups[group].add(key)

    def _drop(self, key: str) -> None:
        self._bytes -= self._last.pop(key).size
        self._group_of.pop(key, None)
        self.fresh.pop(key, None)
        self._making.pop(key, None)
