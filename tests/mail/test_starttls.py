"""What a relay, or someone in between, writes in the clear around STARTTLS counts for nothing afterwards (RFC 3207)."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from petition.core.relay_urls import parse_relay
from petition.mail.compose import OutgoingMail
from petition.mail.relay_errors import RelayDown, Trouble
from petition.mail.smtp_connection import SmtpConnection
from tests.mail.test_relays import certificate as certificate  # a fixture

PASSWORD = "c2VjcmV0"
MAIL = OutgoingMail("post@letters.example", "nemo@example.org", b"Subject: x\r\n\r\nHello\r\n", utf8=False)
READY = b"220 ready\r\n"
OVER_TLS = (b"250-relay.example\r\n250-SIZE 1000000\r\n250 AUTH PLAIN\r\n", b"235 welcome\r\n")


@dataclass
class Pretender:
    """A relay that offers STARTTLS, writes ``answer`` when it is asked for, and then speaks TLS or not."""

    context: ssl.SSLContext
    answer: bytes
    encrypts: bool = True
    greeting: bytes = b"220 relay.example\r\n"
    port: int = 0
    clear: list[bytes] = field(default_factory=list)  # lines of the client
    encrypted: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"smtp://petition:{PASSWORD}@127.0.0.1:{self.port}?starttls=1"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, ValueError, asyncio.IncompleteReadError):
            writer.write(self.greeting)
            while (line := await reader.readline()) and not line.startswith(b"STARTTLS"):
                self.clear.append(line)
                writer.write(b"250-relay.example\r\n250-STARTTLS\r\n250 AUTH PLAIN\r\n")
            writer.write(self.answer)
            if self.encrypts:
                await writer.drain()
                await writer.start_tls(self.context)
            await self._go_on(reader, writer)
        writer.close()

    async def _go_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines = self.encrypted if self.encrypts else self.clear
        while line := await reader.readline():
            lines.append(line)
            verb = line[:4].upper()
            writer.write(OVER_TLS[0] if verb == b"EHLO" else OVER_TLS[1] if verb == b"AUTH" else b"250 OK\r\n")


@asynccontextmanager
async def pretending(pretender: Pretender) -> AsyncIterator[Pretender]:
    server = await asyncio.start_server(pretender.serve, "127.0.0.1", 0)
    pretender.port = server.sockets[0].getsockname()[1]
    try:
        yield pretender
    finally:
        server.close()


def line_to(pretender: Pretender) -> SmtpConnection:
    return SmtpConnection(parse_relay(pretender.url), "letters.example")


INJECTED = [
    b"250-relay.example\r\n250 SMTPUTF8\r\n",  # an answer to the next EHLO: abilities, and no AUTH
    b"554 go away\r\n",
    b"250 OK\r\n" * 20,
    b"235 welcome\r\n250 OK\r\n250 OK\r\n354 go on\r\n250 accepted\r\n",
    b"250-no end",
]


@pytest.mark.parametrize("injected", INJECTED)
async def test_what_comes_in_the_clear_behind_the_answer_is_no_answer_to_what_is_said_over_tls(
    certificate: ssl.SSLContext, injected: bytes
) -> None:
    async with pretending(Pretender(certificate, READY + injected)) as relay:
        line = line_to(relay)
        await line.probe()
    assert [words[:4] for words in relay.encrypted] == [b"EHLO", b"AUTH", b"QUIT"]
    assert line.tls is not None
    assert line.tls.version
    assert not any(words.startswith(b"AUTH") for words in relay.clear)


async def test_mail_is_accepted_by_what_is_said_over_tls_only(certificate: ssl.SSLContext) -> None:
    """Answers put in for the whole conversation would have a mail taken for sent that never was."""
    injected = OVER_TLS[0] + b"235 welcome\r\n250 OK\r\n250 OK\r\n354 go on\r\n250 accepted\r\n"

    async def nothing() -> None:
        pass

    async with pretending(Pretender(certificate, READY + injected)) as relay:
        line = line_to(relay)
        with pytest.raises(RelayDown):  # this relay's answer to DATA is 250 and not 354
            await line.send(MAIL, nothing)
        await line.hang_up()
    assert [words[:4] for words in relay.encrypted[:5]] == [b"EHLO", b"AUTH", b"MAIL", b"RCPT", b"DATA"]


LIARS: dict[str, Callable[[ssl.SSLContext], Pretender]] = {
    "goes on in the clear": lambda context: Pretender(context, READY, encrypts=False),
    "answers as if it were encrypted": lambda context: Pretender(context, READY + OVER_TLS[0], encrypts=False),
    "does not offer it in what comes with the greeting": lambda context: Pretender(
        context, READY, greeting=b"220 relay.example\r\n" + OVER_TLS[0]
    ),
    "cannot": lambda context: Pretender(context, b"454 TLS not available\r\n", encrypts=False),
    "does not know the word": lambda context: Pretender(context, b"502 what\r\n", encrypts=False),
    "says yes in other words": lambda context: Pretender(context, b"250 OK\r\n", encrypts=False),
    "asks for the password first": lambda context: Pretender(context, b"334 \r\n", encrypts=False),
}


@pytest.mark.parametrize("liar", LIARS.values(), ids=LIARS.keys())
async def test_a_relay_that_lies_about_starttls_gets_nothing(
    certificate: ssl.SSLContext, liar: Callable[[ssl.SSLContext], Pretender]
) -> None:
    async with pretending(liar(certificate)) as relay:
        with pytest.raises(RelayDown) as error:
            await line_to(relay).probe()
    assert error.value.trouble is not Trouble.PASSWORD
    said = b"".join([*relay.clear, *relay.encrypted])
    assert b"AUTH" not in said
    assert b"MAIL" not in said
