"""Where the signatures come from: lines that add up to the count, on the page and in the API, after any act."""

import asyncio
import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from petition.core.audit_log import Actor
from petition.imports import undoing
from petition.letters.model import Counts, Letter, Tally
from petition.letters.sources import SourceKind, sources_of
from petition.signatures import paper_tallies
from tests import rows
from tests.commands import run
from tests.pages import check_page
from tests.running import SLUG, Installation
from tests.signatures.waiting import Waiting, execute

API = f"/api/v1/letters/{SLUG}"
LIST = """kind,name,name_ru,email,signed_at,visibility
person,Ada North,,ada@letters.example,2022-03-05T10:00:00Z,public
person,Bo South,,,2022-03-07T10:00:00Z,organizers
person,Cy West,,,,public
organization,North Pier,,,2022-03-06T10:00:00Z,
organization,South Pier,,,,
"""


async def take_in(site: Installation, folder: Path, content: str = LIST) -> None:
    path = folder / "list.csv"
    path.write_text(content, encoding="utf-8")
    assert (await run(f"signatures import {SLUG} {path}", site.environ))[0] == 0


async def add_tally(site: Installation, people: int, source: dict[str, str], day: date = date(2022, 5, 3)) -> None:
    async with site.database.transaction() as conn:
        letter_id = await conn.fetchval("SELECT id FROM letter WHERE slug = $1", SLUG)
        organizer_id = await conn.fetchval(
            "INSERT INTO organizer (name, lang, digest, sealed) VALUES ('', 'en', 'one', '') "
            "ON CONFLICT (digest) DO UPDATE SET lang = 'en' RETURNING id"
        )
        await paper_tallies.add(conn, Actor(organizer_id, letter_id), Tally(people, day, source))


async def sources(site: Installation, total: int) -> list[dict[str, Any]]:
    """Wait until the count is ``total``; return the sources, which add up to it."""
    async with asyncio.timeout(120):
        while (letter := (await site.client.get(API)).json())["counts"]["total"] != total:
            await asyncio.sleep(0.02)
    items: list[dict[str, Any]] = letter["sources"]
    for part in ("people", "organizations"):
        assert sum(item[part] for item in items) == letter["counts"][part]
    imported = [item["people"] + item["organizations"] for item in items if item["kind"] != "confirmed"]
    assert sum(imported) == letter["counts"]["imported"]
    return items


