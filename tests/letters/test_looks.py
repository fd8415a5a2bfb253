"""What a look at the database costs, and that none misses what has moved."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from petition.core import metrics
from petition.core.database import Connection, Database
from petition.core.encryption import Wrapper
from petition.letters import lifecycle_queries, status_queries
from petition.letters.letter_memory import LetterMemory
from petition.letters.model import Letter, State
from petition.letters.published import PublishedLetters
from petition.letters.switch_queries import set_switch
from petition.letters.switches import Switch
from tests.running import KEY, SLUG

MANY = """
WITH l AS (
  INSERT INTO letter (slug, state, version, opened_at, rules_version)
  SELECT 'many-' || i, 'open', 1, '2020-01-01'::timestamptz + i * interval '1 minute', 1 FROM generate_series(1, $1) i
  RETURNING id
)
INSERT INTO count (letter) SELECT id FROM l
"""


class Looking:
    """Letters in memory, with what each look has read and told."""

    def __init__(self, database: Database, patch: pytest.MonkeyPatch) -> None:
        self.database = database
        self.letters = PublishedLetters(database, Wrapper([KEY]))
        self.rows = self.looks = 0
        self.moved: list[str] = []
        self.hidden: list[str] = []
        self.taken_down: list[str] = []
        self.letters.on_change(self.moved.append)
        self.letters.on_names_hidden(self.hidden.append)
        self.letters.on_taken_down(self.taken_down.append)
        for name in ("look", "statuses_of"):
            patch.setattr(status_queries, name, self._counting(getattr(status_queries, name)))

    def _counting(self, real: Callable[..., Awaitable[object]]) -> Callable[..., Awaitable[object]]:
        async def counting(conn: Connection, *args: object) -> object:
            answer = await real(conn, *args)
            self.looks += 1
            self.rows += len(answer) if isinstance(answer, list) else 0
            return answer

        return counting

    async def look(self) -> list[str]:
        """Look at the database; return the letters that moved."""
        self.moved.clear()
        self.hidden.clear()
        self.rows = self.looks = 0
        await self.letters.refresh()
        return sorted(slug for slug in self.moved if slug)

    async def execute(self, statement: str, *args: object) -> None:
        async with self.database.connection() as conn:
            await conn.execute(statement, *args)

    def people(self, slug: str = SLUG) -> int:
        """Return the people in a letter's count."""
        counted = self.letters.counts(slug)
        assert counted is not None
        return counted[0].people


@pytest.fixture
async def looking(database: Database, monkeypatch: pytest.MonkeyPatch) -> Looking:
    """Give letters in memory that have looked once."""
    looking = Looking(database, monkeypatch)
    await looking.look()
    return looking


async def test_where_nothing_moves_a_look_is_one_statement_without_rows(looking: Looking) -> None:
    await looking.execute(MANY, 3000)
    assert len(await looking.look()) == 3000
    for _ in range(2):
        assert await looking.look() == []
        assert (looking.looks, looking.rows) == (1, 0)
    await looking.execute("UPDATE count SET people = 7 WHERE letter = (SELECT id FROM letter WHERE slug = 'many-5')")
    assert await looking.look() == ["many-5"]
    assert (looking.looks, looking.rows, looking.people("many-5")) == (2, 1, 7)
    fresh = PublishedLetters(looking.database, Wrapper([KEY]))
    await fresh.refresh()  # in several chunks
    assert fresh.counts("many-3000") is not None
    assert [*await fresh._in_order(are_open=True)][:3] == [SLUG, "many-3000", "many-2999"]
    page = metrics.render()
    assert page.count(b"\npetition_signatures{") == 2 * metrics.MAX_LETTERS
    assert b'letter="many-3000"' in page
    assert b'letter="many-5"' not in page


async def test_a_look_reads_indexes_only(looking: Looking) -> None:
    await looking.execute(MANY, 3000)
    await looking.execute("VACUUM ANALYZE letter, count")
    await looking.look()
    now = looking.letters._statuses.look
    async with looking.database.connection() as conn:
        await conn.execute("SELECT pg_current_xact_id()")
        plan = await conn.fetch(f"EXPLAIN {status_queries.LOOK}", now.mark, now.at, now.step)
    lines = [line for (line,) in plan]
    assert any("letter_moved" in line for line in lines)
    assert any("count_moved" in line for line in lines)
    assert not [line for line in lines if "Seq Scan on letter" in line or "Seq Scan on count " in line]


async def test_what_commits_late_is_not_missed(looking: Looking) -> None:
    async with looking.database.connection() as conn:
        late = conn.transaction()
        await late.start()
        await conn.execute("UPDATE count SET people = 41")
        for number in range(3):  # later transactions that commit earlier, and are looked at
            await looking.execute("UPDATE letter SET revision = revision + 1 WHERE slug = $1", SLUG)
            assert await looking.look() == [SLUG], number
            assert looking.people() == 0
        await late.commit()
    assert await looking.look() == [SLUG]
    assert looking.people() == 41
    assert await looking.look() == []


