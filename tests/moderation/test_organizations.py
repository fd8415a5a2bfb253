"""Names corrected, entries merged, and both undone: one count, one list, one search."""

import pytest

from petition.core.errors import NotFound, Refused
from petition.core.ids import LogId, OrganizationId
from petition.moderation import organizations
from petition.moderation.model import Action
from petition.moderation.organizations import EntryNames
from petition.signatures import listing, self_service
from petition.signatures.model import Kind
from tests.moderation.desk import Bench

NAMED = "SELECT id, name_en, name_ru, website, merged_into FROM organization WHERE letter = $1 ORDER BY listed_at, id"


async def approved(bench: Bench, *names: str) -> list[OrganizationId]:
    """Have a representative of each be let in; return the organizations."""
    signed = [await bench.sign_for(name) for name in names]
    await bench.decide(Action.APPROVE, *signed)
    signatures = await bench.rows("SELECT id, organization FROM signature WHERE letter = $1 AND kind = 'organization'")
    by_id = {row["id"]: row["organization"] for row in signatures}
    return [by_id[each] for each in signed]


async def merge(bench: Bench, one: OrganizationId, into: OrganizationId) -> LogId:
    async with bench.database.transaction() as conn:
        log_id = await organizations.merge(conn, bench.actor, bench.letter.keys, one, into)
    await bench.check()
    return log_id


async def correct(bench: Bench, organization_id: OrganizationId, *names: str | None) -> LogId:
    async with bench.database.transaction() as conn:
        entry = EntryNames(*(names + (None,) * 3)[:3])
        log_id = await organizations.correct(conn, bench.actor, bench.letter.keys, organization_id, entry)
    await bench.check()
    return log_id


async def listed(bench: Bench, q: str = "") -> list[str]:
    async with bench.database.connection() as conn:
        entries, _ = await listing.read(conn, bench.letter.id, Kind.ORGANIZATION, q, None)
    return sorted(" // ".join(filter(None, (entry.name_en, entry.name_ru))) for entry in entries)


async def test_merging_joins_names_and_counts_one(bench: Bench) -> None:
    english, russian = await approved(bench, "North Pier", "Third Line")
    await correct(bench, russian, None, "Северный причал")
    before = await bench.snapshot(), await bench.rows(NAMED)
    log = await merge(bench, russian, english)
    assert (await bench.check())["organizations"] == 1
    assert await listed(bench) == ["North Pier // Северный причал"]
    assert await listed(bench, "причал") == ["North Pier // Северный причал"]
    await bench.undo(log)
    assert (await bench.snapshot(), await bench.rows(NAMED)) == before
    assert (await bench.undo(log)).changed == ()


async def test_who_signs_for_a_merged_name_comes_to_the_other_entry(bench: Bench) -> None:
    target, source = await approved(bench, "North Pier", "Nothern Pier")
    await merge(bench, source, target)
    late = await bench.sign_for("Nothern Pier")
    await bench.decide(Action.APPROVE, late)
    assert (await bench.check())["organizations"] == 1
    (row,) = [
        each
        for each in await bench.rows("SELECT id, organization FROM signature WHERE letter = $1")
        if each["id"] == late
    ]
    assert row["organization"] == target


async def test_a_chain_of_merges_leads_to_the_last_and_is_undone(bench: Bench) -> None:
    first, second, third = await approved(bench, "One", "Two", "Three")
    before = await bench.snapshot(), await bench.rows(NAMED)
    one = await merge(bench, first, second)
    two = await merge(bench, second, third)
    assert {row["merged_into"] for row in await bench.rows(NAMED)} == {None, third}
    assert (await bench.check())["organizations"] == 1
    with pytest.raises(Refused):
        await bench.undo(one)
    await bench.undo(two)
    await bench.undo(one)
    assert (await bench.snapshot(), await bench.rows(NAMED)) == before


async def test_when_the_last_representative_leaves_merged_entries_go_too(bench: Bench) -> None:
    target, source = await approved(bench, "North Pier", "Nothern Pier")
    log = await merge(bench, source, target)
    for row in await bench.rows("SELECT id FROM signature WHERE letter = $1"):
        await self_service.withdraw(bench.database, bench.letter, row["id"])
    assert await bench.rows(NAMED) == []
    assert (await bench.undo(log)).changed == ()
    await approved(bench, "Nothern Pier")
    assert (await bench.check())["organizations"] == 1


async def test_refusals(bench: Bench) -> None:
    target, source = await approved(bench, "North Pier", "Nothern Pier")
    with pytest.raises(Refused):
        await merge(bench, target, target)
    with pytest.raises(NotFound):
        await merge(bench, target, OrganizationId(5))
    await merge(bench, source, target)
    with pytest.raises(Refused):
        await merge(bench, source, target)
    with pytest.raises(NotFound):
        await correct(bench, OrganizationId(5), "Name")


async def test_correcting_names_and_undoing_it(bench: Bench) -> None:
    (organization,) = await approved(bench, "North Pear")
    before = await bench.snapshot(), await bench.rows(NAMED)
    log = await correct(bench, organization, "North Pier", "Северный причал", "https://northpier.example")
    assert await listed(bench, "pear") == []
    assert await listed(bench, "north pier") == ["North Pier // Северный причал"]
    assert b"Pear" not in (await bench.rows("SELECT fields FROM past WHERE letter = $1"))[0]["fields"]
    await bench.undo(log)
    assert (await bench.snapshot(), await bench.rows(NAMED)) == before
    log = await correct(bench, organization, "North Pier")
    await correct(bench, organization, "South Pier")
    with pytest.raises(Refused):
        await bench.undo(log)


@pytest.mark.parametrize(
    ("typed", "names"),
    [
        ({"name_en": "North Pier // Северный причал"}, ("North Pier", "Северный причал")),
        ({"name_ru": "Северный причал // North Pier"}, ("North Pier", "Северный причал")),
        ({"name_en": "A / B", "name_ru": "В"}, ("A / B", "В")),
        ({"name_en": "ИП «Иванов"}, ("ИП «Иванов", None)),
    ],
)
def test_names_are_split_where_they_are_joined(typed: dict[str, str], names: tuple[str, str | None]) -> None:
    entry = organizations.parse(typed)
    assert (entry.name_en, entry.name_ru) == names


@pytest.mark.parametrize("typed", [{}, {"name_en": "x@y.example"}, {"name_en": "x", "website": "not a site"}])
def test_what_is_no_name_is_refused(typed: dict[str, str]) -> None:
    with pytest.raises(Refused):
        organizations.parse(typed)


async def test_a_merged_name_leads_to_an_entry_that_is_found_again(bench: Bench) -> None:
    """Nobody was left on the entry, so the search had forgotten it; who comes by its other name brings it back."""
    former, target = await approved(bench, "North Pier", "Third Line")
    await merge(bench, former, target)
    signed = await bench.rows("SELECT id FROM signature WHERE letter = $1")
    await bench.remove(*(row["id"] for row in signed))
    await bench.decide(Action.APPROVE, await bench.sign_for("North Pier"))
    assert await listed(bench) == await listed(bench, "Thirt Line") == ["Third Line"]
