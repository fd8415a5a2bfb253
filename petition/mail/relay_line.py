"""One relay as this process uses it: breaker, connections, limits, and what it did since the last report."""

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from petition.core.relay_urls import Relay
from petition.mail.breaker import Breaker, BreakerStore
from petition.mail.compose import OutgoingMail
from petition.mail.relay_errors import RecipientRefused, RejectionReason, RelayDown, RelayRejected
from petition.mail.relay_pool import RelayPool
from petition.mail.relay_quota import RelayQuota
from petition.mail.smtp_connection import CALM, HASTY, HASTY_IN_BULK, SmtpConnection, TlsFacts

# To wait for a free connection, in seconds: while another relay could take the mail, and while none could.
SHORT_WAIT, LONG_WAIT = 1.5, 30.0


class NotAsked(Exception):
    """The relay was not asked: it rests, or all its connections are in use."""


@dataclass
class RelayNews:
    """What happened at a relay since the last report to the other workers."""

    accepted: bool = False
    refused: int = 0
    tls: TlsFacts | None = None
    rejection: RelayRejected | None = None

    def is_empty(self) -> bool:
        return self == RelayNews()

    def after(self, older: "RelayNews") -> "RelayNews":
        """Return these news with older ones that could not be reported."""
        return RelayNews(
            self.accepted or older.accepted,
            self.refused if self.accepted else older.refused + self.refused,
            self.tls or older.tls,
            self.rejection or older.rejection,
        )


class RelayLine:
    """Sends through one relay and notes how it did."""

    def __init__(self, relay: Relay, name: str, local_hostname: str, store: BreakerStore | None) -> None:
        self.relay = relay
        self.name = name
        self.breaker = Breaker(name, store)
        self.pool = RelayPool(relay, local_hostname)
        self.quota = RelayQuota(relay.limits)
        self.counts: Counter[tuple[str, str]] = Counter()  # by outcome and reason
        self.news = RelayNews()

    async def send(
        self,
        mail: OutgoingMail,
        before_data: Callable[[], Awaitable[None]],
        *,
        bulk: bool,
        is_last: bool,
    ) -> None:
        """Have ``mail`` accepted. Raises ``NotAsked``, ``RecipientRefused``, ``RelayRejected``, ``RelayDown``, or what
        ``before_data`` raises. ``is_last``: no other relay could take it now.
        """
        if not await self.breaker.admit():
            raise NotAsked
        is_try, connection = not self.breaker.is_closed, None
        try:
            connection = await self.pool.take(bulk=bulk, patience=LONG_WAIT if is_last else SHORT_WAIT)
            if connection is None or (not is_try and not self.breaker.is_closed):  # it failed meanwhile
                raise NotAsked
            with self.quota.mail_to(domain_of(mail)):
                await self._send_by(connection, mail, before_data, bulk=bulk, is_last=is_last)
        finally:
            if connection is not None:
                self.pool.give_back(connection, bulk=bulk)
            if is_try:
                await self.breaker.given_up()

    def take_news(self) -> tuple[Counter[tuple[str, str]], RelayNews]:
        """Return what happened since the last call."""
        taken = self.counts, self.news
        self.counts, self.news = Counter(), RelayNews()
        return taken

    def put_back(self, counts: Counter[tuple[str, str]], news: RelayNews) -> None:
        """Take back what could not be reported."""
        self.counts.update(counts)
        self.news = self.news.after(news)

    async def _send_by(
        self,
        connection: SmtpConnection,
        mail: OutgoingMail,
        before_data: Callable[[], Awaitable[None]],
        *,
        bulk: bool,
        is_last: bool,
    ) -> None:
        before = connection.tls
        try:
            await connection.send(mail, before_data, CALM if is_last else HASTY_IN_BULK if bulk else HASTY)
        except RecipientRefused as error:
            self.pool.prove(is_proven=True)
            self._count("refused", RejectionReason.MAILBOX)
            self.news.refused += 1
            if await self.breaker.refused_mailbox():
                raise
            raise await self._rejected(RelayRejected("RCPT", error.code)) from None
        except RelayRejected as error:
            raise await self._rejected(error) from None
        except RelayDown as error:
            self._count("deferred", RejectionReason.UNREACHABLE)
            self.pool.prove(is_proven=False)
            await self.breaker.failed(error)
            raise
        else:
            self.pool.prove(is_proven=True)
            self._count("accepted")
            self.news.accepted, self.news.refused = True, 0
            await self.breaker.accepted()
        finally:
            if connection.tls is not before:
                self.news.tls = connection.tls

    async def _rejected(self, error: RelayRejected) -> RelayRejected:
        self.pool.prove(is_proven=True)
        self._count("deferred", error.reason)
        if error.reason not in {RejectionReason.MAILBOX, RejectionReason.GREYLISTING}:
            self.news.rejection = error  # the others are no trouble of the relay's
        await self.breaker.rejected(error)
        return error

    def _count(self, outcome: str, reason: RejectionReason | None = None) -> None:
        self.counts[outcome, reason.value if reason else ""] += 1


def domain_of(mail: OutgoingMail) -> str:
    """Return the recipient's domain as tables of domains have it."""
    return mail.recipient.rpartition("@")[2].lower()
