"""Templates as such: they compile, they load nothing from elsewhere, and the letter's page is whole and small."""

import gzip
import re
import shutil
from collections import Counter
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from petition.core import i18n, resources
from petition.core.encryption import LetterKeys
from petition.core.ids import LetterId
from petition.core.templates import Renderer, sheet
from petition.drafts import folder
from petition.incoming_mail import text_tags
from petition.letters import markdown
from petition.letters.addressees import Addressee
from petition.letters.model import Letter, State, Text, Version
from petition.letters.sources import sources_of
from petition.signatures.model import Counts, Kind, Signatory
from petition.web.public.shown_form import ShownForm

TEMPLATES = resources.folder("templates")
NAMES = sorted(path.relative_to(TEMPLATES).as_posix() for path in TEMPLATES.rglob("*") if path.is_file())
PAGES = [name for name in NAMES if not name.startswith("email/")]
LANGUAGES = i18n.load(resources.folder("locales"))
NOW = datetime(2026, 11, 21, 18, 4, tzinfo=UTC)
MOST_BYTES = 12 * 1024  # of any page; the letter's has a limit of its own
MAX_COLUMNS = 120
ERRORS = ("name", "email", "visibility", "city", "country", "affiliation", "consent")
ORGANIZATION_ERRORS = (
    "organization_en",
    "organization_ru",
    "website",
    "name",
    "position",
    "email",
    "visibility",
    "consent",
)


def test_a_style_sheet_in_a_page_keeps_what_is_quoted() -> None:
    """A name and what stands behind it are set apart by a comma and a space."""
    assert 'content:", "}' in sheet("letter.css")
    assert not re.search(r'[{};,:]\s(?!")|\s[{};]|/\*|\n', sheet("letter.css"))


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("name", NAMES)
def test_every_template_compiles(name: str, lang: str, renderer: Renderer) -> None:
    renderer._environments[lang].get_template(name)


@pytest.mark.parametrize("name", NAMES)
def test_lines_are_short(name: str) -> None:
    lines = (TEMPLATES / name).read_text(encoding="utf-8").splitlines()
    assert [number for number, line in enumerate(lines, 1) if len(line) > MAX_COLUMNS] == []


@pytest.mark.parametrize("name", PAGES)
def test_pages_keep_to_their_security_policy(name: str) -> None:
    source = (TEMPLATES / name).read_text(encoding="utf-8")
    assert not re.search(r"\sstyle=|\son\w+=|javascript:", source)
    assert re.findall(r"<script(?![^>]*\ssrc=)", source) == []
    loaded = re.findall(r"<(?:script|img|link rel=\"stylesheet\"|iframe)[^>]*(?:src|href)=\"(https?:[^\"]*)", source)
    assert loaded == []


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("lang", LANGUAGES)
def test_letter_page_fits_into_one_flight(renderer: Renderer, lang: str, kind: Kind) -> None:
    page = letter_page(renderer, lang, kind, ShownForm())
    assert len(gzip.compress(page.encode(), 9)) < MOST_BYTES


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("wrong", [False, True], ids=["empty", "errors"])
def test_letter_page_is_well_tied_together(renderer: Renderer, lang: str, kind: Kind, wrong: bool) -> None:
    names = ORGANIZATION_ERRORS if kind is Kind.ORGANIZATION else ERRORS
    form = ShownForm({"name": "<b>"}, {name: f"wrong {name}" for name in names} if wrong else {})
    page = Outline(letter_page(renderer, lang, kind, form))
    assert [each for each, times in Counter(page.ids).items() if times > 1] == []
    assert set(page.references) <= set(page.ids)
    assert {f"f-{name}" for name in form.errors} <= set(page.references)
    assert {f"e-{name}" for name in form.errors} <= set(page.references)
    assert page.headings[0] == 1
    assert page.headings.count(1) == 1
    assert all(after - before <= 1 for before, after in zip(page.headings, page.headings[1:], strict=False))
    assert page.has_focus == wrong


def test_nothing_is_chosen_beforehand(renderer: Renderer) -> None:
    for kind in Kind:
        form = letter_page(renderer, "en", kind, ShownForm()).partition("<form")[2]
        # Only the kind, which the address says: neither visibility nor a box.
        assert re.findall(r'name="(\w+)" value="(\w+)" checked', form) == [("kind", kind.value)]
        assert form.count("checked") == 1


