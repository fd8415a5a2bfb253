"""The preview: the real page of the draft, for those who write it and for whoever has the secret address."""

import re
from collections.abc import AsyncIterator

import httpx2
import pytest

from petition.core.ids import SignatureId
from petition.core.tokens import Tokens
from petition.letters import taking_down
from petition.worker import retention
from tests import rows
from tests.drafts import desk
from tests.organizers import people
from tests.pages import check_page
from tests.running import KEY, SLUG, Installation

PREVIEW = f"/organizer/{SLUG}/preview"
LINK = f"{PREVIEW}/link"
ACTS = "SELECT act FROM log WHERE act LIKE 'preview.%' ORDER BY id"
NOTE = {"note.en": "Better", "note.ru": "Лучше"}


@pytest.fixture
async def editor(site: Installation) -> AsyncIterator[httpx2.AsyncClient]:
    async with people.at_desk(site, "editor") as client:
        yield client


async def link(client: httpx2.AsyncClient, lang: str = "en", **form: str) -> str:
    """Make a link; return its path."""
    answer = await client.post(LINK, data={"act": "make", **form})
    assert answer.status_code == 303
    found = re.search(r'href="https?://[^/]+(/[a-z]{2}/preview/[^"]+)"', (await client.get(desk.TEXT)).text)
    assert found
    return found[1].replace("/en/", f"/{lang}/", 1)


def directive(answer: httpx2.Response, name: str) -> str:
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    return policy[name]


@pytest.mark.parametrize("lang", ["en", "ru"])
async def test_it_is_the_real_page_made_of_the_draft(site: Installation, editor: httpx2.AsyncClient, lang: str) -> None:
    title = {"title_en": "Draft <title>", "title_ru": "Черновое <название>"}
    await desk.change(editor, **title, goal="7777")
    page = await editor.get(PREVIEW, params={"lang": lang})
    check_page(page, 200, lang)
    assert f"<h1>{title[f'title_{lang}'].replace('<', '&lt;').replace('>', '&gt;')}</h1>" in page.text
    assert 'max="7777"' in page.text
    real = (await site.client.get(f"/{lang}/{SLUG}")).text
    assert (
        page.text.partition("<style>")[2].partition("</style>")[0]
        == real.partition("<style>")[2].partition("</style>")[0]
    )
    assert 'id="sign-form"' in page.text.partition("<div inert>")[2]
    assert "<script" not in page.text
    assert directive(page, "frame-ancestors") == "'self'"
    assert directive(page, "script-src") == "'none'" == directive(page, "form-action")
    assert page.headers["x-robots-tag"] == "noindex, nofollow, noarchive"
    assert directive(await editor.get(desk.TEXT), "frame-src") == "'self'"


async def test_an_empty_draft_has_a_preview_too(site: Installation, editor: httpx2.AsyncClient) -> None:
    await editor.post("/organizer/letters/new", data={"title.ru": "Новое", "slug": "a-new-one"})
    page = await editor.get("/organizer/a-new-one/preview?lang=en")
    check_page(page, 200)
    assert '<h1 lang="ru">Новое</h1>' in page.text
    async with site.database.connection() as conn:
        await conn.execute("DELETE FROM translation WHERE title = 'Новое'")
    check_page(await editor.get("/organizer/a-new-one/preview?lang=xx"), 200)


async def test_people_outside_see_it_by_a_secret_address(site: Installation, editor: httpx2.AsyncClient) -> None:
    await desk.change(editor, title_en="Draft title", title_ru="Черновик")
    path = await link(editor)
    page = await site.client.get(path)
    check_page(page, 200)
    assert "<h1>Draft title</h1>" in page.text
    assert f'href="{path.replace("/en/", "/ru/")}"' in page.text
    assert "Please do not share this address" in page.text
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["x-robots-tag"] == "noindex, nofollow, noarchive"
    assert directive(page, "frame-ancestors") == "'none'"
    assert "Черновик" in (await site.client.get(path.replace("/en/", "/ru/"))).text
    assert (await site.client.get(path.replace("/en/", "/fr/"))).status_code == 404
    assert "Disallow: /en/preview/" in (await site.client.get("/robots.txt")).text
    assert (await site.client.post(path)).status_code == 405


async def test_a_renewed_or_revoked_address_opens_nothing(site: Installation, editor: httpx2.AsyncClient) -> None:
    first = await link(editor)
    second = await link(editor)
    assert first != second
    assert (await site.client.get(first)).status_code == 404
    assert (await site.client.get(second)).status_code == 200
    for _ in range(2):
        assert (await editor.post(LINK, data={"act": "drop"})).status_code == 303
        assert (await site.client.get(second)).status_code == 404
    acts = [row["act"] for row in await rows.rows_of(site.database, ACTS)]
    assert acts == ["preview.make", "preview.make", "preview.drop"]


async def test_it_ends_in_time(site: Installation, editor: httpx2.AsyncClient) -> None:
    path = await link(editor)
    async with site.database.connection() as conn:
        await conn.execute("UPDATE preview_link SET expires_at = now()")
    assert (await site.client.get(path)).status_code == 404
    assert "/en/preview/" not in (await editor.get(desk.TEXT)).text
    assert await retention.drop_expired(site.database, "preview_link") == 1
    await link(editor)
    assert await retention.drop_expired(site.database, "preview_link") == 0


