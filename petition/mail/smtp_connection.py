"""One kept connection to one relay."""

import asyncio
import contextlib
import re
import ssl
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from aiosmtplib import (
    SMTP,
    SMTPAuthenticationError,
    SMTPDataError,
    SMTPException,
    SMTPRecipientRefused,
    SMTPResponseException,
    SMTPSenderRefused,
    SMTPServerDisconnected,
    SMTPStatus,
    SMTPTimeoutError,
)
from cryptography import x509

from petition.core.relay_urls import Relay
from petition.core.service_urls import is_this_machine
from petition.mail import relay_errors
from petition.mail.compose import OutgoingMail
from petition.mail.relay_errors import NO_SUCH_MAILBOX, RecipientRefused, RelayDown, RelayRejected, Trouble

_ENDS_PATH = re.compile(r"[\s<>\x00-\x1f]")  # a character that would end the path in a command, or the command
FRESH = 20.0  # seconds; relays close idle connections after a minute or more


@dataclass(frozen=True, slots=True)
class Patience:
    """How many seconds to wait for a relay. All together must stay well below the lease."""

    greeting: float  # to be connected and greeted
    step: float  # for each answer after that
    # The answer to the mail's end may take longer (RFC 5321, 4.5.3.2.6 says ten minutes): giving up too early would
    # have it accepted twice.
    end: float


CALM = Patience(greeting=30, step=30, end=120)
# While another relay could take the mail: a relay that hangs must not hold it.
HASTY = Patience(greeting=5, step=10, end=20)
HASTY_IN_BULK = Patience(greeting=5, step=10, end=120)


@dataclass(frozen=True, slots=True)
class TlsFacts:
    """How a connection is protected. ``version`` is "" without TLS, ``until`` when the certificate ends."""

    version: str
    is_verified: bool
    until: datetime | None = None


class SmtpConnection:
    """A connection to ``relay``, opened when needed and kept."""

    def __init__(self, relay: Relay, local_hostname: str) -> None:
        self._relay = relay
        self._local_hostname = local_hostname
        self._context = _tls_context(relay) if relay.tls or relay.starttls else None
        self._client: SMTP | None = None
        self._used_at = 0.0
        self.tls: TlsFacts | None = None  # of the last connection

    def idle(self) -> float:
        """Return for how many seconds the line has not been used."""
        return _clock() - self._used_at

    async def send(
        self, mail: OutgoingMail, before_data: Callable[[], Awaitable[None]], patience: Patience = CALM
    ) -> None:
        """Have ``mail`` accepted. Raises ``RecipientRefused``, ``RelayRejected``, ``RelayDown``, or what
        ``before_data`` raises.
        """
        try:
            with _translated_errors():
                client = await self._begin(mail, patience)
                await _say_recipient(client, mail)
                await before_data()
                await client.data(mail.content, timeout=patience.end)
        except asyncio.CancelledError:
            self._close()
            raise
        except Exception:
            await self._start_over()
            raise
        finally:
            self._used_at = _clock()

    async def probe(self) -> None:
        """Connect, authenticate, hang up. Raises ``RelayDown``, whose text names the trouble and its cure."""
        try:
            with _translated_errors():
                self._client = await self._connect(CALM)
        finally:
            await self.hang_up()

    async def hang_up(self) -> None:
        """Close the connection politely, without waiting long."""
        client, self._client = self._client, None
        if client is None:
            return
        transport = client.transport
        try:
            await client.quit(timeout=1)
        except (SMTPException, OSError):
            client.close()
        if isinstance(transport, asyncio.WriteTransport):
            transport.abort()  # else TLS stays open until the relay has said goodbye a second time

    async def _begin(self, mail: OutgoingMail, patience: Patience) -> SMTP:
        """Return a connection on which the mail has begun: the kept one if it still works, or a new one."""
        if self._client is not None and self._client.is_connected and self.idle() < FRESH:
            self._client.timeout = patience.step
            with contextlib.suppress(SMTPServerDisconnected, SMTPTimeoutError, SMTPSenderRefused):
                return await self._say_sender(self._client, mail)
        await self.hang_up()
        self._client = await self._connect(patience)
        return await self._say_sender(self._client, mail)

    async def _say_sender(self, client: SMTP, mail: OutgoingMail) -> SMTP:
        if mail.utf8 and not client.supports_extension("smtputf8"):
            raise RelayRejected("SMTPUTF8")  # it takes ASCII addresses only
        options = (b"SMTPUTF8", b"BODY=8BITMIME") if mail.utf8 else ()
        answer = await client.execute_command(b"MAIL", b"FROM:<%b>" % mail.sender.encode("ascii"), *options)
        if answer.code != SMTPStatus.completed:
            raise SMTPSenderRefused(answer.code, answer.message, mail.sender)
        return client

    async def _connect(self, patience: Patience) -> SMTP:
        client = SMTP(
            hostname=self._relay.host,
            port=self._relay.port,
            use_tls=self._relay.tls,
            start_tls=False,  # as the steps of ``_introduce``, so that a failure says which one it was
            tls_context=self._context,
            timeout=patience.greeting,
            local_hostname=self._local_hostname,
        )
        try:
            await client.connect()
            client.timeout = patience.step
            await self._introduce(client)
            self.tls = _tls_facts(client, self._context)
        except BaseException:
            client.close()
            raise
        return client

    async def _introduce(self, client: SMTP) -> None:
        """Greet, encrypt and authenticate."""
        await client.ehlo()
        if self._relay.starttls and not self._relay.tls:
            if not client.supports_extension("starttls"):
                raise RelayDown(Trouble.NO_STARTTLS)
            await client.starttls()
            await client.ehlo()
        if self._relay.username is not None:
            if not client.supports_extension("auth"):
                raise RelayDown(Trouble.NO_AUTH)
            await client.login(self._relay.username, self._relay.password or "")

    async def _start_over(self) -> None:
        """Make the connection ready for another mail after a refusal, or close it."""
        if self._client is None:
            return
        try:
            await self._client.rset(timeout=2)
        except (SMTPException, OSError):
            self._close()

    def _close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()


