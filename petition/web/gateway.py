"""The ASGI application in front of the framework: checks Host and Origin, serves cached pages and count streams.

Raw ASGI, because a cached page costs less than half the time this way, and no view has to check Host and Origin again.
"""

import re
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping, Sequence
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from time import perf_counter
from typing import Any

from starlette.routing import BaseRoute

from petition.core import patience, request_ids
from petition.core.client_networks import ClientNetwork
from petition.core.errors import Unavailable
from petition.core.settings import Settings
from petition.core.tokens import Tokens
from petition.letters.switches import InstallationNotices
from petition.web.content_codings import best_coding
from petition.web.count_stream import CountStreams
from petition.web.headers import common_headers, html_headers
from petition.web.known_heads import CacheRequest, KnownHeads
from petition.web.listeners import Listeners
from petition.web.page_cache import ALL, CachedResponse, Header, KeyHeaders, PageCache, etag_matches
from petition.web.request_counts import LEFT, RequestCounts
from petition.web.turns import TURN, RenderQueue

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Coroutine[Any, Any, None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

EVENTS = "/api/v1/letters/{slug}/events"
CLOSE = (b"connection", b"close")
_PAGE = b"text/html"
SAFE = {"GET", "HEAD", "OPTIONS"}
DESK = "/organizer/"  # where the installation is switched to read-only, and back
# Answered without rendering a page, so they never wait for renders.
NEVER_QUEUED = ("/healthz", "/readyz", "/metrics", "/captcha/", "/static/")
LINKS = {  # the purpose of the token in a mailed link
    "confirm": "signature",
    "signature": "signature",
    "second": "second",
    "reply": "reply",
    "never": "never",
    "preview": "preview",
}
# Likewise, below a letter's address.
LETTER_LINKS = {"unsubscribe": "updates", "answer": "answer", "audit": "audit", "package": "package"}
LINK = re.compile(
    rf"/[a-z]{{2,3}}(?:_[A-Z]{{2}})?/(?:({'|'.join(LINKS)})|[a-z0-9-]{{3,64}}/({'|'.join(LETTER_LINKS)}))"
    r"/([\w.~-]{1,200})(?:/data\.json)?",
    re.ASCII,
)
# Forms that take no name and no text back (a later form of a mailbox does, and says so itself: public.confirming).
# After all others this process drops what it has in its cache, before it answers.
TAKES_NOTHING_BACK = re.compile(r"/(?!organizer/)[^/]+/(?:confirm/[^/]+|[^/]+/(?:sign|form|find|confirm))")
# One-click unsubscribing in mail programs (RFC 8058): such a POST may come from any site, and only stops mail. No path
# of the desk, which has cookies, matches.
CROSS_SITE_ALLOWED = re.compile(r"/[a-z]{2,3}(?:_[A-Z]{2})?/(?:never|[a-z0-9-]{3,64}/unsubscribe)/[^/]+")


class Gateway:
    """Wraps the framework's application."""

    def __init__(
        self,
        app: App,
        settings: Settings,
        pages: PageCache,
        streams: CountStreams,
        css_hash: str,
        notices: InstallationNotices,
        routes: Sequence[BaseRoute] = (),
    ) -> None:
        self._app = app
        self._counts = RequestCounts(routes)
        self.known_heads = KnownHeads()
        self._notices = notices
        self._pages = pages
        self._streams = streams
        self._listeners = Listeners(settings)
        self._origins = frozenset(origin.encode() for origin in settings.origins)
        self._tokens = Tokens(settings.secret_keys)
        self._common = common_headers(settings)
        self._html = html_headers(settings, css_hash)
        self._close_after_page = settings.close_after_page
        self._patience = settings.database_patience
        self._public_queue, self._desk_queue = RenderQueue(), RenderQueue()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass the request on; ``scope["refused"]`` is then the status of the error page to answer with."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = perf_counter()
        host, accept_encoding, if_none_match = _request_headers(scope["headers"])
        self._limit_waiting(scope)
        network = self._listeners.identify(scope, host)
        if network is None or not self._listeners.accepts(scope, host):
            scope["refused"] = 421
        elif scope["method"] in SAFE:
            if (page := self._cached(scope)) is not None:
                status, headers, body = page.select(accept_encoding, if_none_match)
                headers = headers + self._closing(headers)
                await send({"type": "http.response.start", "status": status, "headers": headers})
                await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
                counts = self._counts.of_address(scope["method"], _key(scope))
                self._counts.count_hit(counts, status, perf_counter() - started)
                return
            if self._streams.admit(scope, send):
                self._counts.count_stream(EVENTS)
                return
            if not await self.wait_for_slot(scope["path"], network):
                scope["refused"] = 503
        # The desk's guard refuses the same and more, and counts it as the organizer's (``desk.guard``).
        elif not scope["path"].startswith(DESK) and not self.is_same_origin(scope):
            scope["refused"] = 403
        elif self._notices.read_only is not None and not scope["path"].startswith(DESK):
            scope["refused"] = 503
        else:
            scope[TURN] = partial(self.wait_for_slot, scope["path"], network)
        await self._pass_on(scope, receive, _refreshing(scope, send), started)

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send, started: float) -> None:
        """Have the framework answer; give the request a name, and count it."""
        name = request_ids.of_proxy(scope["headers"]) if self._listeners.is_proxy(scope) else None
        request_ids.current.set(name or request_ids.draw())
        statuses: list[int] = []
        try:
            await self._app(scope, receive, self._adding_headers(scope, send, statuses))
        finally:
            self._counts.count(scope, statuses[0] if statuses else LEFT, perf_counter() - started)

    def _limit_waiting(self, scope: Scope) -> None:
        """Limit how long this request may wait for the database, in each use for a page, in all for a form.

        The desk has long acts: the driver's limit holds for them, and the server's for a lock.
        """
        if not scope["path"].startswith(DESK):
            patience.begin(self._patience, is_total=scope["method"] not in SAFE)

    def cache_request(self, method: bytes, url: bytes, headers: list[Header], *, is_onion: bool) -> CacheRequest | None:
        """Return what a request without a body asks of the cache; None if the application has to answer.

        It answers all targets (``url``, raw) with escapes or a host.
        """
        key = url.decode("latin-1")
        if key not in self._pages.fresh or b"%" in url or (method != b"GET" and method != b"HEAD"):
            return None
        host, accept_encoding, if_none_match = _request_headers(headers)
        if host not in self._listeners.hosts(is_onion=is_onion):
            return None
        counts = self._counts.of_address(method, key)
        return CacheRequest(key, method == b"HEAD", best_coding(accept_encoding), if_none_match, counts)

    def cached_response(self, request: CacheRequest) -> tuple[bytes, bytes] | None:
        """Return the cached response as (status and header lines, body), or None if the application has to answer.

        The bytes are those the application would send.
        """
        started = perf_counter()
        page = self._pages.fresh.get(request.key)
        if page is None or (self._close_after_page and self._closing(page.headers)):
            return None
        if request.if_none_match is not None and etag_matches(page.etag, request.if_none_match):
            self._counts.count_hit(request.counts, 304, perf_counter() - started)
            return page.not_modified_lines, b""
        encoded = page.encoded(request.coding)
        self._counts.count_hit(request.counts, 200, perf_counter() - started)
        return encoded.lines, b"" if request.is_head else encoded.body

    def stop(self) -> None:
        """End the count streams, which would delay a shutdown."""
        self._streams.stop()

    async def wait_for_slot(self, path: str, network: ClientNetwork) -> bool:
        """Wait until a page may be rendered; return False if too many requests wait. The desk has its own queue.

        A mailed link with a valid token is not in one line with pages that anyone may ask for.
        """
        if path.startswith(NEVER_QUEUED):
            return True
        queue = self._desk_queue if path.startswith(DESK) else self._public_queue
        return await queue.wait(network, has_token=self.has_valid_token(path))

    def has_valid_token(self, path: str) -> bool:
        """Return whether a path is that of a mailed link of ours."""
        link = LINK.fullmatch(path)
        if link is None:
            return False
        return self._tokens.is_valid(LINKS[link[1]] if link[1] else LETTER_LINKS[link[2]], link[3])

    def _cached(self, scope: Scope) -> CachedResponse | None:
        if scope["method"] == "OPTIONS" or "?" in scope["path"]:  # an escaped "?" is part of the path, not of the key
            return None
        return self._pages.fresh.get(_key(scope))

    def is_same_origin(self, scope: Scope) -> bool:
        """Return whether an unsafe request comes from our pages, or from no page (public routes use no cookie)."""
        headers = dict(scope["headers"])
        if CROSS_SITE_ALLOWED.fullmatch(scope["path"]):
            return True
        site = headers.get(b"sec-fetch-site")
        if site is not None and site not in {b"same-origin", b"none"}:
            return False
        origin = headers.get(b"origin")
        # Tor Browser hides the origin of onion pages. Scripts cannot set Sec-Fetch-Site, and sandboxed frames, whose
        # origin is "null" too, are cross-site by it.
        return origin is None or origin in self._origins or (origin == b"null" and site == b"same-origin")

    def _adding_headers(self, scope: Scope, send: Send, statuses: list[int]) -> Send:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])
                if message["status"] >= 500 and (number := request_ids.current.get()) is not None:
                    message["headers"] = [*message["headers"], (b"x-request-id", number.encode())]
                message["headers"] = self._add_missing_headers(list(message["headers"]))
                if self._pages.key_headers is not None:
                    _add_keys(message["headers"], self._pages.key_headers, scope)
            await send(message)

        return sending

    def _add_missing_headers(self, headers: list[Header]) -> list[Header]:
        present = {name for name, _ in headers}
        content_type = next((value for name, value in headers if name == b"content-type"), b"")
        defaults = self._html if content_type.startswith(_PAGE) else self._common
        return headers + [header for header in defaults if header[0] not in present] + self._closing(headers)

    def _closing(self, headers: list[Header]) -> list[Header]:
        """Return the header that ends the connection after a page, if the installation is set so."""
        is_page = self._close_after_page and any(
            name == b"content-type" and value.startswith(_PAGE) for name, value in headers
        )
        return [CLOSE] if is_page else []


