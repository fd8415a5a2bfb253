"""One kept connection to one relay."""

import asyncio
import contextlib
import re
import ssl
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from aiosmtplib import (
    SMTP,
    SMTPAuthenticationError,
    SMTPDataError,
    SMTPException,
    SMTPRecipientRefused,
    SMTPResponse,
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
from petition.mail.mail_session import MailSession
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
        self._session: MailSession | None = None
        self._takes_utf8 = False
        self._takes_together = False  # MAIL, RCPT and DATA (RFC 2920)
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
                session = await self._begin(mail, patience)
                if not self._takes_together:
                    _check_recipient(await session.ask(_rcpt(mail), patience.step), mail)
                    await before_data()
                    _check_data(await session.ask(b"DATA\r\n", patience.step))
                else:
                    await _look_once_more(session, before_data)
                await session.send_content(mail.content, patience.end)
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
                self._session = await self._connect(CALM)
        finally:
            await self.hang_up()

    async def hang_up(self) -> None:
        """Close the connection politely, without waiting long."""
        session, self._session = self._session, None
        if session is None:
            return
        with contextlib.suppress(SMTPException):
            await session.ask(b"QUIT\r\n", 1)
        session.close()

    async def _begin(self, mail: OutgoingMail, patience: Patience) -> MailSession:
        """Return a connection on which the mail has begun: the kept one if it still works, or a new one.

        Where the server takes commands together, it waits for the content then.
        """
        if self._session is not None and self._session.is_open and self.idle() < FRESH:
            with contextlib.suppress(SMTPServerDisconnected, SMTPTimeoutError, SMTPSenderRefused):
                return await self._say_envelope(self._session, mail, patience.step)
        await self.hang_up()
        self._session = await self._connect(patience)
        return await self._say_envelope(self._session, mail, patience.step)

    async def _say_envelope(self, session: MailSession, mail: OutgoingMail, patience: float) -> MailSession:
        """Say MAIL, and the rest as well where that may be said together."""
        if mail.utf8 and not self._takes_utf8:
            raise RelayRejected("SMTPUTF8")  # it takes ASCII addresses only
        if not self._takes_together:
            _check_sender(await session.ask(_mail(mail), patience), mail)
            return session
        together = b"%b%bDATA\r\n" % (_mail(mail), _rcpt(mail))
        sender, recipient, data = await session.ask_together(together, 3, patience)
        try:
            _check_sender(sender, mail)
            _check_recipient(recipient, mail)
            _check_data(data)
        except SMTPResponseException:
            if data.code == SMTPStatus.start_input:
                session.close()  # all that is said now would be the content
            raise
        return session

    async def _connect(self, patience: Patience) -> MailSession:
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
            self._takes_utf8 = client.supports_extension("smtputf8")
            self._takes_together = client.supports_extension("pipelining")
            return MailSession(_transport_of(client))
        except BaseException:
            client.close()
            raise

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
        if self._session is None:
            return
        try:
            await self._session.ask(b"RSET\r\n", 2)
        except SMTPException:
            self._close()

    def _close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.close()


async def _look_once_more(session: MailSession, before_data: Callable[[], Awaitable[None]]) -> None:
    """Call ``before_data`` while the server waits for the content, which it gets no part of if that raises."""
    try:
        await before_data()
    except BaseException:
        session.close()
        raise


def _mail(mail: OutgoingMail) -> bytes:
    options = b" SMTPUTF8 BODY=8BITMIME" if mail.utf8 else b""
    return b"MAIL FROM:<%b>%b\r\n" % (_path(mail.sender), options)


def _rcpt(mail: OutgoingMail) -> bytes:
    try:
        return b"RCPT TO:<%b>\r\n" % _path(mail.recipient)
    except ValueError:  # the composer lets none through
        raise RecipientRefused(NO_SUCH_MAILBOX) from None


def _check_sender(answer: SMTPResponse, mail: OutgoingMail) -> None:
    if answer.code != SMTPStatus.completed:
        raise SMTPSenderRefused(answer.code, answer.message, mail.sender)


def _check_recipient(answer: SMTPResponse, mail: OutgoingMail) -> None:
    if answer.code not in {SMTPStatus.completed, SMTPStatus.will_forward}:
        raise SMTPRecipientRefused(answer.code, answer.message, mail.recipient)


def _check_data(answer: SMTPResponse) -> None:
    if answer.code != SMTPStatus.start_input:
        raise SMTPDataError(answer.code, answer.message)


def _path(address: str) -> bytes:
    """Return an address as commands have it. Raises ``ValueError`` if it would end the command or its path."""
    if _ENDS_PATH.search(address):
        raise ValueError("this cannot be said in a command")
    return address.encode("utf-8")


def _transport_of(client: SMTP) -> asyncio.Transport:
    if client.transport is None:
        raise SMTPServerDisconnected("the connection is lost")
    return cast(asyncio.Transport, client.transport)  # uvloop's is of no class of asyncio's


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
