"""PostgreSQL: the pool, its codecs, one translation of its failures, and the migrations.

Only this module imports asyncpg. Every use of a connection goes through ``Database``, so that
a lost connection is an ``Unavailable`` everywhere.
"""

import asyncio
import hashlib
import json
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from petition.core import resources
from petition.core.errors import NotFound, PetitionError, Taken, Unavailable

log = logging.getLogger(__name__)

Record = asyncpg.Record
# In quotes: asyncpg's classes take a parameter in the stubs only.
Connection: TypeAlias = "asyncpg.Connection[Record] | PoolConnectionProxy[Record]"

COMMAND_TIMEOUT = 15.0  # seconds; the slowest honest statement of the web takes a tenth of one
ACQUIRE_TIMEOUT = 5.0

# Any number will do that no other advisory lock uses.
MIGRATION_LOCK = 0x7065_7469_7469
OLDEST_POSTGRESQL = 140_000

_LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.OperatorInterventionError,  # shut down, crashed, not up yet
    asyncpg.TooManyConnectionsError,
    asyncpg.InvalidCatalogNameError,  # no such database
    asyncpg.InvalidAuthorizationSpecificationError,  # no such role, a wrong password
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)


class Database:
    """A pool of connections to one database. Connects at first use, so that reading from memory needs none."""

    def __init__(self, pool: "asyncpg.Pool[Record]") -> None:
        self._pool = pool

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Lend a connection. Raises ``Unavailable`` when the server cannot be reached or goes away meanwhile."""
        with lost_connections_are_unavailable():
            async with self._pool.acquire(timeout=ACQUIRE_TIMEOUT) as conn:
                yield conn

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Lend a connection inside a transaction: returning commits, raising rolls back."""
        async with self.connection() as conn, conn.transaction():
            yield conn

    async def close(self) -> None:
        """Close every connection, waiting a little for those in use."""
        try:
            await asyncio.wait_for(self._pool.close(), 5)
        except TimeoutError:
            self._pool.terminate()


@contextmanager
def lost_connections_are_unavailable() -> Iterator[None]:
    """Translate every sign that the server cannot be reached into ``Unavailable``."""
    try:
        yield
    except (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError) as error:
        raise Unavailable("the database has not been migrated; run `petition migrate`") from error
    except asyncpg.ForeignKeyViolationError as error:
        raise NotFound("what this belongs to has been deleted in the meantime") from error
    except asyncpg.UniqueViolationError as error:
        raise Taken("another row has this already") from error
    except _LOST as error:
        raise Unavailable(f"the database cannot be reached ({type(error).__name__})") from error


async def connect(url: str) -> "asyncpg.Connection[Record]":
    """Open one connection with our codecs. Raises ``Unavailable``."""
    with lost_connections_are_unavailable():
        conn = await asyncpg.connect(url, command_timeout=None, server_settings=_SESSION)
        await _prepare(conn)
        return conn


@asynccontextmanager
async def opened(url: str, *, max_size: int = 10) -> AsyncIterator[Database]:
    """Open a pool of at most ``max_size`` connections for the length of a process."""
    pool = asyncpg.create_pool(
        url,
        min_size=0,
        max_size=max_size,
        init=_prepare,
        # All work is inside transactions: a session needs no reset, and the query would only cost time.
        reset=_nothing,
        command_timeout=COMMAND_TIMEOUT,
        max_inactive_connection_lifetime=300,
        server_settings=_SESSION,
    )
    async with pool:
        database = Database(pool)
        try:
            yield database
        finally:
            await database.close()


_SESSION = {"application_name": "petition", "jit": "off", "timezone": "UTC"}


async def _nothing(_conn: Any) -> None:
    return None


async def _prepare(conn: Any) -> None:
    await conn.set_type_codec("jsonb", schema="pg_catalog", encoder=json.dumps, decoder=json.loads)


def migrations(folder: Path | None = None) -> list[tuple[int, str, str]]:
    """Return every migration as (number, file name, SQL), in order. Raises ``PetitionError`` if a number is missing."""
    files = sorted((folder or resources.folder("migrations")).glob("*.sql"))
    numbered = [(int(path.name[:4]), path.name, path.read_text(encoding="utf-8")) for path in files]
    if [number for number, _, _ in numbered] != list(range(1, len(numbered) + 1)):
        raise PetitionError("migrations must be numbered 0001, 0002, … without a gap")
    return numbered


async def migrate(url: str, folder: Path | None = None) -> list[str]:
    """Bring the schema up; return the names of the migrations that were applied.

    Safe to run twice and from two machines at once: each migration runs in a transaction of its own that first takes
    an advisory lock. Raises ``PetitionError`` when an applied migration has been edited since.
    """
    conn = await connect(url)
    try:
        if conn.get_server_version().major * 10_000 < OLDEST_POSTGRESQL:
            raise PetitionError("PostgreSQL 14 or newer is needed")
        applied = []
        for number, name, sql in migrations(folder):
            if await _apply(conn, number, name, sql):
                applied.append(name)
        return applied
    finally:
        await conn.close()


CREATE_LEDGER = """
CREATE TABLE IF NOT EXISTS migration (
  number integer PRIMARY KEY, name text NOT NULL, checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now()
)
"""


async def _apply(conn: "asyncpg.Connection[Record]", number: int, name: str, sql: str) -> bool:
    checksum = hashlib.sha256(sql.encode()).hexdigest()
    async with conn.transaction():
        await conn.execute("SELECT pg_advisory_xact_lock($1)", MIGRATION_LOCK)
        if number == 1:
            await conn.execute(CREATE_LEDGER)
        known = await conn.fetchval("SELECT checksum FROM migration WHERE number = $1", number)
        if known == checksum:
            return False
        if known is not None:
            raise PetitionError(f"{name} was changed after it had been applied; add a new migration instead")
        try:
            await conn.execute(sql)
        except asyncpg.PostgresError as error:
            raise PetitionError(f"{name} failed: {error}") from error
        await conn.execute("INSERT INTO migration (number, name, checksum) VALUES ($1, $2, $3)", number, name, checksum)
        log.info("migrated", extra={"migration": name})
        return True


async def is_migrated(conn: Connection) -> bool:
    """Return whether every migration that this code brings has been applied."""
    known = await conn.fetchval("SELECT to_regclass('migration') IS NOT NULL")
    if not known:
        return False
    newest: int = await conn.fetchval("SELECT coalesce(max(number), 0) FROM migration")
    return newest >= len(migrations())
