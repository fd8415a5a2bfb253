"""PostgreSQL: the pool, its codecs, one translation of its failures, and the migrations.

Only this module imports asyncpg. Every use of a connection goes through ``Database``, so that
a lost connection is an ``Unavailable`` everywhere.
"""

import asyncio
import hashlib
import json
import logging
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from petition.core import metrics, open_files, patience, resources
from petition.core.errors import Locked, NotFound, PetitionError, Taken, Unavailable
from petition.core.log_summaries import LogSummary
from petition.core.service_urls import parse_database

log = logging.getLogger(__name__)

Record = asyncpg.Record
# In quotes: asyncpg's classes take a parameter in the stubs only.
Connection: TypeAlias = "asyncpg.Connection[Record] | PoolConnectionProxy[Record]"

COMMAND_TIMEOUT = 15.0  # seconds; the slowest honest statement of the web takes a tenth of one
ACQUIRE_TIMEOUT = 5.0
LOCK_PART = 0.8  # of a web process's patience, for which a statement waits for a lock
PROBE_PART = 0.6  # of it, in which the poll must be answered; after each that was not, the next one has twice as long
MAX_PROBE = 4.0  # seconds
GRACE = 0.2  # seconds more, in which a server that does answer cancels the statement
HEAD_START = 0.3  # seconds in which one of several servers may answer before the next one is asked

# Any number will do that no other advisory lock uses.
MIGRATION_LOCK = 0x7065_7469_7469
OLDEST_POSTGRESQL = 140_000

_LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.OperatorInterventionError,  # shut down, crashed, not up yet; a statement that took too long
    asyncpg.InsufficientResourcesError,  # disk full, out of memory, too many connections
    asyncpg.ReadOnlySQLTransactionError,  # a standby, or a server that was made read-only
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.TransactionTimeoutError,
    asyncpg.InvalidCatalogNameError,  # no such database
    asyncpg.InvalidAuthorizationSpecificationError,  # no such role, a wrong password
    asyncpg.InsufficientPrivilegeError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)
# The server answers, and yet people cannot sign.
_REFUSES_WRITES = (asyncpg.DiskFullError, asyncpg.ReadOnlySQLTransactionError)
REFUSAL_AGE = 30.0  # seconds
# A pooler in transaction mode: the statement was prepared in another server than the one that is to run it.
_POOLED = (asyncpg.InvalidSQLStatementNameError, asyncpg.DuplicatePreparedStatementError)
DISK_FULL = "the database's disk is full"
SILENT = "the database does not answer"
POOLER = "a pooler stands before the database: add ?statement_cache_size=0 to DATABASE_URL"


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
            with suppress(asyncpg.InterfaceError):  # it was given back
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

    def __init__(self, pool: "asyncpg.Pool[Record]", patience: float | None = None) -> None:
        self._pool = pool
        self.patience = patience
        self.is_answering = True
        self.silence = SILENT  # why not
        self._answered_at = float("-inf")
        self._failed_probes = 0
        self._probe_limit = patience and patience * PROBE_PART
        self._uses: set[_Use] = set()
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
        async with self.connection() as conn, conn.transaction():
            yield conn
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
                    finally:
                        await self._pool.release(use.conn)
                self._answered_at = time.monotonic()
            except _REFUSES_WRITES as error:
                self._refusal, self._refused_at = _cause(error), time.monotonic()
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
    except asyncpg.LockNotAvailableError as error:
        _note_trouble("locked")
        raise Locked("another transaction holds a lock", retry_after=1) from error
    except _POOLED as error:
        raise Unavailable(POOLER) from error
    except _LOST as error:
        _note_trouble(_trouble(error))
        raise Unavailable(_cause(error)) from error


# Each of them is one line a minute, with a count.
refusals = LogSummary(log, "the database did not do its work")
# What is worth a line of its own; that it is away, the poll says.
_TROUBLES: tuple[tuple[type[BaseException], str], ...] = (
    (asyncpg.ReadOnlySQLTransactionError, "read_only"),
    (asyncpg.DiskFullError, "disk_full"),
    (asyncpg.OutOfMemoryError, "out_of_memory"),
    (asyncpg.TooManyConnectionsError, "too_many_connections"),
    (asyncpg.QueryCanceledError, "statement_too_slow"),
    (TimeoutError, "timeout"),
)


def _trouble(error: BaseException) -> str:
    return next((word for kind, word in _TROUBLES if isinstance(error, kind)), "away")


