"""One domain for letters by mail and for mail that comes back: each goes where it belongs, by envelope or by header."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from petition.core.settings import Process, load
from petition.incoming_mail.model import Outcome
from petition.incoming_mail.receivers import receivers_of
from petition.mail.return_path import MailboxMail, ReturnPaths
from tests.incoming_mail import letters_by_mail
from tests.incoming_mail.letters_by_mail import DOMAIN, TO, MailSite, signed, write, zone
from tests.incoming_mail.test_reports import shape
from tests.rows import rows_of
from tests.running import KEY


@pytest.fixture
async def site(database_url: str, with_letter: None, tmp_path: Path) -> AsyncIterator[MailSite]:
    async with letters_by_mail.taking_mail(database_url, tmp_path, zone(), BOUNCE_DOMAIN=DOMAIN) as running:
        yield running


@pytest.mark.parametrize("has_envelope", [True, False])
async def test_each_goes_where_it_belongs(site: MailSite, has_envelope: bool) -> None:
    receivers = receivers_of(load(site.environ, role=Process.WEB), site.site.database, ("en", "ru"))
    assert list(receivers) == [DOMAIN]
    (letter,) = await rows_of(site.site.database, "SELECT id FROM letter")
    mail = MailboxMail(letter["id"], b"m" * 16)
    address = ReturnPaths([KEY], DOMAIN).address(mail, datetime.now(UTC).date())
    assert address is not None
    report = shape("hard_postfix", "x").replace(b"bounce+x@bounces.letters.example", address.encode())
    assert f"To: {address}".encode() in report
    line = signed(await site.line("Name: Anna Petrova; Visibility: counted"))
    for sender, recipient, message in (("", address.upper(), report), ("anna@home.example", TO, line)):
        envelope = (sender, recipient) if has_envelope else ("unknown", "")
        assert await receivers[DOMAIN].receive(*envelope, message) is Outcome.DONE
    assert len(await rows_of(site.site.database, "SELECT FROM bounced_mailbox")) == 1
    assert len(await site.signatures()) == 1
    assert await site.answers() == ["mail_in_signed"]


async def test_a_letter_in_the_text_of_a_bounce_is_none(site: MailSite) -> None:
    receivers = receivers_of(load(site.environ, role=Process.WEB), site.site.database, ("en", "ru"))
    mail = write("Hello", to=f"bounce+{'a' * 53}@{DOMAIN}, {TO}")
    assert await receivers[DOMAIN].receive("anna@home.example", "", mail) is Outcome.DONE
    assert await site.answers() == []
