"""The list as a page: its names, the headers for search engines, bad input."""

from datetime import timedelta

from petition.core.ids import LetterId
from petition.signatures.listing import PAGE
from tests.running import SLUG, Installation
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


async def test_a_withdrawn_name_disappears_at_once(site: Installation) -> None:
    await fill(site, "Vera Novak")
    assert "Vera Novak" in (await site.client.get(LIST)).text
    async with site.database.connection() as conn:
        await conn.execute("DELETE FROM signature")
    assert "Vera Novak" not in (await site.client.get(LIST)).text


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
