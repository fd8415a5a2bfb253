"""Similar organizations: offered with a score, by website and by name in either language, waiting ones too."""

import json
import re

import pytest

from petition.core.ids import SignatureId
from petition.moderation import queue, queue_queries, similar
from petition.moderation.model import Action, Names
from petition.moderation.similar import SimilarOrganization, likeness
from petition.signatures import look_alikes, names
from tests.moderation.desk import Bench
from tests.organizers import people
from tests.running import SLUG, Installation


def named(name: str, website: str | None = None) -> Names:
    left, _, right = name.partition(" // ")
    return Names(name_en=left or None, name_ru=right or None, website=website)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Romashka LLC", " // ООО «Ромашка»"),
        ("ООО «Ромашка»", "РОМАШКА"),
        ("АНО «Театр „Переулок“»", "Театр Переулок"),
        ("Pereulok Theatre // Театр «Переулок»", "Мастерская // ООО ТЕАТР ПЕРЕУЛОК"),
        ("North Pier Bureau", "North Pier Bureo"),
    ],
)
def test_the_same_name_otherwise_written(one: str, other: str) -> None:
    assert likeness(named(one), named(other)) >= 0.75


@pytest.mark.parametrize(
    ("one", "other"),
    [("ООО «Ромашка»", "ООО «Василёк»"), ("North Pier LLC", "Third Line LLC"), ("Союз", "Театр"), ("ООО", "АНО «Мир»")],
)
def test_a_legal_form_alone_is_no_likeness(one: str, other: str) -> None:
    assert likeness(named(one), named(other)) < similar.MIN_SCORE


def test_the_same_website_says_more_than_any_name() -> None:
    one = named("Quiet Harbour", "https://www.harbour.example/about")
    assert likeness(one, named("Тихая гавань", "http://harbour.example")) >= 0.8
    assert likeness(one, named("Quiet Harbour")) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ACE", "АСЕ"),  # all Cyrillic
        ("ACE Foundation", "АCE Foundation"),  # one Cyrillic letter
        ("Roma", "Rоma"),
        ("MOCT", "МОСТ"),
        ("ПАРУС", "ПAPУC"),  # Latin letters in a Russian word
        ("Alpha 1", "Αlphа l"),  # Greek, Cyrillic, and a letter for a digit
        ("Corona", "C0rona"),
        ("HOPE // НАДЕЖДА", "НОРЕ"),
    ],
)
def test_the_same_shape_in_other_letters(one: str, other: str) -> None:
    assert likeness(named(one), named(other)) >= 0.9
    assert similar.looks_same(named(one), named(other))


@pytest.mark.parametrize(
    ("one", "other"), [("ACE", "ACE"), ("«АСЕ»", "асе"), ("ACE", "ACME"), ("Союз", "Soyuz"), ("Театр", "Teatr")]
)
def test_the_same_letters_or_other_shapes_are_not_marked(one: str, other: str) -> None:
    assert not similar.looks_same(named(one), named(other))


async def test_database_and_program_see_the_same_shapes(bench: Bench) -> None:
    for name in ("ACE «АСЕ»", "Парус/ПAPУC", "Αlphа l 10", "ДОМ Ёлка", "Café Zoë", "Ж-б [x] 12"):
        (row,) = await bench.rows("SELECT organization_shapes($1, $2, NULL) AS shapes", name)
        expected = {look_alikes.shape(word) for word in names.fold(name).split() if len(word) > 1}
        assert {shape.partition(":")[2] for shape in row["shapes"]} == expected, name


async def test_an_entry_that_looks_like_another_is_shown_and_marked(site: Installation, bench: Bench) -> None:
    listed = await bench.sign_for("ACE", website="https://ace.example")
    await bench.decide(Action.APPROVE, listed)
    held = await bench.sign_for(" // АСЕ", website="https://асе.example")
    assert [(one.signature_id, one.looks_same) for one in await of(bench, held)] == [(listed, True)]
    assert [(one.signature_id, one.looks_same) for one in await of(bench, listed)] == [(held, True)]
    async with people.at_desk(site, "moderator") as client:
        for signature_id, imitates in ((held, False), (listed, True)):
            page = (await client.get(f"/organizer/{SLUG}/signatures/{signature_id}")).text
            section = page.partition('id="similar"')[2].partition("</table>")[0]
            assert "looks the same in other letters" in section
            assert ("xn--" in section) is imitates
            assert ("it may imitate another website" in section) is imitates


