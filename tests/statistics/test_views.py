"""The statistics page and its files, as every role sees them."""

import csv
import io
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import httpx2
import pytest

from petition.signatures.confirming import Confirming, ConfirmRequest
from petition.statistics import queries
from tests import rows
from tests.moderation.desk import Bench
from tests.organizers import people
from tests.running import SLUG, Installation
from tests.web.embeds.people import partner

PAGE = f"/organizer/{SLUG}/statistics"
HOUR = "INSERT INTO statistics_hour (letter, hour, signed_up, confirmed, came) VALUES ($1, $2, 2, $3, $3)"
COUNT_HOUR = "INSERT INTO count_hour (letter, hour, people) VALUES ($1, $2, $3)"


@pytest.fixture
async def bench(site: Installation) -> Bench:
    async with site.database.connection() as conn:
        return Bench(site.database, await rows.letter(conn))


def facts(answer: httpx2.Response) -> dict[str, str]:
    """Return the list of facts on top of the page."""
    found = re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", answer.text)
    return {re.sub("<[^>]+>", "", key): re.sub("<[^>]+>", "", value).strip() for key, value in found}


def breakdown(answer: httpx2.Response) -> dict[str, str]:
    """Return the numbers of people beside each word."""
    text = re.sub(
        r"<span[^>]*>|</span>", "", "".join(re.findall(r'<table class="shares">.*?</table>', answer.text, re.DOTALL))
    )
    return dict(re.findall(r'<th scope="row">([^<]+)</th>\s*<td class="num">([\d,]+)</td>\s*<td', text))


def summed(answer: httpx2.Response) -> dict[str, int]:
    """Return the sums of a file's columns; midnight may have come in between."""
    lines = table(answer)
    return {key: sum(int(line[key]) for line in lines) for key in lines[0] if key not in {"start", "count_at_end"}}


def table(answer: httpx2.Response) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(answer.text)))


@pytest.mark.parametrize("lang", ["en", "ru"])
async def test_an_empty_letter(site: Installation, lang: str) -> None:
    async with people.at_desk(site, "viewer", lang=lang) as client:
        answer = await client.get(PAGE)
        assert answer.status_code == 200
        assert "<svg" not in answer.text
        assert answer.headers["cache-control"] == "no-store"
        assert table(await client.get(f"{PAGE}/hours.csv")) == []
        assert table(await client.get(f"{PAGE}/days.csv")) == []
        assert table(await client.get(f"{PAGE}/people.csv")) == []


async def test_the_figures_of_a_small_letter(site: Installation, bench: Bench) -> None:
    ids = await bench.sign("Vera", "Иван", "Kim", "Ada", "Bo", country="FJ")
    await bench.sign("Lone", country="KI")
    await bench.sign_for("North Pier")
    await bench.remove(ids[0])
    await bench.rows("UPDATE signature SET flags = '{reported}' WHERE letter = $1 AND id = $2 RETURNING id", ids[1])
    async with site.database.transaction() as conn:
        await rows.add_pending(conn, bench.letter, ["late@letters.example"])
        await conn.execute("INSERT INTO refused_mail (letter, code) VALUES ($1, 550), ($1, 550)", bench.letter.id)
    as_viewer, as_moderator = people.at_desk(site, "viewer"), people.at_desk(site, "moderator")
    async with as_viewer as client, as_moderator as moderator:
        for _ in range(2):  # before the worker has added anything up, and after that
            answer = await client.get(PAGE)
            told = facts(answer)
            assert (told["Signatures"], told["People"], told["Organizations"]) == ("5", "5", "0")
            assert (told["Forms sent"], told["Confirmed"]) == ("8", "7 (88%)")
            assert (told["Can still be confirmed"], told["Waiting for a decision"]) == ("1", "2")
            queue = await moderator.get(f"/organizer/{SLUG}/queue")
            assert re.search(r'aria-current="true">Waiting\s*<b>2</b>', queue.text)
            assert (told["E-mails permanently refused"], told["Half confirmed within"]) == ("2", "1 second")
            assert breakdown(answer) == {
                "English": "5",
                "countries with fewer than 5 people each": "5",
                "signed here": "5",
            }
            for what in ("days", "hours"):
                assert summed(await client.get(f"{PAGE}/{what}.csv")) == {
                    **{"forms_sent": 8, "confirmed": 7, "people_signed_here": 6, "people_gone": 1},
                    **{"people_imported": 0, "people": 5, "organizations": 0},
                }
            people_of = table(await client.get(f"{PAGE}/people.csv"))
            assert {"of": "country", "value": "other", "people": "5"} in people_of
            assert not {"FJ", "KI"} & {line["value"] for line in people_of}
            assert await queries.fold(site.database) >= 0
        assert await queries.fold(site.database) == 0


