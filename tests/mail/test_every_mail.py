"""Every folder below templates/email, in every language, with usual and hostile values: the bytes that are sent."""

import email
import email.policy
import re
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from datetime import datetime
from typing import Any

import pytest
from markupsafe import Markup

from petition.core import i18n
from petition.core.outbox import MailContent
from petition.core.settings import Settings
from petition.core.templates import Renderer
from petition.core.tokens import Tokens
from petition.mail.compose import Composer, OutgoingMail
from petition.mail.model import DirectMail
from petition.web.desk import mail_cases, mail_samples
from petition.web.desk.mail_cases import MailCase
from tests.mail.installation import settings
from tests.mail.test_compose import JOB
from tests.mail.test_dkim import verified

HOSTILE = [
    "x\r\nBcc: all@example.org\r\n\r\nbody",
    "x\nBcc: all@example.org",
    "x\rBcc: all@example.org",
    "x\u2028Bcc: all@example.org\u0085Bcc: y\x0bz\x0c",
    "nul\0nul \x07\x1b[31m",
    "\u202egnp.exe\u202c\u2066right\u2069\u200f",
    "длинное " * 2000,
    "x" * 5000,
    "=?utf-8?q?=0d=0aBcc:_all@example.org?=",
    '<script>alert(1)</script><img src="https://evil.example/x.png">',
    "немо@пример.рф",
    ".\r\n.\r\nFrom x\r\n",
    "\udcff".encode("utf-8", "surrogatepass").decode("latin-1"),
    "",
]
Compose = Callable[..., OutgoingMail]
FREE = {"title", "name", "text", "actor", "who", "asker", "subject", "invited_by", "relay", "key", "plain"}


def hostile(value: Any, text: str, name: str = "") -> Any:
    """Return the value with ``text`` wherever something typed by a person stands."""
    if isinstance(value, dict):
        return {key: hostile(one, text, key) for key, one in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        changed = {one.name: hostile(getattr(value, one.name), text, one.name) for one in fields(value)}
        return replace(value, **changed)
    if isinstance(value, tuple | list):
        return type(value)(hostile(one, text, name) for one in value)
    if isinstance(value, str) and not isinstance(value, Markup):
        return text if name in FREE | {"person", "organization", "initiators"} else value
    return value


@pytest.fixture(scope="module")
def its(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Give the settings of an installation behind TLS, where mails have links for one click."""
    return replace(
        settings(tmp_path_factory.mktemp("data"), "postgresql://nowhere"), base_url="https://letters.example"
    )


@pytest.fixture(scope="module")
def compose(its: Settings) -> Compose:
    """Give a function that composes a mail by its name, a language and a hostile text."""
    renderer = Renderer(i18n.load(its.locales_dir), its.base_url, its.controller)
    composer = Composer(its, renderer, Tokens(its.secret_keys))

    def composed(name: str, lang: str, text: str | None, case: MailCase | None = None) -> OutgoingMail:
        context = mail_samples.context(lang, its.base_url, tuple(renderer.languages), case)
        if text is not None:
            context = hostile(context, text)
        about, names = context.pop("about"), context.pop("names")
        never = context.pop("never_link")
        assert never

        class Facts:
            """Says of the letter what the sample says."""

            def about(self, _lang: str) -> object:
                return about

        content = MailContent(name, context, lang, letter=Facts(), names=names)  # type: ignore[arg-type]
        return composer.compose(JOB, DirectMail(content, "nemo@example.org", b"n" * 16))

    return composed


@pytest.mark.parametrize("lang", ["en", "ru"])
@pytest.mark.parametrize(
    ("name", "case"),
    [(name, case) for name in mail_samples.names() for case in (None, *mail_cases.cases_of(name))],
    ids=lambda value: value if isinstance(value, str) else getattr(value, "key", ""),
)
def test_every_mail_is_whole_and_ours(
    its: Settings, compose: Compose, name: str, case: MailCase | None, lang: str
) -> None:
    parcel = compose(name, lang, None, case)
    check(parcel)
    assert verified(parcel.content, its) == [True, True]
    message = email.message_from_bytes(parcel.content, policy=email.policy.default)
    text, html = message.get_body(("plain",)), message.get_body(("html",))
    assert text is not None
    assert html is not None
    plain, marked = text.get_content(), html.get_content()
    assert message["Content-Language"] == lang
    assert 3 < len(message["Subject"]) < 120
    assert (re.search("[а-яё]", message["Subject"]) is not None) is (lang == "ru")
    for body in (plain, marked):
        assert "None" not in body
        assert "{{" not in body
        assert "Undefined" not in body
    assert not re.search(r"<[a-z]+[ >]|&[a-z]+;", plain), "markup in the plain text"
    assert "\n\n\n\n" not in plain
    assert plain.strip()
    # Nothing is fetched from anywhere when the mail is opened.
    assert not re.search(r"(?i)<(?:img|script|iframe|link|object|video|audio|form)\b|url\(|@import|\bsrc=", marked)


@pytest.mark.parametrize("name", mail_samples.names())
def test_no_value_gets_into_a_header_or_breaks_a_mail(its: Settings, compose: Compose, name: str) -> None:
    for number, text in enumerate(HOSTILE):
        parcel = compose(name, ("en", "ru")[number % 2], text)
        check(parcel)
        if number in {0, 5}:
            assert verified(parcel.content, its) == [True, True]
        message = email.message_from_bytes(parcel.content, policy=email.policy.default)
        html = message.get_body(("html",))
        assert html is not None
        assert not re.search(r"(?i)<(?:script|img)\b", html.get_content())
        assert len(message["Subject"]) <= 260
        assert not re.search("[\u202a-\u202e\u2066-\u2069\u200f\0]", message["Subject"])


def check(parcel: OutgoingMail) -> None:
    """See that the bytes are a mail of ours and nothing more."""
    head = parcel.content.partition(b"\r\n\r\n")[0]
    assert head.isascii()
    names = re.findall(rb"(?m)^([A-Za-z-]+):", head)
    allowed = {
        b"DKIM-Signature", b"From", b"To", b"Date", b"Message-ID", b"Auto-Submitted", b"Subject", b"MIME-Version",
        b"List-Unsubscribe", b"List-Unsubscribe-Post", b"Content-Type", b"Content-Language", b"Reply-To", b"X-Petition",
    }  # fmt: skip
    assert set(names) <= allowed
    assert len(names) == len(set(names)) + 1  # the second signature
    assert b"\0" not in parcel.content
    for line in parcel.content.split(b"\r\n"):
        assert len(line) <= 998
        assert b"\n" not in line
        assert b"\r" not in line
    message = email.message_from_bytes(parcel.content, policy=email.policy.default)
    assert not message.defects
    assert not [defect for part in message.walk() for defect in part.defects]
    assert message["To"] == "nemo@example.org"
    assert message["From"] == "Open letters <post@letters.example>"
    assert message["Auto-Submitted"] in {"auto-generated", "auto-replied"}
    assert re.fullmatch(r"<[^<>@\s]+@letters\.example>", message["Message-ID"].strip())
    assert isinstance(message["Date"].datetime, datetime)
    assert [part.get_content_type() for part in message.walk()] == ["multipart/alternative", "text/plain", "text/html"]
