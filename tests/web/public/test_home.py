"""The list of letters in several pages, and what is in memory of more letters than fit."""

import re

import pytest

from petition.letters import letter_memory
from petition.web.public import letters
from tests.running import SLUG, Installation

COPIES = f"""
WITH l AS (
  INSERT INTO letter (slug, state, version, opened_at, closed_at, rules_version, wrapped_digest_key, wrapped_name_key)
  SELECT 'copy-' || i, (CASE WHEN i <= 3 THEN 'closed' ELSE 'open' END)::letter_state, 1,
         '2020-01-01'::timestamptz + i * interval '1 day', CASE WHEN i <= 3 THEN now() END, rules_version,
         wrapped_digest_key, wrapped_name_key
  FROM letter, generate_series(1, $1) i WHERE slug = '{SLUG}' RETURNING id, slug
), c AS (INSERT INTO count (letter) SELECT id FROM l), p AS (
  INSERT INTO party (letter, role, position, names) SELECT id, 'initiator', 0, '{{"en": "We"}}' FROM l
)
INSERT INTO version (letter, number, digest, texts, signed_before)
SELECT id, 1, 'd', jsonb_build_object('en', jsonb_build_object(
  'title', 'Title of ' || slug, 'markdown', 'Text of ' || slug, 'html', '<p>Text of ' || slug || '</p>')), 0 FROM l
"""


async def add_letters(site: Installation, number: int) -> None:
    """Have ``number`` more letters, three of them closed; the sample letter stays the newest."""
    async with site.database.connection() as conn:
        await conn.execute(COPIES, number)
    await site.page_when(f"/en/copy-{number}", lambda page: f"Text of copy-{number}" in page)


def listed(page: str) -> list[str]:
    """Return the letters of a page, in order."""
    return re.findall(r'<h3 class="title"><a href="/\w\w/([\w-]+)"', page)


async def test_the_list_goes_on_on_further_pages(site: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(letters, "LETTERS_PER_PAGE", 4)
    await add_letters(site, 8)
    pages = [(await site.client.get(f"/en/{query}")).text for query in ("", "?page=2", "?page=3")]
    order = [SLUG, "copy-8", "copy-7", "copy-6", "copy-5", "copy-4", "copy-3", "copy-2", "copy-1"]
    assert [listed(page) for page in pages] == [order[:4], order[4:8], order[8:]]
    first, second, third = pages
    assert "Closed letters, and what they reached" not in first
    assert "Letters to sign" in second
    assert "Closed letters, and what they reached" in second
    for page in pages:
        assert "no letters to sign" not in page
    assert 'rel="prev"' not in first
    assert '<a rel="next" href="/en/?page=2">Earlier letters</a>' in first
    assert '<a rel="prev" href="/en/">Newer letters</a>' in second
    assert '<a rel="next" href="/en/?page=3">' in second
    assert '<a rel="prev" href="/en/?page=2">' in third
    assert 'rel="next"' not in third
    assert "Page 3 of 3" in third
    assert "page 3" in re.findall(r"<title>(.*?)</title>", third, re.DOTALL)[0]


async def test_each_page_has_one_address(site: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(letters, "LETTERS_PER_PAGE", 4)
    await add_letters(site, 8)
    second = (await site.client.get("/ru/?page=2")).text
    assert f'<link rel="canonical" href="{site.base}/ru/?page=2">' in second
    assert f'<link rel="alternate" hreflang="en" href="{site.base}/en/?page=2">' in second
    assert '<a href="/en/?page=2" lang="en"' in second
    assert "Страница" in second
    first = (await site.client.get("/ru/")).text
    assert f'<link rel="canonical" href="{site.base}/ru/">' in first
    for query in ("?page=1", "?page=0", "?page=x", "?utm=a", "?page=-2", "?page=02"):
        assert listed((await site.client.get(f"/ru/{query}")).text) == listed(first), query
    for query in ("?page=4", "?page=999999"):
        assert (await site.client.get(f"/ru/{query}")).status_code == 404
    assert site.app is not None
    host = [(b"host", f"localhost:{site.settings.port}".encode())]
    keys = [key for key in site.app._pages.fresh if key.startswith("/ru/?") or key == "/ru/"]
    assert sorted(keys) == ["/ru/", "/ru/?page=2"]
    for key in keys:
        request = site.app.cache_request(b"GET", key.encode(), host, is_onion=False)
        assert request is not None
        assert site.app.cached_response(request)


async def test_one_page_says_nothing_of_pages(site: Installation) -> None:
    page = (await site.client.get("/en/")).text
    assert "Pages" not in page
    assert (await site.client.get("/en/?page=2")).status_code == 404


async def test_letters_beyond_the_memory_are_read_when_asked_for(
    site: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert site.app is not None
    await add_letters(site, 6)
    memory = letter_memory.LetterMemory(max_letters=2)
    monkeypatch.setattr(site.app._streams._letters, "_memory", memory)
    for _ in range(2):
        for number in range(4, 7):
            page = (await site.client.get(f"/en/copy-{number}/text")).text
            assert f"Text of copy-{number}" in page
    assert len(memory) == 2
    assert listed((await site.client.get("/en/")).text)[:2] == [SLUG, "copy-6"]
    async with site.database.connection() as conn:
        await conn.execute("UPDATE version SET texts = replace(texts::text, 'Text of', 'New text of')::jsonb")
        await conn.execute("UPDATE letter SET revision = revision + 1")
    for number in range(4, 7):
        await site.page_when(f"/en/copy-{number}/text", lambda page: "New text of" in page)
