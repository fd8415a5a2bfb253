"""The door, in front of the framework: which Host, whose POST, and the pages that are answered from memory.

Raw ASGI, because a kept page costs less than half the time this way, and because nothing behind the door should have
to ask again whether a request is meant for us.
"""

import re
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from typing import Any

from petition.core.client_networks import of_scope
from petition.core.settings import Settings
from petition.letters.switches import Posted
from petition.web.count_stream import Streams
from petition.web.http import common_headers, html_headers
from petition.web.page_cache import Header, Kept, Pages, is_known, takes_gzip
from petition.web.throttle import Turns

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Coroutine[Any, Any, None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

SAFE = {"GET", "HEAD", "OPTIONS"}
DESK = "/organizer/"  # where the installation is switched to read-only, and back
# Answered without a page being made, so nobody who asks for one keeps these waiting.
SWIFT = ("/healthz", "/readyz", "/metrics", "/captcha/", "/static/")
# One click in a mail program unsubscribes (RFC 8058): such a POST comes from anywhere, and only ever stops mail.
# Nothing of the desk, where there are cookies, looks like this.
OPEN_TO_ALL = re.compile(r"/[a-z]{2,3}(?:_[A-Z]{2})?/never/[^/]+")


class Front:
    """Wraps the framework's application."""

    def __init__(
        self, app: App, settings: Settings, pages: Pages, streams: Streams, css_hash: str, posted: Posted | None = None
    ) -> None:
        self._app = app
        self._posted = posted or Posted()
        self._pages = pages
        self._streams = streams
        self._settings = settings
        self._hosts = allowed_hosts(settings)
        self._origins = allowed_origins(settings)
        self._common = common_headers(settings)
        self._html = html_headers(settings, css_hash)
        self._readers, self._organizers = Turns(), Turns()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or hand on with ``scope["refused"]`` set to the status that the framework's error page should say."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        host, accepts, match = _looked_at(scope["headers"])
        if host not in self._hosts:
            scope["refused"] = 421
        elif scope["method"] in SAFE:
            if (kept := self._kept(scope)) is not None:
                await _send(kept, scope["method"] == "HEAD", accepts, match, send)
                return
            if (listener := self._streams.seat(scope, send)) is not None:
                await self._streams.serve(listener, receive)
                return
            if not await self._turn(scope):
                scope["refused"] = 503
        elif not self._is_ours(scope):
            scope["refused"] = 403
        elif self._posted.read_only is not None and not scope["path"].startswith(DESK):
            scope["refused"] = 503
        await self._app(scope, receive, self._with_headers(send))

    def at_once(self, method: bytes, url: bytes, headers: list[Header]) -> tuple[bytes, bytes] | None:
        """Return the kept answer to a whole request without a body, as (status and header lines, body), or None.

        The same as this application would send. ``url`` is the request's target as it came: one that says it in
        another way (escapes, a host) is not found here, but behind.
        """
        kept = self._pages.fresh.get(url.decode("latin-1"))
        if kept is None or b"%" in url or (method != b"GET" and method != b"HEAD"):
            return None
        host, accepts, match = _looked_at(headers)
        if host not in self._hosts:
            return None
        if match is not None and is_known(kept.etag, match):
            return kept.unchanged_lines, b""
        small = accepts is not None and takes_gzip(accepts)
        lines, body = (kept.small_lines, kept.small) if small else (kept.plain_lines, kept.plain)
        return lines, b"" if method == b"HEAD" else body

    def stop(self) -> None:
        """End what would go on for as long as a visitor likes."""
        self._streams.stop()

    async def _turn(self, scope: Scope) -> bool:
        """Wait until it is one's turn to have a page made; return False if too many wait. The desk waits by itself."""
        path: str = scope["path"]
        if path.startswith(SWIFT):
            return True
        turns = self._organizers if path.startswith(DESK) else self._readers
        return await turns.wait(of_scope(scope, self._settings))

    def _kept(self, scope: Scope) -> Kept | None:
        path, query = scope["path"], scope["query_string"]
        if scope["method"] == "OPTIONS" or "?" in path:  # an escaped one belongs to the path, not to the key's query
            return None
        return self._pages.fresh.get(f"{path}?{query.decode('latin-1')}" if query else path)

    def _is_ours(self, scope: Scope) -> bool:
        """Tell whether an unsafe request comes from a page of ours, or from no page at all (no cookie is at stake)."""
        headers = dict(scope["headers"])
        if OPEN_TO_ALL.fullmatch(scope["path"]):
            return True
        site = headers.get(b"sec-fetch-site")
        if site is not None and site not in {b"same-origin", b"none"}:
            return False
        origin = headers.get(b"origin")
        return origin is None or origin in self._origins

    def _with_headers(self, send: Send) -> Send:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = self._complete(list(message["headers"]))
            await send(message)

        return sending

    def _complete(self, headers: list[Header]) -> list[Header]:
        present = {name for name, _ in headers}
        kind = next((value for name, value in headers if name == b"content-type"), b"")
        wanted = self._html if kind.startswith(b"text/html") else self._common
        headers += [header for header in wanted if header[0] not in present]
        return headers


def _looked_at(headers: list[Header]) -> tuple[bytes | None, bytes | None, bytes | None]:
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


async def _send(kept: Kept, head: bool, accepts: bytes | None, match: bytes | None, send: Send) -> None:
    if match is not None and is_known(kept.etag, match):
        status, headers, body = 304, kept.unchanged_headers, b""
    elif accepts is not None and takes_gzip(accepts):
        status, headers, body = 200, kept.small_headers, kept.small
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
