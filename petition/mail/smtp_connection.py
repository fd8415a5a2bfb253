"""One kept connection to one relay."""

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable, Iterator

from aiosmtplib import (
    SMTP,
    SMTPAuthenticationError,
    SMTPDataError,
    SMTPException,
    SMTPRecipientRefused,
    SMTPResponseException,
    SMTPSenderRefused,
    SMTPServerDisconnected,
    SMTPTimeoutError,
)

from petition.core.service_urls import Relay, is_this_machine
from petition.mail import relay_errors
from petition.mail.compose import OutgoingMail
from petition.mail.relay_errors import NO_SUCH_MAILBOX, RecipientRefused, RelayDown, RelayRejected, Trouble

TIMEOUT = 30.0  # seconds for each answer of the relay
# The answer to the mail's end may take longer (RFC 5321, 4.5.3.2.6 says ten minutes): giving up too early would have
# it accepted twice. It must stay well below the lease.
DATA_TIMEOUT = 120.0
FRESH = 20.0  # seconds; relays close idle connections after a minute or more


class SmtpConnection:
    """A connection to ``relay``, opened when needed and kept."""

    def __init__(self, relay: Relay, local_hostname: str) -> None:
        self._relay = relay
        self._local_hostname = local_hostname
        self._context = _tls_context(relay) if relay.tls or relay.starttls else None
        self._client: SMTP | None = None
        self._used_at = 0.0

    def idle(self) -> float:
        """Return for how many seconds the line has not been used."""
        return _clock() - self._used_at

    async def send(self, mail: OutgoingMail, before_data: Callable[[], Awaitable[None]]) -> None:
        """Have ``mail`` accepted. Raises ``RecipientRefused``, ``RelayRejected``, ``RelayDown``, or what
        ``before_data`` raises.
        """
        try:
            with _translated_errors():
                client = await self._begin(mail)
                await _say_recipient(client, mail)
                await before_data()
                await client.data(mail.content, timeout=DATA_TIMEOUT)
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
                self._client = await self._connect()
        finally:
            await self.hang_up()

    async def hang_up(self) -> None:
        """Close the connection politely, without waiting long."""
        client, self._client = self._client, None
        if client is None:
            return
        try:
            await client.quit(timeout=1)
        except (SMTPException, OSError):
            client.close()

    async def _begin(self, mail: OutgoingMail) -> SMTP:
        """Return a connection on which the mail has begun: the kept one if it still works, or a new one."""
        if self._client is not None and self._client.is_connected and self.idle() < FRESH:
            with contextlib.suppress(SMTPServerDisconnected, SMTPTimeoutError, SMTPSenderRefused):
                return await self._say_sender(self._client, mail)
        await self.hang_up()
        self._client = await self._connect()
        return await self._say_sender(self._client, mail)

    async def _say_sender(self, client: SMTP, mail: OutgoingMail) -> SMTP:
        if mail.utf8 and not client.supports_extension("smtputf8"):
            raise RelayRejected("SMTPUTF8")  # it takes ASCII addresses only
        await client.mail(mail.sender, options=["SMTPUTF8", "BODY=8BITMIME"] if mail.utf8 else [])
        return client

    async def _connect(self) -> SMTP:
        client = SMTP(
            hostname=self._relay.host,
            port=self._relay.port,
            use_tls=self._relay.tls,
            start_tls=False,  # as the steps of ``_introduce``, so that a failure says which one it was
            tls_context=self._context,
            timeout=TIMEOUT,
            local_hostname=self._local_hostname,
        )
        try:
            await client.connect()
            await self._introduce(client)
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
    try:
        await client.rcpt(mail.recipient, encoding="utf-8")
    except ValueError:  # a character that would end the command; the composer lets none through
        raise RecipientRefused(NO_SUCH_MAILBOX) from None


def _tls_context(relay: Relay) -> ssl.SSLContext:
    """Return a context that verifies; on this machine there is no one in between, and certificates are self-signed."""
    context = ssl.create_default_context()
    if is_this_machine(relay.host):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


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
