"""Figures are kept along with the rows: exactly once, whoever changes them, and whatever breaks down.

That they stay exact through every act on signatures is tested where the acts are: ``tests.rows.check_count`` compares
them with the rows after each (``tests/signatures/test_count.py``, ``tests/moderation``).
"""

import asyncio
import math
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from petition.core.database import connect, migrate, migrations, opened
from petition.core.settings import Process, load
from petition.signatures import self_service
from petition.statistics import queries, reading
from petition.statistics.model import DAY, HOUR, OTHERS, Period, median, running, shares, without_gaps
from petition.worker.main import chores_of, do_chores
from tests import rows
from tests.conftest import fresh_database
from tests.moderation.desk import Bench
from tests.running import environment, publish

if TYPE_CHECKING:
    from tests.conftest import Conn

TAKE_AWAY = """
DROP TABLE statistics_change, statistics_total, statistics_hour;
DROP FUNCTION figures_of, confirmed_in, note_signatures_come, note_signatures_changed, note_signatures_gone,
  note_pending_come, note_pending_gone, note_refused CASCADE;
DROP INDEX log_last, log_of_letter, signature_queue_group;
CREATE INDEX log_organizer ON log (letter, organizer, id DESC);
DELETE FROM migration WHERE number = {number}
"""
LEFT = "SELECT $1::integer AS letter, count(*)::integer AS rows FROM statistics_change"


async def totals(bench: Bench) -> dict[tuple[str, str], int]:
    async with bench.database.connection() as conn:
        return {(row["what"], row["value"]): row["number"] for row in await queries.totals(conn, bench.letter.id)}


async def days(bench: Bench) -> list[Period]:
    """Return one period of all there is: midnight may have come in between."""
    async with bench.database.connection() as conn:
        return await reading.periods(conn, bench.letter.id, "year")


async def hours(bench: Bench) -> list[Period]:
    async with bench.database.connection() as conn:
        return await reading.periods(conn, bench.letter.id, "hour")


async def test_adding_up_changes_no_figure_and_is_done_once(bench: Bench) -> None:
    ids = await bench.sign("Vera", "Иван", "Kim", country="FJ")
    await bench.remove(ids[0])
    before, history = await totals(bench), await hours(bench)
    assert before["country", "FJ"] == 2
    assert await queries.fold(bench.database) > 0
    assert (await totals(bench), await hours(bench)) == (before, history)
    assert await queries.fold(bench.database) == 0
    assert (await totals(bench), await hours(bench)) == (before, history)
    await bench.check()


async def test_who_comes_and_goes_within_an_hour_stands_in_both_columns(bench: Bench) -> None:
    ids = await bench.sign("Vera", "Иван", "Kim")
    outcome = await bench.remove(ids[0])
    await bench.undo(outcome.log_id)
    await self_service.withdraw(bench.database, bench.letter, ids[1])
    found = await hours(bench)
    assert sum(hour.came for hour in found) == 4, "who is brought back comes again"
    assert sum(hour.went for hour in found) == 2
    assert sum(hour.confirmed for hour in found) == sum(hour.signed_up for hour in found) == 3
    await bench.check()


async def test_several_workers_and_signatories_at_once(bench: Bench) -> None:
    draw = random.Random(7)

    async def sign(n: int) -> None:
        (mine,) = await bench.confirm([f"somebody{n}@letters.example"], name="Kim", country=draw.choice(["FJ", "DE"]))
        if n % 3 == 0:
            await self_service.withdraw(bench.database, bench.letter, mine)

    async def fold() -> None:
        for _ in range(15):
            await queries.fold(bench.database)

    await asyncio.gather(*(sign(n) for n in range(40)), *(fold() for _ in range(3)))
    await bench.check()
    assert sum(hour.confirmed for hour in await hours(bench)) == 40


async def test_what_is_rolled_back_is_not_counted(bench: Bench) -> None:
    await bench.sign("Vera")
    before = await totals(bench)
    async with bench.database.connection() as conn:
        attempt = conn.transaction()
        await attempt.start()
        await rows.add_pending(conn, bench.letter, ["one@letters.example"])
        await conn.execute("DELETE FROM signature")
        await conn.execute(queries.FOLD)
        await attempt.rollback()
    assert await totals(bench) == before
    await bench.check()


async def test_a_worker_that_dies_in_the_middle_has_added_up_nothing(bench: Bench, database_url: str) -> None:
    await bench.sign("Vera", "Kim")
    before = await totals(bench)
    dying = await connect(database_url)
    await dying.execute("BEGIN")
    await dying.execute(queries.FOLD)
    dying.terminate()
    assert await totals(bench) == before
    assert await queries.fold(bench.database) > 0, "waits until the server has noticed"
    assert await totals(bench) == before


