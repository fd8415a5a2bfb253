"""A letter of any length: its page fits into one flight, and "read on" links to the rest."""

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import brotli
import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from petition.letters.markdown import to_html
from petition.web.public.page_size import MAX_BYTES, blocks
from tests.conftest import fresh_database
from tests.pages import check_page, form_in
from tests.running import Installation, installation, publish

if TYPE_CHECKING:
    from tests.conftest import Conn

SLUG = "a-long-letter"
MARKDOWN = st.lists(
    st.sampled_from(
        ["word *one*", "## A <head>", "- a\n- b\n  - c", "> said & done", "***", "```\n<p>\n```", "1. x", "a\\\nb"]
    )
)
_random = random.Random(1)
WORDS = ["".join(_random.choices("abcdefghijklmnopqrstuvwxyz", k=_random.randint(2, 12))) for _ in range(6000)]


@pytest.fixture(scope="module")
async def site(
    cluster: str, admin: "Conn", template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Installation]:
    """An installation with a letter of 40 KB that hardly compresses, in English only."""
    folder = tmp_path_factory.mktemp("long")
    _write(folder / "letter", WORDS)
    async with fresh_database(cluster, admin, template) as url, installation(url, folder) as running:
        await publish(running.settings, running.database, folder / "letter")
        async with asyncio.timeout(120):
            while (await running.client.get(f"/en/{SLUG}")).status_code == 404:  # until the web has looked
                await asyncio.sleep(0.05)
        yield running


def _write(folder: Path, words: list[str]) -> None:
    folder.mkdir()
    (folder / "letter.toml").write_text(f'slug = "{SLUG}"\n')
    paragraphs = [" ".join(words[start : start + 60]) for start in range(0, len(words), 60)]
    (folder / "en.md").write_text("# Long\n\n" + "\n\n".join(paragraphs) + "\n")


@given(MARKDOWN)
def test_a_text_is_cut_between_its_outermost_elements(parts: list[str]) -> None:
    html = to_html("\n\n".join(parts))
    cut = blocks(html)
    assert "".join(cut) == html
    assert all(block.count("<p>") == block.count("</p>") for block in cut)
    assert all(block.count("<ul>") == block.count("</ul>") for block in cut)
    assert len([block for block in cut if block.strip()]) >= len({"## A <head>", "***"} & set(parts))


def _weight(page: httpx2.Response) -> int:
    """Return the bytes on the wire, as if the body had been compressed here."""
    head = sum(len(name) + len(value) + 4 for name, value in page.headers.raw)
    return head + len(brotli.compress(page.content, mode=brotli.MODE_TEXT, quality=5))


def _check_cut(page: httpx2.Response, lang: str) -> None:
    assert _weight(page) <= MAX_BYTES
    assert page.text.count(WORDS[0]) >= 1, "the letter begins here"
    assert WORDS[-1] not in page.text
    assert f'href="/{lang}/{SLUG}/text"' in page.text
    assert {"version", "kind", "name", "email", "city", "country", "affiliation"} <= form_in(page, "sign-form").keys()


@pytest.mark.parametrize("lang", ["en", "ru"])
@pytest.mark.parametrize("query", ["", "?as=organization"])
async def test_the_page_of_a_long_letter_holds_the_whole_form(site: Installation, lang: str, query: str) -> None:
    page = await site.client.get(f"/{lang}/{SLUG}{query}")
    assert page.status_code == 200
    if query:
        assert _weight(page) <= MAX_BYTES
        assert "organization_ru" in form_in(page, "sign-form")
    else:
        _check_cut(page, lang)
    rest = await site.client.get(f"/{lang}/{SLUG}/text")
    assert all(f">{WORDS[start]} " in rest.text for start in range(0, len(WORDS), 60))
    assert f'href="/{lang}/{SLUG}#sign"' in rest.text


@pytest.mark.parametrize("lang", ["en", "ru"])
async def test_so_does_the_page_with_an_error_in_every_field(site: Installation, lang: str) -> None:
    wrong = {"name": "1" * 300, "email": "x", "city": "www.x", "country": "Atlantis", "affiliation": "a@b"}
    form = await site.form(SLUG, **wrong, visibility="", consent="")
    page = await site.client.post(f"/{lang}/{SLUG}/sign", data=form)
    check_page(page, 422, lang)
    assert page.text.count('class="problem"') == 4
    _check_cut(page, lang)
    assert "etag" not in page.headers
    assert 'rel="canonical"' not in page.text
    old = await site.client.post(f"/{lang}/{SLUG}/sign", data=form | {"version": "0" * 64})
    check_page(old, 422, lang)
    _check_cut(old, lang)


async def test_a_letter_in_one_language_says_so_in_the_other(site: Installation) -> None:
    page = await site.client.get(f"/ru/{SLUG}")
    assert page.headers["content-language"] == "ru"
    assert '<div class="text" lang="en">' in page.text
    assert '<h1 lang="en">Long</h1>' in page.text
    assert 'class="notice"' in page.text
    assert 'hreflang="ru" href="' not in page.text, "no translation is offered to search engines"
    assert 'class="notice"' not in (await site.client.get(f"/en/{SLUG}")).text
