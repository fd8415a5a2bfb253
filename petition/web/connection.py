"""Connections as they may be used: a request's head has to arrive in time, and one address cannot take them all.

uvicorn waits for a head as long as it takes: a few thousand connections that send a letter now and then would keep
everybody out. A proxy in front guards against that; whoever runs without one is guarded here.

What is kept as bytes is answered right here, in one write, without a task and an ASGI cycle for each request: the page
and the count are what everybody asks for when the whole country does.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from typing import ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from petition.core.client_networks import is_trusted, of_client
from petition.core.settings import Network
from petition.web.page_cache import Header

HEAD_TIMEOUT = 20.0  # seconds from a request's first byte (or the connection's beginning) to the end of its head
_BODY_HEADERS = frozenset((b"content-length", b"transfer-encoding", b"expect"))
MAX_PER_NETWORK = 500  # open at once from one IPv4 address or IPv6 /64: mobile carriers have thousands behind one


# (method, target, headers) → (status and header lines, body), or None if the application has to be asked in full
CachedReply = Callable[[bytes, bytes, list[Header]], tuple[bytes, bytes] | None]


class GuardedProtocol(HttpToolsProtocol):
    """uvicorn's protocol, less patient. ``trusted`` are the proxies, which bring everybody's requests.

    An application with a method ``cached_response`` (``CachedReply``) is asked first.
    """

    # Beside the parent's dictionary, which would grow by half a kilobyte for each of thousands of listeners.
    __slots__ = ("_answered", "_network", "_waiting")

    trusted: ClassVar[Sequence[Network]] = ()
    _open: ClassVar[Counter[str]] = Counter()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Count the connection, or close it at once; begin to wait for a head."""
        super().connection_made(transport)
        self._waiting: asyncio.TimerHandle | None = None
        peer = self.client[0] if self.client else None
        self._network = None if peer is None or is_trusted(peer, self.trusted) else of_client(peer, (), ())
        if self._network is not None:
            GuardedProtocol._open[self._network] += 1
            if GuardedProtocol._open[self._network] > MAX_PER_NETWORK:
                transport.abort()
                return
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._cancel_timer()
        if self._network is not None:
            GuardedProtocol._open[self._network] -= 1
            if GuardedProtocol._open[self._network] <= 0:
                del GuardedProtocol._open[self._network]
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Begin to wait with the first byte after an answer, whatever it is."""
        cycle: RequestResponseCycle | None = self.cycle  # none before the first request
        if self._waiting is None and (cycle is None or cycle.response_complete):
            self._start_timer()
        super().data_received(data)

    def on_message_begin(self) -> None:
        """Begin to wait for a head that comes behind another request."""
        if self._waiting is None:
            self._start_timer()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Have the head: answer what is ready, have the application asked for all else."""
        self._cancel_timer()
        ready = self.cached_reply() if self.can_use_fast_path() else None
        self._answered = ready is not None
        if ready is None:
            self._unset_keepalive_if_required()  # set if the request right before was answered here
            super().on_headers_complete()
            return
        lines, body = ready
        dated = [b"%b: %b\r\n" % header for header in self.server_state.default_headers]
        self.transport.write(b"".join((lines, *dated, b"\r\n", body)))
        self.on_response_complete()

    def on_message_complete(self) -> None:
        """Let the application know, if it was asked."""
        if not self._answered:
            super().on_message_complete()

    def can_use_fast_path(self) -> bool:
        """Tell whether a request stands for itself: nothing before it is unanswered, nothing comes behind its head.

        Whoever does not read what was sent before waits in the application's line, and so does whoever wants the
        connection closed or turned into something else.
        """
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
        self._waiting = self.loop.call_later(HEAD_TIMEOUT, self._abort_slow_client)

    def _cancel_timer(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _abort_slow_client(self) -> None:
        """Close; an answer that is still on its way to somebody with a half-sent next request goes with it."""
        self._waiting = None
        if not self.transport.is_closing():
            self.transport.abort()