async def _say_recipient(client: SMTP, mail: OutgoingMail) -> None:
    """As ``client.rcpt`` does, which would parse the address as that of a header first."""
    if _ENDS_PATH.search(mail.recipient):  # the composer lets none through
        raise RecipientRefused(NO_SUCH_MAILBOX)
    answer = await client.execute_command(b"RCPT", b"TO:<%b>" % mail.recipient.encode("utf-8"))
    if answer.code not in {SMTPStatus.completed, SMTPStatus.will_forward}:
        raise SMTPRecipientRefused(answer.code, answer.message, mail.recipient)


def _tls_context(relay: Relay) -> ssl.SSLContext:
    """Return a context that verifies; on this machine there is no one in between, and certificates are self-signed."""
    context = ssl.create_default_context()
    if is_this_machine(relay.host):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _tls_facts(client: SMTP, context: ssl.SSLContext | None) -> TlsFacts:
    tls = client.transport.get_extra_info("ssl_object") if client.transport else None
    if not isinstance(tls, ssl.SSLObject) or context is None:
        return TlsFacts("", is_verified=False)
    return TlsFacts(tls.version() or "", context.verify_mode is ssl.CERT_REQUIRED, _until(tls))


def _until(tls: ssl.SSLObject) -> datetime | None:
    try:
        return x509.load_der_x509_certificate(tls.getpeercert(binary_form=True) or b"").not_valid_after_utc
    except ValueError:
        return None


@contextlib.contextmanager
def _translated_errors() -> Iterator[None]:
    """Translate what aiosmtplib raises. Its texts may quote the address, so they end here (``from None``)."""
    try:
        yield
    except SMTPRecipientRefused as error:
        raise relay_errors.of_recipient(error.code, error.message) from None
    except SMTPDataError as error:
        raise relay_errors.of_data(error.code, error.message) from None
    except SMTPSenderRefused as error:
        raise relay_errors.of_sender(error.code) from None
    except SMTPAuthenticationError as error:
        raise RelayDown(Trouble.PASSWORD if error.code >= 500 else Trouble.NOT_NOW, error.code) from None
    except SMTPResponseException as error:
        raise relay_errors.of_greeting(error.code) from None
    except (SMTPException, OSError, ValueError) as error:
        raise relay_errors.of_network(error) from None


def _clock() -> float:
    return asyncio.get_running_loop().time()
