"""Signing without a browser, over processes of their own: a worker with LMTP or a Maildir, the pipe, an SMTP server."""

import asyncio
import smtplib
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from petition.demo.inbox import Mail, receiving
from tests.faults.processes import ROOT, command
from tests.incoming_mail import letters_by_mail
from tests.incoming_mail.letters_by_mail import HOME, TO, MailSite, line_in, signed, write, zone
from tests.running import PRIVATE_KEY, free_port, on_this_machine

ANNA = f"anna@{HOME}"
FILLED = "Name: Anna Petrova; Visibility: public; City: Tver"


@pytest.fixture
async def site(database_url: str, with_letter: None, tmp_path: Path) -> AsyncIterator[MailSite]:
    async with letters_by_mail.taking_mail(database_url, tmp_path, zone()) as running:
        yield running


@asynccontextmanager
async def worker(site: MailSite, folder: Path, **more: str) -> AsyncIterator[None]:
    """Run ``petition worker`` as a process; its mails come to the site's inbox."""
    async with receiving(site.site.inbox) as port:
        own = {"SMTP_URLS": f"smtp://127.0.0.1:{port}", "MAIL_FROM": "letters@letters.example"}
        environ = site.environ | own | {"CONTACT_PRIVATE_KEY": PRIVATE_KEY} | more
        async with command("worker", environ, folder / "worker.log"):
            yield


def hand_over(port: int, content: bytes) -> None:
    """Hand a mail to the worker as a mail server does."""
    with smtplib.LMTP("127.0.0.1", port) as lmtp:
        lmtp.sendmail(ANNA, [TO], content)


async def hand_over_when_up(port: int, content: bytes) -> None:
    async with asyncio.timeout(on_this_machine(60)):
        while True:
            try:
                return await asyncio.to_thread(hand_over, port, content)
            except ConnectionRefusedError:
                await asyncio.sleep(0.05)


async def next_mail(site: MailSite, number: int) -> Mail:
    async with asyncio.timeout(on_this_machine(120)):
        while (mail := site.site.inbox.get(number)) is None:
            await asyncio.sleep(0.02)
    return mail


def reply(answer: Mail, line: str) -> bytes:
    """Reply as a phone does: what was quoted, with its line filled in."""
    quoted = "".join(f"> {text}\n" for text in (answer.body("plain") or "").splitlines())
    quoted = quoted.replace(line_in(answer), line)
    return signed(write(quoted, to=str(answer.message["Reply-To"]), subject=f"Re: {answer.subject}"))


async def test_by_lmtp_from_start_to_end(site: MailSite, tmp_path: Path) -> None:
    port = free_port()
    async with worker(site, tmp_path, MAIL_LISTEN=f"127.0.0.1:{port}"):
        await hand_over_when_up(port, signed(write("")))
        answer = await next_mail(site, 1)
        assert answer.to == (ANNA,)
        await asyncio.to_thread(hand_over, port, reply(answer, FILLED))
        thanks = await next_mail(site, 2)
    assert (thanks.to, thanks.subject) == ((ANNA,), "You have signed the letter")
    (signature,) = await site.signatures()
    assert (signature["name"], signature["state"], signature["visibility"]) == ("Anna Petrova", "confirmed", "public")
    page = await site.site.page_when("/en/keep-the-channels-open/signatories", lambda page: "Anna Petrova" in page)
    assert "Tver" in page
    assert ANNA not in (tmp_path / "worker.log").read_text()
    assert "Petrova" not in (tmp_path / "worker.log").read_text()


async def test_by_a_maildir(site: MailSite, tmp_path: Path) -> None:
    maildir = tmp_path / "Maildir"
    for name in ("new", "cur", "tmp"):
        (maildir / name).mkdir(parents=True)
    (maildir / "new" / "1.host").write_bytes(signed(await site.line(FILLED)))
    (maildir / "new" / "2.host").write_bytes(b"\xff\0 no mail at all")
    async with worker(site, tmp_path, MAIL_IN_DIR=str(maildir)):
        mail = await next_mail(site, 1)
        async with asyncio.timeout(on_this_machine(60)):
            while [path for name in ("new", "cur") for path in (maildir / name).iterdir()]:
                await asyncio.sleep(0.05)
    assert mail.subject == "You have signed the letter"
    assert len(await site.signatures()) == 1


async def pipe(
    environ: dict[str, str], content: bytes, *arguments: str, verb: str = "mail-in"
) -> tuple[int | None, str]:
    """Run ``petition mail-in``, or another command, with a mail as its input; return its exit code and what it said."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "petition", verb, *arguments),
        env={"PYTHONPATH": str(ROOT), **environ},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate(content)
    return process.returncode, said.decode()


async def test_by_the_pipe(site: MailSite) -> None:
    mail = signed(await site.line(FILLED))
    both = await asyncio.gather(pipe(site.environ, mail), pipe(site.environ, mail, "--sender", ANNA, "--recipient", TO))
    assert list(both) == [(0, ""), (0, "")]
    assert len(await site.signatures()) == 1
    assert await site.answers() == ["mail_in_signed"]
    assert await pipe(site.environ, write("Hello"), "--sender", "") == (0, "")  # a bounce
    assert len(await site.jobs()) == 1


async def test_the_pipe_asks_to_come_again(site: MailSite) -> None:
    away = site.environ | {"DATABASE_URL": f"postgresql://petition@127.0.0.1:{free_port()}/none"}
    assert (await pipe(away, write("Hello")))[0] == 75
    code, said = await pipe({name: text for name, text in site.environ.items() if name != "MAIL_IN"}, write("Hello"))
    assert code == 75
    assert "MAIL_IN is not set" in said
