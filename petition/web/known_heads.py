"""What was made of the heads of simple requests, by their exact bytes: who asks as another did costs no parsing.

The parser, and nothing else, says what a head means. What it said is a function of the bytes, as long as nothing of
another request is with them, so it can be looked up when the same bytes come again. See docs/decisions/known-heads.md.
"""

import re
from collections.abc import Collection
from typing import NamedTuple, Protocol

from petition.web.content_codings import Coding
from petition.web.page_cache import Header
from petition.web.request_bounds import MAX_LINES
from petition.web.request_counts import RouteCounts

MAX_LENGTH = 2048  # bytes of a head
MAX_HEADS = 512  # the oldest goes first
END = b"\r\n\r\n"
# Heads with other lines are of one person (a cookie, an address that a proxy adds), or could be. They are forgotten.
IMPERSONAL = frozenset(
    {
        b"accept",
        b"accept-encoding",
        b"accept-language",
        b"cache-control",
        b"connection",
        b"dnt",
        b"host",
        b"if-none-match",
        b"pragma",
        b"priority",
        b"sec-ch-ua",
        b"sec-ch-ua-mobile",
        b"sec-ch-ua-platform",
        b"sec-fetch-dest",
        b"sec-fetch-mode",
        b"sec-fetch-site",
        b"sec-fetch-user",
        b"sec-gpc",
        b"te",
        b"upgrade-insecure-requests",
        b"user-agent",
        b"x-forwarded-host",
        b"x-forwarded-proto",
    }
)
# Likewise, with such values only: no path of a site, which may be that of a link from a mail; no private proxy's name.
IMPERSONAL_VALUES = {b"referer": re.compile(rb"https?://[^/?#]*/?"), b"via": re.compile(rb"1\.1 Caddy")}
# A proxy adds them, different ones to each request, and no page of the cache depends on them: heads are known without.
PROXY_LINES = frozenset({b"x-forwarded-for", b"x-request-id"})
MAX_PROXY_LINES = 4
_PROXY_LINE = re.compile(rb"\r\nX-(?:Forwarded-For|Request-I[Dd]): [\w.:, -]{1,200}(?=\r\n)")


class CacheRequest(NamedTuple):
    """A request that a page of the cache may answer."""

    key: str  # the page's address with the query
    is_head: bool
    coding: Coding
    if_none_match: bytes | None
    counts: RouteCounts


class KnownHeads(dict[bytes, CacheRequest]):
    """The heads that were answered from the cache, of an application."""

    def note(self, data: bytes, headers: Collection[Header], request: CacheRequest) -> None:
        """Remember what ``data`` asks for, unless it might say who asks; ``headers`` are the parser's."""
        cut = 0
        for name, value in headers:
            if name in PROXY_LINES:
                cut += 1
            elif name not in IMPERSONAL and not (
                name in IMPERSONAL_VALUES and IMPERSONAL_VALUES[name].fullmatch(value)
            ):
                return
        head = without_proxy_lines(data)
        # A line for the request, one for each header, and an empty one: so each line break stands between two lines,
        # and a line that a proxy adds at one of them is a line of its own for the parser too.
        breaks = len(headers) - cut + 2
        if not (head.count(b"\r\n") == head.count(b"\n") == breaks <= MAX_LINES - MAX_PROXY_LINES):
            return
        if len(head) > MAX_LENGTH or not head.endswith(END):
            return
        if len(self) >= MAX_HEADS:
            del self[next(iter(self))]
        self[head] = request


def without_proxy_lines(data: bytes) -> bytes:
    """Return a head without what a proxy has added; anything that is no head, or longer than known ones, as it is."""
    if len(data) > 2 * MAX_LENGTH or not data.endswith(END):  # such a line could follow a head, and be no part of it
        return data
    return _PROXY_LINE.sub(b"", data, MAX_PROXY_LINES)


class CachingApplication(Protocol):
    """An application that may be asked for a response before it is called, and has streams that may end."""

    known_heads: KnownHeads

    def cache_request(self, method: bytes, url: bytes, headers: list[Header], *, is_onion: bool) -> CacheRequest | None:
        """Return what a request without a body asks of the cache; None if the application has to answer."""

    def cached_response(self, request: CacheRequest) -> tuple[bytes, bytes] | None:
        """Return (status and header lines, body), or None if the application has to answer."""

    def yield_files(self, connections: int) -> None:
        """Make room for connections, of which there are so many."""
