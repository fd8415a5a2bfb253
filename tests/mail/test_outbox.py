"""DirectMail mails: another slice writes them, the worker opens the address and sends."""

from collections.abc import Mapping
from datetime import timedelta

import pytest

from petition.core.database import Connection
from petition.core.decryptions import DecryptionCounts
from petition.core.encryption import Opener, Sealer
from petition.core.errors import PetitionError
from petition.core.outbox import DirectMailJob, MailContent, MailWriter
from petition.mail import queries
from petition.mail.choosing import MailSelector
from petition.mail.model import ChosenMail, DirectMail, MailJob, patience
from petition.mail.suppression import Suppression
from tests.mail.installation import Installation
from tests.mail.test_compose import composer, read

NEMO = "nemo@example.org"
ADD = """
INSERT INTO outbox (letter, purpose, digest, sealed, lang, details) VALUES (NULL, 'parcel', '\\x01', $1, 'en', $2)
"""
TOLD: list[DirectMailJob] = []


async def write(_conn: Connection, job: DirectMailJob) -> MailContent | None:
    """Write the mails of these tests."""
    TOLD.append(job)
    heeds = job.details.get("heeds", True) is True
    return None if job.details.get("stale") else MailContent("entry", {"token": "t", "minutes": 15}, "ru", heeds)


async def leased(installation: Installation, **details: object) -> MailJob:
    """Add a job and lease it."""
    sealed = Sealer(installation.settings.contact_public_key).seal(NEMO)
    await installation.conn.execute(ADD, sealed, details)
    (job,) = await queries.lease(installation.conn, 10, 1, timedelta(minutes=5))
    return job


async def choose(
    installation: Installation, job: MailJob, writers: Mapping[str, MailWriter] | None = None
) -> ChosenMail | DirectMail | None:
    suppression = Suppression(installation.wrapper)
    opener = Opener(installation.settings.contact_private_key or "", DecryptionCounts())
    chooser = MailSelector(opener, installation.wrapper, suppression, {"parcel": write} if writers is None else writers)
    return await chooser.choose(installation.conn, job)


async def test_the_writer_is_told_all_but_the_address(installation: Installation) -> None:
    TOLD.clear()
    direct = await choose(installation, await leased(installation, number=7))
    assert [DirectMailJob(None, b"\x01", "en", {"number": 7})] == TOLD
    assert isinstance(direct, DirectMail)
    assert direct.address == NEMO
    assert NEMO not in repr(direct)


async def test_a_mail_that_is_no_longer_due_is_none(installation: Installation) -> None:
    assert await choose(installation, await leased(installation, stale=True)) is None


async def test_a_purpose_that_nobody_writes_is_an_error_and_is_tried_again(installation: Installation) -> None:
    job = await leased(installation)
    with pytest.raises(PetitionError):
        await choose(installation, job, {})
    assert not await queries.retry(installation.conn, job, timedelta(), patience(job))
    assert len(await installation.outbox()) == 1


@pytest.mark.parametrize("heeds", [True, False])
async def test_never_again_is_heeded_where_the_writer_says_so(installation: Installation, heeds: bool) -> None:
    digest = await Suppression(installation.wrapper).digest(installation.conn, NEMO)
    first = await choose(installation, await leased(installation, heeds=heeds))
    assert isinstance(first, DirectMail)
    assert first.never == (digest if heeds else None)
    await installation.conn.execute("DELETE FROM outbox")
    await installation.conn.execute("INSERT INTO suppressed (digest) VALUES ($1)", digest)
    second = await choose(installation, await leased(installation, heeds=heeds))
    assert (second is None) is heeds


async def test_the_writers_language_and_links_stand_in_it(installation: Installation) -> None:
    job = await leased(installation)
    direct = await choose(installation, job)
    assert isinstance(direct, DirectMail)
    mail, text, html = read(composer(installation.settings).compose(job, direct))
    assert mail["Content-Language"] == "ru"
    assert mail["To"] == NEMO
    for body in (text, html):
        assert f"{installation.settings.base_url}/organizer/enter/t" in body
        assert "None" not in body


async def test_one_without_a_letter_is_refused_and_given_up_without_a_record(installation: Installation) -> None:
    job = await leased(installation)
    await queries.refused(installation.conn, job, 550)
    assert await installation.outbox() == []
    job = await leased(installation)
    await installation.conn.execute("UPDATE outbox SET created_at = now() - interval '2 days'")
    assert await queries.retry(installation.conn, job, timedelta(), patience(job))
    assert await installation.outbox() == []
    assert await installation.refused() == []
