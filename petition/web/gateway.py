"""The door, in front of the framework: which Host, whose POST, and the pages that are answered from memory.

Raw ASGI, because a kept page costs less than half the time this way, and because nothing behind the door should have
to ask again whether a request is meant for us.
"""

import re
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from typing import Any

from petition.core.client_networks import of_scope
from petition.core.settings import Settings
from petition.letters.switches import InstallationNotices
from petition.web.count_stream import CountStreams
from petition.web.headers import common_headers, html_headers
from petition.web.page_cache import CachedResponse, Header, PageCache, accepts_gzip, etag_matches
from petition.web.throttle import RenderQueue

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Coroutine[Any, Any, None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

SAFE = {"GET", "HEAD", "OPTIONS"}
DESK = "/organizer/"  # where the installation is switched to read-only, and back
# Answered without a page being made, so nobody who asks for one keeps these waiting.
NEVER_QUEUED = ("/healthz", "/readyz", "/metrics", "/captcha/", "/static/")
# One click in a mail program unsubscribes (RFC 8058): such a POST comes from anywhere, and only ever stops mail.
# Nothing of the desk, where there are cookies, looks like this.
CROSS_SITE_ALLOWED = re.compile(r"/[a-z]{2,3}(?:_[A-Z]{2})?/never/[^/]+")


class Gateway:
    """Wraps the framework's application."""

    def __init__(
        self,
        app: App,
        settings: Settings,
        pages: PageCache,
        streams: CountStreams,
        css_hash: str,
        posted: InstallationNotices | None = None,
    ) -> None:
        self._app = app
        self._posted = posted or InstallationNotices()
        self._pages = pages
        self._streams = streams
        self._settings = settings
        self._hosts = allowed_hosts(settings)
        self._origins = allowed_origins(settings)
        self._common = common_headers(settings)
        self._html = html_headers(settings, css_hash)
        self._readers, self._organizers = RenderQueue(), RenderQueue()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or hand on with ``scope["refused"]`` set to the status that the framework's error page should say."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        host, accepts, match = _request_headers(scope["headers"])
        if host not in self._hosts:
            scope["refused"] = 421
        elif scope["method"] in SAFE:
            if (kept := self._cached(scope)) is not None:
                await _send(kept, scope["method"] == "HEAD", accepts, match, send)
                return
            if (listener := self._streams.admit(scope, send)) is not None:
                await self._streams.serve(listener, receive)
                return
            if not await self.wait_for_slot(scope):
                scope["refused"] = 503
        elif not self.is_same_origin(scope):
            scope["refused"] = 403
        elif self._posted.read_only is not None and not scope["path"].startswith(DESK):
            scope["refused"] = 503
        await self._app(scope, receive, self._adding_headers(send))

    def cached_response(self, method: bytes, url: bytes, headers: list[Header]) -> tuple[bytes, bytes] | None:
        """Return the kept answer to a whole request without a body, as (status and header lines, body), or None.

        The same as this application would send. ``url`` is the request's target as it came: one that says it in
        another way (escapes, a host) is not found here, but behind.
        """
        kept = self._pages.fresh.get(url.decode("latin-1"))
        if kept is None or b"%" in url or (method != b"GET" and method != b"HEAD"):
            return None
        host, accepts, match = _request_headers(headers)
        if host not in self._hosts:
            return None
        if match is not None and etag_matches(kept.etag, match):
            return kept.not_modified_lines, b""
        small = accepts is not None and accepts_gzip(accepts)
        lines, body = (kept.gzip_lines, kept.gzipped) if small else (kept.plain_lines, kept.plain)
        return lines, b"" if method == b"HEAD" else body

    def stop(self) -> None:
        """End what would go on for as long as a visitor likes."""
        self._streams.stop()

    async def wait_for_slot(self, scope: Scope) -> bool:
        """Wait until it is one's turn to have a page made; return False if too many wait. The desk waits by itself."""
        path: str = scope["path"]
        if path.startswith(NEVER_QUEUED):
            return True
        turns = self._organizers if path.startswith(DESK) else self._readers
        return await turns.wait(of_scope(scope, self._settings))

    def _cached(self, scope: Scope) -> CachedResponse | None:
        path, query = scope["path"], scope["query_string"]
        if scope["method"] == "OPTIONS" or "?" in path:  # an escaped one belongs to the path, not to the key's query
            return None
        return self._pages.fresh.get(f"{path}?{query.decode('latin-1')}" if query else path)

    def is_same_origin(self, scope: Scope) -> bool:
        """Tell whether an unsafe request comes from a page of ours, or from no page at all (no cookie is at stake)."""
        headers = dict(scope["headers"])
        if CROSS_SITE_ALLOWED.fullmatch(scope["path"]):
            return True
        site = headers.get(b"sec-fetch-site")
        if site is not None and site not in {b"same-origin", b"none"}:
            return False
        origin = headers.get(b"origin")
        return origin is None or origin in self._origins

    def _adding_headers(self, send: Send) -> Send:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = self._add_missing_headers(list(message["headers"]))
            await send(message)

        return sending

    def _add_missing_headers(self, headers: list[Header]) -> list[Header]:
        present = {name for name, _ in headers}
        kind = next((value for name, value in headers if name == b"content-type"), b"")
        wanted = self._html if kind.startswith(b"text/html") else self._common
        headers += [header for header in wanted if header[0] not in present]
        return headers


def _request_headers(headers: list[Header]) -> tuple[bytes | None, bytes | None, bytes | None]:
    """Return (Host, Accept-Encoding, If-None-Match), in one pass."""
    host = accepts = match = None
    for name, value in headers:
        if name == b"host":
            host = value.lower()
        elif name == b"accept-encoding":
            accepts = value
        elif name == b"if-none-match":
            match = value
    return host, accepts, match


async def _send(kept: CachedResponse, head: bool, accepts: bytes | None, match: bytes | None, send: Send) -> None:
    if match is not None and etag_matches(kept.etag, match):
        status, headers, body = 304, kept.not_modified_headers, b""
    elif accepts is not None and accepts_gzip(accepts):
        status, headers, body = 200, kept.gzip_headers, kept.gzipped
    else:
        status, headers, body = 200, kept.plain_headers, kept.plain
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head else body})


def allowed_hosts(settings: Settings) -> frozenset[bytes]:
    """Return the values of ``Host`` that are ours; some programs name the usual port too."""
    hosts = set()
    for origin in allowed_origins(settings):
        scheme, _, host = origin.partition(b"://")
        hosts |= {host} if re.search(rb":[0-9]+$", host) else {host, host + (b":443" if scheme == b"https" else b":80")}
    return frozenset(hosts)


def allowed_origins(settings: Settings) -> frozenset[bytes]:
    """Return the values of ``Origin`` that are ours."""
    return frozenset(origin.encode() for origin in settings.origins)