def _note_trouble(word: str) -> None:
    metrics.DATABASE_ERRORS.labels(word).inc()
    if word != "away":
        refusals.note(trouble=word)


def _cause(error: BaseException) -> str:
    """Return why the database cannot be used, and the cure, in words that quote no row and no password."""
    if open_files.is_out(error):
        return open_files.NONE_LEFT
    for kind, text, cause in _CAUSES:
        if isinstance(error, kind) and text in str(error):
            return cause
    return f"the database cannot be reached ({type(error).__name__})"


# By class, and by words of the message where the class says too little.
_CAUSES: tuple[tuple[type[BaseException], str, str], ...] = (
    (asyncpg.ReadOnlySQLTransactionError, "", "the database is read-only: a standby, or default_transaction_read_only"),
    (asyncpg.DiskFullError, "", DISK_FULL),
    (asyncpg.TooManyConnectionsError, "", "the database takes no more connections: raise max_connections"),
    (asyncpg.QueryCanceledError, "", "the database cancelled a statement: raise its statement_timeout to 15 s or more"),
    (asyncpg.InsufficientPrivilegeError, "", "the user in DATABASE_URL must own the database and what is in it"),
    (
        asyncpg.InvalidAuthorizationSpecificationError,
        "",
        "the database cannot be reached: user or password in DATABASE_URL is wrong",
    ),
    (asyncpg.InvalidCatalogNameError, "", "the database cannot be reached: the server has none of that name"),
    (TimeoutError, "", SILENT),
    (asyncpg.ProtocolViolationError, "startup parameter", POOLER),
    (
        asyncpg.ClientConfigurationError,
        "root certificate",
        "DATABASE_URL: to verify the server add sslrootcert=FILE, with the certificate that its own was signed with",
    ),
    (
        ssl.SSLCertVerificationError,
        "",
        "the database's certificate is not the one that DATABASE_URL wants: see sslrootcert",
    ),
    (ConnectionError, "rejected SSL", "the database offers no TLS: enable it, or insist by ?plain=1 in DATABASE_URL"),
)


async def connect(url: str) -> "asyncpg.Connection[Record]":
    """Open one connection with our codecs. Raises ``Unavailable``."""
    with lost_connections_are_unavailable():
        conn: asyncpg.Connection[Record] = await _connector(url)(command_timeout=None, **_driver_options(url))
        await _prepare(conn)
        return conn


@asynccontextmanager
async def opened(url: str, *, max_size: int = 10, patience: float | None = None) -> AsyncIterator[Database]:
    """Open a pool of at most ``max_size`` connections for the length of a process; ``patience``: see ``Database``."""
    pool = asyncpg.create_pool(
        connect=_connector(url),
        min_size=0,
        max_size=max_size,
        init=_prepare,
        # All work is inside transactions: a session needs no reset, and the query would only cost time.
        reset=_nothing,
        command_timeout=COMMAND_TIMEOUT,
        max_inactive_connection_lifetime=300,
        **_driver_options(url, lock_timeout=patience),
    )
    async with pool:
        database = Database(pool, patience)
        try:
            yield database
        finally:
            await database.close()


