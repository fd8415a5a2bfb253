"""One kept connection to one relay, and what its answers mean."""

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable, Iterator

from aiosmtplib import (
    SMTP,
    SMTPDataError,
    SMTPException,
    SMTPRecipientRefused,
    SMTPResponseException,
    SMTPSenderRefused,
    SMTPServerDisconnected,
    SMTPTimeoutError,
)

from petition.core.errors import PetitionError
from petition.core.settings import Relay, is_loopback
from petition.mail.compose import OutgoingMail

TIMEOUT = 30.0  # seconds for each answer of the relay
# The answer to the mail's end may take longer (RFC 5321, 4.5.3.2.6 says ten minutes): giving up too early would have
# it accepted twice. It must stay well below the lease.
DATA_TIMEOUT = 120.0
FRESH = 20.0  # seconds; relays close idle connections after a minute or more
NO_SUCH_MAILBOX = 553  # "mailbox name not allowed"

# Said of the recipient, yet about us: not authenticated, or out of order (RFC 4954, 6; RFC 5321, 4.2.3).
_ABOUT_US = frozenset({503, 530, 534, 535, 538})


class RecipientRefused(PetitionError):
    """This mail was refused for good. ``code`` is the relay's reply code."""

    def __init__(self, code: int) -> None:
        super().__init__("the e-mail was permanently refused")
        self.code = code


class RelayRejected(PetitionError):
    """The relay works, but puts this mail off or may not relay it."""


class RelayDown(PetitionError):
    """The relay cannot be reached or does not serve us. ``code`` is its reply code, or 0."""

    def __init__(self, code: int = 0) -> None:
        super().__init__("the relay does not serve us")
        self.code = code


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
        """Connect, say who we are, hang up. Raises ``RelayDown`` or ``RelayRejected``."""
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
            raise RelayRejected("this relay takes ASCII addresses only")
        await client.mail(mail.sender, options=["SMTPUTF8", "BODY=8BITMIME"] if mail.utf8 else [])
        return client

    async def _connect(self) -> SMTP:
        client = SMTP(
            hostname=self._relay.host,
            port=self._relay.port,
            username=self._relay.username,
            password=self._relay.password,
            use_tls=self._relay.tls,
            start_tls=self._relay.starttls and not self._relay.tls,
            tls_context=self._context,
            timeout=TIMEOUT,
            local_hostname=self._local_hostname,
        )
        await client.connect()
        if client.is_ehlo_or_helo_needed:
            await client.ehlo()
        return client

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


def is_on_this_machine(relay: Relay) -> bool:
    return is_loopback(f"smtp://[{relay.host}]" if ":" in relay.host else f"smtp://{relay.host}")


def _tls_context(relay: Relay) -> ssl.SSLContext:
    """Return a context that verifies; on this machine there is no one in between, and certificates are self-signed."""
    context = ssl.create_default_context()
    if is_on_this_machine(relay):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


@contextlib.contextmanager
def _translated_errors() -> Iterator[None]:
    """Translate what aiosmtplib raises. Its texts may quote the address, so they end here (``from None``)."""
    try:
        yield
    except (SMTPRecipientRefused, SMTPDataError) as error:
        raise _translate_error(error) from None
    except SMTPResponseException as error:
        raise RelayDown(error.code) from None
    except (SMTPException, OSError, ValueError):
        raise RelayDown from None


def _translate_error(error: SMTPRecipientRefused | SMTPDataError) -> PetitionError:
    code = error.code
    if code == 421 or code in _ABOUT_US or not 400 <= code < 600:
        return RelayDown(code)
    # 5.7.1 in answer to a recipient is how relays say "I do not relay for you" (RFC 3463, 3.8): a mistake of the
    # installation must not cost all recipients their mail.
    not_ours = isinstance(error, SMTPRecipientRefused) and str(error.message).startswith("5.7.")
    return RelayRejected() if code < 500 or not_ours else RecipientRefused(code)


def _clock() -> float:
    return asyncio.get_running_loop().time()