async def test_a_country_of_five_is_named_and_what_is_imported_or_only_counted_is_told_apart(
    site: Installation, bench: Bench
) -> None:
    await bench.sign("Vera", "Иван", "Kim", "Ada", "Bo", country="FJ")
    async with site.database.transaction() as conn:
        await conn.execute(
            "INSERT INTO signature (letter, id, listed_at, kind, state, visibility, import)"
            " SELECT $1, n, now(), 'person', 'confirmed', 'counted', 1 FROM generate_series(1, 3) AS n",
            bench.letter.id,
        )
        await conn.execute("UPDATE count SET people = people + 3 + 20")  # twenty on paper
        await conn.execute("UPDATE count_hour SET people = people + 3 + 20")
    async with people.at_desk(site, "viewer") as client:
        told = breakdown(await client.get(PAGE))
        assert (told["Fiji"], told["not given"]) == ("5", "3")
        assert (told["signed here"], told["imported from a file"], told["counted on paper"]) == ("5", "3", "20")
        days = summed(await client.get(f"{PAGE}/days.csv"))
        assert (days["people_signed_here"], days["people_imported"], days["people"]) == (5, 23, 28)


async def test_partners_stand_among_the_sources(site: Installation, bench: Bench) -> None:
    number = await partner(site, "north-pier")
    await bench.sign("Vera", "Иван")
    async with site.database.transaction() as conn:
        (pending,) = await rows.add_pending(conn, bench.letter, ["by@letters.example"])
        await conn.execute("UPDATE pending SET signals = $2 WHERE id = $1", pending, {"partner": number})
    await Confirming(site.database).submit(ConfirmRequest(bench.letter.id, pending, bench.letter.keys))
    async with people.at_desk(site, "viewer") as client:
        told = breakdown(await client.get(PAGE))
        assert (told["signed here"], told["signed here through the link of “north-pier”"]) == ("2", "1")
        file = table(await client.get(f"{PAGE}/people.csv"))
        assert {"of": "source", "value": "partner:north-pier", "people": "1"} in file


async def history(site: Installation, bench: Bench, hours: Sequence[datetime]) -> None:
    """Have one person sign in each hour."""
    async with site.database.transaction() as conn:
        for hour in hours:
            await conn.execute(HOUR, bench.letter.id, hour, 1)
            await conn.execute(COUNT_HOUR, bench.letter.id, hour, 1)
        await conn.execute("UPDATE count SET people = $1", len(hours))


def now() -> datetime:
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


@pytest.mark.parametrize("ago", [[0], [1, 0], [30], [200, 199, 3], [24 * 800, 24 * 500, 0]])
async def test_charts_of_young_and_of_old_letters(site: Installation, bench: Bench, ago: list[int]) -> None:
    await history(site, bench, [now() - timedelta(hours=each) for each in ago])
    async with people.at_desk(site, "viewer") as client:
        answer = await client.get(PAGE)
        assert answer.status_code == 200, answer.text
        assert answer.text.count('<svg class="chart') == 6
        ids = re.findall(r' id="([^"]+)"', answer.text)
        assert len(ids) == len(set(ids))
        for named in re.findall(r'aria-labelledby="([^"]+)"', answer.text):
            assert set(named.split()) <= set(ids)
        assert "style=" not in answer.text
        lines = table(await client.get(f"{PAGE}/hours.csv"))
        assert [line["count_at_end"] for line in lines] == [str(n + 1) for n in range(len(ago))]


async def test_a_closed_letters_charts_end_where_it_ended(site: Installation, bench: Bench) -> None:
    await history(site, bench, [now() - timedelta(days=each) for each in (40, 30)])
    async with site.database.transaction() as conn:
        await conn.execute("UPDATE letter SET state = 'closed', closed_at = now() - interval '29 days'")
    async with people.at_desk(site, "viewer") as client:
        text = (await client.get(PAGE)).text
    last = (now() - timedelta(days=30)).date()
    days = re.findall(r'<th scope="row">(\d+ \w+ \d{4})</th>', text)
    assert days[0] == f"{last.day} {last:%B %Y}"
    assert len(days) == 11


async def test_whoever_may_not_see_it(site: Installation) -> None:
    async with site.database.connection() as conn:
        await conn.execute("INSERT INTO letter (slug, rules_version) VALUES ('another-letter', 1)")
    async with people.stranger(site) as client:
        for path in (PAGE, f"{PAGE}/hours.csv"):
            answer = await client.get(path)
            assert (answer.status_code, answer.headers["location"]) == (303, "/organizer/enter")
    async with people.at_desk(site, "owner", slug="another-letter") as client:
        for path in (PAGE, f"{PAGE}/hours.csv"):
            assert (await client.get(path)).status_code == 404


@pytest.mark.parametrize("what", ["weeks", "hours%00", "..", "%D0%B6", "people.csv", "x" * 3000])
async def test_other_files_are_not_there(site: Installation, what: str) -> None:
    async with people.at_desk(site, "viewer") as client:
        assert (await client.get(f"{PAGE}/{what}.csv")).status_code == 404
        assert (await client.post(PAGE)).status_code == 405
        assert (await client.post(f"{PAGE}/hours.csv")).status_code == 405
