"""Connections as they may be used: a request's head has to arrive in time, and one address cannot take them all.

uvicorn waits for a head as long as it takes: a few thousand connections that send a letter now and then would keep
everybody out. A proxy in front guards against that; whoever runs without one is guarded here.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from petition.network import is_trusted, of_client
from petition.settings import Network

HEAD = 20.0  # seconds from a request's first byte (or the connection's beginning) to the end of its head
PER_ADDRESS = 500  # open at once from one IPv4 address or IPv6 /64: mobile carriers have thousands behind one


class Guarded(HttpToolsProtocol):
    """uvicorn's protocol, less patient. ``trusted`` are the proxies, which bring everybody's requests."""

    # Beside the parent's dictionary, which would grow by half a kilobyte for each of thousands of listeners.
    __slots__ = ("_network", "_waiting")

    trusted: ClassVar[Sequence[Network]] = ()
    _open: ClassVar[Counter[str]] = Counter()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Count the connection, or close it at once; begin to wait for a head."""
        super().connection_made(transport)
        self._waiting: asyncio.TimerHandle | None = None
        peer = self.client[0] if self.client else None
        self._network = None if peer is None or is_trusted(peer, self.trusted) else of_client(peer, (), ())
        if self._network is not None:
            Guarded._open[self._network] += 1
            if Guarded._open[self._network] > PER_ADDRESS:
                transport.abort()
                return
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_waiting()
        if self._network is not None:
            Guarded._open[self._network] -= 1
            if Guarded._open[self._network] <= 0:
                del Guarded._open[self._network]
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Begin to wait with the first byte after an answer, whatever it is."""
        cycle: RequestResponseCycle | None = self.cycle  # none before the first request
        if self._waiting is None and (cycle is None or cycle.response_complete):
            self._wait()
        super().data_received(data)

    def on_message_begin(self) -> None:
        """Begin to wait for a head that comes behind another request."""
        if self._waiting is None:
            self._wait()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Have the head."""
        self._stop_waiting()
        super().on_headers_complete()

    def _wait(self) -> None:
        self._waiting = self.loop.call_later(HEAD, self._give_up)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _give_up(self) -> None:
        """Close; an answer that is still on its way to somebody with a half-sent next request goes with it."""
        self._waiting = None
        if not self.transport.is_closing():
            self.transport.abort()
