"""A real SMTP server on loopback that takes mail, or answers as a test tells it to."""

import asyncio
import email
import email.policy
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from tests.mail.waiting import until


class _Connection(SMTP):
    """One that keeps the transport of its socket, also once TLS stands above it."""

    below: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not hasattr(self, "below"):
            assert isinstance(transport, asyncio.WriteTransport)
            self.below = transport
        super().connection_made(transport)


@dataclass
class PostOffice:
    """Keeps every accepted mail. ``at`` maps a step (``EHLO``, ``MAIL``, ``RCPT``, ``DATA``) to its answer."""

    tls: ssl.SSLContext | None = None  # offered by STARTTLS and then required
    password: str | None = None  # of the user petition; asked for over TLS only
    port: int = 0
    at: dict[str, str] = field(default_factory=dict)
    refused_recipients: dict[str, str] = field(default_factory=dict)
    receiving: Callable[[], Any] | None = None  # awaited when a recipient is named
    accepting: Callable[[], Any] | None = None  # awaited while a mail is being accepted
    mails: list[EmailMessage] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    senders: list[str] = field(default_factory=list)  # of the envelopes
    connections: int = 0
    smtputf8: bool = False
    pipelining: bool = True

    async def open(self) -> None:
        """Listen; on the same port again after ``close``."""
        self._protocols: list[_Connection] = []
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._protocol, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening and drop every connection."""
        self._server.close()
        for protocol in self._protocols:
            protocol.below.abort()  # below TLS, which may be at its handshake
        await self._server.wait_closed()
        sockets = [protocol.below.get_extra_info("socket") for protocol in self._protocols]
        await until(lambda: all(socket.fileno() < 0 for socket in sockets))

    @property
    def url(self) -> str:
        """The address for ``SMTP_URLS``."""
        login = f"petition:{self.password}@" if self.password else ""
        return f"smtp://{login}127.0.0.1:{self.port}{'?starttls=1' if self.tls else ''}"

    def text(self, recipient: str) -> str:
        """Return the text of the mail that ``recipient`` got."""
        body = self.mails[self.recipients.index(recipient)].get_body(("plain",))
        assert body is not None
        return str(body.get_content())

    def _protocol(self) -> SMTP:
        self.connections += 1
        protocol = _Connection(
            self,
            hostname="post.example",
            loop=asyncio.get_running_loop(),
            tls_context=self.tls,
            require_starttls=self.tls is not None,
            enable_SMTPUTF8=self.smtputf8,
            auth_required=self.password is not None,
            authenticator=self._authenticate,
        )
        self._protocols.append(protocol)
        return protocol

    def _authenticate(self, _server: SMTP, _session: Session, _envelope: Envelope, _how: str, data: Any) -> AuthResult:
        return AuthResult(success=data.password == (self.password or "").encode(), handled=False)

    async def handle_EHLO(
        self, _server: SMTP, session: Session, _envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        if self.pipelining:  # the library takes commands together without saying so
            responses.insert(1, "250-PIPELINING")
        return [self.at["EHLO"]] if "EHLO" in self.at else responses

    async def handle_MAIL(
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if "MAIL" not in self.at:
            envelope.mail_from = address
        return self.at.get("MAIL", "250 OK")

    async def handle_RCPT(
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if self.receiving is not None:
            await self.receiving()
        answer = self.refused_recipients.get(address) or self.at.get("RCPT")
        if answer is None:
            envelope.rcpt_tos.append(address)
        return answer or "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        if "DATA" in self.at:
            return self.at["DATA"]
        if self.accepting is not None:
            await self.accepting()
        assert isinstance(envelope.content, bytes)
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        self.mails.append(mail)
        self.recipients.extend(envelope.rcpt_tos)
        self.senders.append(envelope.mail_from or "")
        return "250 accepted"