def test_what_was_typed_comes_back(renderer: Renderer) -> None:
    typed = {"name": '"Zoë" <b>', "visibility": "organizers", "consent": "yes", "updates": ""}
    page = letter_page(renderer, "en", Kind.PERSON, ShownForm(typed, {"email": "wrong"}))
    form = page.partition('id="sign-form"')[2]
    assert 'value="&#34;Zoë&#34; &lt;b&gt;"' in form
    assert re.search(r'value="organizers" checked', form)
    assert re.search(r'name="consent" value="yes" checked', form)
    assert not re.search(r'name="updates" value="yes" checked', form)


def test_letter_in_one_language_says_so_in_the_other(renderer: Renderer) -> None:
    letter = sample("en")
    page = letter_page(renderer, "ru", Kind.PERSON, ShownForm(), letter)
    assert "У\N{NO-BREAK SPACE}этого письма нет русского текста" in page
    assert '<h1 lang="en">' in page
    assert "У\N{NO-BREAK SPACE}этого письма" not in letter_page(renderer, "ru", Kind.PERSON, ShownForm())


def test_a_third_language_is_one_more_folder(tmp_path: Path) -> None:
    shutil.copytree(resources.folder("locales"), tmp_path / "locales")
    place = tmp_path / "locales" / "de" / "LC_MESSAGES"
    place.mkdir(parents=True)
    header = 'msgid ""\nmsgstr ""\n"Language: de\\n"\n"Content-Type: text/plain; charset=utf-8\\n"\n'
    (place / "petition.po").write_text(
        header + '\nmsgid "What we know about you"\nmsgstr "Was wir wissen"\n', encoding="utf-8"
    )
    renderer = Renderer(i18n.load(tmp_path / "locales"), "https://letters.example", None)
    context: dict[str, Any] = {"here": "/privacy", "canonical": None, "parts": [], "tables": [], "notice": 1}
    page = renderer.render("privacy.html", "de", **context)
    assert "<h1>Was wir wissen</h1>" in page
    assert [lang for lang in ("en", "ru", "de") if f'href="/{lang}/privacy" lang="{lang}"' in page] == ["en", "ru"]
    assert 'lang="de" hreflang="de">Deutsch</a>' in renderer.render("privacy.html", "en", **context)


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    return Renderer(LANGUAGES, "https://letters.example", "Open Channels Society, privacy@letters.example")


def sample(*langs: str) -> Letter:
    given = folder.read(resources.PACKAGE / "sample", tuple(LANGUAGES))
    texts = {lang: Text(title, body, markdown.to_html(body)) for lang, (title, body) in given.texts.items()}
    version = Version(1, "0" * 64, NOW, {lang: texts[lang] for lang in langs or texts}, {}, 0)
    keys = LetterKeys(None, None)
    parties = (given.initiators, tuple(Addressee(party.names, party.url) for party in given.addressees))
    return Letter(
        LetterId(1), given.slug, State.OPEN, given.goal, NOW, None, None, False, 1, 1, *parties, version, keys
    )


COUNTS = Counts(3436, 35, 120, 3400, listed_people=3301, listed_organizations=35)


def letter_page(renderer: Renderer, lang: str, kind: Kind, form: ShownForm, letter: Letter | None = None) -> str:
    letter = letter or sample()
    entries = [
        Signatory(i, Kind.ORGANIZATION, NOW, name_en=f"Union of Newsrooms {i}", name_ru=f"Союз редакций № {i}")
        for i in range(12)
    ]
    context = {
        "letter": letter,
        "text_lang": letter.shown_in(lang),
        "text": letter.text(lang),
        "rest_url": None,
        "counts": COUNTS,
        "sources": sources_of(letter, COUNTS),
        "counted_at": NOW,
        "organizations": entries,
        "latest": [],
        "news": [],
        "addressees": [],
        "reached": [],
        "card_mark": "",
        "paused": None,
        "as_kind": kind,
        "partner": "",
        "mailto": text_tags.mailto(letter, "in.letters.example", lang, subject="Subject", statement="Statement" * 9),
        "listed_people": 3316,
        "qr": "",
        "is_lean": False,
        "form": form,
        "closed": False,
        "here": f"/{letter.slug}",
        "canonical": f"https://letters.example/{lang}/{letter.slug}",
    }
    return renderer.render("letters/show.html", lang, **context)


class Outline(HTMLParser):
    """What refers to what on a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.references: list[str] = []
        self.headings: list[int] = []
        self.has_focus = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if "id" in given:
            self.ids.append(given["id"])
        for name in ("for", "aria-describedby", "aria-labelledby", "form"):
            self.references += given.get(name, "").split()
        if given.get("href", "").startswith("#"):
            self.references.append(given["href"][1:])
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        self.has_focus |= "autofocus" in given
