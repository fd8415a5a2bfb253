"""What is said on an open connection, and what answers of every shape mean; on asyncio's loop and on uvloop's."""

import asyncio
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import uvloop
from aiosmtplib import (
    SMTPDataError,
    SMTPReadTimeoutError,
    SMTPResponseException,
    SMTPServerDisconnected,
)

from petition.core.relay_urls import parse_relay
from petition.mail.compose import OutgoingMail
from petition.mail.mail_session import MAX_RESPONSE, MailSession, escaped
from petition.mail.smtp_connection import SmtpConnection
from tests.mail.post_office import PostOffice
from tests.mail.test_relays import certificate as certificate  # a fixture

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def session(serve: Serve) -> AsyncIterator[MailSession]:
    """Open a connection to a server that does ``serve``."""

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await serve(reader, writer)
        writer.close()

    async with await asyncio.start_server(one, "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, "127.0.0.1", port)
        its = MailSession(transport)
        try:
            yield its
        finally:
            its.close()


def answering(*parts: bytes) -> Serve:
    """Return what answers the first command in these parts, each sent by itself, and then waits."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.01)
        await reader.read()

    return serve


@pytest.mark.parametrize(
    ("parts", "code", "message"),
    [
        ((b"250 OK\r\n",), 250, "OK"),
        ((b"250\r\n",), 250, ""),
        ((b"25", b"0 O", b"K\r", b"\n"), 250, "OK"),
        ((b"550-5.1.1 no\r\n", b"550 5.1.1 such mailbox\r\n"), 550, "5.1.1 no\n5.1.1 such mailbox"),
        ((b"550-one\r\n550-", b"two\r\n550 three\r\n"), 550, "one\ntwo\nthree"),
        ((b"450 sp\xe4ter\n",), 450, "sp\udce4ter"),
    ],
)
async def test_answers_come_in_any_pieces(parts: tuple[bytes, ...], code: int, message: str) -> None:
    async with session(answering(*parts)) as its:
        assert tuple(await its.ask(b"NOOP\r\n", 5)) == (code, message)


@pytest.mark.parametrize("parts", [(b"nonsense\r\n",), (b"250-yes\r\n", b"HTTP\r\n"), (b"-1 x\r\n",)])
async def test_what_is_no_answer_is_an_error(parts: tuple[bytes, ...]) -> None:
    async with session(answering(*parts)) as its:
        with pytest.raises(SMTPResponseException):
            await its.ask(b"NOOP\r\n", 5)


async def test_an_answer_without_an_end_is_given_up() -> None:
    async with session(answering(b"250-x\r\n" * (MAX_RESPONSE // 7 + 1))) as its:
        with pytest.raises(SMTPResponseException):
            await its.ask(b"NOOP\r\n", 5)


async def test_after_a_late_answer_nothing_more_is_said() -> None:
    async with session(answering()) as its:
        with pytest.raises(SMTPReadTimeoutError):
            await its.ask(b"NOOP\r\n", 0.02)
        with pytest.raises(SMTPServerDisconnected):
            await its.ask(b"NOOP\r\n", 5)
        assert not its.is_open


async def test_a_server_that_hangs_up_is_noticed() -> None:
    async def serve(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.readline()

    async with session(serve) as its:
        with pytest.raises(SMTPServerDisconnected):
            await its.ask(b"NOOP\r\n", 5)
        assert not its.is_open


async def test_what_is_said_unasked_answers_nothing() -> None:
    said = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"250 before it was asked\r\n")
        await writer.drain()
        said.set()
        await reader.readline()
        writer.write(b"550 no\r\n250 and more\r\n")
        await reader.readline()
        writer.write(b"451 later\r\n")
        await reader.read()

    async with session(serve) as its:
        await said.wait()
        await asyncio.sleep(0.05)
        assert (await its.ask(b"NOOP\r\n", 5)).code == 550
        assert (await its.ask(b"NOOP\r\n", 5)).code == 451


@pytest.mark.parametrize("pieces", [[b"250 a\r\n550 b\r\n354 c\r\n"], [b"250 a\r\n5", b"50 b\r\n354", b" c\r\n"]])
async def test_answers_to_commands_said_together_come_in_order(pieces: list[bytes]) -> None:
    async with session(answering(*pieces)) as its:
        answers = await its.ask_together(b"MAIL\r\nRCPT\r\nDATA\r\n", 3, 5)
        assert [tuple(answer) for answer in answers] == [(250, "a"), (550, "b"), (354, "c")]


async def test_each_of_several_answers_must_come_in_time() -> None:
    async with session(answering(b"250 a\r\n")) as its:
        with pytest.raises(SMTPReadTimeoutError):
            await its.ask_together(b"MAIL\r\nRCPT\r\n", 2, 0.1)
        assert not its.is_open


async def test_a_mail_that_is_not_taken_says_why() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in (b"554 5.7.1 spam\r\n", b"451 4.3.0 later\r\n"):
            assert await reader.readuntil(b"\r\n.\r\n") == b"Subject: x\r\n\r\n..\r\n.\r\n"
            writer.write(answer)
        await reader.read()

    async with session(serve) as its:
        for code in (554, 451):
            with pytest.raises(SMTPDataError) as error:
                await its.send_content(b"Subject: x\r\n\r\n.\r\n", 5)
            assert error.value.code == code


@pytest.mark.parametrize(
    ("content", "sent"),
    [
        (b"a: b\r\n\r\nc\r\n", b"a: b\r\n\r\nc\r\n.\r\n"),
        (b"a: b\r\n\r\nc", b"a: b\r\n\r\nc\r\n.\r\n"),
        (b".a\r\n..b\r\nc.\r\n", b"..a\r\n...b\r\nc.\r\n.\r\n"),
        (b"a\n.\nb\r\n", b"a\r\n..\r\nb\r\n.\r\n"),
        (b"a\r.\rb\r\n", b"a\r\n..\r\nb\r\n.\r\n"),
        (b"a\r\r\n.\r\nb", b"a\r\n\r\n..\r\nb\r\n.\r\n"),
        (b"a\n\rb\r\n", b"a\r\n\r\nb\r\n.\r\n"),
        (b"", b"\r\n.\r\n"),
    ],
)
def test_no_content_ends_itself(content: bytes, sent: bytes) -> None:
    assert escaped(content) == sent


def serve_in_thread(post: PostOffice, is_open: threading.Event, is_over: threading.Event) -> None:
    """Be a server on a loop of asyncio's: aiosmtpd encrypts on no other."""

    async def serve() -> None:
        await post.open()
        is_open.set()
        while not is_over.is_set():
            await asyncio.sleep(0.02)
        await post.close()

    asyncio.run(serve())


@pytest.mark.parametrize("is_tls", [False, True])
def test_uvloops_connections_are_taken_over_as_well(certificate: ssl.SSLContext, is_tls: bool) -> None:
    async def send() -> None:
        connection = SmtpConnection(parse_relay(post.url), "letters.example")
        mail = OutgoingMail("post@letters.example", "nemo@example.org", b"Subject: x\r\n\r\n.x\r\n", utf8=False)
        async with asyncio.timeout(60):
            for _ in range(2):
                await connection.send(mail, _nothing)
            await connection.hang_up()

    post = PostOffice(tls=certificate if is_tls else None)
    is_open, is_over = threading.Event(), threading.Event()
    server = threading.Thread(target=serve_in_thread, args=(post, is_open, is_over), daemon=True)
    server.start()
    assert is_open.wait(60)
    try:
        uvloop.run(send())
    finally:
        is_over.set()
        server.join(60)
    assert [mail.get_content() for mail in post.mails] == [".x\r\n"] * 2
    assert post.connections == 1


async def _nothing() -> None:
    return None
