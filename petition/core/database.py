"""PostgreSQL: the pool, what the server can do at this moment, and the migrations.

Only this module, those beside it and ``migrating`` import asyncpg. Every use of a connection goes through
``Database``, so that a lost connection is an ``Unavailable`` everywhere.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from petition.core import metrics, patience, resources
from petition.core.database_connections import connector, driver_options, prepare
from petition.core.database_failures import SILENT, cause_of, lost_connections_are_unavailable
from petition.core.errors import PetitionError, Unavailable
from petition.core.migrating import apply_all
from petition.core.service_urls import parse_database

log = logging.getLogger(__name__)

Record = asyncpg.Record
ServerError = asyncpg.PostgresError  # any answer of the server's that is an error
# In quotes: asyncpg's classes take a parameter in the stubs only.
Connection: TypeAlias = "asyncpg.Connection[Record] | PoolConnectionProxy[Record]"

COMMAND_TIMEOUT = 15.0  # seconds; the slowest honest statement of the web takes a tenth of one
ACQUIRE_TIMEOUT = 5.0
PROBE_PART = 0.6  # of it, in which the poll must be answered; after each that was not, the next one has twice as long
MAX_PROBE = 4.0  # seconds
GRACE = 0.2  # seconds more, in which a server that does answer cancels the statement
RELEASE_LIMIT = 0.02  # seconds for it after a failure: the visitor has waited long enough


# The server answers, and yet people cannot sign.
_REFUSES_WRITES = (asyncpg.DiskFullError, asyncpg.ReadOnlySQLTransactionError)
REFUSAL_AGE = 30.0  # seconds


class _Use:
    """One use of a connection, which ends in time even if the server says nothing more.

    First the task is cancelled where it waits, so that the driver asks the server to cancel the statement. If that is
    not heard either, the connection is cut: rolling back and giving it back would wait as well.
    """

    def __init__(self, seconds: float | None) -> None:
        self._loop = asyncio.get_running_loop()
        self.began = self._loop.time()
        self.timeout = asyncio.timeout(None)
        self.conn: Any = None
        self._timer = None if seconds is None else self._loop.call_later(seconds, self.expire)
        self._is_over = False

    @property
    def seconds(self) -> float:
        """How long it has taken so far."""
        return self._loop.time() - self.began

    def expire(self) -> None:
        """End it now."""
        if not self._is_over:
            self._is_over = True
            self.timeout.reschedule(self._loop.time())
            self._timer = self._loop.call_later(GRACE, self._cut)

    def _cut(self) -> None:
        if self.conn is not None:
            with suppress(asyncpg.InterfaceError):  # the pool has it back
                self.conn.terminate()

    def settle(self) -> None:
        """Note that all is done: what is committed must not be called unavailable."""
        if not self._is_over:
            self._is_over = True
            if self._timer is not None:
                self._timer.cancel()

    def end(self) -> float:
        """Stop the timers; return how many seconds it took."""
        self._is_over = True
        if self._timer is not None:
            self._timer.cancel()
        return self.seconds


class Database:
    """A pool of connections to one database. Connects at first use, so that reading from memory needs none.

    With a ``patience`` (seconds) it is the web's: once ``probe`` gets no answer, all uses are refused at once, and
    those under way are ended, until it gets one again.
    """

    def __init__(self, pool: "asyncpg.Pool[Record]", patience: float | None = None, *, is_pooled: bool = False) -> None:
        self._pool = pool
        self.is_pooled = is_pooled  # two statements outside a transaction may meet two different servers
        self.patience = patience
        self.is_answering = True
        self.silence = SILENT  # why not
        self._answered_at = float("-inf")
        self._failed_probes = 0
        self._probe_limit = patience and patience * PROBE_PART
        self._uses: set[_Use] = set()
        self._releases: set[asyncio.Task[None]] = set()  # under way
        self._refusal = ""
        self._refused_at = float("-inf")

    @property
    def recent_refusal(self) -> str | None:
        """Why the server refused to write in the last half a minute, if nothing has been written since."""
        return self._refusal if time.monotonic() - self._refused_at < REFUSAL_AGE else None

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Lend a connection, for as long as ``petition.core.patience`` says.

        Raises ``Unavailable`` when the server cannot be reached, goes away meanwhile, or does not answer in time.
        """
        if not self.is_answering:
            raise Unavailable(self.silence)
        async with self._lend(patience.left()) as conn:
            yield conn

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Lend a connection inside a transaction: returning commits, raising rolls back."""
        try:
            async with self.connection() as conn, conn.transaction():
                yield conn
        except Unavailable as error:
            # By the server's own limit, which a form of the public side does not need to exceed; acts of the desk may.
            if isinstance(error.__cause__, asyncpg.QueryCanceledError) and patience.left() is not None:
                self._refusal, self._refused_at = str(error), time.monotonic()
            raise
        self._refused_at = float("-inf")

    @asynccontextmanager
    async def probe(self, seconds: float | None = None) -> AsyncIterator[Connection]:
        """Lend a connection also while all others are refused; what comes of it decides on that.

        A server that is only slow has answered another use meanwhile. ``seconds`` may be a narrower limit than the
        poll's. Raises as ``connection`` does.
        """
        limits = [limit for limit in (seconds, self._probe_limit) if limit is not None]
        try:
            async with self._lend(min(limits, default=None)) as conn:
                yield conn
        except Unavailable as error:
            if self.patience is not None and self._probe_limit is not None:
                self._probe_limit = max(self._probe_limit, min(self._probe_limit * 2, MAX_PROBE))
                self._failed_probes += 1  # one may have met a connection that had been cut
                is_away = self._failed_probes > 1 or str(error) == SILENT
                if is_away and time.monotonic() - self._answered_at > self.patience:
                    await self._refuse_all(str(error))
            raise
        self._failed_probes = 0
        self.is_answering, self._probe_limit = True, self.patience and self.patience * PROBE_PART

    async def _take_back(self, conn: "PoolConnectionProxy[Record]") -> None:
        """Release a connection whose use has failed; do not wait for a server that does not cancel its statement."""
        task = asyncio.create_task(self._pool.release(conn))
        self._releases.add(task)
        task.add_done_callback(self._note_released)
        await asyncio.wait([task], timeout=RELEASE_LIMIT)

    def _note_released(self, task: asyncio.Task[None]) -> None:
        self._releases.discard(task)
        if not task.cancelled():
            task.exception()  # retrieved: such a connection is closed, and what it was used for has failed already

    @asynccontextmanager
    async def _lend(self, seconds: float | None) -> AsyncIterator[Connection]:
        use = _Use(seconds)
        with lost_connections_are_unavailable():
            try:
                async with use.timeout:
                    self._uses.add(use)
                    use.conn = await self._pool.acquire(timeout=ACQUIRE_TIMEOUT)
                    metrics.POOL_WAIT.observe(use.seconds)
                    try:
                        yield use.conn
                        use.settle()
                    except BaseException:
                        await self._take_back(use.conn)
                        raise
                    await self._pool.release(use.conn)
                self._answered_at = time.monotonic()
            except _REFUSES_WRITES as error:
                self._refusal, self._refused_at = cause_of(error), time.monotonic()
                if isinstance(error, asyncpg.ReadOnlySQLTransactionError):  # another one may be the primary now
                    await self._pool.expire_connections()
                raise
            except (asyncpg.PostgresConnectionError, asyncpg.InterfaceError):  # a restart has cut all others as well
                await self._pool.expire_connections()
                raise
            finally:
                self._uses.discard(use)
                patience.spend(use.end())

    async def _refuse_all(self, why: str) -> None:
        """Refuse all uses from now on, end those under way, and use none of these connections again."""
        self.is_answering, self.silence = False, why
        for use in tuple(self._uses):
            use.expire()
        await self._pool.expire_connections()

    async def close(self) -> None:
        """Close every connection, waiting a little for those in use."""
        try:
            await asyncio.wait_for(self._pool.close(), 5)
        except TimeoutError:
            self._pool.terminate()


async def connect(url: str) -> "asyncpg.Connection[Record]":
    """Open one connection with our codecs. Raises ``Unavailable``."""
    with lost_connections_are_unavailable():
        options = driver_options(parse_database(url))
        conn: asyncpg.Connection[Record] = await connector(url)(command_timeout=None, **options)
        await prepare(conn, is_pooled=parse_database(url).is_pooled)
        return conn


@asynccontextmanager
async def opened(
    url: str, *, max_size: int = 10, patience: float | None = None, writes: bool = True
) -> AsyncIterator[Database]:
    """Open a pool of at most ``max_size`` connections for the length of a process.

    ``patience``: see ``Database``; without ``writes`` to read only.
    """
    address = parse_database(url)
    pool = asyncpg.create_pool(
        connect=connector(url),
        min_size=0,
        max_size=max_size,
        init=partial(prepare, is_pooled=address.is_pooled),
        # All work is inside transactions: a session needs no reset, and the query would only cost time.
        reset=_nothing,
        command_timeout=COMMAND_TIMEOUT,
        max_inactive_connection_lifetime=300,
        **driver_options(address, lock_timeout=patience, writes=writes),
    )
    async with pool:
        database = Database(pool, patience, is_pooled=address.is_pooled)
        try:
            yield database
        finally:
            await database.close()


async def _nothing(_conn: Any) -> None:
    return None


def migrations(folder: Path | None = None) -> list[tuple[int, str, str]]:
    """Return every migration as (number, file name, SQL), in order. Raises ``PetitionError`` if a number is missing."""
    files = sorted((folder or resources.folder("migrations")).glob("*.sql"))
    numbered = [(int(path.name[:4]), path.name, path.read_text(encoding="utf-8")) for path in files]
    if [number for number, _, _ in numbered] != list(range(1, len(numbered) + 1)):
        raise PetitionError("migrations must be numbered 0001, 0002, … without a gap")
    return numbered


async def migrate(url: str, folder: Path | None = None, *, until: int | None = None) -> list[str]:
    """Bring the schema up, to number ``until`` if one is named; return the names of the migrations that were applied.

    Safe to run twice and from two machines at once: each migration first takes an advisory lock, and runs in a
    transaction of its own if it can. Raises ``PetitionError`` when an applied migration has been edited since.
    """
    conn = await connect(url)
    try:
        with lost_connections_are_unavailable():
            return await apply_all(conn, migrations(folder)[:until], is_pooled=parse_database(url).is_pooled)
    finally:
        await conn.close()


def schema_number() -> int:
    """Return the number of the newest migration that this code brings."""
    return len(migrations())


async def applied_number(conn: Connection) -> int:
    """Return the number of the newest migration that has been applied; 0 for an empty database."""
    if not await conn.fetchval("SELECT to_regclass('migration') IS NOT NULL"):
        return 0
    number: int = await conn.fetchval("SELECT coalesce(max(number), 0) FROM migration")
    return number


async def is_migrated(conn: Connection) -> bool:
    """Return whether every migration that this code brings has been applied."""
    return await applied_number(conn) >= schema_number()


# More than this memory holds, so that it is written into the database's folder, and outside the write-ahead log.
SMALL_MEMORY = "SET LOCAL work_mem = '64kB'"
SPILL = """
SELECT count(*) FROM (
  SELECT md5(n::text) || repeat(' ', 480) AS line FROM generate_series(1, 1500) AS n ORDER BY md5(n::text) COLLATE "C"
) AS sorted
"""


async def is_disk_full(conn: Connection) -> bool:
    """Return whether the server has no room for some 750 KB more; costs it a few milliseconds."""
    try:
        async with conn.transaction():
            await conn.execute(SMALL_MEMORY)
            await conn.fetchval(SPILL)
    except asyncpg.DiskFullError:
        return True
    except asyncpg.InsufficientResourcesError:  # temp_file_limit
        return False
    return False


# What a form needs (``signatures.signing``). LOCK TABLE takes it away for long, or an index built without CONCURRENTLY;
# a migration, or a vacuum that shortens a table, for a moment, which is no trouble.
SHORT_WAIT = "SET LOCAL lock_timeout = '300ms'"
LOCKS_OF_SIGNING = """
LOCK TABLE letter IN ROW SHARE MODE;
LOCK TABLE used_challenge, limit_use, pending, outbox IN ROW EXCLUSIVE MODE
"""


async def is_locked(conn: Connection) -> bool:
    """Return whether another transaction holds a table that signing needs, for longer than a moment."""
    try:
        async with conn.transaction():
            await conn.execute(SHORT_WAIT)
            await conn.execute(LOCKS_OF_SIGNING)
    except asyncpg.LockNotAvailableError:
        return True
    return False


async def is_read_only(conn: Connection) -> bool:
    """Return whether the server takes no writes: a standby, or one that was made read-only."""
    read_only: bool = await conn.fetchval("SELECT current_setting('transaction_read_only')::boolean")
    return read_only
