"""Languages: a third one is a folder and a translation of the letter; a letter may have one only and says so."""

import asyncio
import shutil
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import pytest

from petition.core import i18n, resources
from petition.core.errors import SettingsError
from tests.pages import without_ticket
from tests.running import SAMPLE, SLUG, Installation, installation, link_in, publish, working

LOCALES = resources.folder("locales")
LANGUAGES = i18n.load(LOCALES)
GERMAN = """
msgid ""
msgstr ""
"Language: de\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Content-Transfer-Encoding: 8bit\\n"
"Plural-Forms: nplurals=2; plural=(n != 1);\\n"

msgid "Read in English"
msgstr "Auf Deutsch lesen"

msgid "Page not found"
msgstr "Diese Seite gibt es nicht"
"""


@pytest.fixture
def three(tmp_path: Path) -> Path:
    """Give the folder of our languages and one more, of which two messages have been translated."""
    folder = tmp_path / "locales"
    shutil.copytree(LOCALES, folder)
    (folder / "de" / "LC_MESSAGES").mkdir(parents=True)
    (folder / "de" / "LC_MESSAGES" / "petition.po").write_text(GERMAN, encoding="utf-8")
    return folder


def letter(tmp_path: Path, slug: str, *langs: str) -> Path:
    """Return a letter's folder with a text in each of ``langs``."""
    folder = tmp_path / slug
    folder.mkdir()
    toml = (SAMPLE / "letter.toml").read_text(encoding="utf-8").replace(SLUG, slug)
    (folder / "letter.toml").write_text(toml, encoding="utf-8")
    for lang in langs:
        (folder / f"{lang}.md").write_text(f"# A title in {lang}\n\nA text in {lang}.\n", encoding="utf-8")
    return folder


async def appeared(site: Installation, path: str) -> httpx2.Response:
    """Wait until the web knows the letter; return its page."""
    async with asyncio.timeout(120):
        while (page := await site.client.get(path)).status_code == 404:
            await asyncio.sleep(0.05)
    assert page.status_code == 200
    return page


async def test_a_third_language_is_a_folder_and_a_translation(database_url: str, tmp_path: Path, three: Path) -> None:
    async with installation(database_url, tmp_path / "data", LOCALES_DIR=str(three)) as site:
        slug = await publish(site.settings, site.database, letter(tmp_path, "in-three", "en", "ru", "de"))
        page = await appeared(site, f"/de/{slug}")
        assert page.headers["content-language"] == "de"
        assert '<html lang="de"' in page.text
        assert "A text in de." in page.text
        inviting = {"en": "Read in English", "ru": "Читать по-русски", "de": "Auf Deutsch lesen"}
        for lang in inviting:
            shown = (await site.client.get(f"/{lang}/{slug}")).text
            for other in set(inviting) - {lang}:
                assert f'href="/{other}/{slug}" lang="{other}" hreflang="{other}">{inviting[other]}</a>' in shown
        assert (await site.client.get("/", headers={"accept-language": "de-AT"})).headers["location"] == "/de/"
        gone = await site.client.get("/de/nothing/at/all")
        assert gone.status_code == 404
        assert "Diese Seite gibt es nicht" in gone.text  # what is translated; the rest is said in the source language
        translations = (await site.client.get(f"/api/v1/letters/{slug}")).json()["translations"]
        assert translations["de"] == {"title": "A title in de", "url": f"{site.base}/de/{slug}"}
        await the_road_in_german(site, slug)


async def the_road_in_german(site: Installation, slug: str) -> None:
    """Sign and confirm in the third language: its mail is in it too."""
    async with working(site.environ, site.inbox):
        assert (await site.sign("de", slug)).headers["location"] == f"/de/{slug}/check-your-inbox"
        link = link_in(await site.mail_to("vera@letters.example"))
        assert link.startswith("/de/confirm/")
        assert without_ticket((await site.client.post(link)).headers["location"]) == f"/de/{slug}/signed"


async def test_without_the_folder_the_language_is_not_there(site: Installation) -> None:
    assert (await site.client.get(f"/de/{SLUG}")).status_code == 404
    assert "de" not in (await site.client.get(f"/en/{SLUG}")).text.partition("hreflang")[2][:20]


@pytest.mark.parametrize(("only", "other"), [("en", "ru"), ("ru", "en")])
async def test_a_letter_in_one_language_says_so_in_the_other(
    site: Installation, tmp_path: Path, only: str, other: str
) -> None:
    slug = await publish(site.settings, site.database, letter(tmp_path, "in-one", only))
    notice = LANGUAGES[other].gettext("This letter has no English text. It is shown here in: %(language)s.")
    sentence = notice % {"language": LANGUAGES[only].own_name}
    page = await appeared(site, f"/{other}/{slug}")
    assert page.headers["content-language"] == other
    assert sentence in page.text
    assert f'lang="{only}">A title in {only}' in page.text.replace("\n", "")
    own = await site.client.get(f"/{only}/{slug}")
    assert LANGUAGES[only].gettext("This letter has no English text.")[:10] not in own.text
    assert f"A text in {only}." in own.text
    signed = await site.sign(other, slug)
    assert signed.headers["location"] == f"/{other}/{slug}/check-your-inbox"


@pytest.mark.parametrize(
    ("count", "russian", "english"),
    [(1, "1 подпись", "1 signature"), (2, "2 подписи", "2 signatures"), (5, "5 подписей", "5 signatures"),
     (11, "11 подписей", "11 signatures"), (21, "21 подпись", "21 signatures"), (0, "0 подписей", "0 signatures"),
     (1234567, "1 234 567 подписей", "1,234,567 signatures")],
)  # fmt: skip
def test_counts_have_the_form_they_take(count: int, russian: str, english: str) -> None:
    for lang, said in (("ru", russian), ("en", english)):
        language = LANGUAGES[lang]
        text = language.ngettext("%(shown)s signature", "%(shown)s signatures", count)
        assert (text % {"shown": language.number(count)}).replace("\N{NO-BREAK SPACE}", " ") == said


def test_dates_and_numbers_follow_the_language() -> None:
    day = datetime(2026, 3, 1, 9, 5, tzinfo=UTC)
    assert LANGUAGES["en"].date(day) == "1 March 2026"
    assert LANGUAGES["ru"].date(day) == "1 марта 2026\N{NARROW NO-BREAK SPACE}г."
    assert "09:05" in LANGUAGES["ru"].datetime(day)
    assert LANGUAGES["en"].number(3471) == "3,471"
    assert LANGUAGES["ru"].number(3471) == "3\N{NO-BREAK SPACE}471"
    assert [each.own_name for each in LANGUAGES.values()] == ["English", "Русский"]


@pytest.mark.parametrize("text", ['msgid "unfinished', "\xff"])
def test_a_catalogue_that_cannot_be_read_is_refused_by_name(three: Path, text: str) -> None:
    (three / "de" / "LC_MESSAGES" / "petition.po").write_text(text, encoding="latin-1")
    with pytest.raises(SettingsError, match="'de'"):
        i18n.load(three)


def test_no_catalogue_at_all_is_refused(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(SettingsError, match="no catalogues below"):
            i18n.load(folder)
