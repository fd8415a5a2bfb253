"""What stands in a mail, and what never does."""

import email
import email.policy
import re
from dataclasses import replace
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path

import pytest

from petition.core import i18n
from petition.core.errors import SettingsError
from petition.core.ids import JobId, LetterId, SignatureId
from petition.core.letter_facts import LetterFacts
from petition.core.settings import Settings
from petition.core.templates import Renderer
from petition.core.tokens import Tokens
from petition.mail.compose import Composer, OutgoingMail
from petition.mail.mime import Unmailable
from petition.mail.model import ChosenMail, MailJob, Purpose, SignatureRef, Template
from tests.mail.installation import settings

LETTER, SIGNATURE = LetterId(1), SignatureId(5)
JOB = MailJob(
    JobId(7), LETTER, Purpose.SIGN, SIGNATURE, b"digest", None, "en", 0, 99, datetime(2026, 11, 21, tzinfo=UTC)
)
CHOICE = ChosenMail(
    Template.CONFIRM,
    "nemo@example.org",
    b"n" * 16,
    LETTER,
    LetterFacts("the-slug"),
    "person",
    (SignatureRef(SIGNATURE, "person"),),
    True,
)


def composer(its: Settings) -> Composer:
    """Return the composer of an installation."""
    return Composer(its, Renderer(i18n.load(its.locales_dir), its.base_url, its.controller), Tokens(its.secret_keys))


def read(parcel: OutgoingMail) -> tuple[EmailMessage, str, str]:
    """Return the mail with its text and its HTML."""
    mail = email.message_from_bytes(parcel.content, policy=email.policy.default)
    text, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert text is not None
    assert html is not None
    return mail, text.get_content(), html.get_content()


@pytest.fixture
def its(tmp_path: Path) -> Settings:
    """Give the settings of a loopback installation."""
    return settings(tmp_path, "postgresql://nowhere")


@pytest.mark.parametrize("lang", ["en", "ru"])
@pytest.mark.parametrize("template", list(Template))
def test_every_mail_has_text_and_html_with_its_links(its: Settings, template: Template, lang: str) -> None:
    choice = replace(CHOICE, template=template, code_works=template in {Template.CONFIRM, Template.FIND_CONFIRM})
    mail, text, html = read(composer(its).compose(replace(JOB, lang=lang), choice))
    tokens = Tokens(its.secret_keys)
    page = "confirm" if template.leads_to_confirming else "signature"
    link = f"http://localhost:8000/{lang}/{page}/{tokens.for_signature(LETTER, SIGNATURE)}"
    never = f"http://localhost:8000/{lang}/never/{tokens.for_never(b'n' * 16)}"
    for body in (text, html):
        assert link in body
        assert never in body
        assert (tokens.code(LETTER, SIGNATURE) in body) is choice.code_works
    assert mail["Content-Language"] == lang
    assert mail["To"] == "nemo@example.org"
    assert mail["From"] == "Open letters <post@letters.example>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Subject"]
    assert "the-slug" not in mail["Subject"]


def test_a_lost_link_mail_has_the_links_of_both_kinds(its: Settings) -> None:
    refs = (SignatureRef(SIGNATURE, "person"), SignatureRef(SignatureId(6), "organization"))
    choice = replace(CHOICE, template=Template.FIND_SIGNED, refs=refs, code_works=False)
    _, text, html = read(composer(its).compose(JOB, choice))
    tokens = Tokens(its.secret_keys)
    for body in (text, html):
        assert tokens.for_signature(LETTER, SIGNATURE) in body
        assert tokens.for_signature(LETTER, SignatureId(6)) in body


def test_a_removed_mail_of_a_barred_mailbox_has_no_link_of_its_own(its: Settings) -> None:
    choice = replace(CHOICE, template=Template.REMOVED, refs=(), code_works=False)
    _, text, html = read(composer(its).compose(JOB, choice))
    assert "/signature/" not in text + html
    assert "None" not in text + html


def test_a_language_that_is_no_longer_installed_falls_back_to_the_first(its: Settings) -> None:
    mail, text, _ = read(composer(its).compose(replace(JOB, lang="tlh"), CHOICE))
    assert mail["Content-Language"] == "en"
    assert "http://localhost:8000/en/confirm/" in text


def test_a_mail_tried_again_keeps_its_id_and_another_has_another(its: Settings) -> None:
    ids = [
        read(composer(its).compose(job, CHOICE))[0]["Message-ID"]
        for job in (JOB, replace(JOB, attempts=3, lease=1), replace(JOB, id=JobId(8)))
    ]
    assert ids[0] == ids[1] != ids[2]
    assert re.fullmatch(r"<[a-z2-7]{53}\.[0-9a-f]{20}@letters\.example>", ids[0])


def test_one_click_needs_https(its: Settings) -> None:
    mail, _, _ = read(composer(its).compose(JOB, CHOICE))
    assert mail["List-Unsubscribe"] is None
    secure = replace(its, base_url="https://letters.example")
    mail, _, _ = read(composer(secure).compose(JOB, CHOICE))
    assert mail["List-Unsubscribe"].startswith("<https://letters.example/en/never/")
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


@pytest.mark.parametrize(
    "address",
    [
        "nemo@example.org\r\nBcc: all@example.org",
        "nemo@example.org\nBcc: all@example.org",
        "nemo@example.org, all@example.org",
        "nemo@example.org> RCPT TO:<all@example.org",
        "nemo\0@example.org",
        "=?utf-8?q?=0d=0aBcc=3A_all=40example=2Eorg=0d=0aX=3A?=@example.org",
        "nemo\u2028@example.org",
        "Nemo <nemo@example.org>",
        "@example.org",
        "nemo@",
        "nemo",
        "",
    ],
)
def test_nobody_writes_into_headers_or_commands(its: Settings, address: str) -> None:
    with pytest.raises(Unmailable):
        composer(its).compose(JOB, replace(CHOICE, address=address))


def test_a_name_in_another_script_is_mailed_as_it_is(its: Settings) -> None:
    parcel = composer(its).compose(JOB, replace(CHOICE, address="немо@xn--e1afmkfd.xn--p1ai"))
    assert parcel.utf8
    assert parcel.recipient == "немо@xn--e1afmkfd.xn--p1ai"
    assert "\r\nTo: немо@xn--e1afmkfd.xn--p1ai\r\n" in parcel.content.decode()


def test_a_domain_in_another_script_is_mailed_in_its_ascii_form(its: Settings) -> None:
    parcel = composer(its).compose(JOB, replace(CHOICE, address="nemo@пример.рф"))
    assert not parcel.utf8
    assert parcel.recipient == "nemo@xn--e1afmkfd.xn--p1ai"


@pytest.mark.parametrize("sender", ["nobody", "a@b@c", "Nemo <>", "почта@letters.example"])
def test_a_sender_that_is_no_address_is_refused_at_the_start(its: Settings, sender: str) -> None:
    with pytest.raises(SettingsError, match="MAIL_FROM"):
        composer(replace(its, mail_from=sender))


def test_lines_are_short_enough_for_every_relay(its: Settings) -> None:
    for lang in ("en", "ru"):
        content = composer(its).compose(replace(JOB, lang=lang), CHOICE).content
        assert content.isascii()
        assert max(map(len, content.split(b"\r\n"))) < 998
