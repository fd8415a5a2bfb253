"""The letter's page around its text, closed letters, the home page, and the way back from other pages."""

import json
import re

from petition.web.public import letter_page
from tests.running import SLUG, Installation
from tests.signatures.people import organization, sign
from tests.web.public.test_signatories import letter_of

LONG_TITLE = "О телекоммуникационных компаниях"
NEWS = {"en": {"title": "Orsa reopened its lines", "markdown": "To 40 towns.", "html": "<p>To 40 towns.</p>"}}


async def change(site: Installation, statement: str, *values: object) -> None:
    async with site.database.transaction() as conn:
        await conn.execute(statement, await letter_of(site), *values)
        await conn.execute("UPDATE letter SET revision = revision + 1")


async def close(site: Installation) -> None:
    await change(site, "UPDATE letter SET state = 'closed', closed_at = '2026-06-30' WHERE id = $1")


async def publish_news(site: Installation) -> None:
    statement = "INSERT INTO news (letter, texts, shown, state, published_at) VALUES ($1, $2, $2, 'published', $3)"
    async with site.database.connection() as conn:
        moment = await conn.fetchval("SELECT timestamptz '2026-04-19'")
    await change(site, statement, NEWS, moment)


async def add_organizations(site: Installation, number: int) -> None:
    letter = await letter_of(site)
    async with site.database.transaction() as conn:
        for i in range(number):
            await organization(conn, letter, f"Organization {i:03}")
    await change(site, "UPDATE count SET organizations = $2 WHERE letter = $1", number)


async def test_all_organizations_are_named_where_they_fit(site: Installation) -> None:
    await add_organizations(site, 25)
    page = await site.page_when(f"/en/{SLUG}", lambda text: ">25 organizations</h2>" in text)
    assert page.count("Organization 0") == 25


async def test_the_page_says_how_many_of_how_many_organizations(site: Installation) -> None:
    number = letter_page.MAX_ORGANIZATIONS + 1
    await add_organizations(site, number)
    few = letter_page.FEW_ORGANIZATIONS
    page = await site.page_when(f"/en/{SLUG}", lambda text: f">{few} of {number} organizations</h2>" in text)
    assert page.count("Organization 0") == few


async def test_latest_names_stand_there_where_the_letter_allows_it(site: Installation) -> None:
    async with site.database.connection() as conn:
        await sign(conn, await letter_of(site), "Vera Novak")
    await change(site, "UPDATE count SET people = 1 WHERE letter = $1")
    page = await site.page_when(f"/en/{SLUG}", lambda text: "The name of 1 person who signed" in text)
    assert "Vera Novak" not in page
    await change(site, "UPDATE letter SET names_in_search = true WHERE id = $1")
    await site.page_when(f"/en/{SLUG}", lambda text: "Vera Novak" in text)


async def test_a_closed_letter_says_what_it_reached(site: Installation) -> None:
    await publish_news(site)
    await close(site)
    page = await site.page_when(f"/en/{SLUG}", lambda text: "What this letter reached" in text)
    reached = page.partition('class="reached"')[2].partition("</section>")[0]
    assert "To 40 towns." in reached
    assert '<time datetime="2026-04-19">' in reached
    assert "Orsa reopened its lines" in reached
    assert '<time datetime="2026-06-30">' in reached
    assert f'href="/en/{SLUG}/find"' in page
    home = await site.page_when("/en/", lambda text: "Closed letters, and what they reached" in text)
    assert f'href="/en/{SLUG}"' in home
    assert "closed on 30 June 2026" in home
    assert "Orsa reopened its lines" in home


async def test_a_closed_letter_without_news_claims_nothing(site: Installation) -> None:
    await close(site)
    page = await site.page_when(f"/en/{SLUG}", lambda text: "This letter is closed" in text)
    assert "What this letter reached" not in page


async def test_long_words_break_in_headings_only(site: Installation) -> None:
    await change(site, "UPDATE version SET texts = jsonb_set(texts, '{ru,title}', $2) WHERE letter = $1", LONG_TITLE)
    page = await site.page_when(f"/ru/{SLUG}", lambda text: "О телекоммуникационных" in text)
    heading = re.search(r"<h1[^>]*>([^<]*)</h1>", page)
    assert heading is not None
    assert heading[
        1
    ] == "О\u00a0теле\u00adком\u00adму\u00adни\u00adка\u00adци\u00adон\u00adных ком\u00adпаниях".replace(
        "ком\u00adпаниях", "компаниях"
    )
    for element in (r"<title>[^<]*</title>", r'<meta property="og:title"[^>]*>', r'<div class="share"[^>]*>'):
        found = re.search(element, page)
        assert found is not None
        assert LONG_TITLE in found[0]
    assert "\u00ad" not in json.dumps((await site.client.get(f"/api/v1/letters/{SLUG}")).json(), ensure_ascii=False)
    for path in ("/ru/", f"/ru/{SLUG}/signatories", f"/ru/{SLUG}/signed"):
        assert "теле\u00adком" in await site.page_when(path, lambda text: "теле\u00adком" in text)


async def test_head_and_times_are_what_other_programs_read(site: Installation) -> None:
    page = (await site.client.get(f"/ru/{SLUG}")).text
    assert '<meta property="og:locale" content="ru_RU">' in page
    assert '<meta property="og:image:alt"' in page
    assert page.count('<meta name="theme-color"') == 2
    icon = re.search(r'<link rel="icon" href="([^"]*)"', page)
    assert icon is not None
    assert " " not in icon[1]
    times = re.findall(r'datetime="([^"]*)"', page)
    assert times
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\dZ)?", time) for time in times)


async def test_the_address_is_on_paper(site: Installation) -> None:
    page = (await site.client.get(f"/en/{SLUG}")).text
    paper = page.partition('class="onpaper"')[2]
    assert '<svg viewBox="0 0 ' in paper
    assert f"{site.base.removeprefix('http://')}/en/{SLUG}</p>" in paper


async def test_privacy_leads_back_to_the_letter(site: Installation) -> None:
    assert f'href="/en/privacy?letter={SLUG}"' in (await site.client.get(f"/en/{SLUG}")).text
    page = (await site.client.get(f"/en/privacy?letter={SLUG}")).text
    assert f'href="/en/{SLUG}"' in page
    assert f'href="/ru/privacy?letter={SLUG}"' in page
    plain = await site.client.get("/en/privacy")
    assert f'href="/en/{SLUG}"' not in plain.text
    for name in ("no-such-letter", "%3Cb%3E", "x" * 300):
        assert (await site.client.get(f"/en/privacy?letter={name}")).headers["etag"] == plain.headers["etag"]


async def test_what_is_shared_says_nothing_about_the_reader(site: Installation) -> None:
    page = (await site.client.get(f"/ru/{SLUG}/signed?ticket=abc&as=organization")).text
    share = page.partition('class="share"')[2].partition("</section>")[0]
    assert f'value="{site.base}/ru/{SLUG}"' in share
    assert "ticket" not in share
    assert "abc" not in share
    addresses = re.findall(r'href="(https?://[^"]+)"', share)
    assert {address.split("/")[2] for address in addresses} == {"t.me", "wa.me", "vk.com", "x.com"}
