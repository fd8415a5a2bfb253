"""Relays in order of preference: the next one takes what the first cannot, and none is asked too often while down.

Who is to blame decides what happens (docs/decisions/refusals.md): a relay that cannot be reached, or that does not want
*us*, is rested and the next one asked; what a relay does not take goes to the next one, and is tried again later if
none does; a mailbox that refuses for good is never tried again.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

from petition.core.errors import PetitionError
from petition.core.log_summaries import LogSummary
from petition.core.relay_urls import Relay, names_of
from petition.mail.breaker import MAX_REST, BreakerStore
from petition.mail.compose import OutgoingMail
from petition.mail.relay_errors import RecipientDoubted, RecipientRefused, RejectionReason, RelayDown, RelayRejected
from petition.mail.relay_line import NotAsked, RelayLine, domain_of

MAX_WAIT_IN_BULK = 60.0  # seconds that a mail in bulk waits for a limit; longer ones are the caller's

log = logging.getLogger(__name__)


class NotNow(PetitionError):
    """No relay took the mail; worth trying later.

    ``tried`` tells whether any was asked at all. ``after`` is the pause that the relay or a limit asks for, if any;
    ``relay`` the one that wants to see the mail again then, before all others.
    """

    def __init__(self, *, tried: bool, after: timedelta | None = None, relay: str | None = None) -> None:
        super().__init__("no relay accepts the e-mail now")
        self.tried = tried
        self.after = after
        self.relay = relay


async def _nothing() -> None:
    return None


class Relays:
    """All relays of a process. Any number of mails may be sent at once: limits are kept here."""

    def __init__(self, relays: Sequence[Relay], local_hostname: str, store: BreakerStore | None = None) -> None:
        self.lines = [
            RelayLine(relay, name, local_hostname, store) for relay, name in zip(relays, names_of(relays), strict=True)
        ]
        self._rejections = LogSummary(log, "a relay did not take mail")

    def rest(self) -> float:
        """Return for how many seconds no relay at all may be used."""
        return min((line.breaker.rest() for line in self.lines), default=MAX_REST)

    async def send(
        self,
        mail: OutgoingMail,
        before_data: Callable[[], Awaitable[None]] = _nothing,
        *,
        bulk: bool = False,
        first: str | None = None,
    ) -> str:
        """Have ``mail`` accepted by one relay and return that relay's name.

        ``before_data`` is called once the envelope is accepted, perhaps for several relays; if it raises, nothing is
        sent and that is raised. A mail in ``bulk`` waits for its turn behind all others, gets half of the connections
        at most, and waits for limits up to a minute; so call this for a few at once only. ``first`` is the relay to
        try before the others. Raises ``RecipientRefused`` (for good) or ``NotNow``.
        """
        waited = 0.0
        while True:
            try:
                return await self._send(mail, before_data, bulk=bulk, first=first)
            except NotNow as error:
                seconds = error.after.total_seconds() if error.after else 0.0
                if not bulk or error.tried or not seconds or waited + seconds > MAX_WAIT_IN_BULK:
                    raise
            await asyncio.sleep(seconds)
            waited += seconds

    async def _send(
        self, mail: OutgoingMail, before_data: Callable[[], Awaitable[None]], *, bulk: bool, first: str | None
    ) -> str:
        waits, answers = list[float](), list[RelayRejected | RelayDown]()
        lines = sorted(self.lines, key=lambda line: line.name != first)
        for index, line in enumerate(lines):
            if seconds := line.quota.wait(domain_of(mail), bulk=bulk):
                waits.append(seconds if bulk else line.quota.book(domain_of(mail)))
                continue
            is_last = not any(other.breaker.is_closed for other in lines[index + 1 :])
            try:
                await line.send(mail, before_data, bulk=bulk, is_last=is_last)
            except NotAsked:
                continue
            except (RelayRejected, RelayDown) as error:
                self._note(line, error, is_second_time=line.name == first)
                answers.append(error)
            else:
                return line.name
        raise self._conclusion(answers, waits)

    def _conclusion(self, answers: Sequence[RelayRejected | RelayDown], waits: Sequence[float]) -> PetitionError:
        """Return what it means that no relay took the mail."""
        doubts = [error for error in answers if isinstance(error, RecipientDoubted)]
        if doubts and len(doubts) == len(self.lines):
            return RecipientRefused(doubts[0].code)
        after = min(waits) if waits and not answers else None
        return NotNow(tried=bool(answers), after=None if after is None else timedelta(seconds=after))

    def _note(self, line: RelayLine, error: RelayRejected | RelayDown, *, is_second_time: bool) -> None:
        """Log a mail that was not taken. Raises ``NotNow`` if the same relay wants to see it again before any other."""
        if isinstance(error, RelayDown):
            return  # the breaker has logged it
        self._rejections.note(relay=line.name, step=error.step, code=error.code, status=error.status)
        if error.reason is RejectionReason.GREYLISTING and not is_second_time and line.breaker.believes_greylisting():
            raise NotNow(tried=True, after=error.pause, relay=line.name) from None

    def flush_logs(self) -> None:
        """Log what was counted and is due."""
        self._rejections.flush()

    async def hang_up(self, *, idle_for: float = 0.0) -> None:
        """Close the connections that were not used for ``idle_for`` seconds."""
        for line in self.lines:
            await line.pool.hang_up(idle_for=idle_for)
