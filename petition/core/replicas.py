"""One replica: a pool to a standby of the primary, what was last seen of it, and what is wrong with it.

How old its data is, is measured against the primary's log and this process's clock (``LogSamples``): the server's own
times say nothing while no one writes, and need the clocks of two machines to agree.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import TypeVar

from petition.core import metrics, patience
from petition.core.database import Connection, Database, Record, ServerError, applied_number
from petition.core.errors import Unavailable

log = logging.getLogger(__name__)

T = TypeVar("T")
Load = Callable[[Connection], Awaitable[T]]

PATIENCE = 2.0  # seconds for a server to say where it is
SAMPLES = 240  # two minutes of two a second
PAGE, HEADER, LONG_HEADER = 8192, 24, 40  # bytes of the log; the long header is a segment's first

# The position of a log is a number of bytes since its beginning. Everything that was committed before the statement is
# below the primary's.
PRIMARY = """
SELECT pg_is_in_recovery() AS is_standby,
       ((CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END)
        - '0/0')::bigint AS position,
       CASE WHEN pg_is_in_recovery() THEN 0
            ELSE ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::integer END AS timeline,
       pg_size_bytes(current_setting('wal_segment_size')) AS segment_size,
       (SELECT system_identifier FROM pg_control_system()) AS system,
       (SELECT oid::bigint FROM pg_database WHERE datname = current_database()) AS database
"""

# The receiver's timeline is for members of pg_read_all_stats only; the control file's follow a failover with the
# next restart point, minutes later.
STANDBY = """
SELECT pg_is_in_recovery() AS is_standby, coalesce(pg_last_wal_replay_lsn() - '0/0', 0)::bigint AS position,
       coalesce((SELECT received_tli FROM pg_stat_wal_receiver),
                (SELECT greatest(c.timeline_id, r.min_recovery_end_timeline)
                 FROM pg_control_checkpoint() c, pg_control_recovery() r)) AS timeline,
       (SELECT system_identifier FROM pg_control_system()) AS system,
       (SELECT oid::bigint FROM pg_database WHERE datname = current_database()) AS database
"""

# Before each reading, on its connection: behind a proxy or a name with several addresses it may be any server's.
POSITION = """
SELECT pg_is_in_recovery() AS is_standby, coalesce(pg_last_wal_replay_lsn() - '0/0', 0)::bigint AS position
"""

STARTING = "it has not been looked at yet"
NO_STANDBY = "it is no standby: it was promoted, or it is the primary itself"
OTHER_SYSTEM = "it is a standby of another system than that of DATABASE_URL"
OTHER_DATABASE = "it leads to another database than DATABASE_URL"
OTHER_TIMELINE = "it follows an older timeline: another primary than that of DATABASE_URL"
OTHER_SCHEMA = "its schema is at {}, this version needs {}"
TOO_OLD = "what it has is {} s old, READ_MAX_AGE allows {} s"
AGELESS = "more than 60"


class Unfit(Unavailable):
    """A replica is not to be read from now: it is too old for this reading, or not a replica of ours."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What the primary said of itself: replicas must be of the same system, database and timeline."""

    system: int
    database: int
    timeline: int  # 0: unknown, as of a server that is itself a standby


class LogSamples:
    """Where the primary's log ended at certain moments of this process's clock."""

    def __init__(self) -> None:
        self._samples: deque[tuple[int, float]] = deque(maxlen=SAMPLES)

    def add(self, position: int, moment: float) -> None:
        """Note that at ``moment`` (monotonic) all that is committed lay below ``position``."""
        self._samples.append((position, moment))

    def clear(self) -> None:
        """Forget all: the log is another one's."""
        self._samples.clear()

    def age_of(self, position: int, now: float) -> float | None:
        """Return how old at most (seconds) the data of a server is that has replayed up to ``position``.

        None if it is older than all that is known.
        """
        for sampled, moment in reversed(self._samples):
            if sampled <= position:
                return max(now - moment, 0.0)
        return None


@asynccontextmanager
async def lent_until(limit: asyncio.Timeout, database: Database) -> AsyncIterator[Connection]:
    """Lend a connection that is closed at once when ``limit`` ends: a frozen server would not confirm that it cancels.

    Raises ``Unavailable``.
    """
    try:
        with patience.suspended():  # a replica that hangs must not use up what the primary may take
            async with limit, database.connection() as conn:
                try:
                    yield conn
                except asyncio.CancelledError:
                    conn.terminate()
                    raise
    except TimeoutError as error:
        raise Unavailable("the server does not answer") from error


