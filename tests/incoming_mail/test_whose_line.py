"""A provider's signature proves who sent a mail. A line in it that another may have written confirms nothing."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.incoming_mail import letters_by_mail
from tests.incoming_mail.letters_by_mail import HOME, TO, MailSite, signed, write, zone
from tests.running import working

LINE = "Name: Anna Petrova; Visibility: public; City: Tver"


@pytest.fixture
async def site(database_url: str, with_letter: None, tmp_path: Path) -> AsyncIterator[MailSite]:
    async with letters_by_mail.taking_mail(database_url, tmp_path, zone()) as running:
        yield running


@pytest.mark.parametrize(
    "to", [f'"{TO}" <friend@elsewhere.example>', f"friend@elsewhere.example ({TO})", f"Anna {TO} <friend@else.example>"]
)
async def test_our_address_in_a_name_is_no_recipient(site: MailSite, to: str) -> None:
    """Who writes under such a name, and gets a reply that quotes the line, must not sign with it for its author."""
    mail = write(f"{LINE}\n", subject=f"Re: Hello {await site.tag()}").replace(
        f"To: {TO}".encode(), f"To: {to}".encode()
    )
    assert to.encode() in mail
    await site.receive(signed(mail))
    assert (await site.jobs(), await site.pending(), await site.signatures()) == ([], 0, [])


OUTLOOK = f"No, thank you.\n\nVon: Mallory <m@evil.example>\nGesendet: Montag\nAn: Anna\nBetreff: Hallo\n\n{LINE}\n"
PUT_IN_THE_MOUTH = {
    "quoted": (f"No, thank you.\n\nOn Monday, Mallory wrote:\n> {LINE}\n", {"In-Reply-To": "<1@evil.example>"}),
    "quoted, without a reference": (f"No, thank you.\n\n> {LINE}\n", {}),
    "not marked as quoted": (OUTLOOK, {"References": "<1@evil.example>"}),
    "neither": (OUTLOOK, {}),
    "in a signature": (f"No.\n-- \nAnna\n{OUTLOOK}", {}),
}


@pytest.mark.parametrize(("body", "headers"), PUT_IN_THE_MOUTH.values(), ids=PUT_IN_THE_MOUTH.keys())
async def test_a_line_that_another_wrote_signs_nothing_by_itself(
    site: MailSite, body: str, headers: dict[str, str]
) -> None:
    """Mallory's mail says that answers go to the letter: Anna's reply is hers, the line in it is not."""
    mail = write(body, subject=f"Re: Hello {await site.tag()}", headers=headers)
    await site.receive(signed(mail))
    assert await site.signatures() == []
    async with working(site.environ, site.site.inbox):
        asked = await site.site.mail_to(f"anna@{HOME}")
    assert asked.subject == "Please confirm your signature"
    assert "Anna Petrova" in (asked.body("plain") or "")


async def test_a_mark_is_its_mailboxs_own(site: MailSite) -> None:
    async with working(site.environ, site.site.inbox):
        await site.receive(signed(write("", sender=f"mallory@{HOME}")))
        answer = await site.site.mail_to(f"mallory@{HOME}")
        await site.receive(signed(write("")))
        own = await site.site.mail_to(f"anna@{HOME}")
    body = f"Done.\n\nOn Monday, letters wrote:\n> {LINE}\n"
    headers = {"In-Reply-To": "<1@evil.example>"}
    assert answer.subject != own.subject
    await site.receive(signed(write(body, subject=f"Re: {answer.subject}", headers=headers)))
    assert (await site.pending(), await site.signatures()) == (1, [])
    await site.receive(signed(write(body, subject=f"Re: {own.subject}", headers=headers)))
    assert len(await site.signatures()) == 1


async def test_a_message_id_is_its_mailboxs_own(site: MailSite) -> None:
    """Where someone has changed the subject of a reply."""
    async with working(site.environ, site.site.inbox):
        await site.receive(signed(write("", sender=f"mallory@{HOME}")))
        other = await site.site.mail_to(f"mallory@{HOME}")
        await site.receive(signed(write("")))
        own = await site.site.mail_to(f"anna@{HOME}")
    body, subject = f"Done.\n\nOn Monday, letters wrote:\n> {LINE}\n", f"Yes, I sign {await site.tag()}"
    for answer, signatures in ((other, 0), (own, 1)):
        headers = {"References": f"<x@home.example> {answer.message['Message-ID']}"}
        await site.receive(signed(write(body, subject=subject, headers=headers)))
        assert len(await site.signatures()) == signatures