class _Servers:
    """Several servers, of which one is asked for (``target_session_attrs``), the one that was right last time first.

    The driver asks one after the other, and one that is frozen or cut off keeps it waiting for a minute. Here each has
    a head start before the next one is asked as well.
    """

    def __init__(self, servers: Sequence[tuple[str, int]]) -> None:
        self._servers = list(servers)

    async def connect(self, dsn: str, **options: Any) -> Any:
        """Return a connection to the first that is right. Raises what the last one that failed did."""
        waiting, attempts = list(self._servers), set[asyncio.Task[Any]]()
        failure: BaseException | None = None
        try:
            while waiting or attempts:
                if waiting:
                    attempts.add(asyncio.create_task(self._ask(waiting.pop(0), dsn, options)))
                timeout = HEAD_START if waiting else None
                done, attempts = await asyncio.wait(attempts, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
                conns = [attempt.result() for attempt in done if attempt.exception() is None]
                if conns:
                    for conn in conns[1:]:
                        conn.terminate()
                    return conns[0]
                failure = next((attempt.exception() for attempt in done), failure)
        finally:
            for attempt in attempts:
                attempt.cancel()
        raise failure or Unavailable("DATABASE_URL names no server")

    async def _ask(self, server: tuple[str, int], dsn: str, options: dict[str, Any]) -> Any:
        conn = await asyncpg.connect(dsn, host=server[0], port=server[1], **options)
        self._servers.remove(server)
        self._servers.insert(0, server)
        return conn


def _connector(url: str) -> Callable[..., Any]:
    """Return what opens a connection for the driver's options."""
    servers = parse_database(url).servers
    return _Servers(servers).connect if servers else asyncpg.connect


_SESSION = {"application_name": "petition", "timezone": "UTC"}


class _PooledConnection(asyncpg.Connection):
    """A connection to a pooler in transaction mode, which may use another server after each transaction.

    The driver prepares a statement and runs it in two steps, which must meet the same server: outside a transaction
    every statement gets one of its own.
    """

    async def execute(self, query: str, *args: Any, **options: Any) -> str:
        if not args:  # one step
            return await super().execute(query, **options)
        async with self._on_one_server():
            return await super().execute(query, *args, **options)

    async def executemany(self, command: str, args: Any, **options: Any) -> None:
        async with self._on_one_server():
            await super().executemany(command, args, **options)

    async def fetch(self, query: str, *args: Any, **options: Any) -> Any:
        async with self._on_one_server():
            return await super().fetch(query, *args, **options)

    async def fetchrow(self, query: str, *args: Any, **options: Any) -> Any:
        async with self._on_one_server():
            return await super().fetchrow(query, *args, **options)

    async def fetchval(self, query: str, *args: Any, **options: Any) -> Any:
        async with self._on_one_server():
            return await super().fetchval(query, *args, **options)

    def _on_one_server(self) -> AbstractAsyncContextManager[Any]:
        return nullcontext() if self.is_in_transaction() else self.transaction()


def _driver_options(url: str, lock_timeout: float | None = None) -> dict[str, Any]:
    """Return the keyword arguments of the driver for ``DATABASE_URL``; seconds. Raises ``SettingsError``.

    The server itself ends a wait for a lock, a little before we would: that costs no connection.
    """
    address = parse_database(url)
    options: dict[str, Any] = {"dsn": address.url}
    if address.statement_cache_size is not None:
        options["statement_cache_size"] = address.statement_cache_size
    if address.is_pooled:  # poolers refuse start-up parameters that they do not know
        return options | {"server_settings": _SESSION, "connection_class": _PooledConnection}
    limits = {} if lock_timeout is None else {"lock_timeout": f"{int(lock_timeout * LOCK_PART * 1000)}ms"}
    return options | {"server_settings": {**_SESSION, "jit": "off", **limits}}


async def _nothing(_conn: Any) -> None:
    return None


async def _prepare(conn: Any) -> None:
    async with conn.transaction() if isinstance(conn, _PooledConnection) else nullcontext():
        await conn.set_type_codec("jsonb", schema="pg_catalog", encoder=json.dumps, decoder=json.loads)


def migrations(folder: Path | None = None) -> list[tuple[int, str, str]]:
    """Return every migration as (number, file name, SQL), in order. Raises ``PetitionError`` if a number is missing."""
    files = sorted((folder or resources.folder("migrations")).glob("*.sql"))
    numbered = [(int(path.name[:4]), path.name, path.read_text(encoding="utf-8")) for path in files]
    if [number for number, _, _ in numbered] != list(range(1, len(numbered) + 1)):
        raise PetitionError("migrations must be numbered 0001, 0002, … without a gap")
    return numbered


async def migrate(url: str, folder: Path | None = None, *, until: int | None = None) -> list[str]:
    """Bring the schema up, to number ``until`` if one is named; return the names of the migrations that were applied.

    Safe to run twice and from two machines at once: each migration runs in a transaction of its own that first takes
    an advisory lock. Raises ``PetitionError`` when an applied migration has been edited since.
    """
    conn = await connect(url)
    try:
        with lost_connections_are_unavailable():
            return await _migrate(conn, migrations(folder)[:until])
    finally:
        await conn.close()


async def _migrate(conn: "asyncpg.Connection[Record]", steps: list[tuple[int, str, str]]) -> list[str]:
    if conn.get_server_version().major * 10_000 < OLDEST_POSTGRESQL:
        raise PetitionError("PostgreSQL 14 or newer is needed")
    return [name for number, name, sql in steps if await _apply(conn, number, name, sql)]


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


async def is_read_only(conn: Connection) -> bool:
    """Return whether the server takes no writes: a standby, or one that was made read-only."""
    read_only: bool = await conn.fetchval("SELECT current_setting('transaction_read_only')::boolean")
    return read_only
