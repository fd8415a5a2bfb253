"""Mails that go to and fro: the answer and a reply to it, the mailed code, two programs that answer each other."""

import asyncio
import re
from collections.abc import AsyncIterator
from email.message import EmailMessage
from pathlib import Path

import pytest

from petition.demo.inbox import Mail
from tests.incoming_mail import letters_by_mail
from tests.incoming_mail.letters_by_mail import HOME, TO, MailSite, line_in, signed, write, zone
from tests.incoming_mail.test_signing_by_mail import LINE
from tests.running import code_in, link_in, working


@pytest.fixture
async def site(database_url: str, with_letter: None, tmp_path: Path) -> AsyncIterator[MailSite]:
    async with letters_by_mail.taking_mail(database_url, tmp_path, zone()) as running:
        yield running


async def mail_after(site: MailSite, before: Mail) -> Mail:
    """Wait for the next mail."""
    async with asyncio.timeout(120):
        while (mail := site.site.inbox.get(before.number + 1)) is None:
            await asyncio.sleep(0.02)
    return mail


def reply_to(mail: EmailMessage, text: str, *, headers: dict[str, str] | None = None) -> bytes:
    """Return a reply as a mail program writes it: the text on top, the other mail quoted below."""
    body = mail.get_body(("plain",))
    assert body is not None
    quoted = "".join(f"> {line}\n" for line in str(body.get_content()).splitlines())
    to, subject = str(mail["Reply-To"] or mail["From"]), f"Re: {mail['Subject']}"
    return write(f"{text}\n\nOn Monday, letters wrote:\n{quoted}", to=to, subject=subject, headers=headers)


async def test_the_answer_and_a_reply_to_it(site: MailSite) -> None:
    """From the first mail to the signature: the answer has both texts and the line, the reply signs."""
    async with working(site.environ, site.site.inbox):
        await site.receive(signed(write("Please send me the letter.")))
        answer = await site.site.mail_to(f"anna@{HOME}")
        text = answer.body("plain") or ""
        assert await site.tag() in answer.subject
        assert "Не выключайте" in text or re.search("[А-Яа-я]{4}", text)
        assert line_in(answer) == "Name: ; Visibility: ; City:"
        assert line_in(answer, "ru") == "Имя: ; Видимость: ; Город:"
        message = answer.message
        assert (message["Reply-To"], message["Auto-Submitted"]) == (TO, "auto-replied")
        await site.receive(signed(reply_to(message, LINE)))
        thanks = await mail_after(site, answer)
    assert len(await site.signatures()) == 1
    page = await site.site.client.get(link_in(thanks))
    assert "Anna Petrova" in page.text


async def test_the_mailed_code_by_mail(site: MailSite) -> None:
    """Who has no browser and no provider that signs replies with the code; a quoted one is not enough."""
    async with working(site.environ, site.site.inbox):
        await site.receive(await site.line(LINE))
        mail = await site.site.mail_to(f"anna@{HOME}")
        message = mail.message
        assert message["Reply-To"] == TO
        assert "write the code alone on the first line" in (mail.body("plain") or "")
        await site.receive(reply_to(message, "I am away until Monday."))
        assert await site.signatures() == []
        await site.receive(write(code_in(mail), sender=f"ivan@{HOME}"))  # of another mailbox
        assert await site.signatures() == []
        await site.receive(reply_to(message, code_in(mail)))
    (signature,) = await site.signatures()
    assert (signature["state"], signature["signals"]) == ("confirmed", {"by_mail": "link"})


async def test_codes_cannot_be_guessed(site: MailSite) -> None:
    await site.receive(await site.line(LINE))
    for number in range(30):
        await site.receive(signed(write(f"{number:06}")))
    async with site.site.database.connection() as conn:
        used = await conn.fetchval("SELECT count(*) FROM outbox WHERE details ->> 'kind' = 'mail_in_problem'")
    assert used == 1
    assert await site.signatures() == []


async def test_two_programs_stop_answering(site: MailSite) -> None:
    """An auto-responder that heeds nothing, removes every mark and quotes all: the exchange ends by itself."""
    rounds = 0
    async with working(site.environ, site.site.inbox):
        await site.receive(signed(write("Hello")))
        answer = await site.site.mail_to(f"anna@{HOME}")
        while rounds < 20:
            rounds += 1
            await site.receive(signed(reply_to(answer.message, "I am on holiday.")))
            if not await site.jobs() and site.site.inbox.newest == rounds:
                break  # no answer was queued, and none has been sent
            answer = await mail_after(site, answer)
    assert rounds == 2
    assert (await site.pending(), await site.signatures()) == (0, [])
