"""One timer for each connection, which is moved by noting a time.

To set and cancel a timer of the event loop for every head and every pause between two requests took four microseconds,
as much as all else of a cached response. Here the timer is left to run out, and then looks whether it is late enough.
"""

import asyncio
from enum import Enum
from typing import Protocol

TOLERANCE = 0.001  # seconds; uvloop's timers count in milliseconds
NEVER = float("inf")


class ClientWait(Enum):
    """What a server waits for."""

    HEAD = "head"  # the end of a request's head
    REQUEST = "request"  # the next request of a connection
    END = "end"  # a refused client that reads why


class PatientOwner(Protocol):
    """What waits, and is asked to give up."""

    def give_up(self, wait: ClientWait) -> None:
        """Act on a deadline that has passed."""


class Deadline:
    """Until when something is waited for, if anything is."""

    __slots__ = ("_at", "_fires_at", "_loop", "_owner", "_timer", "since", "wait")

    def __init__(self, loop: asyncio.AbstractEventLoop, owner: PatientOwner) -> None:
        self._loop = loop
        self._owner: PatientOwner | None = owner
        self._timer: asyncio.TimerHandle | None = None
        self._at, self._fires_at = 0.0, NEVER
        self.wait: ClientWait | None = None
        self.since = 0.0  # the loop's time at which the wait began

    def set(self, wait: ClientWait, seconds: float) -> None:
        """Wait for this from now on, and for nothing else."""
        self.wait, self.since = wait, self._loop.time()
        self._at = at = self.since + seconds
        if at < self._fires_at:
            self._start_timer()

    def clear(self) -> None:
        """Wait for nothing."""
        self.wait = None

    def stop(self) -> None:
        """Wait for nothing any more, and let go of the owner."""
        self.wait = self._owner = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _start_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._fires_at = self._at
        self._timer = self._loop.call_at(self._at, self._fire)

    def _fire(self) -> None:
        self._timer, self._fires_at = None, NEVER
        if self._owner is None or (wait := self.wait) is None:
            return
        if self._at > self._loop.time() + TOLERANCE:
            self._start_timer()
        else:
            self.wait = None
            self._owner.give_up(wait)
