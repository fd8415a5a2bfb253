"""A relay of our own: takes every mail, knows whose it is and where its link leads; it can take its time."""

import asyncio
import email
import email.policy
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiosmtpd.smtp import SMTP, Envelope, Session

_TOKEN = re.compile(r"/[a-z]{2}/confirm/([\w.\-~]+)")


@dataclass
class Post:
    """``arrived`` is called with a mailbox and the token of its link, when the mail has been accepted."""

    arrived: Callable[[str, str], None]
    port: int = 0
    under_way: set[str] = field(default_factory=set)  # mailboxes whose mail is being handed over
    _open: asyncio.Event = field(default_factory=asyncio.Event)

    def hold(self) -> None:
        """Accept nothing for now: who hands over a mail waits for the answer to DATA."""
        self._open.clear()

    def go_on(self) -> None:
        """Accept again."""
        self._open.set()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["Post"]:
        """Listen on a free loopback port while the block runs."""
        self._open.set()
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: SMTP(self, hostname="relay.example", loop=loop), "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        """Accept a mail (aiosmtpd calls this)."""
        (mailbox,) = envelope.rcpt_tos
        self.under_way.add(mailbox)
        try:
            await self._open.wait()
        finally:
            self.under_way.discard(mailbox)
        assert isinstance(envelope.content, bytes)
        body = email.message_from_bytes(envelope.content, policy=email.policy.default).get_body(("plain",))
        link = _TOKEN.search(str(body.get_content()) if body else "")
        self.arrived(mailbox, link[1] if link else "")
        return "250 accepted"
