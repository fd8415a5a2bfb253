"""A real mail server in front of ours: letters signed by mail, and mail that it accepts and sends back later."""

import asyncio
import base64
import email
import email.policy
import os
import re
import smtplib
import ssl
import tempfile
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path

import pytest

from petition.mail.return_path import MailboxMail, ReturnPaths
from tests.incoming_mail import letters_by_mail
from tests.incoming_mail.letters_by_mail import DOMAIN, RSA_RECORD, TO, MailSite, signed, write, zone
from tests.incoming_mail.test_by_processes import pipe, worker
from tests.incoming_mail.test_reports import shape
from tests.mail.post_office import PostOffice
from tests.mail.postfix_relay import Postfix, postfix
from tests.mail.test_real_relays import opened_post
from tests.mail.waiting import until
from tests.rows import rows_of
from tests.running import KEY, free_port

BOUNCES = "bounces.letters.example"
ANNA, LOST = "anna@example.org", "lost@gone.example"
LINE = "Name: Anna Petrova; Visibility: organizers; City: Tver"


@pytest.fixture
async def site(database_url: str, with_letter: None, tmp_path: Path) -> AsyncIterator[MailSite]:
    records = zone(key1___domainkey__example__org=RSA_RECORD)
    async with letters_by_mail.taking_mail(database_url, tmp_path, records, BOUNCE_DOMAIN=DOMAIN) as running:
        yield running


def leading_to(port: int, elsewhere: int) -> tuple[str, ...]:
    """Return settings of Postfix: our mail goes to the worker by LMTP, that of gone.example to another server."""
    ways = f"{{ {DOMAIN} = lmtp:inet:127.0.0.1:{port} }}, {{ gone.example = smtp:[127.0.0.1]:{elsewhere} }}"
    return f"transport_maps = inline:{{ {ways} }}", f"relay_domains = {DOMAIN} gone.example", "relay_recipient_maps ="


async def hand_in(server: Postfix, content: bytes, to: str = TO, sender: str = ANNA) -> None:
    def send() -> None:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with smtplib.SMTP("127.0.0.1", server.port) as client:
            client.starttls(context=context)
            client.sendmail(sender, [to], content)

    await asyncio.to_thread(send)