async def lines(site: Installation, lang: str = "en") -> list[str]:
    page = await site.client.get(f"/{lang}/{SLUG}")
    assert page.status_code == 200
    (part,) = re.findall(r'<dl class="sources".*?</dl>', page.text, re.DOTALL)
    items = re.findall(r"<dt>(.*?)</dd>", part, re.DOTALL)
    return [re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", item)).strip().replace(" ,", ",") for item in items]


async def test_list_and_tallies_and_what_was_confirmed_here(site: Installation, tmp_path: Path) -> None:
    assert await sources(site, 0) == [
        {"kind": "confirmed", "people": 0, "organizations": 0, "on": None, "source": None}
    ]
    assert "Confirmed signatures only." in (await site.client.get(f"/en/{SLUG}")).text
    for number in range(2):
        waiting = await Waiting.of(site, f"reader{number}@letters.example")
        await site.client.post(waiting.link)
    await take_in(site, tmp_path)
    paper = {"en": "Sheets from the congress", "ru": "Листы со съезда"}
    await add_tally(site, 3400, paper)
    assert await sources(site, 3407) == [
        {"kind": "confirmed", "people": 2, "organizations": 0, "on": None, "source": None},
        {"kind": "list", "people": 3, "organizations": 2, "on": "2022-03-05", "source": None},
        {"kind": "paper", "people": 3400, "organizations": 0, "on": "2022-05-03", "source": paper},
    ]
    assert await lines(site) == [
        "Confirmed here by e-mail 2",
        "From an earlier list since 5 March 2022 5",
        "On paper Sheets from the congress, 3 May 2022 3,400",
    ]
    assert [line.replace("\xa0", " ") for line in await lines(site, "ru")] == [
        "Подтверждены здесь по почте 2",
        "Из прежнего списка с 5 марта 2022 г. 5",
        "На бумаге Листы со съезда, 3 мая 2022 г. 3 400",
    ]
    async with site.database.connection() as conn:
        await rows.check_count(conn, await rows.letter(conn))


async def test_an_imported_organization_that_is_confirmed_too_stays_of_the_list(
    site: Installation, tmp_path: Path
) -> None:
    await take_in(site, tmp_path)
    waiting = await Waiting.of(site, organization_en="North Pier", position="Chair")
    await site.client.post(waiting.link)
    assert (await run(f"signatures approve {waiting.id}", site.environ))[0] == 0
    confirmed, listed = await sources(site, 5)
    assert (confirmed["organizations"], listed["organizations"]) == (0, 2)
    # The list is taken out again: the organization stays, confirmed here, and the history has nothing of the list left.
    async with site.database.transaction() as conn:
        letter = await rows.letter(conn)
        assert await undoing.take_back(conn, letter.id, letter.keys, 1) == 5
    (confirmed,) = await sources(site, 1)
    assert confirmed["organizations"] == 1
    async with site.database.connection() as conn:
        await rows.check_count(conn, letter)


async def test_signed_in_the_past_stands_in_the_past_and_leaves_it_again(site: Installation, tmp_path: Path) -> None:
    await take_in(site, tmp_path)
    await add_tally(site, 50, {"en": "On paper"})
    await sources(site, 55)
    history = (await site.client.get(f"{API}/history?step=day")).json()["items"]
    days = [(item["start"][:10], item["people"], item["organizations"], item["change"]) for item in history]
    assert days[:4] == [
        ("2022-03-05", 1, 0, 1),
        ("2022-03-06", 1, 1, 1),
        ("2022-03-07", 2, 1, 1),
        ("2022-05-03", 52, 1, 50),
    ]
    assert [day[1:] for day in days[4:]] == [(53, 2, 2)]  # those without a date: on the day of the import
    listed = (await site.client.get(f"{API}/signatories")).json()["items"]
    assert {item["name"]: item["listed_at"] for item in listed}["Ada North"] == "2022-03-05T10:00:00Z"
    async with site.database.transaction() as conn:
        letter = await rows.letter(conn)
        await undoing.take_back(conn, letter.id, letter.keys, 1, 2)  # in two steps
        await undoing.take_back(conn, letter.id, letter.keys, 1)
    await sources(site, 50)
    history = (await site.client.get(f"{API}/history?step=day")).json()["items"]
    assert [(item["start"][:10], item["change"]) for item in history] == [("2022-05-03", 50)]
    async with site.database.transaction() as conn:
        await undoing.bring_back(conn, letter.id, letter.keys, 1)
    await sources(site, 55)
    history = (await site.client.get(f"{API}/history?step=day")).json()["items"]
    assert [item["start"][:10] for item in history][:4] == [day[0] for day in days[:4]]


async def test_versions_count_by_the_date_of_signing(site: Installation, tmp_path: Path) -> None:
    page = await site.client.get(f"/en/{SLUG}/versions")
    assert "no one had signed yet" not in page.text
    await take_in(site, tmp_path)
    await sources(site, 5)
    page = await site.client.get(f"/en/{SLUG}/versions")
    assert "3 had already signed" in page.text  # the others have no date: they came after the publication
    await execute(site, "UPDATE letter SET opening = '2022-03-06', opened_at = '2022-03-06', revision = revision + 1")
    async with asyncio.timeout(120):
        while "6 March 2022" not in (page := await site.client.get(f"/en/{SLUG}/versions")).text:
            await asyncio.sleep(0.02)
    assert "1 had already signed" in page.text
    await execute(site, "UPDATE letter SET opening = '2022-03-01', opened_at = '2022-03-01', revision = revision + 1")
    async with asyncio.timeout(120):
        while "1 March 2022" not in (page := await site.client.get(f"/en/{SLUG}/versions")).text:
            await asyncio.sleep(0.02)
    assert "signed" not in page.text.partition("<h2")[2].partition("</p>")[0]


@pytest.mark.parametrize("path", [f"/en/{SLUG}", f"/ru/{SLUG}"])
async def test_many_tallies_become_a_few_lines(site: Installation, path: str) -> None:
    for number in range(1, 7):
        await add_tally(site, number, {"en": f"Square {number} <i>"}, date(2022, 5, number))
    assert len(await sources(site, 21)) == 7
    found = await lines(site, path[1:3])
    assert [line.rpartition(" ")[2] for line in found] == ["0", "6", "5", "10"]
    assert "Square 6 &lt;i&gt;" in found[1]


def test_a_tally_that_is_newer_than_the_count_does_not_break_the_sum(letter_of_tallies: Letter) -> None:
    counts = Counts(people=120, organizations=3, imported=70, listed_people=50, listed_organizations=1)
    found = sources_of(letter_of_tallies, counts)
    assert sum(source.total for source in found) == counts.total
    assert [(source.kind, source.total) for source in found] == [
        (SourceKind.CONFIRMED, 53),
        (SourceKind.LIST, 51),
        (SourceKind.PAPER, 19),
    ]


@pytest.fixture
async def letter_of_tallies(site: Installation) -> Letter:
    await add_tally(site, 7, {"en": "One"})
    async with site.database.connection() as conn:
        return await rows.letter(conn)


async def test_the_page_stands(site: Installation, tmp_path: Path) -> None:
    await take_in(site, tmp_path)
    await add_tally(site, 9, {"ru": "Только по-русски"})
    await sources(site, 14)
    check = await site.client.get(f"/en/{SLUG}?as=organization")
    assert '<bdi lang="ru">Только по-русски</bdi>' in check.text
    bad = await site.client.post(f"/en/{SLUG}/sign", data={"kind": "person"})
    check_page(bad, 422)
    assert "Только по-русски" in bad.text
