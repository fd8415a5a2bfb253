"""What a mail says about the letter and the signatory, and what it keeps silent about."""

from datetime import timedelta

import pytest

from petition.core import i18n
from petition.core.decryptions import DecryptionCounts
from petition.core.encryption import LetterKeys, Opener, new_key
from petition.core.letter_facts import LetterFacts, names_in
from petition.core.templates import Renderer
from petition.core.tokens import Tokens
from petition.mail import queries
from petition.mail.choosing import MailSelector
from petition.mail.compose import Composer
from petition.mail.suppression import Suppression
from tests.mail.installation import Installation, Letter
from tests.mail.test_compose import read

NEMO = "nemo@example.org"
TITLES = {"en": "Keep <all> channels open", "ru": "Не закрывайте каналы"}
SOCIETY = {"en": "Society & Friends", "ru": "Общество друзей"}
PERSON = {"name": "Zenobia <Q>", "visibility": "organizers"}
OFFICE = {"name": "Anna Berg", "organization_en": "North Pier", "organization_ru": "Северный пирс"}
SUBJECT = "Please confirm your signature"


async def mailed(installation: Installation) -> tuple[str, str, str]:
    """Return subject, text and HTML (unescaped) of the mail that the only job becomes."""
    its, tokens = installation.settings, Tokens(installation.settings.secret_keys)
    renderer = Renderer(i18n.load(its.locales_dir), its.base_url, its.controller)
    opener = Opener(its.contact_private_key or "", DecryptionCounts())
    selector = MailSelector(opener, installation.wrapper, Suppression(installation.wrapper))
    (job,) = await queries.lease(installation.conn, 10, 1, timedelta(minutes=5))
    choice = await selector.choose(installation.conn, job)
    assert choice is not None
    mail, text, html = read(Composer(its, renderer, tokens).compose(job, choice))
    return str(mail["Subject"]), text, html


@pytest.fixture
async def letter(installation: Installation) -> Letter:
    letter = await installation.letter()
    await installation.describe(letter, TITLES, SOCIETY)
    return letter


@pytest.mark.parametrize("lang", ["en", "ru"])
async def test_the_first_mail_names_letter_initiator_and_person(
    installation: Installation, letter: Letter, lang: str
) -> None:
    await installation.sign_up(letter, NEMO, lang=lang, fields=PERSON)
    subject, text, html = await mailed(installation)
    language = i18n.load(installation.settings.locales_dir)[lang]
    assert subject == language.gettext(SUBJECT)  # others read it on locked screens
    for fact in (TITLES[lang], SOCIETY[lang], "Zenobia <Q>"):
        assert fact in text
        assert fact.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") in html
    assert "<Q>" not in html


@pytest.mark.parametrize("lang", ["en", "ru"])
async def test_an_organization_is_named_with_both_names(installation: Installation, letter: Letter, lang: str) -> None:
    await installation.sign_up(letter, NEMO, "organization", lang=lang, fields=OFFICE)
    _, text, html = await mailed(installation)
    for body in (text, html):
        assert "North Pier // Северный пирс" in body
        assert "Anna Berg" in body


async def test_one_who_is_only_counted_is_not_named(installation: Installation, letter: Letter) -> None:
    await installation.sign_up(letter, NEMO, fields={"visibility": "counted"})
    _, text, html = await mailed(installation)
    assert TITLES["en"] in text
    assert "Name:" not in text + html
    assert "None" not in text + html


async def test_who_has_signed_is_named_as_stored(installation: Installation, letter: Letter) -> None:
    signature = await installation.signature(letter, NEMO)
    private = letter.keys.hide({"name": "Zenobia Stored"})
    await installation.conn.execute("UPDATE signature SET private = $1 WHERE id = $2", private, signature)
    for another in ("sign", "find"):
        if another == "sign":
            await installation.sign_up(letter, NEMO, fields={"name": "Somebody Else"})
        else:
            await installation.find(letter, NEMO)
        _, text, html = await mailed(installation)
        for body in (text, html):
            assert "Zenobia Stored" in body
            assert "Somebody Else" not in body
        await installation.conn.execute("DELETE FROM outbox")


async def test_a_lost_link_not_confirmed_yet_is_named_as_typed(installation: Installation, letter: Letter) -> None:
    await installation.sign_up(letter, NEMO, fields=PERSON)
    await installation.conn.execute("DELETE FROM outbox")
    await installation.find(letter, NEMO)
    _, text, _ = await mailed(installation)
    assert "Zenobia <Q>" in text
    assert TITLES["en"] in text


async def test_a_sensitive_letter_keeps_to_neutral_words(installation: Installation, letter: Letter) -> None:
    await installation.conn.execute("UPDATE letter SET sensitive = true")
    for kind, fields in (("person", PERSON), ("organization", OFFICE)):
        await installation.sign_up(letter, NEMO, kind, fields=fields)
        subject, text, html = await mailed(installation)
        assert subject == SUBJECT
        assert "/confirm/" in text
        for fact in ("channels open", "Society", "Zenobia", "North Pier", "Anna"):
            assert fact not in text + html
        await installation.conn.execute("DELETE FROM outbox")


def test_a_letter_without_this_language_is_named_in_another() -> None:
    about = LetterFacts("slug", {"ru": "Письмо"}, [{"ru": "Общество"}]).about("en")
    assert about is not None
    assert (about.title, about.title_lang, about.initiators) == ("Письмо", "ru", ("Общество",))


def test_of_many_initiators_three_are_named() -> None:
    about = LetterFacts("slug", {"en": "Title"}, [{"en": name} for name in "ABCDE"]).about("en")
    assert about is not None
    assert (about.initiators, about.others) == (("A", "B", "C"), 2)


@pytest.mark.parametrize(
    ("typed", "displayed"),
    [
        ("Анна\nБерг  ", "Анна Берг"),
        ("А.С. Пушкин", "А.С. Пушкин"),
        ("Buy at example.com now", "Buy at example.\u2060com now"),
        ("x" * 300, "x" * 99 + "…"),
    ],
)
def test_a_typed_name_is_no_message_of_ones_own(typed: str, displayed: str) -> None:
    keys = LetterKeys(None, new_key())
    row = {"name": None, "name_en": None, "name_ru": None, "private": keys.hide({"name": typed})}
    assert names_in(row, keys).person == displayed


async def test_a_letter_without_its_key_names_no_one(installation: Installation, letter: Letter) -> None:
    await installation.sign_up(letter, NEMO, fields=PERSON)
    await installation.conn.execute("UPDATE letter SET wrapped_name_key = NULL")
    _, text, _ = await mailed(installation)
    assert "Zenobia" not in text
