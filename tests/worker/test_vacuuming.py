"""Rows that were deleted leave the files of the database."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from petition.core.database import Database, opened
from petition.worker import vacuuming

SIZE = "SELECT pg_relation_size('note')"
FILL = """
WITH l AS (INSERT INTO letter (slug, rules_version) VALUES ('some', 1) RETURNING id),
     s AS (INSERT INTO signature (letter, id, listed_at, kind, state, visibility)
           SELECT id, 1, now(), 'person', 'confirmed', 'organizers' FROM l RETURNING letter, id)
INSERT INTO note (letter, signature, text) SELECT letter, id, 'a note' FROM s, generate_series(1, 40)
"""
DEAD = "SELECT n_dead_tup FROM pg_stat_user_tables WHERE relname = 'note'"


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with opened(database_url, max_size=2) as database:
        yield database


async def test_few_deleted_rows_are_vacuumed_too(database: Database) -> None:
    async with database.connection() as conn:
        await conn.execute(FILL)
        await conn.execute("DELETE FROM note")
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
