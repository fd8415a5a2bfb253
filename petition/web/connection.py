"""The HTTP/1.1 connection: uvicorn's protocol with limits on slow and greedy clients, and a fast path for the cache.

uvicorn waits for a request head without limit, so that a few thousand slow connections would exhaust the server. A
reverse proxy protects against that; an installation without one is protected here.

Cached responses are written here in one write, without a task and an ASGI cycle per request: the letter's page and its
count are most of the traffic when a letter is popular.

This is the only module that uses uvicorn's internals. pyproject.toml bounds its version from above, and
tests/web/test_uvicorn_internals.py fails when one of them moves.
"""

import asyncio
import re
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any, ClassVar, Protocol

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from petition.core.client_networks import ONION_NETWORK, ClientNetwork, is_trusted, of_circuit, of_client
from petition.core.settings import Network
from petition.web import proxy_line
from petition.web.listeners import ONION_CLIENT
from petition.web.page_cache import Header

HEAD_TIMEOUT = 20.0  # seconds from a request's first byte (or the connection's start) to the end of its head
_BODY_HEADERS = frozenset((b"content-length", b"transfer-encoding", b"expect"))
MAX_PER_NETWORK = 500  # open at once from one IPv4 address or IPv6 /64: mobile carriers have thousands behind one

_ABSOLUTE_FORM = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*://([^/?#]*)")


class CachedReply(Protocol):
    """Return (status and header lines, body), or None if the application has to answer."""

    def __call__(
        self, method: bytes, url: bytes, headers: list[Header], *, is_onion: bool
    ) -> tuple[bytes, bytes] | None: ...


class GuardedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with a timeout for heads and a limit per network, from which ``trusted`` proxies are exempt.

    An application with a method ``cached_response`` (``CachedReply``) is asked first.
    """

    # Beside the parent's dictionary, which would grow by half a kilobyte for each of thousands of listeners.
    __slots__ = ("_beginning", "_head_timer", "_is_answered", "_network", "_onion_client")

    trusted: ClassVar[Sequence[Network]] = ()
    onion_port: ClassVar[int | None] = None  # Tor's listener
    _open_connections: ClassVar[Counter[str]] = Counter()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Count the connection and start the head's timer, or abort it if its network has too many."""
        super().connection_made(transport)
        self._head_timer: asyncio.TimerHandle | None = None
        self._beginning: bytes | None = None  # on Tor's listener, until it is known whether Tor wrote a line there
        self._onion_client: ClientNetwork | None = None
        peer = self.client[0] if self.client else None
        self._network = None if peer is None or is_trusted(peer, self.trusted) else of_client(peer, (), ()).narrowest
        if self._network is not None:
            self._open_connections[self._network] += 1
            if self._open_connections[self._network] > MAX_PER_NETWORK:
                transport.abort()
                return
        self._start_timer()
        if self.onion_port is not None:
            self._choose_listener()

    def _choose_listener(self) -> None:
        """Note whether this is Tor's listener, by the socket's own address, which no client can write."""
        if self.server is not None and self.server[1] != self.onion_port:
            return
        self._beginning, self._onion_client = b"", ONION_NETWORK
        # Tor's daemon is on this machine, or next to it. On the open net the port would be a door past all limits.
        if self.server is None or self.client is None or of_client(self.client[0], (), ()).is_public:
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_timer()
        if self._network is not None:
            self._open_connections[self._network] -= 1
            if self._open_connections[self._network] <= 0:
                del self._open_connections[self._network]
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Start the timer at the first byte after a response; on Tor's listener, take its line from the beginning."""
        if self._beginning is not None:
            data = self._after_proxy_line(self._beginning + data)
            if not data:
                return
        cycle: RequestResponseCycle | None = self.cycle  # none before the first request
        if self._head_timer is None and (cycle is None or cycle.response_complete):
            self._start_timer()
        super().data_received(data)

    def _after_proxy_line(self, data: bytes) -> bytes:
        """Return what follows Tor's line, and note its circuit; nothing while the line is not complete."""
        try:
            parsed = proxy_line.parse(data)
        except proxy_line.BrokenLine:
            self.transport.abort()
            return b""
        if parsed is None:
            self._beginning = data
            return b""
        self._beginning, (circuit, rest) = None, parsed
        if circuit is not None:
            self._onion_client = of_circuit(circuit)
        return rest

    def on_message_begin(self) -> None:
        """Start the timer for a pipelined head; say by which listener the request came."""
        if self._head_timer is None:
            self._start_timer()
        super().on_message_begin()
        if self._onion_client is not None:
            self.scope[ONION_CLIENT] = self._onion_client  # type: ignore[literal-required]

    def on_headers_complete(self) -> None:
        """Write the cached reply if there is one; hand everything else to the application."""
        self._cancel_timer()
        if self.url[:1] != b"/":
            self._take_host_of_target()
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

    def _take_host_of_target(self) -> None:
        """Replace ``Host`` by that of a target in absolute form, which overrides it (RFC 9112, 3.2.2)."""
        match = _ABSOLUTE_FORM.match(self.url)
        if match is not None:
            self.headers[:] = [header for header in self.headers if header[0] != b"host"] + [(b"host", match[1])]

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
        return cached_response(
            self.parser.get_method(), self.url, self.headers, is_onion=self._onion_client is not None
        )

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
