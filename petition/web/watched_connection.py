"""How long a connection waits for its client: for the next request, the rest of a body, and until it reads a response.

The bounds and their reasons are in docs/decisions/overload.md.
"""

import asyncio
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from petition.core import metrics
from petition.web.connection_limits import OpenConnections
from petition.web.deadlines import ClientWait, Deadline
from petition.web.slow_clients import WRITE_BUFFER, BodyWatch, ReaderWatch


class WatchedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with deadlines for its client."""

    # Beside the parent's dictionary, which would grow by half a kilobyte for each of thousands of listeners.
    __slots__ = ("_body_watch", "_deadline", "_in_body", "_reader_watch", "_running", "prefixes", "received")

    open_connections: ClassVar[OpenConnections] = OpenConnections()

    prefixes: tuple[str, ...]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        transport.set_write_buffer_limits(WRITE_BUFFER)
        self._deadline = Deadline(self.loop, self)
        self._body_watch: BodyWatch | None = None
        self._reader_watch: ReaderWatch | None = None
        self._running: RequestResponseCycle | None = None
        self._in_body, self.received = False, 0

    def connection_lost(self, exc: Exception | None) -> None:
        self._let_go()
        # Of several requests, the parent notifies the last one only.
        for cycle in (self._running, *(cycle for cycle, _ in self.pipeline)):
            if cycle is not None and not cycle.response_complete:
                cycle.disconnected = True
                cycle.message_event.set()
        self._running = None
        self.pipeline.clear()
        super().connection_lost(exc)

    def _let_go(self) -> None:
        """Watch nothing any more, and be one connection less."""
        self._deadline.stop()
        self._end_body()
        self.resume_writing()
        self.open_connections.discard(self)
        metrics.CONNECTIONS.set(len(self.open_connections))

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def give_up(self, wait: ClientWait) -> None:
        """Close a connection without a request; abort that of a client whose head does not end.

        With it goes a response still being sent to a client with a half-sent next request.
        """
        if wait is ClientWait.REQUEST:
            self._close()
        elif not self.transport.is_closing():
            if wait is ClientWait.HEAD:
                metrics.CONNECTIONS_CLOSED.labels("slow_head").inc()
            self.transport.abort()

    # The body: how fast it arrives

    def _watch_body(self) -> None:
        if self._body_watch is None:
            self._body_watch = BodyWatch(self)
            self.open_connections.add_unfinished(self)

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
        """Go on with a request that waits, or wait for the next one. As the parent does, but for the timer.

        Close a connection that has ended, and be it that the client does not read the rest.
        """
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            self._close()
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self._deadline.wait is None:  # the next head may have begun
            self._deadline.set(ClientWait.REQUEST, self.timeout_keep_alive)

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
        # If nothing is waited for, it is being closed, or the rest of a body is passed over.
        return self._deadline.since if self._deadline.wait in (ClientWait.HEAD, ClientWait.REQUEST) else 0.0

    def evict(self) -> None:
        self.transport.abort()
