"""The list as a page: its names, the headers for search engines, bad input."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import httpx2
import pytest

from petition.core.ids import LetterId, SignatureId
from petition.core.settings import Process, load
from petition.core.tokens import Tokens
from petition.letters import published
from petition.signatures.listing import PAGE, Cursor
from petition.web import page_cache
from tests.organizers import people
from tests.running import NO_TLS, SLUG, Installation, free_port, installation, serving
from tests.signatures.people import NOON, organization, sign

LIST = f"/en/{SLUG}/signatories"


async def letter_of(site: Installation) -> LetterId:
    async with site.database.connection() as conn:
        return LetterId(await conn.fetchval("SELECT id FROM letter WHERE slug = $1", SLUG))


async def fill(site: Installation, *people: str) -> None:
    letter_id = await letter_of(site)
    async with site.database.connection() as conn:
        await sign(conn, letter_id, *people)


async def test_people_are_listed_and_search_engines_kept_out(site: Installation) -> None:
    await fill(site, "Vera Novak", "Пётр <b>Иванов")
    response = await site.client.get(LIST)
    assert response.status_code == 200
    assert response.headers["x-robots-tag"] == "noindex, noarchive"
    assert response.headers["cache-control"] == "public, max-age=0, s-maxage=1"
    assert "set-cookie" not in response.headers
    assert "style-src 'sha256-" in response.headers["content-security-policy"]
    assert "Vera Novak" in response.text
    assert "Пётр &lt;b&gt;Иванов" in response.text
    assert response.text.index("Иванов") < response.text.index("Vera")
    again = await site.client.get(LIST, headers={"if-none-match": response.headers["etag"]})
    assert again.status_code == 304


FIRST_PAGES = [
    f"/{lang}/{SLUG}/signatories{query}"
    for lang in ("en", "ru")
    for query in ("", "?kind=person", "?kind=organization")
]


@pytest.fixture
async def sleepy(
    database_url: str, with_letter: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Installation]:
    """Give an installation whose web process looks at the database once, and then only for an act of its own."""
    monkeypatch.setattr(published, "INTERVAL", 3600.0)
    monkeypatch.setattr(page_cache, "MAX_AGE", 3600.0)
    async with installation(database_url, tmp_path) as running:
        yield running


async def listed(site: Installation, word: str) -> list[str]:
    """Return which of the first pages have a word."""
    return [path for path in FIRST_PAGES if word in (await site.client.get(path)).text]


async def test_the_first_page_comes_from_the_cache(sleepy: Installation) -> None:
    await fill(sleepy, "Vera Novak")
    assert len(await listed(sleepy, "Vera Novak")) == 4
    assert sleepy.app is not None
    assert set(FIRST_PAGES) <= sleepy.app._pages.fresh.keys()
    async with sleepy.database.connection() as conn:
        await conn.execute("DELETE FROM signature")  # nothing moves by that, so that the page is seen to be cached
    host = [(b"host", f"localhost:{sleepy.settings.port}".encode())]
    for path in FIRST_PAGES:
        request = sleepy.app.cache_request(b"GET", path.encode(), host, is_onion=False)
        assert request is not None
        assert sleepy.app.cached_response(request)
    for query in ("?utm=x", "?kind=person&page=1", "?page=1"):
        assert "Vera Novak" in (await sleepy.client.get(LIST + query)).text
    for query in ("?q=vera", "?after=" + Cursor(NOON + timedelta(days=9), 1).encode()):
        assert "Vera Novak" not in (await sleepy.client.get(LIST + query)).text.replace(" Vera", "")
        assert LIST + query not in sleepy.app._pages.fresh


async def test_a_confirmed_name_is_listed_at_once(sleepy: Installation) -> None:
    assert await listed(sleepy, "Vera Novak") == []
    link = await confirm(sleepy)
    assert link
    assert len(await listed(sleepy, "Vera Novak")) == 4


async def confirm(site: Installation) -> str:
    """Have Vera Novak sign in public; return the address of her own page."""
    await site.sign()
    async with site.database.connection() as conn:
        letter, signature = await conn.fetchrow("SELECT letter, id FROM pending") or (0, 0)
    token = Tokens(site.settings.secret_keys).for_signature(LetterId(letter), SignatureId(signature))
    assert (await site.client.post(f"/en/confirm/{token}")).status_code == 303
    return f"/en/signature/{token}"


@pytest.mark.parametrize(
    "form",
    [
        {"action": "withdraw"},
        {"action": "delete"},
        {"action": "visibility", "visibility": "counted"},
        {"action": "correct", "name": "Wera Nowak"},
    ],
)
async def test_a_name_that_is_taken_back_is_gone_before_the_answer(sleepy: Installation, form: dict[str, str]) -> None:
    own = await confirm(sleepy)
    assert len(await listed(sleepy, "Vera Novak")) == 4
    assert (await sleepy.client.post(own, data=form)).status_code == 303
    assert await listed(sleepy, "Vera Novak") == []


async def test_in_another_process_it_is_gone_with_the_next_look(site: Installation) -> None:
    """Two processes of one installation: the act is the first one's."""
    own = await confirm(site)
    port = free_port()
    environ = {**site.environ, "PORT": str(port), "BASE_URL": f"http://localhost:{port}"}
    async with (
        serving(load(environ, role=Process.WEB)) as app,
        httpx2.AsyncClient(base_url=f"http://localhost:{port}", verify=NO_TLS) as client,
    ):
        assert "Vera Novak" in (await client.get(LIST)).text
        assert (await site.client.post(own, data={"action": "withdraw"})).status_code == 303
        async with asyncio.timeout(120):
            while "Vera Novak" in (await client.get(LIST)).text:
                await asyncio.sleep(0.02)
        assert not [page for page in app._pages._stale.values() if b"Vera Novak" in page.plain]


