"""The HTTP/1.1 connection: uvicorn's protocol with limits on slow and greedy clients, and a fast path for the cache.

uvicorn waits for a request head without limit, so that a few thousand slow connections would exhaust the server. A
reverse proxy protects against that; an installation without one is protected here.

Cached responses are written here in one write, without a task and an ASGI cycle per request: the letter's page and its
count are most of the traffic when a letter is popular.

This is the only module that uses uvicorn's internals. pyproject.toml bounds its version from above, and
tests/web/test_uvicorn_internals.py fails when one of them moves.
"""

import asyncio
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from petition.core.client_networks import is_trusted, of_client
from petition.core.settings import Network
from petition.web.page_cache import Header

HEAD_TIMEOUT = 20.0  # seconds from a request's first byte (or the connection's start) to the end of its head
_BODY_HEADERS = frozenset((b"content-length", b"transfer-encoding", b"expect"))
MAX_PER_NETWORK = 500  # open at once from one IPv4 address or IPv6 /64: mobile carriers have thousands behind one

# (method, target, headers) → (status and header lines, body), or None if the application has to answer
CachedReply = Callable[[bytes, bytes, list[Header]], tuple[bytes, bytes] | None]


class GuardedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with a timeout for heads and a limit per network, from which ``trusted`` proxies are exempt.

    An application with a method ``cached_response`` (``CachedReply``) is asked first.
    """

    # Beside the parent's dictionary, which would grow by half a kilobyte for each of thousands of listeners.
    __slots__ = ("_head_timer", "_is_answered", "_network")

    trusted: ClassVar[Sequence[Network]] = ()
    _open_connections: ClassVar[Counter[str]] = Counter()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Count the connection and start the head's timer, or abort it if its network has too many."""
        super().connection_made(transport)
        self._head_timer: asyncio.TimerHandle | None = None
        peer = self.client[0] if self.client else None
        self._network = None if peer is None or is_trusted(peer, self.trusted) else of_client(peer, (), ()).narrowest
        if self._network is not None:
            self._open_connections[self._network] += 1
            if self._open_connections[self._network] > MAX_PER_NETWORK:
                transport.abort()
                return
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_timer()
        if self._network is not None:
            self._open_connections[self._network] -= 1
            if self._open_connections[self._network] <= 0:
                del self._open_connections[self._network]
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Start the timer at the first byte after a response."""
        cycle: RequestResponseCycle | None = self.cycle  # none before the first request
        if self._head_timer is None and (cycle is None or cycle.response_complete):
            self._start_timer()
        super().data_received(data)

    def on_message_begin(self) -> None:
        """Start the timer for a pipelined head."""
        if self._head_timer is None:
            self._start_timer()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Write the cached reply if there is one; hand everything else to the application."""
        self._cancel_timer()
        reply = self.cached_reply() if self.can_use_fast_path() else None
        self._is_answered = reply is not None
        if reply is None:
            self._unset_keepalive_if_required()  # set if the request right before was answered here
            super().on_headers_complete()
            return
        lines, body = reply
        default_lines = [b"%b: %b\r\n" % header for header in self.server_state.default_headers]
        self.transport.write(b"".join((lines, *default_lines, b"\r\n", body)))
        self.on_response_complete()

    def on_message_complete(self) -> None:
        if not self._is_answered:
            super().on_message_complete()

    def can_use_fast_path(self) -> bool:
        """True for HTTP/1.1 keep-alive without body, upgrade, unanswered earlier request or backpressure."""
        cycle: RequestResponseCycle | None = self.cycle
        if (cycle is not None and not cycle.response_complete) or self.flow.write_paused:
            return False
        parser = self.parser
        if parser.get_http_version() != "1.1" or not parser.should_keep_alive() or parser.should_upgrade():
            return False
        return not any(name in _BODY_HEADERS for name, _ in self.headers)

    def cached_reply(self) -> tuple[bytes, bytes] | None:
        cached_response: CachedReply | None = getattr(self.app, "cached_response", None)
        if cached_response is None or self.transport.is_closing():
            return None
        if self.limit_concurrency is not None and len(self.connections) >= self.limit_concurrency:
            return None
        return cached_response(self.parser.get_method(), self.url, self.headers)

    def _start_timer(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_TIMEOUT, self._abort_slow_client)

    def _cancel_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _abort_slow_client(self) -> None:
        """Abort the connection, and with it a response still being sent to a client with a half-sent next request."""
        self._head_timer = None
        if not self.transport.is_closing():
            self.transport.abort()


def disable_chunking(send: object) -> None:
    """Have uvicorn send the body of an HTTP/1.0 response unframed, and close the connection at its end.

    HTTP/1.0 has no chunks (RFC 9112, 6.1), and some proxies use it by default, nginx for one. Call it before the
    response starts; another server's ``send`` is left alone.
    """
    cycle: Any = getattr(send, "__self__", None)
    if isinstance(cycle, RequestResponseCycle):
        cycle.chunked_encoding, cycle.expected_content_length, cycle.keep_alive = False, sys.maxsize, False


def abort(send: object) -> bool:
    """Abort the connection behind ``send`` with what is still in its buffer; False if the server is another one."""
    cycle = getattr(send, "__self__", None)
    if not isinstance(cycle, RequestResponseCycle):
        return False
    cycle.transport.abort()
    return True
