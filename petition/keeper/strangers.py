"""Connections whose client has not shown the token: few of them, and each for some seconds.

The library waits for a request as long as the client likes. Without this anyone who reaches the keeper's port could
take all connections that its process may have, and no form could be sent.
"""

import asyncio
from collections.abc import Callable

MAX_STRANGERS = 100
SECONDS = 10.0


class Strangers:
    """Knows them, in the order in which they came. The oldest goes first when there are too many."""

    def __init__(self, max_connections: int = MAX_STRANGERS, seconds: float = SECONDS) -> None:
        self._max_connections, self._seconds = max_connections, seconds
        self._timers: dict[asyncio.BaseTransport, asyncio.TimerHandle] = {}

    def watching(self, make_protocol: Callable[[], asyncio.Protocol]) -> Callable[[], asyncio.Protocol]:
        """Return what makes the same protocols, whose connections end unless they are admitted in time."""
        return lambda: _Watched(make_protocol(), self)

    def admit(self, transport: asyncio.BaseTransport | None) -> None:
        """Let a connection stay, or note that it has ended."""
        if transport is not None and (timer := self._timers.pop(transport, None)) is not None:
            timer.cancel()

    def come(self, transport: asyncio.BaseTransport) -> None:
        if len(self._timers) >= self._max_connections:
            self._end(next(iter(self._timers)))
        self._timers[transport] = asyncio.get_running_loop().call_later(self._seconds, self._end, transport)

    def _end(self, transport: asyncio.BaseTransport) -> None:
        self.admit(transport)
        if isinstance(transport, asyncio.WriteTransport):
            transport.abort()


class _Watched(asyncio.Protocol):
    """Passes on everything to another protocol."""

    def __init__(self, inner: asyncio.Protocol, strangers: Strangers) -> None:
        self._inner, self._strangers = inner, strangers
        self._transport: asyncio.BaseTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._strangers.come(transport)
        self._inner.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._strangers.admit(self._transport)
        self._inner.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()
