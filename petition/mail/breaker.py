"""The circuit breaker of one relay: whether it may be used, as all workers of the installation agree.

The state is in the table ``relay``; each worker has a copy, which ``shared_relays`` brings up to date every second, so
that a relay that works costs no statement per mail. Without a database (tests, ``petition check``) the copy is all.
"""

import asyncio
import contextlib
import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from petition.core.errors import Unavailable
from petition.mail.relay_errors import RejectionReason, RelayDown, RelayRejected, Trouble

MAX_REST = 30.0  # seconds
# Mailboxes that one relay refuses one after another. Beyond that its word is doubted: it may refuse all of them.
MAX_REFUSED_IN_A_ROW = 20
# Mails that it does not take one after another, for reasons of its own. Beyond that it rests, and one mail tries it.
MAX_REJECTED_IN_A_ROW = 20
# Beyond this it is no greylisting, which is about single mailboxes: it puts off everything.
MAX_GREYLISTED_IN_A_ROW = 5
TRY = timedelta(seconds=60)  # that the one try after a rest may take before another worker tries, too

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BreakerState:
    """What the database knows of a relay."""

    failures: int
    rests: float  # seconds from now
    refused_in_a_row: int


class BreakerStore(Protocol):
    """Where the state is shared. All methods raise ``Unavailable``."""

    async def failed(self, name: str, error: RelayDown, max_rest: float) -> BreakerState | None: ...

    async def worked(self, name: str) -> None: ...

    async def claim_try(self, name: str) -> bool: ...

    async def give_up_try(self, name: str) -> None: ...


class Breaker:
    """After a failure the relay rests for 1, 2, 4, … at most 30 seconds; then one mail, of all workers, tries it."""

    def __init__(self, name: str, store: BreakerStore | None = None) -> None:
        self.name = name
        self._store = store
        self._failures = 0
        self._rests_until = 0.0
        self._is_tried = False  # by this process
        self._changed_at = 0.0  # by this process
        self._refused_in_a_row = 0
        self._rejected_in_a_row = 0
        self._greylisted_in_a_row = 0

    @property
    def is_closed(self) -> bool:
        """Whether the relay works, as far as is known."""
        return not self._failures

    @property
    def failures(self) -> int:
        return self._failures

    async def admit(self) -> bool:
        """Return whether to use the relay; after a rest, True only for the first to ask among all workers."""
        if not self._failures:
            return True
        if self._is_tried or _clock() < self._rests_until:
            return False
        self._is_tried = True
        if self._store is None:
            return True
        try:
            self._is_tried = await self._store.claim_try(self.name)
        except Unavailable:
            self._is_tried = False
        except BaseException:
            self._is_tried = False
            raise
        return self._is_tried

    def rest(self) -> float:
        """Return for how many seconds it must not be used."""
        if not self._failures:
            return 0.0
        return MAX_REST if self._is_tried else max(0.0, self._rests_until - _clock())

    def update(self, state: BreakerState, read_at: float) -> None:
        """Take over what other workers found out; ``read_at`` is the loop's time before it was read."""
        if self._is_tried or read_at < self._changed_at:
            return  # this process knows better, or is about to
        if self._failures and not state.failures:
            log.info("relay available again", extra={"relay": self.name})
        self._failures = state.failures
        self._rests_until = _clock() + state.rests
        self._refused_in_a_row = state.refused_in_a_row

    async def worked(self) -> None:
        """Note that the relay answered as a relay does."""
        if not self._failures:
            return
        log.info("relay available again", extra={"relay": self.name})
        self._failures, self._is_tried = 0, False
        self._changed_at = _clock()
        if self._store:
            with contextlib.suppress(Unavailable):
                await self._store.worked(self.name)
            self._changed_at = _clock()

    async def accepted(self) -> None:
        """Note that the relay took a mail."""
        self._refused_in_a_row = self._rejected_in_a_row = self._greylisted_in_a_row = 0
        await self.worked()

    async def refused_mailbox(self) -> bool:
        """Note that the relay refused a mailbox for good; return whether to believe it."""
        await self.worked()
        self._refused_in_a_row += 1
        return self._refused_in_a_row <= MAX_REFUSED_IN_A_ROW

    async def rejected(self, error: RelayRejected) -> None:
        """Note that the relay did not take a mail; too many in a row count as a failure."""
        if error.reason is RejectionReason.GREYLISTING:
            self._greylisted_in_a_row += 1
        if error.reason is not RejectionReason.MAILBOX:
            self._rejected_in_a_row += 1
        if self._rejected_in_a_row > MAX_REJECTED_IN_A_ROW:
            await self.failed(RelayDown(Trouble.TAKES_NOTHING, error.code))
        else:
            await self.worked()

    def believes_greylisting(self) -> bool:
        """Return whether "later" in answer to RCPT is about that mailbox, and not about all mail of ours."""
        return self._greylisted_in_a_row <= MAX_GREYLISTED_IN_A_ROW

    async def failed(self, error: RelayDown) -> None:
        """Note a failure; those that come together count once."""
        self._is_tried = False
        if _clock() < self._rests_until:
            return
        seconds = min(MAX_REST, 2.0**self._failures)
        self._failures = min(self._failures + 1, 10)
        self._rests_until = _clock() + seconds
        extra = {"relay": self.name, "trouble": error.trouble.value, "code": error.code, "seconds": seconds}
        log.warning("relay paused", extra=extra)
        self._changed_at = _clock()
        if self._store:
            with contextlib.suppress(Unavailable):
                if state := await self._store.failed(self.name, error, MAX_REST):
                    self.update(state, _clock())
            self._changed_at = _clock()

    async def given_up(self) -> None:
        """Note that a try ended without an answer about the relay."""
        if not self._is_tried:
            return
        self._is_tried = False
        if self._store:
            with contextlib.suppress(Unavailable):  # the lease of the try ends by itself
                await self._store.give_up_try(self.name)


def _clock() -> float:
    return asyncio.get_running_loop().time()
