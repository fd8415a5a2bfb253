"""LMTP (RFC 2033) for the mail server of this machine: one message for one recipient at a time, everything bounded.

It knows no passwords and no TLS, so it listens on a loopback address or a socket and nowhere else.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import Envelope, Session

from petition.core.errors import SettingsError
from petition.core.incoming_mail_settings import MailListener
from petition.incoming_mail.model import MAX_MESSAGE, MailReceiver, Outcome

MAX_CONNECTIONS = 20
IDLE = 60.0  # seconds without a command
PATIENCE = 60.0  # seconds for one message
MAX_ADDRESS = 320  # characters
MAX_TAKEN = 64 * 1024 * 1024  # bytes that a message may have, its beginning is read

log = logging.getLogger(__name__)

REPLIES = {
    Outcome.DONE: "250 2.0.0 Ok",
    Outcome.UNREADABLE: "554 5.6.0 This message cannot be read",
    Outcome.LATER: "451 4.3.0 Later, please",
}


class _Session(LMTP):
    """One connection. Lines may be as long as a message, since not every sender knows of the limit of 998.

    Of a long message the beginning is taken and the rest dropped: refused, it would go back to its author in the
    mail server's words, or to a stranger, where a reply with a photo deserves an answer in ours.
    """

    line_length_limit = MAX_MESSAGE
    local_part_limit = 128
    has_ended = False

    async def smtp_DATA(self, arg: str) -> None:
        if await self.check_helo_needed():
            return
        if arg or self.envelope is None or not self.envelope.rcpt_tos:
            await self.push("501 5.5.4 DATA takes no words" if arg else "503 5.5.1 RCPT first")
            return
        await self.push("354 End data with <CR><LF>.<CR><LF>")
        try:
            self.envelope.content = await _beginning(self._reader)
        except asyncio.CancelledError:  # the client has gone
            self._writer.close()
            raise
        status = await self._call_handler_hook("DATA")
        self._set_post_data_state()  # type: ignore[no-untyped-call]
        await self.push(status)

    def connection_lost(self, error: Exception | None) -> None:
        self.has_ended = True
        super().connection_lost(error)


async def _beginning(reader: asyncio.StreamReader) -> bytes:
    """Read a message to its end, without the dots of RFC 5321, 4.5.2; return one byte more than it may have at most."""
    content, is_start = bytearray(), True
    while True:
        try:
            piece = await reader.readuntil(b"\r\n")
        except asyncio.LimitOverrunError as error:
            piece = await reader.read(error.consumed)
        if is_start and piece == b".\r\n":
            return bytes(content[: MAX_MESSAGE + 1])
        if len(content) <= MAX_MESSAGE:
            content += piece[1:] if is_start and piece.startswith(b".") else piece
        is_start = piece.endswith(b"\r\n")


class _Handler:
    """Passes messages on by the domain of their recipient."""

    def __init__(self, receivers: Mapping[str, MailReceiver]) -> None:
        self._receivers = receivers

    async def handle_RCPT(
        self, _server: LMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if envelope.rcpt_tos:
            return "452 4.5.3 One recipient at a time"  # the server comes back with the others (RFC 5321, 4.5.3.1.10)
        if len(address) > MAX_ADDRESS or self._receiver(address) is None:
            return "550 5.1.1 No such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Ok"

    async def handle_DATA(self, _server: LMTP, _session: Session, envelope: Envelope) -> str:
        recipient, content = envelope.rcpt_tos[0], envelope.content
        receiver = self._receiver(recipient)
        if receiver is None or not isinstance(content, bytes):
            return REPLIES[Outcome.UNREADABLE]
        try:
            async with asyncio.timeout(PATIENCE):
                return REPLIES[await receiver.receive(envelope.mail_from or "", recipient, content)]
        except TimeoutError:
            return REPLIES[Outcome.LATER]
        except Exception:
            log.exception("an incoming mail could not be handled")
            return REPLIES[Outcome.LATER]

    async def handle_exception(self, error: Exception) -> str:
        log.error("the LMTP listener failed", exc_info=error)
        return REPLIES[Outcome.LATER]

    def _receiver(self, address: str) -> MailReceiver | None:
        return self._receivers.get(address.rpartition("@")[2].lower())


class _Overcrowded(asyncio.Protocol):
    """Answers the connection above the limit."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.WriteTransport):
            transport.write(b"421 4.3.2 Too many connections\r\n")
        transport.close()


class _Sessions:
    """Makes the protocol of each connection, and ends those that are left."""

    def __init__(self, receivers: Mapping[str, MailReceiver]) -> None:
        self._handler = _Handler(receivers)
        self._open = set[_Session]()

    def __call__(self) -> asyncio.BaseProtocol:
        self._open = {session for session in self._open if not session.has_ended}
        if len(self._open) >= MAX_CONNECTIONS:
            return _Overcrowded()
        session = _Session(
            self._handler,
            data_size_limit=MAX_TAKEN,
            timeout=IDLE,
            hostname="petition",
            ident="LMTP",
            enable_SMTPUTF8=True,
            loop=asyncio.get_running_loop(),
        )
        self._open.add(session)
        return session

    def abort(self) -> None:
        for session in self._open:
            if isinstance(session.transport, asyncio.WriteTransport):
                session.transport.abort()


@contextlib.asynccontextmanager
async def listening(address: MailListener, receivers: Mapping[str, MailReceiver]) -> AsyncIterator[None]:
    """Take mail for the domains that ``receivers`` are by. Raises ``SettingsError`` if ``address`` cannot be used.

    Several workers of one account may listen at one port; of those with one socket, the first does.
    """
    sessions = _Sessions(receivers)
    if address.path is not None and await _is_served(address.path):
        log.info("another worker takes the incoming mail")
        yield
        return
    server = await _bind(address, sessions)
    try:
        yield
    finally:
        server.close()
        sessions.abort()
        await server.wait_closed()
        if address.path is not None:
            address.path.unlink(missing_ok=True)


async def _is_served(path: Path) -> bool:
    try:
        _, writer = await asyncio.open_unix_connection(path)
    except OSError:
        return False
    writer.close()
    return True


async def _bind(address: MailListener, sessions: _Sessions) -> asyncio.Server:
    loop = asyncio.get_running_loop()
    try:
        if address.path is None:
            return await loop.create_server(sessions, address.host, address.port, reuse_port=True)
        server = await loop.create_unix_server(sessions, address.path)
        address.path.chmod(0o660)  # the folder says who comes in
    except OSError as error:
        raise SettingsError(f"MAIL_LISTEN: {error.strerror or error}") from None
    return server