class Replica:
    """One server of ``DATABASE_READ_URL``. ``trouble`` says why it is not read from; None: it is fit."""

    def __init__(self, name: str, database: Database) -> None:
        self.name = name  # host:port
        self.age: float | None = None  # seconds, at the last look
        self.trouble: str | None = STARTING
        self._database = database
        self._limits: set[asyncio.Timeout] = set()  # of the readings under way

    async def look(self, identity: Identity | None, schema: int, age_of: Callable[[int], float | None]) -> None:
        """Ask the server who and where it is. Readings that wait for a server that is gone or frozen end."""
        if identity is None:  # there is nothing to compare it with
            return
        try:
            async with lent_until(asyncio.timeout(PATIENCE), self._database) as conn:
                row, trouble = await examine(conn, identity, schema)
        except Unavailable as error:
            self._end(str(error).replace("DATABASE_URL", "DATABASE_READ_URL"))
        except ServerError:  # replay has cancelled the statement: it is as it was
            return
        else:
            self.age = age_of(row["position"]) if row["is_standby"] else None
            self._set_trouble(trouble)
        self._say()

    def note_failure(self, trouble: str) -> None:
        """Not read from it until the next look."""
        self._set_trouble(trouble)

    async def read(self, load: Load[T], check: Callable[[Record], float]) -> tuple[T, float]:
        """Return what ``load`` reads, and its age in seconds, as ``check`` says from a row of ``POSITION``.

        Raises ``Unavailable``; ``Unfit`` if ``check`` does.
        """
        limit = asyncio.timeout(None)
        self._limits.add(limit)
        try:
            async with lent_until(limit, self._database) as conn:
                # A pooler may use another server after each transaction.
                is_pooled = self._database.is_pooled
                async with conn.transaction(isolation="repeatable_read", readonly=True) if is_pooled else nullcontext():
                    [row] = await conn.fetch(POSITION)
                    age = check(row)
                    return await load(conn), age
        finally:
            self._limits.discard(limit)

    def _end(self, trouble: str) -> None:
        self.age = None
        self._set_trouble(trouble)
        now = asyncio.get_running_loop().time()
        for limit in self._limits:
            if limit.when() is None:
                limit.reschedule(now)

    def _set_trouble(self, trouble: str | None) -> None:
        before, self.trouble = self.trouble, trouble
        if trouble is not None and trouble != before:
            log.warning("a replica is not read from", extra={"host": self.name, "trouble": trouble})
        elif trouble is None and before is not None:
            log.info("a replica is read from", extra={"host": self.name})

    def _say(self) -> None:
        metrics.REPLICA_UP.set(self.trouble is None, self.name)
        metrics.REPLICA_AGE.set(float("nan") if self.age is None else self.age, self.name)


async def examine(conn: Connection, identity: Identity, schema: int) -> tuple[Record, str | None]:
    """Return a server's row of ``STANDBY``, and what keeps it from being a replica of the primary's.

    ``schema`` is the number of the newest migration that this code needs.
    """
    [row] = await conn.fetch(STANDBY)
    trouble = trouble_in(row, identity)
    if trouble is None and (number := await applied_number(conn)) < schema:
        trouble = OTHER_SCHEMA.format(number, schema)
    return row, trouble


def trouble_in(row: Record, identity: Identity) -> str | None:
    """Return what keeps a server with this row of ``STANDBY`` from being a replica of the primary's, or None."""
    if not row["is_standby"]:
        return NO_STANDBY
    if row["system"] != identity.system:
        return OTHER_SYSTEM
    if row["database"] != identity.database:
        return OTHER_DATABASE
    return OTHER_TIMELINE if row["timeline"] < identity.timeline else None


def position_in(row: Record) -> int:
    """Return the end of the last record, from a row of ``PRIMARY``.

    Where that is the end of a page, the server counts the next page's header too, which no replica has replayed yet.
    """
    position: int = row["position"]
    header = LONG_HEADER if position % row["segment_size"] == LONG_HEADER else HEADER
    return position - header if position % PAGE == header else position


def identity_in(row: Record) -> Identity:
    """Return the identity in a row of ``PRIMARY``."""
    return Identity(row["system"], row["database"], row["timeline"])


def now() -> float:
    """Return the time by which ages are measured."""
    return time.monotonic()
