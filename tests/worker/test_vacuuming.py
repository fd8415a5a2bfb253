"""Rows that were deleted leave the files of the database."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from petition.core import partitions
from petition.core.database import Database, opened
from petition.worker import vacuuming

SIZE = r"SELECT sum(pg_relation_size(relid)) FROM pg_stat_user_tables WHERE relname ~ '^contact(_\d+)?$'"
FILL = """
WITH l AS (INSERT INTO letter (slug, rules_version) VALUES ('some', 1) RETURNING id),
     s AS (INSERT INTO signature (letter, id, listed_at, kind, state, visibility)
           SELECT id, 1, now(), 'person', 'confirmed', 'organizers' FROM l RETURNING letter, id)
INSERT INTO contact (letter, signature, purpose, sealed) SELECT letter, id, 'updates', 'an address' FROM s
"""
DEAD = r"SELECT sum(n_dead_tup) FROM pg_stat_user_tables WHERE relname ~ '^contact(_\d+)?$'"


@pytest.fixture(params=["plain tables", "partitions"])
async def database(database_url: str, request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    if request.param == "partitions":
        await partitions.divide(database_url, 2)
    async with opened(database_url, max_size=2) as database:
        yield database


async def test_few_deleted_rows_are_vacuumed_too(database: Database) -> None:
    async with database.connection() as conn:
        await conn.execute(FILL)
        await conn.execute("DELETE FROM contact")
        await conn.execute("SELECT pg_stat_force_next_flush()")
        assert await conn.fetchval(SIZE) > 0
        async with asyncio.timeout(120):
            while not await conn.fetchval(DEAD):
                await conn.execute("SELECT pg_stat_clear_snapshot()")
                await asyncio.sleep(0.05)
    assert await vacuuming.vacuum(database) >= 1
    async with database.connection() as conn:
        assert await conn.fetchval(SIZE) == 0  # no page of it is left
    assert await vacuuming.vacuum(database) == 0  # not again within the hour


async def test_the_planner_knows_partitioned_tables(database: Database) -> None:
    async with database.connection() as conn:
        await conn.execute(FILL)
        is_partitioned = await partitions.count_partitions(conn) > 0
    assert await vacuuming.analyze(database) == (len(partitions.PARTITIONED) if is_partitioned else 0)
    async with database.connection() as conn:
        known = await conn.fetchval("SELECT reltuples FROM pg_class WHERE oid = 'signature'::regclass")
        assert known == (1 if is_partitioned else -1)
    async with asyncio.timeout(120):
        while await vacuuming.analyze(database):  # not again within the day, as soon as the statistics say so
            await asyncio.sleep(0.05)
