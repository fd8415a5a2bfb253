"""Migrations: once, twice, two at once, edited, broken; and what a lost server looks like from the code above."""

import asyncio
import gc
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from petition.core import database
from petition.core.database import Database, connect, is_migrated, migrate, migrations, opened
from petition.core.errors import PetitionError, Unavailable
from tests.conftest import in_database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg

    from tests.conftest import Conn

NAMES = [name for _, name, _ in migrations()]


@pytest.fixture
async def empty_url(cluster: str, admin: "Conn") -> "AsyncIterator[str]":
    """Give the URL of a database in which there is nothing."""
    await admin.execute("CREATE DATABASE nothing_yet")
    yield in_database(cluster, "nothing_yet")
    await admin.execute("DROP DATABASE nothing_yet WITH (FORCE)")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder with two migrations."""
    (tmp_path / "0001_first.sql").write_text("-- To have something.\nCREATE TABLE thing (id integer PRIMARY KEY);")
    (tmp_path / "0002_second.sql").write_text("-- To have more.\nALTER TABLE thing ADD COLUMN name text;")
    return tmp_path


async def seen(url: str) -> tuple[bool, int]:
    """Return whether the schema is up to date, and how many migrations are written down."""
    conn = await connect(url)
    try:
        rows = await conn.fetchval("SELECT count(*) FROM migration") if await is_migrated(conn) else 0
        return await is_migrated(conn), rows
    finally:
        await conn.close()


async def test_migrating_twice_does_nothing_the_second_time(empty_url: str) -> None:
    assert await seen(empty_url) == (False, 0)
    assert await migrate(empty_url) == NAMES
    assert await migrate(empty_url) == []
    assert await seen(empty_url) == (True, len(NAMES))


async def test_two_machines_at_once_apply_each_migration_once(empty_url: str) -> None:
    done = await asyncio.gather(*(migrate(empty_url) for _ in range(4)))
    assert sorted(name for names in done for name in names) == NAMES
    assert await seen(empty_url) == (True, len(NAMES))


async def test_a_new_migration_is_applied_alone(empty_url: str, folder: Path) -> None:
    assert await migrate(empty_url, folder) == ["0001_first.sql", "0002_second.sql"]
    (folder / "0003_third.sql").write_text("-- To try.\nDROP TABLE thing;")
    assert await migrate(empty_url, folder) == ["0003_third.sql"]


async def test_an_edited_migration_is_refused(empty_url: str, folder: Path) -> None:
    await migrate(empty_url, folder)
    (folder / "0001_first.sql").write_text("CREATE TABLE thing (id bigint PRIMARY KEY);")
    with pytest.raises(PetitionError, match=r"0001_first\.sql was changed after it had been applied"):
        await migrate(empty_url, folder)


async def test_a_broken_migration_leaves_nothing_of_itself(empty_url: str, folder: Path) -> None:
    (folder / "0002_second.sql").write_text("CREATE TABLE half (id integer); SELECT nonsense;")
    with pytest.raises(PetitionError, match=r"0002_second\.sql failed: .*nonsense"):
        await migrate(empty_url, folder)
    conn = await connect(empty_url)
    assert await conn.fetchval("SELECT to_regclass('thing') IS NOT NULL AND to_regclass('half') IS NULL")
    await conn.close()
    (folder / "0002_second.sql").write_text("CREATE TABLE whole (id integer);")
    assert await migrate(empty_url, folder) == ["0002_second.sql"]


@pytest.mark.parametrize("name", ["0003_gap.sql", "0001_again.sql"])
def test_numbers_have_no_gap_and_no_double(folder: Path, name: str) -> None:
    (folder / "0002_second.sql").unlink()
    (folder / name).write_text("SELECT 1")
    with pytest.raises(PetitionError, match="without a gap"):
        migrations(folder)


@pytest.mark.parametrize(("_number", "name", "sql"), migrations())
def test_the_reason_stands_in_the_first_line(_number: int, name: str, sql: str) -> None:
    first = sql.splitlines()[0]
    assert first.startswith("-- "), name
    assert len(first) > 20


async def test_an_unmigrated_database_is_unavailable_and_says_what_to_do(empty_url: str) -> None:
    async with opened(empty_url) as pool:
        with pytest.raises(Unavailable, match="run `petition migrate`"):
            async with pool.connection() as conn:
                await conn.fetch("SELECT * FROM letter")


async def test_no_server_is_unavailable(tmp_path: Path) -> None:
    nowhere = f"postgresql://petition@/petition?host={tmp_path}&port=5432"
    with pytest.raises(Unavailable):
        await connect(nowhere)
    async with opened(nowhere) as pool:  # opening needs no server: reading goes on from memory
        with pytest.raises(Unavailable, match="cannot be reached"):
            async with pool.connection():
                raise AssertionError("there is no connection to lend")


async def cut_under_way(pool: Database, admin: "Conn") -> None:
    """Lose the connection between two statements."""
    async with pool.connection() as conn:
        await admin.execute("SELECT pg_terminate_backend($1)", await conn.fetchval("SELECT pg_backend_pid()"))
        await conn.fetchval("SELECT 1")


async def remember(pool: Database, digest: bytes, error: Exception | None = None) -> None:
    """Write one row, and raise if told to."""
    async with pool.transaction() as conn:
        await conn.execute("INSERT INTO suppressed (digest) VALUES ($1)", digest)
        if error:
            raise error


async def test_a_connection_cut_under_way_is_unavailable_and_the_next_one_works(
    database_url: str, admin: "Conn"
) -> None:
    async with opened(database_url, max_size=1) as pool:
        with pytest.raises(Unavailable):
            await cut_under_way(pool, admin)
        async with pool.connection() as conn:
            assert await conn.fetchval("SELECT 1") == 1


async def test_returning_commits_and_raising_rolls_back(database_url: str) -> None:
    async with opened(database_url) as pool:
        await remember(pool, b"\x01")
        with pytest.raises(ZeroDivisionError):
            await remember(pool, b"\x02", ZeroDivisionError())
        async with pool.connection() as conn:
            assert await conn.fetchval("SELECT array_agg(digest) FROM suppressed") == [b"\x01"]


async def test_more_waiting_than_connections_is_unavailable(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(database_url, max_size=1) as pool, pool.connection():
        monkeypatch.setattr(database, "ACQUIRE_TIMEOUT", 0.01)
        with pytest.raises(Unavailable):
            async with pool.connection():
                raise AssertionError("it was lent already")


class HangingPool:
    """Lends connections whose release fails after a while, as that to a frozen server does."""

    async def acquire(self, **_: float) -> object:
        return object()

    async def release(self, _conn: object) -> None:
        async def fail() -> None:
            await asyncio.sleep(0.1)
            raise TimeoutError

        await asyncio.shield(fail())


async def test_a_release_that_fails_later_is_waited_for_by_no_one(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """And is no error in the log, which asyncio writes for a task that nothing asks for its result."""
    monkeypatch.setattr(database, "RELEASE_LIMIT", 0.01)
    pool = Database(cast("asyncpg.Pool[asyncpg.Record]", HangingPool()))
    begun = asyncio.get_running_loop().time()
    with pytest.raises(ZeroDivisionError):
        async with pool.connection():
            raise ZeroDivisionError
    assert asyncio.get_running_loop().time() - begun < 0.1
    await asyncio.sleep(0.15)
    gc.collect()
    assert caplog.messages == []


async def test_a_server_that_says_nothing_does_not_hide_the_next_one(database_url: str) -> None:
    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1000):
            pass
        writer.close()

    silent = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    target, _, query = database_url.partition("?")
    values = dict(pair.split("=") for pair in query.split("&"))
    url = f"{target}?host=127.0.0.1,{values['host']}&port={port},{values['port']}&target_session_attrs=primary"
    async with silent, opened(url) as pool:
        for _ in range(2):  # the right one is asked first the second time
            async with pool.connection() as conn:
                assert await conn.fetchval("SELECT 1") == 1
    conn = await connect(url)
    assert await conn.fetchval("SELECT 1") == 1
    await conn.close()


async def test_without_a_server_that_answers_the_last_failure_is_the_cause(database_url: str) -> None:
    target, _, query = database_url.partition("?")
    sockets = dict(pair.split("=") for pair in query.split("&"))["host"]
    with pytest.raises(Unavailable, match="cannot be reached"):
        await connect(f"{target}?host={sockets},{sockets}&port=1,2")
