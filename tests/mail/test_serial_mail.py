"""Copies of one mail, filled in: the same, byte for byte but for the date, as if each were composed."""

import email
import email.policy
from datetime import UTC, datetime
from pathlib import Path

import pytest

from petition.core import i18n
from petition.core.ids import JobId, LetterId, MailingId, SignatureId, UpdateId
from petition.core.letter_facts import LetterFacts
from petition.core.settings import Process, load
from petition.core.templates import Renderer
from petition.core.tokens import Tokens
from petition.mail.compose import Composer
from petition.mail.model import DirectMail, MailJob
from petition.mail.return_path import MailingMail
from petition.mail.serial_mail import SerialMail
from petition.mailings import content
from tests.faults.processes import worker_environ
from tests.running import environment

TEXTS = {
    "en": {"title": "They have answered", "html": "<p>A <b>yes</b>, and a long line. " + "Word " * 300 + "</p>"},
    "ru": {"title": "Нам ответили, и ответ длиннее, чем строка заголовка письма", "html": "<p>Это <b>да</b>.</p>" * 20},
}
FACTS = LetterFacts("keep-the-channels-open", {"en": "Keep the channels open"}, [{"en": "Society"}])


@pytest.fixture
def composer(tmp_path: Path) -> Composer:
    more = {"BASE_URL": "https://letters.example", "CONTROLLER": "Pier", "BOUNCE_DOMAIN": "bounces.example"}
    environ = worker_environ(environment(tmp_path, "postgresql:///x?host=/nowhere", 8000, **more), 1)
    settings = load(environ, role=Process.WORKER)
    return Composer(
        settings, Renderer(i18n.load(settings.locales_dir), settings.base_url, "Pier"), Tokens(settings.secret_keys)
    )


def parts(number: int, lang: str, text: str, address: str = "") -> tuple[MailJob, DirectMail, MailingMail]:
    token = Tokens(["a secret of this test that is long enough"]).for_updates(LetterId(1), SignatureId(number))
    texts = content.for_mail(TEXTS, "https://letters.example")
    path = content.unsubscribe_path(FACTS.slug, token)
    mail = content.content(FACTS, UpdateId(1), texts[text], text, path)
    at = datetime(2026, 11, 30, tzinfo=UTC)
    job = MailJob(JobId(number), LetterId(1), "update", None, b"", None, lang, 0, 1, at)
    reference = MailingMail(LetterId(1), MailingId(1), SignatureId(number))
    return job, DirectMail(mail, address or f"reader{number}@letters.example", bytes([number % 256]) * 16), reference


def serial_of(composer: Composer, lang: str, text: str) -> SerialMail:
    job, chosen, reference = parts(0, lang, text)
    return composer.serial(job, chosen.mail, bytes(16), reference)


@pytest.mark.parametrize(("lang", "text"), [("en", "en"), ("ru", "ru"), ("ru", "en")])
def test_a_copy_is_what_would_be_composed(composer: Composer, lang: str, text: str) -> None:
    serial = serial_of(composer, lang, text)
    assert serial.is_whole
    for number in (1, 77, 2**62):
        sample = parts(number, lang, text)
        assert composer.proves(serial, *sample)
        copied, composed = composer.write_copy(serial, *sample), composer.write(*sample)
        assert (copied.sender, copied.recipient) == (composed.sender, composed.recipient)
        one, other = (
            email.message_from_bytes(mail.content, policy=email.policy.default) for mail in (copied, composed)
        )
        assert sorted(set(one.keys())) == sorted(set(other.keys()))
        for name in ("To", "Subject", "Message-ID", "List-Unsubscribe", "Content-Language"):
            assert one[name] == other[name]


def test_the_link_to_unsubscribe_is_no_encoded_word(composer: Composer) -> None:
    job, chosen, reference = parts(7, "en", "en")
    (line,) = (
        line for line in composer.compose(job, chosen, reference).content.splitlines() if b"List-Unsubscribe:" in line
    )
    assert (
        line
        == b"List-Unsubscribe: <https://letters.example/en" + str(chosen.mail.context["unsubscribe"]).encode() + b">"
    )


def test_an_address_that_would_be_folded_or_quoted_is_composed(composer: Composer) -> None:
    serial = serial_of(composer, "en", "en")
    for address in ("иван@letters.example", "o'brien@letters.example"):
        mail = composer.write_copy(serial, *parts(7, "en", "en", address))
        assert mail.recipient == address


def test_what_does_not_fit_is_refused() -> None:
    serial = SerialMail(b"Subject: x\r\n\r\nabc\r\n", {"token": "abc"})
    assert serial.fill("a@letters.example", {"token": "xyz"}) == b"To: a@letters.example\r\nSubject: x\r\n\r\nxyz\r\n"
    with pytest.raises(ValueError, match="another length"):
        serial.fill("a@letters.example", {"token": "longer"})
    assert not SerialMail(b"Subject: x\r\n\r\nab=\r\nd\r\n", {"token": "abc"}).is_whole