async def test_an_act_at_the_desk_is_seen_before_its_answer(sleepy: Installation) -> None:
    own = await confirm(sleepy)
    assert len(await listed(sleepy, "Vera Novak")) == 4
    async with people.at_desk(sleepy, "moderator", email="mo@letters.example", name="Mo") as client:
        async with sleepy.database.connection() as conn:
            signature = await conn.fetchval("SELECT id FROM signature")
        form = {f"s{signature}": "0", "act": "remove", "reason": "fake"}
        answer = await client.post(f"/organizer/{SLUG}/queue", data=form)
    assert answer.status_code == 303, own
    assert await listed(sleepy, "Vera Novak") == []


async def test_pages_lead_to_each_other_in_both_languages(site: Installation) -> None:
    await fill(site, *[f"Person Number{i:03}" for i in range(PAGE + 1)])
    first = await site.client.get(LIST)
    assert f"Number{PAGE:03}" in first.text
    assert "Number000" not in first.text
    after = first.text.split("&amp;after=")[1].split('"')[0]
    second = await site.client.get(f"{LIST}?after={after}")
    assert "Number000" in second.text
    assert "Number001" not in second.text
    assert f"/ru/{SLUG}/signatories?kind=person&amp;after={after}" in second.text


async def test_organizations_are_a_list_of_their_own(site: Installation) -> None:
    letter_id = await letter_of(site)
    async with site.database.connection() as conn:
        await organization(conn, letter_id, "North Pier", "Северный пирс", representatives=[("Anna Ek", "confirmed")])
        await sign(conn, letter_id, "Vera Novak", first=NOON + timedelta(days=1))
    response = await site.client.get(f"{LIST}?kind=organization")
    for name in ("North Pier", "Северный пирс", "Anna Ek"):
        assert name in response.text
    assert "Vera Novak" not in response.text
    assert "North Pier" not in (await site.client.get(f"{LIST}?kind=anything")).text


async def test_a_search_shows_what_it_found_and_what_was_typed(site: Installation) -> None:
    await fill(site, "Vera Novak", "Пётр Иванов")
    response = await site.client.get(LIST, params={"q": " ивонав ", "other": "x"})
    assert "Vera" not in response.text
    response = await site.client.get(LIST, params={"q": "ивонов <i>"})
    assert "ивонов &lt;i&gt;" in response.text
    response = await site.client.get(LIST, params={"q": "ивонов"})
    assert "Пётр Иванов" in response.text
    assert "Vera" not in response.text


async def test_bad_input_is_answered_in_short(site: Installation) -> None:
    for query, status in (
        ("after=nonsense", 404),
        ("after=" + "A" * 5000, 404),
        ("q=%00", 400),
        ("q=%ff%fe", 200),
        ("q=" + "%D0%B8" * 2000, 200),
        ("kind=%00&q=x", 400),
        ("q=x&after=nonsense", 200),
    ):
        response = await site.client.get(f"{LIST}?{query}")
        assert response.status_code == status, query
        assert "Traceback" not in response.text
    assert (await site.client.post(LIST)).status_code == 405
    assert (await site.client.get("/xx" + LIST[3:])).status_code == 404
    assert (await site.client.get("/en/no-such-letter/signatories")).status_code == 404
    assert (await site.client.head(LIST)).status_code == 200


async def test_rows_have_the_day_and_the_language_of_the_name(site: Installation) -> None:
    await fill(site, "Vera Novak", "Пётр Ясень")
    english, russian = [(await site.client.get(f"/{lang}/{SLUG}/signatories")).text for lang in ("en", "ru")]
    assert '<bdi lang="ru">Пётр Ясень</bdi>' in english
    assert "<bdi>Vera Novak</bdi>" in english
    assert '<bdi lang="en">Vera Novak</bdi>' in russian
    assert "<bdi>Пётр Ясень</bdi>" in russian
    assert '<time datetime="2026-11-01">' in english
    assert "12:00" not in english  # an hour could tell who it was


async def test_the_list_says_how_many_of_how_many(site: Installation) -> None:
    await fill(site, *[f"Person Number{i:03}" for i in range(PAGE + 1)])
    async with site.database.connection() as conn:
        await conn.execute("UPDATE count SET people = $1, hidden = 0", PAGE + 1)
    await site.page_when(LIST, lambda text: f"{PAGE} of {PAGE + 1} people" in text)
    await fill(site, "Vera Novak")
    assert "1 entry matches “vera”." in (await site.client.get(f"{LIST}?q=vera")).text
    assert "0 entries match “nobody”." in (await site.client.get(f"{LIST}?q=nobody")).text


async def test_there_is_one_way_to_report_and_none_in_a_row(site: Installation) -> None:
    await fill(site, "Vera Novak", "Anna Berg")
    page = (await site.client.get(LIST)).text
    assert page.count("/report") == 1
    assert f'href="/en/{SLUG}/report?kind=person"' in page


async def test_an_unknown_kind_is_refused(site: Installation) -> None:
    assert (await site.client.get(f"{LIST}?kind=robot")).status_code == 404
    assert (await site.client.get(f"{LIST}?kind=Person.")).status_code == 200
