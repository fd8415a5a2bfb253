"""The ways a bounce comes in: LMTP on a port or a socket, and the pipe of a mail server."""

import asyncio
import smtplib
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from petition.core.database import opened
from petition.core.errors import SettingsError
from petition.core.incoming_mail_settings import MailListener
from petition.incoming_mail.bounces import BounceReceiver
from petition.incoming_mail.listener import MAX_CONNECTIONS, listening
from petition.incoming_mail.model import MAX_MESSAGE
from tests.commands import ENVIRON
from tests.incoming_mail.test_bounces import DOMAIN, NED, NEMO, PATHS, digest, suppressed, token
from tests.incoming_mail.test_reports import shape
from tests.mail.installation import Installation, environ
from tests.mail.post_office import PostOffice
from tests.mail.waiting import until
from tests.mail.working import working
from tests.running import free_port


def hand_over(port: int, recipient: str, content: bytes) -> dict[str, tuple[int, bytes]]:
    """Hand a message over as a mail server does, by another implementation of LMTP."""
    with smtplib.LMTP("127.0.0.1", port) as client:
        return client.sendmail("", [recipient], content)


def send_undeclared(port: int) -> int:
    """Send too long a message without saying so first; return the answer's code."""
    with smtplib.LMTP("127.0.0.1", port) as client:
        client.ehlo()
        client.mail("")
        client.rcpt(f"x@{DOMAIN}")
        return client.data(b"From: x\r\n\r\n" + b"x\r\n" * MAX_MESSAGE)[0]


async def test_the_whole_round(installation: Installation, post: PostOffice) -> None:
    port = free_port()
    its = replace(installation.settings, bounce_domain=DOMAIN, mail_listen=MailListener("127.0.0.1", port))
    letter = await installation.letter()
    await installation.sign_up(letter, NEMO)
    async with working(its):
        await until(installation.is_idle)
        (sender,) = post.senders
        assert sender.startswith("bounce+")
        assert sender.endswith(f"@{DOMAIN}")
        assert "post@letters.example" in post.mails[0]["From"]
        content = shape("hard_postfix", "x").replace(b"bounce+x@" + DOMAIN.encode(), sender.encode())
        await asyncio.to_thread(hand_over, port, sender, content)
        assert await suppressed(installation) == [(letter.id, digest(letter, NEMO), "bounce")]
        # A complaint has nothing but the Message-ID.
        name, own = b"<x.00112233445566778899@letters.example>", post.mails[0]["Message-ID"].encode()
        arf = shape("complaint_arf", "x").replace(name, own)
        await asyncio.to_thread(hand_over, port, f"complaints@{DOMAIN}", arf)
        assert await suppressed(installation) == [(letter.id, digest(letter, NEMO), "complaint")]


@asynccontextmanager
async def taking(database_url: str, at: MailListener | None = None) -> AsyncIterator[int]:
    """Listen for bounces; give the port."""
    port = free_port()
    async with opened(database_url, max_size=2) as database:
        receiver = BounceReceiver(database, PATHS)
        async with listening(at or MailListener("127.0.0.1", port), {DOMAIN: receiver}):
            yield port


