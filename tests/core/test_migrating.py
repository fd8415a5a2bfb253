"""Migrations that meet a table in use, and indexes that are built while people sign, on both layouts."""

import asyncio
import logging
from pathlib import Path

import pytest

from petition.core import concurrent_indexes, migrating
from petition.core.database import connect, migrate, schema_number
from petition.core.errors import PetitionError
from petition.core.resources import folder
from tests.layouts import PARTITIONS

NEXT = schema_number() + 1
STATEMENT = "CREATE INDEX CONCURRENTLY IF NOT EXISTS of_city ON signature (letter, city);"
INDEX = f"-- Why.\n{concurrent_indexes.MARK}\n{STATEMENT}\n"
BUILT = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'of_city'::regclass"


def files(target: Path, sql: str) -> Path:
    """Make a folder with our migrations and one more."""
    for path in folder("migrations").glob("*.sql"):
        (target / path.name).write_bytes(path.read_bytes())
    (target / f"{NEXT:04}_test.sql").write_text(sql)
    return target


async def test_an_index_is_built_beside_open_transactions(database_url: str, tmp_path: Path, layout: str) -> None:
    url = database_url
    writer, conn = await connect(url), await connect(url)
    try:
        # As one that was broken off leaves it.
        if layout == PARTITIONS:
            await conn.execute("CREATE INDEX of_city ON ONLY signature (letter, city)")
        else:
            await conn.execute("CREATE INDEX of_city ON signature (letter)")
            await conn.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'of_city'::regclass")
        async with writer.transaction():
            await writer.execute("SELECT count(*) FROM letter")
            assert await migrate(url, files(tmp_path, INDEX)) == [f"{NEXT:04}_test.sql"]
        assert await conn.fetchval(BUILT)
        assert "(letter, city)" in await conn.fetchval("SELECT pg_get_indexdef('of_city'::regclass)")
        assert await migrate(url, tmp_path) == []
        parts = await conn.fetchval("SELECT count(*) FROM pg_inherits WHERE inhparent = 'of_city'::regclass")
        assert parts == await conn.fetchval("SELECT count(*) FROM pg_inherits WHERE inhparent = 'signature'::regclass")
    finally:
        await writer.close()
        await conn.close()


async def test_a_table_in_use_holds_up_the_migration_and_no_one_else(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(migrating, "LOCK_WAIT", "50ms")
    monkeypatch.setattr(migrating, "PAUSE", (0.05, 0.1))
    caplog.set_level(logging.INFO)
    sql = "-- Why.\nALTER TABLE letter ADD COLUMN tone text;\n"
    reader, other = await connect(database_url), await connect(database_url)
    try:
        async with asyncio.timeout(120), asyncio.TaskGroup() as group:
            async with reader.transaction():
                await reader.execute("SELECT count(*) FROM letter")
                task = group.create_task(migrate(database_url, files(tmp_path, sql)))
                while caplog.messages.count("a migration waits for a table") < 2:
                    await other.execute("SELECT count(*) FROM letter")  # it comes through in between
                    await asyncio.sleep(0.01)
            assert await task == [f"{NEXT:04}_test.sql"]
    finally:
        await reader.close()
        await other.close()


async def test_one_that_is_held_for_minutes_is_said(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrating, "LOCK_WAIT", "10ms")
    monkeypatch.setattr(migrating, "PAUSE", (0.0, 0.0))
    monkeypatch.setattr(migrating, "TRIES", 2)
    reader = await connect(database_url)
    try:
        async with reader.transaction():
            await reader.execute("SELECT count(*) FROM letter")
            with pytest.raises(PetitionError, match="holds a table for minutes"):
                await migrate(database_url, files(tmp_path, "-- Why.\nALTER TABLE letter ADD COLUMN tone text;\n"))
    finally:
        await reader.close()
