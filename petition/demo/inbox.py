"""The mails that the demo's own SMTP server took in. In memory only, the newest thousand."""

import asyncio
import contextlib
import email
import email.policy
import logging
import re
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage

from aiosmtpd.smtp import SMTP, Envelope, Session

MAX_MAILS = 1000
MAX_BYTES = 1_000_000  # of one mail
_LINK = re.compile(r"https?://[^\s<>\"']*[^\s<>\"'.,;:!?)\]]")


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail as it arrived."""

    number: int
    received_at: datetime
    to: tuple[str, ...]  # the envelope's recipients
    source: bytes = field(repr=False)
    message: EmailMessage = field(repr=False)

    @property
    def subject(self) -> str:
        return str(self.message.get("subject", ""))

    @property
    def sender(self) -> str:
        return str(self.message.get("from", ""))

    def body(self, kind: str) -> str | None:
        """Return the ``plain`` or ``html`` part, ``None`` if there is none."""
        part = self.message.get_body((kind,))
        if part is None:
            return None
        content = part.get_payload(decode=True)
        text = content if isinstance(content, bytes) else b""
        with contextlib.suppress(LookupError):  # an unknown character set
            return text.decode(part.get_content_charset("utf-8"), "replace")
        return text.decode("utf-8", "replace")


class Inbox:
    """Keeps mails; what ``aiosmtpd`` calls a handler."""

    def __init__(self) -> None:
        self._mails: deque[Mail] = deque(maxlen=MAX_MAILS)
        self._received = 0

    @property
    def newest(self) -> int:
        """Return the number of the mail that came last; 0 if none did."""
        return self._received

    def __iter__(self) -> Iterator[Mail]:
        return reversed(self._mails)

    def get(self, number: int) -> Mail | None:
        return next((mail for mail in self if mail.number == number), None)

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        """Take a mail in (aiosmtpd calls this)."""
        source = envelope.original_content or b""
        message = email.message_from_bytes(source, EmailMessage, policy=email.policy.default)
        self._received += 1
        self._mails.append(Mail(self._received, datetime.now(UTC), tuple(envelope.rcpt_tos), source, message))
        return "250 stored"


@asynccontextmanager
async def receiving(inbox: Inbox) -> AsyncIterator[int]:
    """Run an SMTP server on a free loopback port for ``inbox``, on the running loop; give the port."""
    loop = asyncio.get_running_loop()
    logging.getLogger("mail.log").setLevel(logging.ERROR)  # aiosmtpd's; it would name every address

    def serve_one() -> SMTP:
        return SMTP(inbox, hostname="localhost", loop=loop, enable_SMTPUTF8=True, data_size_limit=MAX_BYTES)

    server = await loop.create_server(serve_one, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def with_links(text: str) -> list[tuple[str, bool]]:
    """Split ``text`` into pieces, each with whether it is an address to follow."""
    pieces, end = [], 0
    for match in _LINK.finditer(text):
        pieces += [(text[end : match.start()], False), (match[0], True)]
        end = match.end()
    return [*pieces, (text[end:], False)]