async def talk(port: int, *lines: bytes) -> list[bytes]:
    """Say lines, each after the answer to the one before; return the answers' first lines."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answers = [await reader.readline()]
    for line in lines:
        writer.write(line + b"\r\n")
        answer = await reader.readline()
        while answer[3:4] == b"-":
            answer = await reader.readline()
        answers.append(answer)
    writer.close()
    return answers


async def test_the_listener_takes_only_what_is_ours_and_one_at_a_time(
    installation: Installation, database_url: str
) -> None:
    async with taking(database_url) as port:
        answers = await talk(
            port,
            b"EHLO x",
            b"LHLO x",
            b"MAIL FROM:<>",
            b"RCPT TO:<nemo@elsewhere.example>",
            b"RCPT TO:<bounce+x@BOUNCES.letters.example>",
            b"RCPT TO:<bounce+y@bounces.letters.example>",
            b"MAIL FROM:<> SIZE=99000000",
            b"RSET",
            b"MAIL FROM:<> SIZE=99000000",
        )
    codes = [answer[:3] for answer in answers]
    assert codes == [b"220", b"500", b"250", b"250", b"550", b"250", b"452", b"503", b"250", b"552"]


async def test_of_a_long_message_the_beginning_is_read_and_the_next_is_taken(
    installation: Installation, database_url: str
) -> None:
    letter = await installation.letter()
    async with taking(database_url) as port:
        long = shape("hard_exim", token(letter, NED)) + b"\r\n.\r\n" + b"x" * 70 * (MAX_MESSAGE // 60)
        await asyncio.to_thread(hand_over, port, f"bounce+{token(letter, NED)}@{DOMAIN}", long)
        assert len(await suppressed(installation)) == 1
        assert await asyncio.to_thread(send_undeclared, port) == 250
        # A line of 8bit far above 998 octets is nothing to complain about.
        content = shape("hard_postfix", token(letter, NEMO)).replace(b"The mail", b"\xd0\x96" * 20_000)
        await asyncio.to_thread(hand_over, port, f"bounce+{token(letter, NEMO)}@{DOMAIN}", content)
    assert len(await suppressed(installation)) == 2


async def test_connections_have_a_limit(installation: Installation, database_url: str) -> None:
    async with taking(database_url) as port:
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(MAX_CONNECTIONS)]
        assert [(await reader.readline())[:3] for reader, _ in held] == [b"220"] * MAX_CONNECTIONS
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert (await reader.readline()).startswith(b"421")
        writer.close()
        held.pop()[1].close()

        async def is_free() -> bool:
            return (await talk(port))[0].startswith(b"220")

        await until(is_free)
        for _, writer in held:
            writer.close()


async def test_a_socket_of_the_file_system(installation: Installation, database_url: str, tmp_path: Path) -> None:
    at = MailListener(path=tmp_path / "mail.sock")
    async with taking(database_url, at), taking(database_url, at):  # the second worker leaves it to the first
        reader, writer = await asyncio.open_unix_connection(at.path)
        assert (await reader.readline()).startswith(b"220")
        writer.close()
        assert at.path is not None
        assert at.path.stat().st_mode & 0o007 == 0
    assert not (tmp_path / "mail.sock").exists()
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="MAIL_LISTEN"):
        async with taking(database_url, MailListener(path=tmp_path / "nowhere" / "x.sock")):
            pass


async def test_the_pipe(installation: Installation, database_url: str, tmp_path: Path) -> None:
    letter = await installation.letter()
    more = environ(tmp_path, database_url) | {"BOUNCE_DOMAIN": DOMAIN}

    def pipe(content: bytes, *arguments: str, **other: str) -> tuple[int, bytes]:
        command = [sys.executable, "-m", "petition", "bounce", *arguments]
        done = subprocess.run(command, input=content, env=ENVIRON | more | other, capture_output=True, check=False)
        return done.returncode, done.stdout + done.stderr

    long = b"\n" + b"x" * 76 * 140_000
    content = shape("hard_postfix", token(letter, NEMO))
    assert await asyncio.to_thread(pipe, content + long) == (0, b"")
    assert await suppressed(installation) == [(letter.id, digest(letter, NEMO), "bounce")]
    recipient = f"bounce+{token(letter, NED)}@{DOMAIN}"
    assert await asyncio.to_thread(pipe, shape("hard_exim", "x"), "--recipient", recipient) == (0, b"")
    assert len(await suppressed(installation)) == 2
    assert (await asyncio.to_thread(pipe, b""))[0] == 65
    code, said = await asyncio.to_thread(pipe, content, DATABASE_URL="postgresql://petition@127.0.0.1:1/petition")
    assert code == 75
    assert NEMO.encode() not in said