async def is_open(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


def mails(server: Postfix) -> dict[str, EmailMessage]:
    """Return Anna's mails by their subjects without what stands in brackets."""
    read = [email.message_from_bytes(one, policy=email.policy.default) for one in server.mails("anna")]
    return {str(one["Subject"]).partition(" [")[0]: one for one in read}


def by_anna(text: str, *, subject: str = "", to: str = TO, photo: bytes = b"") -> bytes:
    mail = write(text, sender=f"Anna <{ANNA}>", to=to, subject=subject)
    if photo:
        message = email.message_from_bytes(mail, policy=email.policy.SMTP)
        message.add_attachment(photo, maintype="image", subtype="jpeg", filename="IMG_1.jpg")
        mail = message.as_bytes()
    return signed(mail, domain="example.org")


async def test_letters_and_bounces_at_one_domain(site: MailSite, tmp_path: Path) -> None:
    """The domain of both kinds of mail is one; Postfix hands all over by LMTP, and writes the bounce itself."""
    port = free_port()
    async with (
        opened_post(PostOffice(at={"RCPT": "550 5.1.1 no such mailbox"})) as elsewhere,
        postfix(["anna"], *leading_to(port, elsewhere.port)) as server,
        worker(site, tmp_path, MAIL_LISTEN=f"127.0.0.1:{port}", SMTP_URLS=server.url),
    ):
        await until(lambda: is_open(port))
        await hand_in(server, by_anna("Please send me the letter."))
        await until(lambda: "The letter you asked for" in mails(server))
        answer = mails(server)["The letter you asked for"]
        reply = by_anna(LINE, subject=f"Re: {answer['Subject']}", to=str(answer["Reply-To"]))
        await hand_in(server, reply)
        await until(lambda: "You have signed the letter" in mails(server))
        # A photo makes it too long: one answer says so, and no bounce of the mail server's own.
        for number in range(2):
            await hand_in(server, by_anna(f"{LINE} {number}", subject="With a photo", photo=os.urandom(1_000_000)))
        await until(lambda: "Your e-mail could not be used" in mails(server))
        await until(lambda: server.log().count(f"127.0.0.1]:{port}, delay") == 4)
        assert (await site.site.sign(email=LOST)).status_code == 303
        await until(is_row(site, "SELECT FROM bounced_mailbox WHERE reason = 'bounce'"))
        await until(is_row(site, "SELECT FROM incoming_mail_count WHERE kind = 'hard' AND number = 1"))
        await until(is_row(site, "SELECT 1 WHERE NOT EXISTS (SELECT FROM outbox)"))
        assert len(server.mails("anna")) == 3
        assert server.log().count("status=bounced") == 1
    (signature,) = await site.signatures()
    assert (signature["state"], signature["signals"]) == ("confirmed", {"by_mail": "dkim"})
    left = (tmp_path / "worker.log").read_text() + await everything(site)
    for address in (ANNA, LOST, "example.org", "gone.example"):
        assert address not in left, address


@asynccontextmanager
async def bridge(run: Callable[[list[str], bytes], Awaitable[int]]) -> AsyncIterator[Path]:
    """Give a script for Postfix's account, which cannot enter this test's folders: ``run`` gets arguments and input."""

    async def serve(reader: StreamReader, writer: StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = int(re.findall(r"(?i)content-length: (\d+)", head)[0])
        arguments = base64.b64decode(head.split(" ")[1].partition("?")[2]).decode().split("\n")[:-1]
        code = str(await run(arguments, await reader.readexactly(length)))
        writer.write(f"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{code}".encode())
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1") as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/?"
        with tempfile.TemporaryDirectory() as name:
            Path(name).chmod(0o755)
            script = Path(name) / "petition"
            script.write_text(
                f'#!/bin/sh\nexit "$(curl -s -H Expect: --data-binary @- "{url}$(printf "%s\\n" "$@" | base64 -w0)")"\n'
            )
            script.chmod(0o755)
            yield script


async def test_by_postfixs_pipes(site: MailSite) -> None:
    """The lines of the handbook: what Postfix hands over as sender and recipient, and what it makes of exit codes."""
    away: dict[str, str] = {}
    calls: list[list[str]] = []

    async def run(arguments: list[str], content: bytes) -> int:
        calls.append(arguments)
        code, _ = await pipe(
            {**site.environ, "BOUNCE_DOMAIN": BOUNCES, **away}, content, *arguments[1:], verb=arguments[0]
        )
        return code or 0

    (letter,) = await rows_of(site.site.database, "SELECT id FROM letter")
    paths = ReturnPaths([KEY], BOUNCES)
    token = paths.token(MailboxMail(letter["id"], b"m" * 16), datetime.now(UTC).date())
    async with bridge(run) as script:
        services = (
            "petition unix - n n - 4 pipe user=nobody null_sender="
            f" argv={script} mail-in --sender=${{sender}} --recipient=${{recipient}}\n"
            "petition-bounce unix - n n - 2 pipe flags=Rq user=nobody"
            f" argv={script} bounce --recipient ${{original_recipient}}\n"
        )
        ways = f"transport_maps = inline:{{ {{ {DOMAIN} = petition: }}, {{ {BOUNCES} = petition-bounce: }} }}"
        domains = f"relay_domains = {DOMAIN} {BOUNCES}"
        async with postfix(["anna"], ways, domains, "relay_recipient_maps =", services=services) as server:
            await hand_in(server, by_anna("Please send me the letter."))
            await until(lambda: server.log().count("status=sent") == 1)
            assert await site.answers() == ["mail_in_letter"]
            await hand_in(server, by_anna("Out of office."), sender="")
            await until(lambda: server.log().count("status=sent") == 2)
            assert await site.answers() == ["mail_in_letter"]
            await hand_in(server, shape("hard_postfix", "x"), f"bounce+{token}@{BOUNCES}", "")
            await until(is_row(site, "SELECT FROM bounced_mailbox WHERE reason = 'bounce'"))
            away["DATABASE_URL"] = f"postgresql://petition@127.0.0.1:{free_port()}/none"
            await hand_in(server, by_anna(LINE, subject=f"I sign {await site.tag()}"))
            await until(lambda: server.log().count("status=deferred") == 1)
    assert calls[0] == ["mail-in", f"--sender={ANNA}", f"--recipient={TO}"]
    assert calls[1][1] == "--sender="
    assert calls[2] == ["bounce", "--recipient", f"bounce+{token}@{BOUNCES}"]


def is_row(site: MailSite, query: str) -> Callable[[], Awaitable[bool]]:
    async def ask() -> bool:
        return bool(await rows_of(site.site.database, query))

    return ask


async def everything(site: MailSite) -> str:
    """Return what a dump of the database has."""
    tables = await rows_of(site.site.database, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    rows = [await rows_of(site.site.database, f'SELECT * FROM "{table["tablename"]}"') for table in tables]
    return "\n".join(str(dict(row)) for some in rows for row in some)
