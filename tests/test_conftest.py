"""Each test has a database of its own, with the whole schema."""

from typing import TYPE_CHECKING

from petition.core.database import is_migrated

if TYPE_CHECKING:
    import asyncpg


async def test_a_clone_has_the_schema_and_takes_rows(conn: "asyncpg.Connection[asyncpg.Record]") -> None:
    assert await is_migrated(conn)
    await conn.execute("INSERT INTO suppressed (digest) VALUES ('\\x00')")
    assert await conn.fetchval("SELECT count(*) FROM suppressed") == 1


async def test_no_row_of_another_test_is_seen(conn: "asyncpg.Connection[asyncpg.Record]") -> None:
    assert await conn.fetchval("SELECT count(*) FROM suppressed") == 0
