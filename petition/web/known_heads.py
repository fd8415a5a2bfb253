"""What was made of the heads of simple requests, by their exact bytes: who asks as another did costs no parsing.

The parser, and nothing else, says what a head means. What it said is a function of the bytes, as long as nothing of
another request is with them, so it can be looked up when the same bytes come again. See docs/decisions/known-heads.md.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple, Protocol

from petition.web.content_codings import Coding
from petition.web.page_cache import Header
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
        b"x-forwarded-proto",
    }
)
REFERER = b"referer"
_SITE = re.compile(rb"https?://[^/?#]*/?")  # without a path, which may be that of a link from a mail


class CacheRequest(NamedTuple):
    """A request that a page of the cache may answer."""

    key: str  # the page's address with the query
    is_head: bool
    coding: Coding
    if_none_match: bytes | None
    counts: RouteCounts


class KnownHeads(dict[bytes, CacheRequest]):
    """The heads that were answered from the cache, of an application."""

    def note(self, data: bytes, headers: Iterable[Header], request: CacheRequest) -> None:
        """Remember what ``data`` asks for, unless it might say who asks; ``headers`` are the parser's."""
        if len(data) > MAX_LENGTH or not data.endswith(END):
            return
        for name, value in headers:
            if name not in IMPERSONAL and not (name == REFERER and _SITE.fullmatch(value)):
                return
        if len(self) >= MAX_HEADS:
            del self[next(iter(self))]
        self[data] = request


class CachingApplication(Protocol):
    """An application that may be asked for a response before it is called."""

    known_heads: KnownHeads

    def cache_request(self, method: bytes, url: bytes, headers: list[Header], *, is_onion: bool) -> CacheRequest | None:
        """Return what a request without a body asks of the cache; None if the application has to answer."""

    def cached_response(self, request: CacheRequest) -> tuple[bytes, bytes] | None:
        """Return (status and header lines, body), or None if the application has to answer."""