async def test_a_savepoint_that_is_kept_moves_its_letter(looking: Looking) -> None:
    async with looking.database.transaction() as conn:
        await conn.execute("SELECT pg_current_xact_id()")
        await looking.look()
        async with conn.transaction():
            await conn.execute("UPDATE count SET people = 5")
    assert await looking.look() == [SLUG]
    assert looking.people() == 5


async def test_letters_close_and_open_with_the_clock(looking: Looking) -> None:
    await looking.execute("UPDATE letter SET closes_at = now() + interval '400 milliseconds'")
    await looking.look()
    assert (await looking.letters.get(SLUG)).letter.state is State.OPEN
    async with asyncio.timeout(60):
        while (await looking.letters.get(SLUG)).letter.state is State.OPEN:
            await looking.look()
    assert await looking.letters.index() == []
    assert [published.letter.slug for published in await looking.letters.closed()] == [SLUG]
    # A clock that was ahead is put right.
    looking.letters._statuses.look = replace(looking.letters._statuses.look, at=datetime(2100, 1, 1, tzinfo=UTC))
    await looking.execute("ALTER TABLE letter DISABLE TRIGGER USER")
    await looking.execute("UPDATE letter SET closes_at = now() + interval '1 day'")
    assert await looking.look() == [SLUG]
    assert (await looking.letters.get(SLUG)).letter.state is State.OPEN


async def test_switches_of_a_letter_and_of_all(looking: Looking) -> None:
    await looking.execute(MANY, 2)

    async def switched(letter_id: int | None, revision: int, value: str) -> list[str]:
        async with looking.database.connection() as conn:
            assert await set_switch(conn, letter_id, Switch.HIDE_LIST, revision, value, {})  # type: ignore[arg-type]
        return await looking.look()

    async with looking.database.connection() as conn:
        letter_id = await conn.fetchval("SELECT id FROM letter WHERE slug = $1", SLUG)
    await looking.look()
    assert await switched(letter_id, 0, "on") == [SLUG]
    assert looking.hidden == [SLUG]
    assert (await looking.letters.get(SLUG)).letter.conceals_names
    await looking.execute("UPDATE count SET people = 2 WHERE letter = $1", letter_id)
    assert await looking.look() == [SLUG]
    assert looking.hidden == []  # it was hidden already
    await looking.execute("DELETE FROM switch")
    assert await looking.look() == [SLUG]
    assert not (await looking.letters.get(SLUG)).letter.conceals_names
    assert await switched(None, 0, "on") == sorted([SLUG, "many-1", "many-2"])
    assert sorted(looking.hidden) == sorted([SLUG, "many-1", "many-2"])
    counts = looking.letters.counts(SLUG)
    assert counts is not None
    assert counts[0].hidden == 2
    assert await switched(None, 1, "off") == sorted([SLUG, "many-1", "many-2"])


async def test_a_letter_that_was_taken_down(looking: Looking) -> None:
    async with looking.database.connection() as conn:
        await conn.execute(lifecycle_queries.TAKE_DOWN, await conn.fetchval("SELECT id FROM letter"))
    assert await looking.look() == [SLUG]
    assert looking.taken_down == [SLUG]
    assert looking.letters.counts(SLUG) is None
    await looking.execute("UPDATE letter SET revision = revision + 1")
    await looking.look()
    assert looking.taken_down == [SLUG]  # once


async def test_another_server_is_read_whole(looking: Looking) -> None:
    await looking.execute("ALTER TABLE count DISABLE TRIGGER USER")
    await looking.execute("UPDATE count SET people = 3")
    assert await looking.look() == []  # what does not move its mark
    statuses = looking.letters._statuses
    statuses.look = replace(statuses.look, server_started_at=datetime(2020, 1, 1, tzinfo=UTC))
    assert await looking.look() == [SLUG]
    assert looking.people() == 3
    statuses.look = replace(statuses.look, mark=str(int(statuses.look.mark) + 1_000_000))  # a clone that lags behind
    await looking.execute("UPDATE count SET people = 4")
    assert await looking.look() == [SLUG]


async def test_marks_of_a_restored_dump_are_not_read_again_and_again(looking: Looking) -> None:
    await looking.execute("ALTER TABLE letter DISABLE TRIGGER USER")
    await looking.execute("UPDATE letter SET moved = '4000000000'")
    assert await looking.look() == []
    assert looking.rows == 0
    await looking.execute("ALTER TABLE letter ENABLE TRIGGER USER")
    await looking.execute("UPDATE letter SET revision = revision + 1")
    assert await looking.look() == [SLUG]


def test_memory_holds_what_was_asked_for_last(letter: Letter) -> None:
    memory = LetterMemory(max_letters=2)
    for slug in ("one", "two"):
        memory.add(replace(letter, slug=slug))
    assert memory.get("one") is not None
    memory.add(replace(letter, slug="three"))
    assert memory.get("two") is None
    assert memory.get("one") is not None
    size = memory.size
    memory.add(replace(letter, slug="one", revision=9))
    assert memory.size == size
    memory.drop("one")
    memory.drop("one")
    assert (len(memory), memory.size) == (1, size // 2)
    small = LetterMemory(max_bytes=1)
    for slug in ("one", "two"):
        small.add(replace(letter, slug=slug))
    assert small.get("one") is None
    assert small.get("two") is not None  # one always fits
