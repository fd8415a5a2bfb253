"""The HTTP/1.1 connection: uvicorn's protocol with bounds on what a client may hold, and a fast path for the cache.

uvicorn waits for a request head without limit of time or size, and for a reader for ever. A reverse proxy protects
against that; an installation without one is protected here, and so is the Onion service, which never has one. The
bounds and their reasons are in docs/decisions/overload.md.

Cached responses are written here in one write, without a task and an ASGI cycle per request: the letter's page and its
count are most of the traffic when a letter is popular. A head that was answered so is not even parsed when the same
bytes come again (``known_heads``).

Only this module, watched_connection and uvicorn_responses use uvicorn's internals. pyproject.toml bounds its version
from above, and tests/web/test_uvicorn_internals.py fails when one of them moves.
"""

import asyncio
import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import ClassVar

import httptools
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from petition.core import metrics
from petition.core.client_networks import ONION_NETWORK, ClientNetwork, is_in, of_circuit, of_client, prefixes_of_peer
from petition.core.settings import Network
from petition.web import proxy_line
from petition.web.deadlines import ClientWait
from petition.web.known_heads import CacheRequest, CachingApplication, KnownHeads
from petition.web.listeners import ONION_CLIENT
from petition.web.page_cache import Header
from petition.web.request_bounds import MAX_LINES, HeadRefused, PipelineFull, Trailers, check_chunks, refusal
from petition.web.watched_connection import WatchedProtocol

HEAD_TIMEOUT = 20.0  # seconds from a request's first byte (or the connection's start) to the end of its head
MAX_HEAD = 16 * 1024  # bytes of a head, and of what lies between the pieces of a body
MAX_PIPELINED = 16  # requests that wait for the response to an earlier one
LINGER = 2.0  # seconds in which a client that still sends can read that it was refused
MAX_LINGER = 1024 * 1024  # bytes that it may send in this time
_BODY_HEADERS = frozenset((b"content-length", b"transfer-encoding", b"expect"))

_ABSOLUTE_FORM = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*://([^/?#]*)")


class DefaultLines:
    """The lines of uvicorn's own headers and the empty line after them; joined when they change, once a second."""

    def __init__(self) -> None:
        self._headers: Sequence[Header] | None = None
        self._lines = b""

    def of(self, headers: Sequence[Header]) -> bytes:
        """Return the lines of ``headers``, a list that is replaced and never changed."""
        if headers is not self._headers:
            self._headers = headers
            self._lines = b"".join((*(b"%b: %b\r\n" % header for header in headers), b"\r\n"))
        return self._lines


_default_lines = DefaultLines()
_NONE = KnownHeads()


