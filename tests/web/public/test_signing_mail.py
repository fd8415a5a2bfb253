"""The page says how to sign by mail where that is on, with a link that opens a mail to be filled in."""

import re
from collections.abc import AsyncIterator
from html import unescape
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from tests.running import SLUG, Installation, installation

DOMAIN = "in.letters.example"


@pytest.fixture
async def site(database_url: str, with_letter: None, tmp_path: Path) -> AsyncIterator[Installation]:
    async with installation(database_url, tmp_path, MAIL_IN=DOMAIN) as running:
        yield running


def plain(page: str) -> str:
    """Return a page's words, one space apart."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", page)).split())


def link(page: str) -> str | None:
    found = re.search(r'href="(mailto:sign[^"]+)"', page)
    return unescape(found[1]) if found else None


@pytest.mark.parametrize(
    ("lang", "words", "line"),
    [
        ("en", "You can also sign by e-mail", "Name: ; Visibility: ; City:"),
        ("ru", "Подписать можно и по электронной почте", "Имя: ; Видимость: ; Город:"),
    ],
)
async def test_the_page_has_a_link(site: Installation, lang: str, words: str, line: str) -> None:
    page = (await site.client.get(f"/{lang}/{SLUG}")).text
    assert words in plain(page)
    mailto = link(page)
    assert mailto is not None
    parts = urlsplit(mailto)
    assert unquote(parts.path) == f"sign+{SLUG}@{DOMAIN}"
    query = parse_qs(parts.query)
    assert f"[{(await site.digest())[:12]}]" in query["subject"][0]
    assert line in query["body"][0]


async def test_the_page_is_still_small(site: Installation) -> None:
    response = await site.client.get(f"/ru/{SLUG}", headers={"Accept-Encoding": "br"})
    assert int(response.headers["content-length"]) <= 10 * 1024


async def test_the_page_for_who_can_run_no_script(site: Installation) -> None:
    form = await site.form()
    del form["altcha"]
    page = await site.client.post(f"/en/{SLUG}/sign", data=form, headers=site.new_network())
    assert page.status_code == 422
    assert "Sign by e-mail" in page.text
    assert link(page.text) is not None


@pytest.mark.parametrize("change", ["sensitive = true", "state = 'closed', closed_at = now()"])
async def test_no_link_where_no_mail_is_taken(site: Installation, change: str) -> None:
    async with site.database.connection() as conn:
        await conn.execute(f"UPDATE letter SET {change}, revision = revision + 1")
    assert await site.page_when(f"/en/{SLUG}", lambda page: link(page) is None)


async def test_no_link_unless_it_is_on(database_url: str, with_letter: None, tmp_path: Path) -> None:
    async with installation(database_url, tmp_path) as running:
        assert link((await running.client.get(f"/en/{SLUG}")).text) is None
        assert "by e-mail" not in (await running.client.get("/en/privacy")).text


async def test_the_privacy_page_says_what_providers_see(site: Installation) -> None:
    page = plain((await site.client.get("/en/privacy")).text)
    assert "your mail provider and ours can see that" in page
    assert "fingerprint of the e-mail" in page
    assert "это видят ваша почтовая служба и наша" in plain((await site.client.get("/ru/privacy")).text)