async def of(bench: Bench, signature_id: SignatureId) -> list[SimilarOrganization]:
    async with bench.database.connection() as conn:
        row = await queue_queries.one(conn, bench.letter.id, signature_id)
        assert row is not None
        own, keys = queue.names_in(row, bench.letter.keys), bench.letter.keys
        return await similar.load(conn, bench.letter.id, keys, own, signature_id, row["organization"])


async def test_listed_and_waiting_ones_are_found_from_both_sides(bench: Bench) -> None:
    listed = await bench.sign_for("Pereulok Theatre // Театр «Переулок»", website="https://pereulok.example")
    other = await bench.sign_for("North Pier")
    await bench.decide(Action.APPROVE, listed, other)
    held = await bench.sign_for(" // ООО «Театр Переулок»")
    by_website = await bench.sign_for("Мастерская", website="https://www.pereulok.example/")
    assert {one.signature_id for one in await of(bench, held)} == {listed}
    assert {one.signature_id for one in await of(bench, by_website)} == {listed}
    assert {one.signature_id for one in await of(bench, listed)} == {held, by_website}
    assert await of(bench, other) == []


async def test_an_entry_takes_a_waiting_one_by_its_names(site: Installation, bench: Bench) -> None:
    listed = await bench.sign_for("Pereulok Theatre // Театр «Переулок»", website="https://pereulok.example")
    await bench.decide(Action.APPROVE, listed)
    held = await bench.sign_for("ООО «Театр Переулок»")
    path = f"/organizer/{SLUG}/signatures/{held}"
    async with people.at_desk(site, "moderator") as client:
        page = (await client.get(path)).text
        assert re.search(rf'href="{path}\?with={listed}#compare"', page)
        side_by_side = (await client.get(f"{path}?with={listed}")).text
        into = re.search(r'name="into" value="(\d+)"', side_by_side)
        assert into
        assert (await client.post(path, data={"act": "adopt", "into": into[1]})).status_code == 303
        for wrong in ("", "x", "1", str(2**63)):
            assert (await client.post(path, data={"act": "adopt", "into": wrong})).status_code == 422
        found = (await client.get(f"/organizer/{SLUG}/queue?q=переулок")).text
        assert f'id="r{held}"' in found  # also while it waits
    await bench.decide(Action.APPROVE, held)
    assert (await bench.check())["organizations"] == 1


MANY = """
INSERT INTO organization (letter, id, name_en, name_ru, name_key, website)
SELECT $1, n, 'Union of editors ' || md5(n::text), 'ООО Союз ' || md5((n * 7)::text), 'x',
       'https://h' || n || '.example'
FROM generate_series(1, 10000) AS n RETURNING id
"""


async def test_of_ten_thousand_entries_few_are_looked_at(bench: Bench) -> None:
    assert len(await bench.rows(MANY)) == 10_000
    async with bench.database.connection() as conn:
        await conn.execute("ANALYZE organization")
        plan = await conn.fetch(
            f"EXPLAIN (ANALYZE, FORMAT JSON) {similar.CANDIDATES}",
            bench.letter.id, 5, "Union of theatres Pereulok", "ООО Союз Переулок", "h77.example",
        )  # fmt: skip
    scans = [node for node in nodes(json.loads(plan[0][0])[0]["Plan"]) if node.get("Relation Name") == "organization"]
    looked = [node["Actual Loops"] * (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) for node in scans]
    assert scans
    assert max(looked) < 2_000


def nodes(plan: dict) -> list[dict]:  # type: ignore[type-arg]
    return [plan, *(node for below in plan.get("Plans", ()) for node in nodes(below))]