class GuardedProtocol(WatchedProtocol):
    """uvicorn's protocol with bounds in time and size. ``trusted`` proxies may have any number of connections.

    An application that has cached responses (``CachingApplication``) is asked first.
    """

    __slots__ = (
        "_beginning",
        "_begun",
        "_cache",
        "_chunks",
        "_fed_at_begin",
        "_feeds",
        "_framing",
        "_has_body",
        "_is_answered",
        "_is_between",
        "_is_deaf",
        "_known_heads",
        "_onion_client",
        "_request",
    )

    trusted: ClassVar[Sequence[Network]] = ()
    onion_port: ClassVar[int | None] = None  # Tor's listener
    is_draining: ClassVar[bool] = False  # the server is about to end: each response is the last one of its connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Count the connection, at the cost of another one if there are too many, and start the head's timer."""
        super().connection_made(transport)
        self._beginning: bytes | None = None  # on Tor's listener, until it is known whether Tor wrote a line there
        self._onion_client: ClientNetwork | None = None
        self._is_answered = self._is_deaf = self._has_body = False
        self._is_between = True  # two messages, as far as the parser goes
        self._framing = self._feeds = self._fed_at_begin = self._chunks = self._begun = 0
        self._request: CacheRequest | None = None  # the last one, if it was answered from the cache
        self._cache: CachingApplication | None = self.app if hasattr(self.app, "cached_response") else None
        self._known_heads = self._cache.known_heads if self._cache else _NONE
        self.prefixes = prefixes_of_peer(self.client[0], tuple(self.trusted)) if self.client else ()
        self.open_connections.add(self)
        if (own := transport.get_extra_info("socket")) is not None:
            self.open_connections.spare_files(own.fileno())
        metrics.CONNECTIONS.set(len(self.open_connections))
        self._await_head()
        if self.onion_port is not None:
            self._choose_listener()

    def _choose_listener(self) -> None:
        """Note whether this is Tor's listener, by the socket's own address, which no client can write."""
        if self.server is not None and self.server[1] != self.onion_port:
            return
        self._beginning, self._onion_client, self._is_between = b"", ONION_NETWORK, False
        # Tor's daemon is on this machine, or next to it. On the open net the port would be a door past all limits.
        if self.server is None or self.client is None or of_client(self.client[0], (), ()).is_public:
            self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Answer a head that is known at once; read everything else."""
        if self._is_between and (request := self._known_heads.get(data)) is not None and self.is_free():
            reply = self._reply_to(request)
            if reply is not None:
                self._framing = 0
                self._deadline.clear()
                self._write_reply(reply)
                return
        self._read(data)

    def _read(self, data: bytes) -> None:
        if self._is_deaf:
            self._pass_over(data)
            return
        if self._beginning is not None:
            data = self._after_proxy_line(self._beginning + data)
            if not data:
                return
        if self._deadline.wait is not ClientWait.HEAD:
            cycle: RequestResponseCycle | None = self.cycle  # none before the first request
            if cycle is None or cycle.response_complete:
                self._await_head()
        was_between, self._begun = self._is_between, 0
        self._framing += len(data)
        if self._framing <= MAX_HEAD:
            self._feed(data)
        else:
            self._framing -= len(data)
            self._feed_in_pieces(memoryview(data))
        if self._in_body:
            self._watch_body()
        elif was_between and self._is_between and self._begun == 1 and self._cache and self._request:
            self._cache.known_heads.note(data, self.headers, self._request)  # one request, and nothing else

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
            if self._deadline.wait is ClientWait.HEAD and headers is not None and len(headers) > MAX_LINES:
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
        self._is_deaf, self._is_between, self._framing = True, False, 0
        self._deadline.clear()
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
        self._is_deaf, self._is_between, self._framing = True, False, 0
        self._end_body()
        self.transport.write_eof()
        self._deadline.set(ClientWait.END, LINGER)

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
        """Start the deadline of a pipelined head. Raises ``PipelineFull``. What an application needs is made later."""
        if len(self.pipeline) >= MAX_PIPELINED:
            raise PipelineFull
        self._fed_at_begin = self._feeds
        self._is_between = self._has_body = self.expect_100_continue = False
        self._request = None
        self._begun += 1
        if self._deadline.wait is not ClientWait.HEAD:
            self._await_head()
        self.url, self.headers = b"", []

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a line of a head, or one behind a body."""
        name = name.lower()
        if name in _BODY_HEADERS:
            self._has_body = True
            if name == b"expect" and value.lower() == b"100-continue":
                self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Write the cached reply if there is one; hand everything else to the application."""
        self._framing = 0
        if len(self.headers) > MAX_LINES or (self._fed_at_begin != self._feeds and self._head_size() > MAX_HEAD):
            raise HeadRefused(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        self._deadline.clear()
        if self.url[:1] != b"/":
            self._take_host_of_target()
        reply = self._cached_reply() if not self._has_body and self.is_free() and self._is_simple() else None
        self._is_answered = reply is not None
        if reply is None:
            self._call_application()
        else:
            self._write_reply(reply)

    def _call_application(self) -> None:
        url, headers, is_waiting = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()  # makes the scope
        self.url, self.headers[:], self.expect_100_continue = url, headers, is_waiting
        if self._onion_client is not None:
            self.scope[ONION_CLIENT] = self._onion_client  # type: ignore[literal-required]
        super().on_headers_complete()
        if self._has_body:
            self._in_body, self._chunks, self.received = True, 0, 0
            self.headers = Trailers()

    def _write_reply(self, reply: tuple[bytes, bytes]) -> None:
        lines, body = reply
        self.transport.write(b"".join((lines, _default_lines.of(self.server_state.default_headers), body)))
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
        self._is_between = not self._is_deaf and self._onion_client is None
        if not self._is_answered:
            self._end_body()
            super().on_message_complete()

    def _head_size(self) -> int:
        """Return the size of the head, without what may be left out of it."""
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def is_free(self) -> bool:
        """True without an unanswered earlier request, backpressure, and an end that is near."""
        cycle: RequestResponseCycle | None = self.cycle
        if (cycle is not None and not cycle.response_complete) or self.flow.write_paused or self.is_draining:
            return False
        return not self.transport.is_closing()

    def _is_simple(self) -> bool:
        """True for HTTP/1.1 keep-alive without upgrade."""
        parser = self.parser
        return parser.get_http_version() == "1.1" and parser.should_keep_alive() and not parser.should_upgrade()

    def is_of_proxy(self) -> bool:
        """Return whether it was a trusted proxy that connected."""
        return self.client is not None and is_in(self.client[0], tuple(self.trusted))

    def _cached_reply(self) -> tuple[bytes, bytes] | None:
        if self._cache is None:
            return None
        method, is_onion = self.parser.get_method(), self._onion_client is not None
        self._request = self._cache.cache_request(method, self.url, self.headers, is_onion=is_onion)
        reply = None if self._request is None else self._reply_to(self._request)
        if reply is None:
            self._request = None
        return reply

    def _reply_to(self, request: CacheRequest) -> tuple[bytes, bytes] | None:
        return None if self._cache is None else self._cache.cached_response(request)

    # A response that lasts

    def hand_over(self, successor: asyncio.Protocol) -> asyncio.Transport | None:
        """Give the connection to another protocol, for the response to the request that is being answered.

        Return None if it is being closed. Otherwise this object must not be used any more: it lets go of all it holds,
        also of what holds it, so that it is freed at once and not by the garbage collector.
        """
        transport, cycle = self.transport, self._running
        if cycle is None or transport.is_closing():
            return None
        self._let_go()
        self.connections.discard(self)
        self.pipeline.clear()
        self.flow.resume_reading()
        transport.set_protocol(successor)
        cycle.disconnected = cycle.response_complete = True  # for the server: nothing is to be sent
        self.parser = self.cycle = self._running = None  # type: ignore[assignment]
        return transport

    # The head: how fast it arrives

    def _await_head(self) -> None:
        self._deadline.set(ClientWait.HEAD, HEAD_TIMEOUT)
