"""Timers for clients that are slow: in sending the body of a request, or in reading the response.

The bounds and their reasons are in docs/decisions/overload.md.
"""

import asyncio
from typing import Protocol

from petition.core import metrics

BODY_INTERVAL = 10.0  # seconds; in each of them at least MIN_BODY arrives
MIN_BODY = 4096  # bytes: the slowest mobile network brings ten times as much
WRITE_TIMEOUT = 20.0  # seconds in which a client that is behind has to read something
WRITE_BUFFER = 32 * 1024  # bytes; a client with more of them unread is behind


class BodySender(Protocol):
    """A connection on which the body of a request arrives: ``received`` bytes of it so far."""

    loop: asyncio.AbstractEventLoop
    received: int

    def is_body_held_up(self) -> bool:
        """Return whether the server does not read, or has not yet said that it will."""

    def evict(self) -> None:
        """Close the connection at once."""


class BodyWatch:
    """Evicts a client that sends too little of a body in one interval."""

    __slots__ = ("_sender", "_timer")

    def __init__(self, sender: BodySender) -> None:
        self._sender = sender
        self._start(0)

    def stop(self) -> None:
        self._timer.cancel()

    def _start(self, received_before: int) -> None:
        self._timer = self._sender.loop.call_later(BODY_INTERVAL, self._check, received_before)

    def _check(self, received_before: int) -> None:
        received = self._sender.received
        if received - received_before < MIN_BODY and not self._sender.is_body_held_up():
            metrics.CONNECTIONS_CLOSED.labels("slow_body").inc()
            self._sender.evict()
        else:
            self._start(received)


class ReaderWatch:
    """Aborts the connection of a client that reads nothing of what is in the buffer."""

    __slots__ = ("_loop", "_timer", "_transport")

    def __init__(self, transport: asyncio.WriteTransport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._start()

    def stop(self) -> None:
        self._timer.cancel()

    def _start(self) -> None:
        self._timer = self._loop.call_later(WRITE_TIMEOUT, self._check, self._transport.get_write_buffer_size())

    def _check(self, unread_before: int) -> None:
        if self._transport.get_write_buffer_size() >= unread_before:
            metrics.CONNECTIONS_CLOSED.labels("not_read").inc()
            self._transport.abort()
        else:
            self._start()
