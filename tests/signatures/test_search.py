"""The search for a name: what it forgives, what it puts first, and that words go when names go."""

import asyncio
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from petition.core.database import Connection, connect
from petition.core.ids import LetterId
from petition.signatures import listing, listing_queries, names, search_words
from petition.signatures.model import Kind
from tests import rows
from tests.crowd import Crowd
from tests.signatures.people import NOON, letter, organization, sign

CROWD = ("Иванов Пётр", "Анна Иванова", "Артём Ковалёв", "Bob O'Brien", "Zoë Müller-Weiß", "Ли", "Пётр Петров")


async def search_names(conn: Connection, about: LetterId, q: str) -> list[str | None]:
    return [entry.name for entry in await listing.search(conn, about, Kind.PERSON, q)]


FINDS: tuple[tuple[str, list[str]], ...] = (
    ("иванов", ["Иванов Пётр", "Анна Иванова"]),  # whole words before beginnings
    ("ИВАНОВА", ["Анна Иванова", "Иванов Пётр"]),  # and errors last
    ("иванав", ["Иванов Пётр"]),
    ("ивонов", ["Иванов Пётр"]),
    ("вианов", ["Иванов Пётр"]),  # two letters swapped
    ("иваанов", ["Иванов Пётр"]),
    ("ианов", ["Иванов Пётр"]),
    ("иванаа", []),  # two errors
    ("ивонав", []),
    ("ковалев", ["Артём Ковалёв"]),
    ("КОВАЛЁВ АРТЕМ", ["Артём Ковалёв"]),
    ("артем ковалеф", ["Артём Ковалёв"]),
    ("ков", ["Артём Ковалёв"]),  # only begun
    ("артём ков", ["Артём Ковалёв"]),
    ("ков артём", []),  # only the last word may be begun
    ("петр иванов", ["Иванов Пётр"]),  # in any order
    ("иванов пётр", ["Иванов Пётр"]),
    ("пётр", ["Пётр Петров", "Иванов Пётр"]),  # newest first
    ("анна петров", []),  # every word is needed
    ("obrien", ["Bob O'Brien"]),
    ("o'brien", ["Bob O'Brien"]),
    ("zoe muller", ["Zoë Müller-Weiß"]),
    ("weiss", ["Zoë Müller-Weiß"]),
    ("ли", ["Ли"]),
    ("ле", []),  # too short to guess
    ("", []),
    ("  ", []),
    ("!?", []),
    ("%", []),
    ("' | 'иванов", ["Иванов Пётр", "Анна Иванова"]),  # quotes mean nothing
    ("а:* & б", []),
    ("\x00", []),
)


async def test_what_is_found(conn: Connection) -> None:
    about, _ = await letter(conn)
    await sign(conn, about, *CROWD)
    assert [(q, await search_names(conn, about, q)) for q, _ in FINDS] == list(FINDS)


async def test_letters_are_searched_apart(conn: Connection) -> None:
    one, _ = await letter(conn)
    other, _ = await letter(conn)
    await sign(conn, one, "Иванов")
    await sign(conn, other, "Ивонов")
    assert await search_names(conn, one, "иванов") == ["Иванов"]
    assert await search_names(conn, other, "иванов") == ["Ивонов"]


async def test_typed_words_come_first_then_begun_ones_then_errors(conn: Connection) -> None:
    about, _ = await letter(conn)
    await sign(conn, about, "Петров", "Петровский", "Петрова", "Петрив")
    assert await search_names(conn, about, "петров") == ["Петров", "Петрова", "Петровский", "Петрив"]


async def test_the_best_200_are_returned(conn: Connection) -> None:
    about, _ = await letter(conn)
    await sign(conn, about, *["Анна Петрова"] * 150, *["Анна Петров"] * 150, *["Анна Сидорова"] * 10)
    entries = await search_names(conn, about, "петров")
    assert entries == ["Анна Петров"] * 150 + ["Анна Петрова"] * 50


@pytest.mark.parametrize("rare_is_newer", [True, False])
async def test_common_words_bring_the_newest(conn: Connection, rare_is_newer: bool) -> None:
    """More rows than are gathered at first, and both ways that follow: walking down, or gathering all."""
    about, _ = await letter(conn)
    common = [f"Мария Яблок{i % 50}" for i in range(800)]
    other = ["Олег Фомин"] * (listing.FIRST_SCAN + 100)
    people = [*common, *other] if rare_is_newer else [*other, *common]
    await sign(conn, about, *people)
    entries = await search_names(conn, about, "мария")
    assert entries == common[: -listing_queries.MAX_RESULTS - 1 : -1]
    assert await search_names(conn, about, "м") == entries  # a beginning that may be half of all
    assert (await search_names(conn, about, "марья"))[:200] == entries


@pytest.mark.parametrize(("every", "enough"), [(10, 250), (40, 40), (100, 250)])
async def test_the_newest_of_a_rarer_word_are_in_a_window_of_time(
    conn: Connection, monkeypatch: pytest.MonkeyPatch, every: int, enough: int
) -> None:
    """A window that has enough, one that is widened, and one that is wider than the letter."""
    about, _ = await letter(conn)
    people = ["Олег Фомин" if i % every else f"Борис Ткач{chr(0x430 + i % 32)}" for i in range(9000)]
    await sign(conn, about, *people)
    await conn.execute("DELETE FROM count_hour")
    await conn.execute(
        "INSERT INTO count_hour (letter, hour, people, organizations)"
        " SELECT letter, date_trunc('hour', listed_at), count(*), 0 FROM signature GROUP BY 1, 2"
    )
    for name, value in {"FIRST_SCAN": 400, "GOOD_SCAN": 300, "ENOUGH": enough, "FEW": 5}.items():
        monkeypatch.setattr(listing, name, value)
    expected = [name for name in reversed(people) if name.startswith("Борис")][:200]
    assert await search_names(conn, about, "борис") == expected
    assert await search_names(conn, about, "бор") == expected


