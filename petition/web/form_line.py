"""Forms are let in a few at a time, while the next batch has room; all others wait in fair lines, and not for long.

A form that has waited too long is refused before anything of it is parsed, validated or sealed: that costs less
than half of what storing it costs. How long that is follows from how long the line has lasted, as in CoDel (RFC
8289): a crowd that comes at once is worked off, but where more come than can be stored, waiting helps no one.
See docs/decisions/overload.md.
"""

import asyncio
from collections.abc import Callable
from time import monotonic as clock

from petition.core import metrics, patience
from petition.core.client_networks import ClientNetwork
from petition.core.errors import Crowded
from petition.web.fair_lines import FairLines
from petition.web.turns import line_of

PER_TURN = 8  # forms in one iteration of the event loop, let in or refused: two to three milliseconds
MAX_WAITING = 1000
LONG_PART, SHORT_PART = 0.4, 0.15  # of the patience: for how long a form waits; the rest is for its batch
TICK = 0.01  # seconds between two looks for room
WINDOW = 0.25  # seconds over which those who are let in are counted
CALM = 2.0  # seconds without anyone in the line, after which there is time for more than the least

Waiter = asyncio.Future[bool]  # True: let in; False: refused


class FormLine:
    """The line in front of one kind of batch; ``patience`` is for how long (seconds) the database may keep a form."""

    def __init__(
        self, has_room: Callable[[], bool], patience: float, *, name: str, max_waiting: int = MAX_WAITING
    ) -> None:
        self._has_room = has_room
        self._long, self._short = patience * LONG_PART, patience * SHORT_PART
        self._refusals = metrics.LIMITS.labels(name)
        self._max_waiting = max_waiting
        self._lines: FairLines[Waiter] = FairLines()
        self._joined: dict[Waiter, float] = {}  # when, the oldest first
        self._began = 0.0  # when the line was empty for the last time
        self._lasted_until = float("-inf")  # when there was a line for the last time
        self._left = PER_TURN  # of this iteration
        self._is_scheduled = False
        self._counted_since, self._admitted, self._rate = 0.0, 0, 0.0  # let in since then; a second, in the last window

    def __len__(self) -> int:
        return len(self._lines)

    @property
    def is_calm(self) -> bool:
        """Whether no one waits, nor did a moment ago."""
        return not self._lines and clock() - self._lasted_until > CALM

    def refuses(self, network: ClientNetwork) -> bool:
        """Count a form as refused, and return True, if it would wait for longer than it may: before it is even read.

        Only if its network has as many in the line as any other has: for another's form the largest line makes room.
        """
        if len(self._lines) < self._capacity() or not self._lines.is_largest_with(line_of(network)):
            return False
        self._lasted_until = clock()
        self._refusals.inc()
        return True

    def _capacity(self) -> int:
        """Return how many may wait: while more come than are stored, as many as are let in while one may wait."""
        if clock() - self._began <= self._long:
            return self._max_waiting
        return min(self._max_waiting, max(2 * PER_TURN, int(self._rate * self._short)))

    async def enter(self, network: ClientNetwork) -> None:
        """Wait to be let in. Raises ``Crowded``. The wait counts as one for the database."""
        if self._left and not self._lines and self._has_room():
            self._left -= 1
            self._count_admitted(clock())
            self._schedule()
            return
        joined = clock()
        is_admitted = await self._wait(network, joined)
        patience.spend(clock() - joined)
        if not is_admitted:
            self._refusals.inc()
            raise Crowded()

    async def _wait(self, network: ClientNetwork, joined: float) -> bool:
        if not self._lines:
            self._began = joined
        waiter: Waiter = asyncio.get_running_loop().create_future()
        self._lines.add(waiter, line_of(network))
        self._joined[waiter] = joined
        if len(self._lines) > self._capacity():
            self._answer(self._lines.pop_from_largest(), is_admitted=False)
        self._schedule()
        try:
            return await waiter
        finally:
            self._drop(waiter)

    def _schedule(self) -> None:
        if not self._is_scheduled:
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        """Let in and refuse as many as one iteration may bear; come again while there are any."""
        self._left, self._is_scheduled = PER_TURN, False
        now, refusable = clock(), PER_TURN  # of their own: those who have to go must not keep others from getting in
        while refusable and self._lines and self._is_overdue(oldest := next(iter(self._joined)), now):
            self._answer(oldest, is_admitted=False)
            refusable -= 1
        while self._left and self._lines and self._has_room():
            self._answer(self._lines.pop_next(), is_admitted=True)
            self._count_admitted(now)
            self._left -= 1
        if not self._left or not refusable:
            self._schedule()
        elif self._lines:
            self._is_scheduled = True
            asyncio.get_running_loop().call_later(TICK, self._turn)

    def _is_overdue(self, waiter: Waiter, now: float) -> bool:
        return now - self._joined[waiter] > self._limit(now)

    def _count_admitted(self, now: float) -> None:
        self._admitted += 1
        if (seconds := now - self._counted_since) >= WINDOW:
            self._rate = self._admitted / seconds
            self._counted_since, self._admitted = now, 0

    def _limit(self, now: float) -> float:
        """Return for how long a form may wait: if the line has not been empty for long, more come than are stored."""
        return self._short if now - self._began > self._long else self._long

    def _answer(self, waiter: Waiter, *, is_admitted: bool) -> None:
        self._drop(waiter)
        if not waiter.done():
            waiter.set_result(is_admitted)

    def _drop(self, waiter: Waiter) -> None:
        if self._lines:
            self._lasted_until = clock()
        self._lines.discard(waiter)
        self._joined.pop(waiter, None)
