"""The demo's SMTP server and its mailbox pages, spoken to over real sockets."""

import asyncio
import itertools
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP

import aiosmtplib
import httpx2
import pytest

from petition.core import i18n, resources
from petition.core.templates import Renderer
from petition.demo.inbox import MAX_MAILS, Inbox, receiving, with_links
from petition.demo.views import showing
from tests.html_checker import problems


@dataclass
class Running:
    inbox: Inbox
    smtp_port: int
    client: httpx2.AsyncClient

    async def send(self, message: EmailMessage | bytes, to: str = "anna@example.org") -> None:
        source = message if isinstance(message, bytes) else message.as_bytes(policy=SMTP)
        async with aiosmtplib.SMTP(hostname="127.0.0.1", port=self.smtp_port) as client:
            await client.sendmail("letters@localhost", [to], source)

    async def page(self, path: str, lang: str = "en", status: int = 200) -> str:
        answer = await self.client.get(path, headers={"accept-language": lang})
        assert answer.status_code == status
        return answer.text


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    inbox = Inbox()
    renderer = Renderer(i18n.load(resources.folder("locales")), "http://localhost:8000", None)
    async with AsyncExitStack() as stack:
        smtp_port = await stack.enter_async_context(receiving(inbox))
        address = await stack.enter_async_context(showing(inbox, renderer, 0))
        client = await stack.enter_async_context(httpx2.AsyncClient(base_url=address, trust_env=False))
        yield Running(inbox, smtp_port, client)


def mail(subject: str = "Подтвердите", text: str = "Откройте http://localhost:8000/ru/confirm/abc.\n") -> EmailMessage:
    message = EmailMessage()
    message["From"] = "Open letters <letters@localhost>"
    message["To"] = "anna@example.org"
    message["Subject"] = subject
    message.set_content(text)
    return message


async def test_an_empty_mailbox_says_so_in_the_readers_language(running: Running) -> None:
    assert "No e-mails yet" in await running.page("/")
    russian = await running.page("/", "ru,en;q=0.5")
    assert '<html lang="ru">' in russian
    assert "Сообщений пока нет" in russian


async def test_a_mail_is_listed_and_shown_with_a_link_to_follow(running: Running) -> None:
    await running.send(mail())
    await running.send(mail("Second"))
    listed = await running.page("/")
    assert listed.index("Second") < listed.index("Подтвердите")
    assert "anna@example.org" in listed
    shown = await running.page("/mail/1")
    assert "Подтвердите" in shown
    assert '<a href="http://localhost:8000/ru/confirm/abc">' in shown
    assert "<iframe" not in shown
    assert "Subject: =?utf-8?" in await running.page("/mail/1/source")
    assert await running.page("/newest") == "2"


async def test_what_stands_in_a_mail_is_text_to_us(running: Running) -> None:
    evil = "<script>alert(1)</script>"
    await running.send(mail(evil, evil))
    for path in ("/", "/mail/1"):
        page = await running.page(path)
        assert evil not in page
        assert "&lt;script&gt;alert(1)" in page


async def test_html_is_shut_in_and_its_links_lead_out(running: Running) -> None:
    message = mail()
    message.add_alternative("<!doctype html><html><head><title>x</title></head><body>Hi</body></html>", subtype="html")
    await running.send(message)
    assert re.search(r'<iframe src="/mail/1/html"[^>]* sandbox="allow-popups[^"]*"', await running.page("/mail/1"))
    answer = await running.client.get("/mail/1/html")
    assert answer.text.startswith('<!doctype html><html><head><base target="_top"><title>')
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "; sandbox allow-popups" in policy
    assert "allow-scripts" not in policy + await running.page("/mail/1")