def _refreshing(scope: Scope, send: Send) -> Send:
    """Return a ``send`` that has the letters and the cache follow an act before it says that it was carried out."""
    if scope["method"] in SAFE or TAKES_NOTHING_BACK.fullmatch(scope["path"]):
        return send

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] < HTTPStatus.BAD_REQUEST:
            with suppress(Unavailable):
                await scope["state"]["services"].letters.refresh_now()
        await send(message)

    return sending


def _key(scope: Scope) -> str:
    """Return the address of a page in the cache."""
    path: str = scope["path"]
    query: bytes = scope["query_string"]
    return f"{path}?{query.decode('latin-1')}" if query else path


def _add_keys(headers: list[Header], key_headers: KeyHeaders, scope: Scope) -> None:
    """Say under which keys a shared cache may be asked to drop a response that it may store."""
    if any(name == b"cache-control" and value.startswith(b"public") for name, value in headers):
        present = {name for name, _ in headers}
        own = key_headers(scope.get("path_params", {}).get("slug", ALL))
        headers += [header for header in own if header[0] not in present]


def _request_headers(headers: list[Header]) -> tuple[bytes | None, bytes | None, bytes | None]:
    """Return (Host, Accept-Encoding, If-None-Match), in one pass."""
    host = accept_encoding = if_none_match = None
    for name, value in headers:
        if name == b"host":
            host = value.lower() if host is None else b""  # RFC 9112, 3.2: more than one is no Host
        elif name == b"accept-encoding":
            accept_encoding = value
        elif name == b"if-none-match":
            if_none_match = value
    return host, accept_encoding, if_none_match
