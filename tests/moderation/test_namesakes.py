"""One name again and again on a whole letter, whenever it was signed; and the names of imported rows."""

import io

import pytest

from petition.core.ids import SignatureId
from petition.imports import file_adding
from petition.imports.row_reading import Target
from petition.moderation import namesake_queries, namesakes
from petition.moderation.model import Action
from petition.moderation.namesakes import MIN_NAMESAKES, are_alike, threshold, words_of
from petition.signatures import listing_queries, self_service
from tests.moderation.desk import WRAPPER, Bench

FLAGS = "SELECT id, name, flags, import FROM signature WHERE letter = $1 ORDER BY listed_at, id"
EARLIER = "UPDATE signature SET listed_at = listed_at - interval '3 days' WHERE letter = $1 AND id = ANY($2)"
OTHERS = ("Anna", "Boris", "Clara", "Dmitry", "Elena", "Fyodor", "Galina", "Harald")
SAME = ("Иван Петров", "Петров Иван", "Иван Петроф", "Ивам Петров 2", "ИВАН ПЕТРОВ")


async def sign_days_ago(bench: Bench, *names: str, **fields: str) -> list[SignatureId]:
    ids = await bench.sign(*names, **fields)
    async with bench.database.connection() as conn:
        await conn.execute(EARLIER, bench.letter.id, ids)
    return ids


async def flagged(bench: Bench) -> set[str]:
    return {row["name"] for row in await bench.rows(FLAGS) if "repeated" in row["flags"]}


async def check(bench: Bench) -> int:
    return await namesakes.check(bench.database, WRAPPER)


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("иван петров", "петров иван", True),
        ("иван петров", "ивам петроф", True),  # one letter wrong in each
        ("иван петров", "иван петров 17", True),
        ("иван петров", "иван петров2", True),
        ("иван петров", "иван сидоров", False),
        ("иван петров", "иван петров сергеевич", False),
        ("иван иван", "иван петров", False),
        ("ли ким", "ло ким", False),  # of three letters or fewer, one wrong makes another name
        ("мария", "мария", True),
    ],
)
def test_likeness(one: str, other: str, alike: bool) -> None:
    assert are_alike(words_of(one), words_of(other)) is alike
    assert are_alike(words_of(other), words_of(one)) is alike


def test_what_is_many_depends_on_the_crowd() -> None:
    assert threshold(("иван", "петров"), 100) == MIN_NAMESAKES
    assert threshold(("иван", "петров"), 1_000_000) == 1000
    assert threshold(("мария",), 1000) == 20


async def test_it_is_seen_over_days_and_only_new_names_are_looked_at(bench: Bench) -> None:
    await sign_days_ago(bench, *SAME[:2], "Vera Novak", "Иван Петрович")
    assert await check(bench) == 0
    await sign_days_ago(bench, SAME[2], "Hidden Ivanov", visibility="public")
    assert await check(bench) == 0
    late = await bench.sign(*SAME[3:])
    assert await check(bench) == 0  # within the last minute somebody may still come in before them
    async with bench.database.connection() as conn:
        await conn.execute(
            "UPDATE signature SET listed_at = now() - interval '2 minutes' WHERE letter = $1 AND id = ANY($2)",
            bench.letter.id,
            late,
        )
    assert await check(bench) == 5
    assert await flagged(bench) == set(SAME)
    assert await check(bench) == 0


async def test_what_a_moderator_has_kept_is_not_flagged_again(bench: Bench) -> None:
    ids = await sign_days_ago(bench, *SAME)
    assert await check(bench) == 5
    await bench.decide(Action.APPROVE, *ids)
    await sign_days_ago(bench, *SAME[:4])
    await again(bench)
    assert await flagged(bench) == set()
    await sign_days_ago(bench, SAME[4])
    await again(bench)
    assert len([row for row in await bench.rows(FLAGS) if row["flags"]]) == 5


async def again(bench: Bench) -> None:
    """Look at all names anew."""
    async with bench.database.connection() as conn:
        await conn.execute("DELETE FROM name_look")
    await check(bench)


async def test_who_hides_their_name_or_takes_it_back_is_not_counted(bench: Bench) -> None:
    ids = await sign_days_ago(bench, *SAME)
    await self_service.change_visibility(bench.database, bench.letter, ids[0], "organizers", "")
    assert await check(bench) == 0
    await sign_days_ago(bench, SAME[0], visibility="counted")
    await again(bench)
    assert await flagged(bench) == set()


async def test_it_goes_on_in_steps(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(namesakes, "STEP", 3)
    await sign_days_ago(bench, *(f"{each} {each}ova" for each in OTHERS), *SAME)
    assert await check(bench) == 5
    monkeypatch.setattr(namesakes, "ROUND", -1.0)
    await again(bench)
    assert await bench.rows("SELECT letter FROM name_look WHERE letter = $1") == []


async def test_imported_rows_are_looked_at_too(bench: Bench) -> None:
    lines = ["kind,name,visibility,signed_at"]
    lines += [f"person,{name},public,2022-03-0{n + 1}" for n, name in enumerate(SAME)]
    lines += ["person,Fuck You,organizers,", "person,Сaша Иванов,,", "organization,ООО «Хуй»,,", "person,Vera Novak,,"]
    target = Target(bench.letter.id, bench.letter.keys, bench.letter.rules_version)
    async with bench.database.transaction() as conn:
        await file_adding.add_rows(conn, target, io.BytesIO("\n".join(lines).encode()))
    assert await check(bench) == 8
    flags = sorted(tuple(row["flags"]) for row in await bench.rows(FLAGS))
    assert flags == sorted([*[("repeated",)] * 5, ("obscene",), ("disguised",), ("obscene",), ()])
    assert await check(bench) == 0
    await bench.check()
    # A second import, of times long ago, is looked at as well.
    async with bench.database.transaction() as conn:
        more = "kind,name,visibility,signed_at\nperson,Иван Петров,public,2021-01-01\n"
        answers = file_adding.Answers(same_names=True)
        await file_adding.add_rows(conn, target, io.BytesIO(more.encode()), answers=answers)
    assert await check(bench) == 1


async def test_two_workers_at_once_flag_once(bench: Bench) -> None:
    await sign_days_ago(bench, *SAME)
    async with bench.database.transaction() as conn:
        await conn.fetchval("SELECT pg_advisory_xact_lock(1851878757, $1)", bench.letter.id)
        assert await check(bench) == 0  # another worker has the lock
    assert await check(bench) == 5


async def test_the_index_over_words_answers(bench: Bench) -> None:
    await bench.crowd(2000)
    async with bench.database.transaction() as conn:
        await conn.execute("ANALYZE signature")
        await listing_queries.use_index_of_words(conn)
        plan = await conn.fetch(f"EXPLAIN {namesake_queries.NAMED_LIKE}", "('1:иван') & ('1:петров')", 2, 100)
    text = "\n".join(row[0] for row in plan)
    assert "Bitmap Index Scan on signature_words" in text
    assert "Seq Scan" not in text