async def test_many_words_one_error_away(conn: Connection) -> None:
    about, _ = await letter(conn)
    await sign(conn, about, *[f"Марин{chr(0x430 + i)}" for i in range(32)])
    assert len(await search_names(conn, about, "марина")) == 32


async def test_an_organization_is_found_by_either_name(conn: Connection) -> None:
    about, _ = await letter(conn)
    await organization(conn, about, "North Pier Network", "Сеть «Северный пирс»")
    await organization(conn, about, "Waiting Network", representatives=[(None, "held")])
    for q in ("north", "NORTH NETWORK", "nroth", "северный", "пирс сеть", "севирный", "netw"):
        entries = await listing.search(conn, about, Kind.ORGANIZATION, q)
        assert [entry.name_en for entry in entries] == ["North Pier Network"], q
    assert await listing.search(conn, about, Kind.PERSON, "north") == []


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(q=st.one_of(st.text(max_size=150), st.text("иваноИ 'ё|&:*!()<>\\\"-ab", max_size=40)))
async def test_nothing_that_is_typed_makes_an_error(conn: Connection, q: str) -> None:
    about = await conn.fetchval("SELECT min(id) FROM letter")
    if about is None:
        about, _ = await letter(conn)
        await sign(conn, about, *CROWD)
        await organization(conn, about, "North Pier", "Пирс")
    for kind in Kind:
        assert len(await listing.search(conn, about, kind, q)) <= 7


async def test_every_name_is_found_by_each_word_with_an_error_in_it(conn: Connection) -> None:
    about, _ = await letter(conn)
    crowd = Crowd(seed=3)
    people = [crowd.name() for _ in range(300)]
    await sign(conn, about, *people)
    for i, name in enumerate(people[::10]):
        for word in names.words(names.fold(name)):
            if len(word) < 5:
                continue
            index = i % len(word)
            for typed in (word[:index] + word[index + 1 :], word[:index] + "ъ" + word[index:], word[::-1][::-1]):
                assert name in await search_names(conn, about, typed), (name, typed)


async def test_a_very_long_word_can_be_signed_and_searched(conn: Connection) -> None:
    about, _ = await letter(conn)
    long = "𝕬" * 200
    await sign(conn, about, long)
    assert await search_names(conn, about, long) == [long]


async def test_words_of_old_names_stay(conn: Connection) -> None:
    about, _ = await letter(conn)
    ids = await sign(conn, about, "Вера Новак", "Вера Ли", *["Олег Фомин"] * 1001)
    await conn.execute("DELETE FROM signature WHERE id = ANY($1)", [ids[0], ids[-1]])
    await search_words.remove_unused(conn, about, Kind.PERSON, ["вера", "новак", "олег", "фомин"])
    rows = await conn.fetch("SELECT word FROM name_word WHERE letter = $1", about)
    assert {row["word"] for row in rows} == {"вера", "ли", "олег", "фомин"}


async def test_words_go_with_their_last_name(conn: Connection) -> None:
    about, _ = await letter(conn)
    other, _ = await letter(conn)
    ids = await sign(conn, about, "Вера Новак", "Вера Ли")
    await sign(conn, other, "Вера Новак")
    gone = names.words(names.fold("Вера Новак"))

    async def known(letter_id: LetterId) -> set[str]:
        return {row["word"] for row in await conn.fetch("SELECT word FROM name_word WHERE letter = $1", letter_id)}

    await conn.execute("DELETE FROM signature WHERE letter = $1 AND id = $2", about, ids[0])
    await search_words.remove_unused(conn, about, Kind.PERSON, gone)
    assert await known(about) == {"вера", "ли"}
    await conn.execute("UPDATE signature SET visibility = 'counted', name = NULL, name_key = NULL")
    await search_words.remove_unused(conn, about, Kind.PERSON, ["вера", "ли"])
    assert await known(about) == set()
    assert await known(other) == {"вера", "новак"}


async def test_an_organizations_words_go_with_its_last_confirmed_signature(conn: Connection) -> None:
    about, _ = await letter(conn)
    await organization(conn, about, "North Pier")
    await organization(conn, about, "South Pier")
    await conn.execute("UPDATE signature SET state = 'held' WHERE organization = (SELECT min(id) FROM organization)")
    gone = await conn.fetchval("SELECT name_key FROM organization WHERE id = (SELECT min(id) FROM organization)")
    await search_words.remove_unused(conn, about, Kind.ORGANIZATION, gone.split())
    left = {row["word"] for row in await conn.fetch("SELECT word FROM name_word")}
    assert left == {"north", "south", "pier"} - {gone.split()[0]}


async def test_a_word_is_not_forgotten_while_somebody_of_that_name_is_confirmed(
    conn: Connection, database_url: str
) -> None:
    about, _ = await letter(conn)
    ids = await sign(conn, about, "Новак")
    other = await connect(database_url)
    try:
        async with conn.transaction():
            await sign(conn, about, "Новак", first=NOON + timedelta(days=1))

            async def withdraw() -> None:
                async with other.transaction():
                    await other.execute("DELETE FROM signature WHERE id = $1", ids[0])
                    await search_words.remove_unused(other, about, Kind.PERSON, ["новак"])

            withdrawal = asyncio.create_task(withdraw())
            await rows.somebody_waits(conn)
            assert not withdrawal.done()
        await withdrawal
    finally:
        await other.close()
    assert await conn.fetchval("SELECT count(*) FROM name_word") == 1
    assert await search_names(conn, about, "новок") == ["Новак"]
