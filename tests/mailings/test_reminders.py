"""One reminder to those who have not confirmed, a day later."""

from datetime import timedelta

import pytest

from petition.core.database import opened
from petition.core.decryptions import DecryptionCounts
from petition.core.encryption import Opener, Wrapper
from petition.mail.choosing import MailSelector
from petition.mail.model import ChosenMail, Template
from petition.mail.queries import lease
from petition.mail.suppression import Suppression
from petition.mailings import reminders
from tests.mail.conftest import installation, post
from tests.mail.installation import SECRET_KEY, Installation, Letter

__all__ = ["installation", "post"]

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)


@pytest.fixture
async def walked(installation: Installation) -> Installation:
    """Give an installation whose pending signatures of the last week have not been looked at."""
    await installation.conn.execute("UPDATE reminded SET until = now() - interval '7 days'")
    return installation


async def remind(installation: Installation) -> list[ChosenMail]:
    """Ask for what is due, twice; return the mails that it becomes."""
    its = installation.settings
    assert its.database_url is not None
    assert its.contact_private_key is not None
    await installation.conn.execute("DELETE FROM outbox")
    async with opened(its.database_url, max_size=2) as database:
        added = await reminders.enqueue_due(database)
        assert await reminders.enqueue_due(database) == 0
        wrapper = Wrapper([SECRET_KEY])
        selector = MailSelector(Opener(its.contact_private_key, DecryptionCounts()), wrapper, Suppression(wrapper))
        async with database.connection() as conn:
            jobs = await lease(conn, 10, 7, timedelta(minutes=5), 10)
            assert len(jobs) == added
            mails = [await selector.choose(conn, job) for job in jobs]
    return [mail for mail in mails if isinstance(mail, ChosenMail)]


async def test_once_and_a_day_later(walked: Installation) -> None:
    letter = await walked.letter()
    await walked.sign_up(letter, "late@letters.example", ago=DAY + MINUTE, lang="ru")
    await walked.sign_up(letter, "early@letters.example", ago=DAY - MINUTE)
    (mail,) = await remind(walked)
    assert (mail.template, mail.address, mail.code_works) == (Template.REMINDER, "late@letters.example", False)
    assert await remind(walked) == []


async def test_not_to_those_who_signed_are_barred_or_want_no_mail(walked: Installation) -> None:
    letter = await walked.letter()
    for name in ("signed", "barred", "never", "other"):
        await walked.sign_up(letter, f"{name}@letters.example", ago=DAY + MINUTE)
    await walked.signature(letter, "signed@letters.example")
    await walked.bar(letter, "barred@letters.example")
    digest = await Suppression(walked.wrapper).digest(walked.conn, "never@letters.example")
    await walked.conn.execute("INSERT INTO suppressed (digest) VALUES ($1)", digest)
    assert [mail.address for mail in await remind(walked)] == ["other@letters.example"]


async def test_several_forms_of_a_mailbox_get_one(walked: Installation) -> None:
    letter = await walked.letter()
    for hours in (50, 30, 25):
        await walked.sign_up(letter, "twice@letters.example", ago=timedelta(hours=hours))
    mails = await remind(walked)
    assert len(mails) <= 1


async def test_expired_or_closed_none(walked: Installation) -> None:
    letter = await walked.letter()
    await walked.sign_up(letter, "old@letters.example", ago=timedelta(days=6, hours=1))
    closed = await walked.letter("closed-letter", "closed")
    await walked.conn.execute("UPDATE letter SET closed_at = now() - interval '2 days' WHERE id = $1", closed.id)
    await walked.sign_up(closed, "closed@letters.example", ago=DAY + MINUTE)
    assert await remind(walked) == []


@pytest.mark.parametrize(
    ("sensitive", "switch", "count"), [(False, None, 1), (True, None, 0), (True, True, 1), (False, False, 0)]
)
async def test_it_is_a_switch_off_for_sensitive_letters(
    walked: Installation, sensitive: bool, switch: bool | None, count: int
) -> None:
    letter: Letter = await walked.letter()
    await walked.conn.execute("UPDATE letter SET sensitive = $1, reminder = $2", sensitive, switch)
    await walked.sign_up(letter, "late@letters.example", ago=DAY + MINUTE)
    assert len(await remind(walked)) == count