async def test_a_letter_can_be_deleted_and_leaves_nothing(bench: Bench) -> None:
    await bench.sign("Vera", "Kim")
    await queries.fold(bench.database)
    await bench.sign("Иван")
    async with bench.database.transaction() as conn:
        await rows.add_pending(conn, bench.letter, ["one@letters.example"])
        await conn.execute("DELETE FROM letter")
    await queries.fold(bench.database)
    for table in ("statistics_change", "statistics_hour", "statistics_total"):
        assert await rows.rows_of(bench.database, f"SELECT letter FROM {table}") == []


async def test_the_worker_adds_up(bench: Bench, database_url: str, tmp_path: Path) -> None:
    await bench.sign("Vera")
    assert (await bench.rows(LEFT))[0]["rows"] > 0
    await do_chores(bench.database, chores_of(load(environment(tmp_path, database_url, 8000), role=Process.WEB)))
    assert (await bench.rows(LEFT))[0]["rows"] == 0
    await bench.check()


async def test_what_was_there_before_is_added_up_when_migrating(
    cluster: str, admin: "Conn", template: str, tmp_path: Path
) -> None:
    """Take the figures away as if the migration had not been, and have it begin anew with the same rows."""
    number = next(number for number, name, _ in migrations() if name.endswith("_statistics.sql"))
    async with fresh_database(cluster, admin, template) as url, opened(url, max_size=4) as database:
        await publish(load(environment(tmp_path, url, 8000), role=Process.WEB), database)
        async with database.connection() as conn:
            bench = Bench(database, await rows.letter(conn))
        ids = await bench.sign("Vera", "Иван", "Kim", country="FJ")
        await bench.remove(ids[0])
        async with database.transaction() as conn:
            await rows.add_pending(conn, bench.letter, ["one@letters.example"])
            await conn.execute("INSERT INTO refused_mail (letter, code) VALUES ($1, 550)", bench.letter.id)
        before, (history,) = await totals(bench), running(await days(bench))
        async with database.transaction() as conn:
            for statement in TAKE_AWAY.format(number=number).split(";"):
                await conn.execute(statement)
        assert len(await migrate(url)) == 1
        assert await totals(bench) == before
        (again,) = await days(bench)
        assert (again.signed_up, again.confirmed, again.came, again.went) == (4, 3, 3, 1)
        assert again == history
        await bench.check()


@given(st.lists(st.floats(1, 7 * 86400), min_size=1, max_size=200))
def test_the_median_is_within_five_percent(seconds: list[float]) -> None:
    delays: dict[int, int] = {}
    for each in seconds:
        bucket = math.floor(8 * math.log2(each))
        delays[bucket] = delays.get(bucket, 0) + 1
    found = median(delays)
    assert found is not None
    lower = sorted(seconds)[(len(seconds) - 1) // 2]
    assert abs(found.total_seconds() / lower - 1) < 0.05


def test_of_nobody_there_is_no_median() -> None:
    assert median({}) is None


async def test_how_long_it_took_is_noted_when_a_link_is_used(bench: Bench) -> None:
    async with bench.database.transaction() as conn:
        ids = await rows.add_pending(conn, bench.letter, ["slow@letters.example"], timedelta(hours=3))
    await bench.use_links(ids)
    async with bench.database.connection() as conn:
        figures = await reading.read(conn, bench.letter.id, None)
    assert figures.median is not None
    assert abs(figures.median / timedelta(hours=3) - 1) < 0.05


def test_small_countries_come_together_and_unknown_comes_last() -> None:
    found = shares({"FJ": 7, "KI": 4, "NR": 1, "": 900, "DE": 50}, minimum=5)
    assert [(each.value, each.number) for each in found] == [("DE", 50), ("FJ", 7), (OTHERS, 5), ("", 900)]
    assert sum(each.share for each in found) == pytest.approx(1)
    assert [each.value for each in shares({"en": 1, "ru": 2})] == ["ru", "en"]


@given(st.dictionaries(st.text("ABC", min_size=2, max_size=2), st.integers(1, 20)))
def test_no_country_with_fewer_than_five_is_named(numbers: dict[str, int]) -> None:
    found = {each.value: each.number for each in shares(numbers, minimum=5)}
    assert sum(found.values()) == sum(numbers.values())
    assert all(number >= 5 for value, number in found.items() if value != OTHERS)


def test_empty_periods_are_filled_in_and_keep_the_count() -> None:
    noon = datetime(2022, 3, 5, 12, tzinfo=UTC)
    known = running([Period(noon, people=3, came=3), Period(noon + 3 * HOUR, people=-1, came=0, went=1)], 10)
    found = without_gaps(known, HOUR, noon - HOUR, noon + 4 * HOUR, 10)
    assert [each.total for each in found] == [10, 13, 13, 13, 12, 12]
    assert [each.total for each in without_gaps(known, HOUR, noon + HOUR, noon + 2 * HOUR)] == [13, 13]
    assert [each.total for each in without_gaps([], DAY, noon, noon, 4)] == [4]
