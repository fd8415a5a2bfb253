"""Relays in order of preference: the next one takes what the first cannot, and none is asked too often while down.

Who is to blame decides what happens (docs/decisions/refusals.md): a relay that cannot be reached, or that does not want
*us*, is rested and the next one asked; what a relay does not take goes to the next one, and is tried again later if
none does; a mailbox that refuses for good is never tried again.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from petition.core.errors import PetitionError
from petition.core.service_urls import Relay
from petition.mail.compose import OutgoingMail
from petition.mail.relay_errors import RecipientDoubted, RecipientRefused, RelayDown, RelayRejected
from petition.mail.smtp_connection import SmtpConnection
from petition.mail.summaries import LogSummary

MAX_REST = 30.0  # seconds
# Mailboxes that one relay refuses one after another. Beyond that its word is doubted: it may refuse all of them.
MAX_REFUSED_IN_A_ROW = 20

log = logging.getLogger(__name__)


class NotNow(PetitionError):
    """No relay took the mail; worth trying later. ``tried`` tells whether any was asked at all."""

    def __init__(self, *, tried: bool) -> None:
        super().__init__("no relay accepts the e-mail now")
        self.tried = tried


class Health:
    """How one relay has been doing, as all connections of this process saw it.

    After a failure it rests for 1, 2, 4, … at most 30 seconds; then one mail, and not all that wait, tries it.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._failures = 0
        self._rests_until = 0.0
        self._is_tried = False
        self._refused_in_a_row = 0

    def may_be_tried(self) -> bool:
        """Return whether to use the relay; after a rest, True only for the first caller."""
        if not self._failures:
            return True
        if self._is_tried or _clock() < self._rests_until:
            return False
        self._is_tried = True
        return True

    def rest(self) -> float:
        """Return for how many seconds it must not be used."""
        if not self._failures:
            return 0.0
        return MAX_REST if self._is_tried else max(0.0, self._rests_until - _clock())

    def worked(self) -> None:
        """Note that the relay answered as a relay does."""
        if self._failures:
            log.info("relay available again", extra={"relay": self.name})
        self._failures, self._is_tried = 0, False

    def accepted(self) -> None:
        """Note that the relay took a mail."""
        self._refused_in_a_row = 0
        self.worked()

    def refused_mailbox(self) -> bool:
        """Note that the relay refused a mailbox for good; return whether to believe it."""
        self.worked()
        self._refused_in_a_row += 1
        return self._refused_in_a_row <= MAX_REFUSED_IN_A_ROW

    def failed(self, error: RelayDown) -> None:
        """Note a failure; those that come together count once."""
        self._is_tried = False
        if _clock() < self._rests_until:
            return
        seconds = min(MAX_REST, 2.0**self._failures)
        self._failures = min(self._failures + 1, 10)
        self._rests_until = _clock() + seconds
        extra = {"relay": self.name, "trouble": error.trouble.value, "code": error.code, "seconds": seconds}
        log.warning("relay paused", extra=extra)

    def given_up(self) -> None:
        """Note that a try ended without an answer about the relay (this process stops)."""
        self._is_tried = False


class Relays:
    """All relays of a process; each sender has lines of its own to them."""

    def __init__(self, relays: Sequence[Relay], local_hostname: str) -> None:
        self._relays = [(relay, Health(f"{relay.host}:{relay.port}")) for relay in relays]
        self._local_hostname = local_hostname
        self._rejections = LogSummary(log, "a relay did not take mail")

    def rest(self) -> float:
        """Return for how many seconds no relay at all may be used."""
        return min((health.rest() for _, health in self._relays), default=MAX_REST)

    def lines(self) -> "RelayConnections":
        """Return lines for one sender, not connected yet."""
        return RelayConnections(
            [(SmtpConnection(relay, self._local_hostname), health) for relay, health in self._relays], self._rejections
        )

    def flush_logs(self) -> None:
        """Log what was counted and is due."""
        self._rejections.flush()


class RelayConnections:
    """One sender's kept connections, in order of preference. Not for two mails at once."""

    def __init__(self, lines: Sequence[tuple[SmtpConnection, Health]], rejections: LogSummary) -> None:
        self._lines = lines
        self._rejections = rejections

    async def send(self, mail: OutgoingMail, before_data: Callable[[], Awaitable[None]]) -> str:
        """Have ``mail`` accepted by one relay and return that relay's name.

        ``before_data`` is called once the envelope is accepted; if it raises, nothing is sent and that is raised.
        Raises ``RecipientRefused`` (for good) or ``NotNow``.
        """
        tried, doubts = False, list[RecipientDoubted]()
        for line, health in self._lines:
            if not health.may_be_tried():
                continue
            tried = True
            try:
                await self._send_by(line, health, mail, before_data)
            except RecipientDoubted as error:
                doubts.append(error)
                continue
            except (RelayDown, RelayRejected):
                continue
            return health.name
        if doubts and len(doubts) == len(self._lines):
            raise RecipientRefused(doubts[0].code)
        raise NotNow(tried=tried)

    async def _send_by(
        self, line: SmtpConnection, health: Health, mail: OutgoingMail, before_data: Callable[[], Awaitable[None]]
    ) -> None:
        """Send through one relay, and note how it did."""
        try:
            await line.send(mail, before_data)
        except RecipientRefused as error:
            if health.refused_mailbox():
                raise
            raise self._noted(RelayRejected("RCPT", error.code), health) from None
        except RelayRejected as error:
            raise self._noted(error, health) from None
        except RelayDown as error:
            health.failed(error)
            raise
        except asyncio.CancelledError:
            health.given_up()
            raise
        except Exception:
            health.worked()
            raise
        health.accepted()

    def _noted(self, error: RelayRejected, health: Health) -> RelayRejected:
        health.worked()
        self._rejections.note(relay=health.name, step=error.step, code=error.code, status=error.status)
        return error

    async def hang_up(self, *, idle_for: float = 0.0) -> None:
        """Close the connections that were not used for ``idle_for`` seconds."""
        for line, _ in self._lines:
            if line.idle() >= idle_for:
                await line.hang_up()


def _clock() -> float:
    return asyncio.get_running_loop().time()