@pytest.mark.parametrize("stay", [False, True])
async def test_publishing_ends_it_unless_it_was_told_to_stay(
    site: Installation, editor: httpx2.AsyncClient, stay: bool
) -> None:
    path = await link(editor, **({"stay": "yes"} if stay else {}))
    await desk.change(editor, title_en="Another")
    assert (await desk.publish(editor, **NOTE)).status_code == 303
    assert (await site.client.get(path)).status_code == (200 if stay else 404)


async def test_made_up_addresses(site: Installation, editor: httpx2.AsyncClient) -> None:
    await link(editor)
    letter = (await rows.rows_of(site.database, "SELECT id FROM letter"))[0]["id"]
    tokens = Tokens([KEY])
    wrong = [
        tokens.for_preview(letter, 7),
        tokens.for_signature(letter, SignatureId(7)),
        Tokens(["x" * 40]).for_preview(letter, 7),
    ]
    for token in (*wrong, "x", "x" * 5000, "%00", "é"):
        answer = await site.client.get(f"/en/preview/{token}")
        assert answer.status_code == 404
    check_page(answer, 404)


async def test_whoever_was_brought_along_is_not_shown_before_the_letter_opens(
    site: Installation, editor: httpx2.AsyncClient
) -> None:
    await editor.post("/organizer/letters/new", data={"title.en": "New", "slug": "a-new-one"})
    form = await desk.opened(editor, "/organizer/a-new-one/text")
    await desk.save(editor, form | {"names_in_search": "yes", "text.en": "x"}, "/organizer/a-new-one/text")
    async with site.database.connection() as conn:
        await conn.execute(
            "INSERT INTO signature (letter, id, listed_at, kind, state, visibility, name, name_key, import)"
            " SELECT id, 1, now(), 'person', 'confirmed', 'public', 'Vera Novak', 'vera novak', 1 FROM letter"
            " WHERE slug = 'a-new-one'"
        )
    assert "Vera Novak" not in (await editor.get("/organizer/a-new-one/preview")).text


async def test_a_hidden_list_is_hidden_in_the_preview_too(site: Installation, editor: httpx2.AsyncClient) -> None:
    path = await link(editor, stay="yes")
    async with site.database.connection() as conn:
        await conn.execute("UPDATE letter SET names_in_search = true")
        await conn.execute(
            "INSERT INTO signature (letter, id, listed_at, kind, state, visibility, name, name_key, import)"
            " SELECT id, 1, now(), 'person', 'confirmed', 'public', 'Vera Novak', 'vera novak', 1 FROM letter"
        )
    assert "Vera Novak" in (await site.client.get(path)).text
    async with site.database.connection() as conn:
        await conn.execute("INSERT INTO switch (name, value) VALUES ('hide_list', 'on')")
    for client, address in ((site.client, path), (editor, PREVIEW)):
        page = await client.get(address)
        check_page(page, 200)
        assert "Vera Novak" not in page.text


async def test_a_letter_that_was_taken_down_has_no_preview(site: Installation, editor: httpx2.AsyncClient) -> None:
    """Its rows go in batches: of a large letter the link's is there for a while."""
    path = await link(editor, stay="yes")
    async with site.database.transaction() as conn:
        letter = await conn.fetchval("SELECT id FROM letter")
        await taking_down.take_down(conn, None, letter, SLUG)
    check_page(await site.client.get(path), 410)


@pytest.mark.parametrize("lang", ["en", "ru"])
async def test_a_published_letters_preview_has_what_is_no_part_of_the_draft(
    site: Installation, editor: httpx2.AsyncClient, lang: str
) -> None:
    """Who signed elsewhere, a banner, why nobody can sign now: as the page that readers have."""
    tally = {"step": "add", "people": "3400", "counted_on": "2026-01-02", "source_en": "Counted by the harbour office"}
    assert (await editor.post(f"/organizer/{SLUG}/tally", data=tally)).status_code == 303
    for name, text in (("banner", "Mind the tide"), ("stop", "We are looking into it")):
        form = {"name": name, "value": "on", "revision": "0", "text_en": text, "text_ru": text}
        assert (await editor.post(f"/organizer/{SLUG}/switches", data=form)).status_code == 303
    await desk.change(editor, goal="7777")
    page = (await editor.get(PREVIEW, params={"lang": lang})).text
    real = (await site.client.get(f"/{lang}/{SLUG}")).text
    for told in ("Counted by the harbour office", "Mind the tide", "We are looking into it"):
        assert (told in page, told in real) == (True, True), told
    assert ('max="7777"' in page, 'max="7777"' in real) == (True, False)


FOREIGN = "Text ![A map](https://pictures.example/map.png) and <u>HTML</u>"


async def test_what_readers_will_not_see_is_named_to_the_writers_only(
    site: Installation, editor: httpx2.AsyncClient
) -> None:
    await desk.change(editor, text_en=FOREIGN)
    for path in (f"{PREVIEW}?lang=en", f"/organizer/{SLUG}/publish"):
        page = (await editor.get(path)).text
        assert "their description stays: https://pictures.example/map.png" in page
        assert "as they are typed: &lt;u&gt;" in page
    public = await site.client.get(await link(editor))
    assert "A map" in public.text
    assert "their description stays" not in public.text
    update = {"title_en": "News", "text_en": FOREIGN, "act": "preview"}
    assert "their description stays" in (await editor.post(f"/organizer/{SLUG}/updates", data=update)).text