async def test_the_nu_checker_finds_nothing_on_any_page(running: Running) -> None:
    pages = [await running.page("/"), await running.page("/mail/9", status=404)]
    message = mail()
    message.add_alternative("<!doctype html><html><body>Hi</body></html>", subtype="html")
    await running.send(message)
    await running.send(b"no header at all")
    for path, lang in itertools.product(("/", "/mail/1", "/mail/2"), ("en", "ru")):
        pages.append(await running.page(path, lang))
    documents = [(f"page {number}", ".html", page.encode()) for number, page in enumerate(pages)]
    assert await asyncio.to_thread(problems, documents) == []


@pytest.mark.parametrize("path", ["/mail/1", "/mail/1/html", "/mail/1/source", "/nothing", "/mail/x"])
async def test_what_is_not_there_is_said(running: Running, path: str) -> None:
    assert "last thousand" in await running.page(path, status=404)


async def test_a_mail_without_html_has_no_html_page(running: Running) -> None:
    await running.send(mail())
    await running.page("/mail/1/html", status=404)


@pytest.mark.parametrize(
    ("source", "seen"),
    [
        (b"no header at all", "(no subject)"),
        (b"Subject: odd\r\nContent-Type: text/plain; charset=nonsense\r\n\r\n\xd0\xb6", "ж"),
        (b"Subject: odd\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n\xff\xfe", "�"),
        (b"Subject: picture\r\nContent-Type: image/png\r\n\r\n\x89", "no text part"),
    ],
)
async def test_a_broken_mail_is_shown_as_far_as_it_goes(running: Running, source: bytes, seen: str) -> None:
    await running.send(source)
    assert seen in await running.page("/mail/1")


async def test_another_host_is_refused(running: Running) -> None:
    for host in ("evil.example", "localhost", "localhost:1"):
        assert (await running.client.get("/", headers={"host": host})).status_code == 421
    port = running.client.base_url.port
    for name in ("localhost", "127.0.0.1", "[::1]"):
        assert (await running.client.get("/", headers={"host": f"{name}:{port}"})).status_code == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_the_mailbox_can_only_be_read(running: Running, method: str) -> None:
    await running.send(mail())
    for path in ("/", "/mail/1"):
        assert (await running.client.request(method, path)).status_code == 405


async def test_pages_carry_a_strict_policy_and_are_not_kept(running: Running) -> None:
    await running.send(mail())
    for path in ("/", "/mail/1", "/mail/9"):
        headers = (await running.client.get(path)).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["cache-control"] == "no-store"
        assert "set-cookie" not in headers
    for path in ("/mailbox.css", "/mailbox.js"):
        assert (await running.client.get(path)).status_code == 200


async def test_only_the_newest_thousand_are_kept(running: Running) -> None:
    async with aiosmtplib.SMTP(hostname="127.0.0.1", port=running.smtp_port) as client:
        for _ in range(MAX_MAILS + 1):
            await client.sendmail("letters@localhost", ["anna@example.org"], b"Subject: one of many\r\n\r\nHi")
    assert len(list(running.inbox)) == MAX_MAILS
    assert running.inbox.get(1) is None
    assert running.inbox.newest == MAX_MAILS + 1


async def test_the_mailbox_moves_when_its_port_is_taken(running: Running) -> None:
    taken = running.client.base_url.port
    assert taken is not None
    renderer = Renderer(i18n.load(resources.folder("locales")), "http://localhost:8000", None)
    for wanted in (taken, 65536):
        await _moves(renderer, wanted)


async def _moves(renderer: Renderer, wanted: int) -> None:
    async with showing(Inbox(), renderer, wanted) as address:
        assert not address.endswith(f":{wanted}/")
        async with httpx2.AsyncClient(trust_env=False) as client:
            assert (await client.get(address)).status_code == 200


def test_links_end_before_the_full_stop() -> None:
    text = "See http://a.example/x?y=1, (https://b.example/) or nothing."
    pieces = with_links(text)
    assert "".join(piece for piece, _ in pieces) == text
    assert [piece for piece, is_link in pieces if is_link] == ["http://a.example/x?y=1", "https://b.example/"]
