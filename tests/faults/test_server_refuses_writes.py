"""A server that can be reached and takes no writes: 503 with a time to come back, said by /readyz; then all is well."""

import asyncio
from typing import TYPE_CHECKING

import pytest

from petition.core.database import opened
from petition.core.errors import Unavailable
from tests.running import SLUG, Installation

if TYPE_CHECKING:
    from tests.conftest import Conn

FULL = """
CREATE FUNCTION is_full() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'could not extend file "base/1/2": No space left on device' USING ERRCODE = '53100'; END $$;
CREATE TRIGGER full_disk BEFORE INSERT ON pending FOR EACH ROW EXECUTE FUNCTION is_full();
"""
SLOW = """
CREATE FUNCTION is_slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(60); RETURN NEW; END $$;
CREATE TRIGGER slow BEFORE INSERT ON pending FOR EACH ROW EXECUTE FUNCTION is_slow();
"""


async def refuses(site: Installation, reason: str) -> None:
    """Check that signing is put off, reading is not, and readiness says why."""
    assert await sign(site, "boris@letters.example") == 503
    answer = await site.client.get("/readyz")
    assert (answer.status_code, answer.text.splitlines()[0]) == (503, reason)
    assert (await site.client.get(f"/en/{SLUG}")).status_code == 200


async def sign(site: Installation, email: str) -> int:
    """Sign; return the status, whose 503 must say when to come back."""
    try:
        answer = await site.sign(email=email)
    except Unavailable:  # the test's own connection was closed
        return await sign(site, email)
    assert answer.status_code != 503 or answer.headers["retry-after"] == "5"
    return answer.status_code


async def recovers(site: Installation) -> None:
    async with asyncio.timeout(120):
        while (await sign(site, "clara@letters.example")) != 303:  # the pool has connections that are closed
            await asyncio.sleep(0.05)
    assert (await site.client.get("/readyz")).text.startswith("ready\n")


async def test_a_full_disk(site: Installation, conn: "Conn") -> None:
    await conn.execute(FULL)
    await refuses(site, "the database's disk is full")
    await conn.execute("DROP TRIGGER full_disk ON pending")
    await recovers(site)


@pytest.mark.parametrize("setting", ["default_transaction_read_only"])
async def test_a_read_only_server(site: Installation, conn: "Conn", admin: "Conn", setting: str) -> None:
    name = await conn.fetchval("SELECT current_database()")
    await admin.execute(f"ALTER DATABASE {name} SET {setting} = on")
    await reconnect(admin, name)
    await refuses(site, "the database is read-only")
    await admin.execute(f"ALTER DATABASE {name} RESET {setting}")
    await reconnect(admin, name)
    await recovers(site)


async def test_a_server_that_cancels_statements(site: Installation, conn: "Conn", admin: "Conn") -> None:
    await conn.execute(SLOW)
    name = await conn.fetchval("SELECT current_database()")
    await admin.execute(f"ALTER DATABASE {name} SET statement_timeout = '200ms'")
    await reconnect(admin, name)
    await refuses(site, "the database cancelled a statement: raise its statement_timeout to 15 s or more")
    await admin.execute(f"ALTER DATABASE {name} RESET statement_timeout")
    await admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
    async with opened(site.environ["DATABASE_URL"], max_size=1) as database, database.connection() as own:
        await own.execute("DROP TRIGGER slow ON pending")
    await recovers(site)


async def reconnect(admin: "Conn", name: str) -> None:
    """Close all connections: a setting of a database holds for new ones."""
    await admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
