"""The HTTP/1.1 connection: uvicorn's protocol with bounds on what a client may hold, and a fast path for the cache.

uvicorn waits for a request head without limit of time or size, and for a reader for ever. A reverse proxy protects
against that; an installation without one is protected here, and so is the Onion service, which never has one. The
bounds and their reasons are in docs/decisions/overload.md.

Cached responses are written here in one write, without a task and an ASGI cycle per request: the letter's page and its
count are most of the traffic when a letter is popular.

Only this module and uvicorn_responses use uvicorn's internals. pyproject.toml bounds its version from above, and
tests/web/test_uvicorn_internals.py fails when one of them moves.
"""

import asyncio
import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, ClassVar

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from petition.core import metrics
from petition.core.client_networks import ONION_NETWORK, ClientNetwork, is_in, of_circuit, of_client, prefixes_of_peer
from petition.core.settings import Network
from petition.web import proxy_line
from petition.web.connection_limits import OpenConnections
from petition.web.listeners import ONION_CLIENT
from petition.web.page_cache import CachedReply, Header
from petition.web.request_bounds import MAX_LINES, HeadRefused, PipelineFull, Trailers, check_chunks, refusal
from petition.web.slow_clients import WRITE_BUFFER, BodyWatch, ReaderWatch

HEAD_TIMEOUT = 20.0  # seconds from a request's first byte (or the connection's start) to the end of its head
MAX_HEAD = 16 * 1024  # bytes of a head, and of what lies between the pieces of a body
MAX_PIPELINED = 16  # requests that wait for the response to an earlier one
LINGER = 2.0  # seconds in which a client that still sends can read that it was refused
MAX_LINGER = 1024 * 1024  # bytes that it may send in this time
_BODY_HEADERS = frozenset((b"content-length", b"transfer-encoding", b"expect"))

_ABSOLUTE_FORM = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*://([^/?#]*)")


class GuardedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with bounds in time and size. ``trusted`` proxies may have any number of connections.

    An application with a method ``cached_response`` (``CachedReply``) is asked first.
    """

    # Beside the parent's dictionary, which would grow by half a kilobyte for each of thousands of listeners.
    __slots__ = (
        "_beginning",
        "_body_watch",
        "_chunks",
        "_fed_at_begin",
        "_feeds",
        "_framing",
        "_head_timer",
        "_in_body",
        "_is_answered",
        "_is_deaf",
        "_onion_client",
        "_reader_watch",
        "_running",
        "prefixes",
        "received",
    )

    trusted: ClassVar[Sequence[Network]] = ()
    onion_port: ClassVar[int | None] = None  # Tor's listener
    open_connections: ClassVar[OpenConnections] = OpenConnections()
    is_draining: ClassVar[bool] = False  # the server is about to end: each response is the last one of its connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Count the connection, at the cost of another one if there are too many, and start the head's timer."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(WRITE_BUFFER)
        self._head_timer: asyncio.TimerHandle | None = None
        self._beginning: bytes | None = None  # on Tor's listener, until it is known whether Tor wrote a line there
        self._onion_client: ClientNetwork | None = None
        self._body_watch: BodyWatch | None = None
        self._reader_watch: ReaderWatch | None = None
        self._running: RequestResponseCycle | None = None
        self._is_answered = self._is_deaf = self._in_body = False
        self._framing = self._feeds = self._fed_at_begin = self._chunks = self.received = 0
        self.prefixes = prefixes_of_peer(self.client[0], tuple(self.trusted)) if self.client else ()
        self.open_connections.add(self)
        if (own := transport.get_extra_info("socket")) is not None:
            self.open_connections.spare_files(own.fileno())
        metrics.CONNECTIONS.set(len(self.open_connections))
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
        self._end_body()
        self.resume_writing()
        self.open_connections.discard(self)
        metrics.CONNECTIONS.set(len(self.open_connections))
        # Of several requests, the parent notifies the last one only.
        for cycle in (self._running, *(cycle for cycle, _ in self.pipeline)):
            if cycle is not None and not cycle.response_complete:
                cycle.disconnected = True
                cycle.message_event.set()
        self._running = None
        self.pipeline.clear()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feed the parser, in pieces that are no longer than a head may be."""
        if self._is_deaf:
            self._pass_over(data)
            return
        if self._beginning is not None:
            data = self._after_proxy_line(self._beginning + data)
            if not data:
                return
        self._unset_keepalive_if_required()
        if self._head_timer is None:
            cycle: RequestResponseCycle | None = self.cycle  # none before the first request
            if cycle is None or cycle.response_complete:
                self._start_timer()
        self._framing += len(data)
        if self._framing <= MAX_HEAD:
            self._feed(data)
        else:
            self._framing -= len(data)
            self._feed_in_pieces(memoryview(data))
        if self._in_body and self._body_watch is None:
            self._body_watch = BodyWatch(self)
            self.open_connections.add_unfinished(self)

    def _feed_in_pieces(self, data: memoryview) -> None:
        while data and not self._is_deaf and not self.transport.is_closing():
            room = MAX_HEAD - self._framing
            if room <= 0:
                self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
                return
            piece, data = data[:room], data[room:]
            self._framing += len(piece)
            self._feed(piece)

    def _feed(self, data: bytes | memoryview) -> None:
        self._feeds += 1
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:  # to a protocol that is not spoken here; what follows may be in it
            self._finish()
        except httptools.HttpParserError as error:
            self._handle(error)
        else:
            # A head that goes on: its lines take many times their length in memory.
            headers: list[Header] | None = self.headers  # none before the first request
            if self._head_timer is not None and headers is not None and len(headers) > MAX_LINES:
                self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def _handle(self, error: httptools.HttpParserError) -> None:
        cause = error.__context__
        if isinstance(cause, PipelineFull):
            self._finish()
        elif isinstance(cause, HeadRefused):
            self._refuse(cause.status)
        else:
            if not isinstance(cause, httptools.HttpParserError | UnicodeError | None):
                self.logger.error("A request could not be handled", exc_info=cause)
            self._refuse(HTTPStatus.BAD_REQUEST)

    def _finish(self) -> None:
        """Read nothing more; close the connection after the last response."""
        cycle: RequestResponseCycle | None = self.cycle
        self._is_deaf, self._framing = True, 0
        self._cancel_timer()
        if cycle is None or cycle.response_complete:
            self._close()
        else:
            cycle.keep_alive = False

    def _refuse(self, status: HTTPStatus) -> None:
        """Answer with an error and close, after the responses to earlier requests."""
        if self.transport.is_closing():
            return
        cycle, running = self.cycle, self._running
        is_idle = running is None or running.response_complete
        if self._in_body and cycle is running and not cycle.response_started:
            cycle.disconnected = True  # for the application, which waits for the body
            cycle.message_event.set()
        elif self._in_body:  # of a request that is answered, or waits
            self.transport.abort()
            return
        elif not is_idle:
            self._finish()
            return
        self._write_refusal(status)

    def _write_refusal(self, status: HTTPStatus) -> None:
        metrics.CONNECTIONS_CLOSED.labels(f"refused_{status.value}").inc()
        self.transport.write(refusal(status, self.server_state.default_headers))
        # If it closed at once, the kernel would reset the connection because of what was not read, and the client would
        # not see the answer.
        self._is_deaf, self._framing = True, 0
        self._end_body()
        self._cancel_timer()
        self.transport.write_eof()
        self._head_timer = self.loop.call_later(LINGER, self._abort_slow_client)

    def _pass_over(self, data: bytes) -> None:
        self._framing += len(data)
        if self._framing > MAX_LINGER:
            self.transport.abort()

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
            self.open_connections.discard(self)
            self.prefixes = (self._onion_client.narrowest,)
            self.open_connections.add(self)
        return rest

    def on_message_begin(self) -> None:
        """Start the timer for a pipelined head; say by which listener it came. Raises ``PipelineFull``."""
        if len(self.pipeline) >= MAX_PIPELINED:
            raise PipelineFull
        self._fed_at_begin = self._feeds
        if self._head_timer is None:
            self._start_timer()
        super().on_message_begin()
        if self._onion_client is not None:
            self.scope[ONION_CLIENT] = self._onion_client  # type: ignore[literal-required]

    def on_headers_complete(self) -> None:
        """Write the cached reply if there is one; hand everything else to the application."""
        self._framing = 0
        if len(self.headers) > MAX_LINES or (self._fed_at_begin != self._feeds and self._head_size() > MAX_HEAD):
            raise HeadRefused(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        self._cancel_timer()
        if self.url[:1] != b"/":
            self._take_host_of_target()
        has_body = any(name in _BODY_HEADERS for name, _ in self.headers)
        reply = self.cached_reply() if not has_body and self.can_use_fast_path() else None
        self._is_answered = reply is not None
        if reply is None:
            self._unset_keepalive_if_required()  # set if the request right before was answered here
            super().on_headers_complete()
            if has_body:
                self._in_body, self._chunks, self.received = True, 0, 0
                self.headers = Trailers()
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

    def on_chunk_header(self) -> None:
        """Count a piece of a body. Raises ``HeadRefused``."""
        self._chunks += 1
        check_chunks(self._chunks, self.received)

    def on_body(self, body: bytes) -> None:
        self._framing = 0
        self.received += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._framing = 0
        if not self._is_answered:
            self._end_body()
            super().on_message_complete()

    def _head_size(self) -> int:
        """Return the size of the head, without what may be left out of it."""
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def can_use_fast_path(self) -> bool:
        """True for HTTP/1.1 keep-alive without upgrade, unanswered earlier request or backpressure."""
        cycle: RequestResponseCycle | None = self.cycle
        if (cycle is not None and not cycle.response_complete) or self.flow.write_paused or self.is_draining:
            return False
        parser = self.parser
        return parser.get_http_version() == "1.1" and parser.should_keep_alive() and not parser.should_upgrade()

    def is_of_proxy(self) -> bool:
        """Return whether it was a trusted proxy that connected."""
        return self.client is not None and is_in(self.client[0], tuple(self.trusted))

    def cached_reply(self) -> tuple[bytes, bytes] | None:
        cached_response: CachedReply | None = getattr(self.app, "cached_response", None)
        if cached_response is None or self.transport.is_closing():
            return None
        return cached_response(
            self.parser.get_method(), self.url, self.headers, is_onion=self._onion_client is not None
        )

    # A response that lasts

    def hand_over(self, successor: asyncio.Protocol) -> asyncio.Transport | None:
        """Give the connection to another protocol, for the response to the request that is being answered.

        Return None if it is being closed. Otherwise this object must not be used any more: it lets go of all it holds,
        also of what holds it, so that it is freed at once and not by the garbage collector.
        """
        transport, cycle = self.transport, self._running
        if cycle is None or transport.is_closing():
            return None
        self._cancel_timer()
        self._end_body()
        self._unset_keepalive_if_required()
        self.resume_writing()
        self.open_connections.discard(self)
        self.connections.discard(self)
        self.pipeline.clear()
        self.flow.resume_reading()
        transport.set_protocol(successor)
        cycle.disconnected = cycle.response_complete = True  # for the server: nothing is to be sent
        self.parser = self.cycle = self._running = None  # type: ignore[assignment]
        return transport

    # The body: how fast it arrives

    def _end_body(self) -> None:
        self._in_body = False
        if self._body_watch is not None:
            self._body_watch.stop()
            self._body_watch = None
            self.open_connections.discard_unfinished(self)

    def is_body_held_up(self) -> bool:
        """Return whether the body is not read, or the client waits for a word to send it."""
        cycle = self.cycle
        return self.flow.read_paused or (cycle.waiting_for_100_continue and not cycle.response_complete)

    # The response: whether it is read

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_reader()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._reader_watch is not None:
            self._reader_watch.stop()
            self._reader_watch = None
            self.open_connections.discard_unread(self)

    def _watch_reader(self) -> None:
        if self._reader_watch is None:
            self._reader_watch = ReaderWatch(self.transport, self.loop)
            self.open_connections.add_unread(self)

    def on_response_complete(self) -> None:
        """Close a connection that has ended, and be it that the client does not read the rest."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._close()

    def timeout_keep_alive_handler(self) -> None:
        self._close()

    def _close(self) -> None:
        """Close as soon as the client has read what was written, or does not go on reading."""
        self.transport.close()
        if self.transport.get_write_buffer_size():
            self._watch_reader()

    # Too many connections

    def idle_since(self) -> float | None:
        """Return since when there has been no request to answer; None if there is one."""
        if self._running is not None and not self._running.response_complete:
            return None
        if self._head_timer is not None:
            return self._head_timer.when() - HEAD_TIMEOUT
        if self.timeout_keep_alive_task is not None:
            return self.timeout_keep_alive_task.when() - self.timeout_keep_alive
        return 0.0  # it is being closed, or the rest of a body is passed over

    def evict(self) -> None:
        self.transport.abort()

    # The head: how fast it arrives

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
            metrics.CONNECTIONS_CLOSED.labels("slow_head").inc()
            self.transport.abort()
