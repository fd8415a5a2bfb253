"""Where reading statements go: to a replica that is new enough, else to the primary.

The one place that decides it (docs/decisions/replicas.md). Without replicas every reading is the primary's, by one
statement less. What writes, or must be of this moment (rights, sessions, limits), takes ``Database`` itself.
"""

import asyncio
import contextlib
import itertools
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol, TypeVar

from petition.core import metrics, replicas
from petition.core.database import Database, Record, ServerError, opened, schema_number
from petition.core.errors import NotFound, Unavailable
from petition.core.replicas import Identity, Load, LogSamples, Replica, Unfit
from petition.core.service_urls import each_server

log = logging.getLogger(__name__)

T = TypeVar("T")

INTERVAL = 0.5  # seconds between two looks at primary and replicas
NEWEST = 2**63 - 1  # a position that no replica has reached
POOL_SIZE = 10  # connections to one replica
MAX_SILENCE = 1.0  # seconds without a sample after which the primary counts as away
MAX_ACTS = 10_000  # the newest acts that are remembered
REMEMBERED = 60.0  # seconds; what a replica has is never older where it is read from


class DataReader(Protocol):
    """Reads by one call of ``load``, or two."""

    async def __call__(self, load: Load[T], /) -> T: ...


@dataclass(slots=True)
class Freshness:
    """What one request asks of what it reads, and then how old that is."""

    position: int = 0  # of the primary's log, up to which a replica must have replayed
    is_newest: bool = False  # read from the primary
    age: float | None = None  # seconds at most, of the oldest reading from a replica; None: all from the primary

    def note(self, age: float) -> None:
        """Note that something ``age`` seconds old was read."""
        self.age = age if self.age is None else max(self.age, age)


class Marks:
    """The positions from which on a replica has what this process knows of, by letter.

    Between the moment a change is known and the next sample of the primary's log, no replica is new enough.
    """

    def __init__(self) -> None:
        self._floor = NEWEST  # of all that is known since the first sample
        self._positions: dict[str, int] = {}
        self._waiting: set[str] = set()
        self._sampled: set[str] = set()  # waiting when the sample was begun that is under way

    def add(self, key: str) -> None:
        """Note that ``key`` has changed before now."""
        self._waiting.add(key)

    def of(self, key: str) -> int:
        """Return the position that contains all changes of ``key`` that are known."""
        if key in self._waiting or key in self._sampled:
            return NEWEST
        return self._positions.get(key, self._floor)

    def clear(self) -> None:
        """Forget all positions: they are another log's. What changed is in the next sample."""
        self._floor, self._positions = NEWEST, {}

    def begin(self) -> None:
        """Begin a sample: what changes from now on is not in it."""
        self._sampled |= self._waiting
        self._waiting = set()

    def end(self, position: int) -> None:
        """Note the position of the sample that was begun."""
        self._floor = min(self._floor, position)
        self._positions.update(dict.fromkeys(self._sampled, position))
        self._sampled = set()


class RecentActs:
    """The positions of acts of the last minute, by network, in memory alone.

    So signatories see their own act at once, on public pages that set no cookie.
    """

    def __init__(self) -> None:
        self._acts: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def add(self, network: str, position: int) -> None:
        """Note an act that is in the log before ``position``."""
        self._acts.pop(network, None)
        self._acts[network] = position, replicas.now() + REMEMBERED
        while len(self._acts) > MAX_ACTS:
            self._acts.popitem(last=False)

    def clear(self) -> None:
        """Forget all."""
        self._acts.clear()

    def of(self, network: str) -> int:
        """Return the position of the network's newest act; 0 if there is none."""
        position, until = self._acts.get(network, (0, 0.0))
        if position and until < replicas.now():
            del self._acts[network]
            return 0
        return position


class Reading:
    """Reads from replicas that are fit, in turn, and from the primary where none is."""

    def __init__(
        self,
        primary: Database,
        servers: Sequence[Replica] = (),
        watched: Database | None = None,
        max_age: float = 5.0,
    ) -> None:
        """``watched`` is the primary by connections of its own, so that a crowd there does not look like an outage."""
        self.replicas = servers
        self.changes, self.hidden_names = Marks(), Marks()
        self.acts = RecentActs()
        self._primary = primary
        self._watched = watched or primary
        self._max_age = max_age
        self._samples = LogSamples()
        self._identity: Identity | None = None
        self._sampled_at = float("-inf")
        self._schema = schema_number() if servers else 0
        self._turns = itertools.count()
        self._next: asyncio.Task[int] | None = None

    async def read(self, load: Load[T], freshness: Freshness) -> T:
        """Return what ``load`` reads: from a replica, or if none is fit or one fails meanwhile, from the primary.

        ``load`` is called again then, so it only reads. Raises what it raises, and ``Unavailable``.
        """
        if self.replicas and not freshness.is_newest and freshness.position < NEWEST:
            for replica in self._in_turn():
                try:
                    result, age = await replica.read(load, lambda row: self._check(row, freshness))
                except (Unavailable, NotFound, ServerError) as error:
                    self._note_failure(replica, error)
                else:
                    freshness.note(age)
                    metrics.READS.labels("replica").inc()
                    return result
        if self.replicas:
            metrics.READS.labels("primary").inc()
        async with self._primary.connection() as conn:
            return await load(conn)

    def _in_turn(self) -> Iterator[Replica]:
        """Yield the replicas that seemed fit at the last look, another one first each time."""
        start = next(self._turns)
        for number in range(len(self.replicas)):
            replica = self.replicas[(start + number) % len(self.replicas)]
            if replica.trouble is None and not self._is_too_old(replica.age):
                yield replica

    def _check(self, row: Record, freshness: Freshness) -> float:
        """Return the age of what a server has. Raises ``Unfit``."""
        if not row["is_standby"]:
            raise Unfit(replicas.NO_STANDBY)
        if row["position"] < freshness.position:
            raise Unfit("it has not replayed what this reading must contain")
        age = self._age_of(row["position"])
        if age is None or self._is_too_old(age):
            raise Unfit("it is too old")
        return age

    def _is_too_old(self, age: float | None) -> bool:
        """Return whether what a replica has is older than readers may see.

        While the primary says nothing, nothing newer can be had: what was new enough when it last did stays so.
        """
        silence = replicas.now() - self._sampled_at
        allowed = self._max_age + (silence if silence > MAX_SILENCE else 0.0)
        return age is None or age > allowed

    def _age_of(self, position: int) -> float | None:
        return self._samples.age_of(position, replicas.now())

    @staticmethod
    def _note_failure(replica: Replica, error: Exception) -> None:
        """Have a replica that cannot be reached be looked at first; a statement that it cancelled is no such reason."""
        if isinstance(error, Unfit):
            metrics.READS_REFUSED.labels("behind").inc()
        elif isinstance(error, Unavailable):
            metrics.READS_REFUSED.labels("away").inc()
            replica.note_failure(str(error).replace("DATABASE_URL", "DATABASE_READ_URL"))
        else:
            metrics.READS_REFUSED.labels("conflict").inc()

    async def position(self) -> int:
        """Return a position of the primary's log that contains all that was committed before this call.

        Callers at the same time share a statement. ``NEWEST`` if the primary does not answer.
        """
        if self._next is None:
            self._next = asyncio.create_task(self._take_position())
        return await asyncio.shield(self._next)

    async def _take_position(self) -> int:
        await asyncio.sleep(0)  # callers of this moment join
        self._next = None  # later ones need a statement that begins after their commit
        with contextlib.suppress(Unavailable, ServerError):
            async with replicas.lent_until(asyncio.timeout(replicas.PATIENCE), self._watched) as conn:
                row = await conn.fetchrow(replicas.PRIMARY)
            return replicas.position_in(row) if row else NEWEST
        return NEWEST

    async def watch(self) -> None:
        """Look at primary and replicas twice a second, until cancelled."""
        while self.replicas:
            try:
                await self.look()
            except Exception:  # without looks the replicas would be thought to be as they were
                log.exception("a look at the replicas failed")
            await asyncio.sleep(INTERVAL)

    async def look(self) -> None:
        """Look at the primary and all replicas once."""
        if self._identity is None:
            await self._sample()
        looks = (replica.look(self._identity, self._schema, self._age_of) for replica in self.replicas)
        await asyncio.gather(self._sample(), *looks)

    async def _sample(self) -> None:
        """Note where the primary's log ends."""
        marks = self.changes, self.hidden_names
        for mark in marks:
            mark.begin()
        moment = replicas.now()
        try:
            async with replicas.lent_until(asyncio.timeout(replicas.PATIENCE), self._watched) as conn:
                row = await conn.fetchrow(replicas.PRIMARY)
        except (Unavailable, ServerError):
            return
        if row is None:
            return
        identity = replicas.identity_in(row)
        if identity != self._identity:  # after a failover, positions belong to another log
            for known in (self._samples, self.acts, *marks):
                known.clear()
        self._identity, self._sampled_at = identity, moment
        position = replicas.position_in(row)
        self._samples.add(position, moment)
        for mark in marks:
            mark.end(position)

    def troubles(self) -> list[str]:
        """Return a line for each replica that is not read from now, for ``/readyz``."""
        return [f"{replica.name}: {reason}" for replica in self.replicas if (reason := self._trouble(replica))]

    def _trouble(self, replica: Replica) -> str | None:
        if replica.trouble is not None or not self._is_too_old(replica.age):
            return replica.trouble
        age = replicas.AGELESS if replica.age is None else str(round(replica.age))
        return replicas.TOO_OLD.format(age, self._max_age)


@asynccontextmanager
async def opened_reading(primary: Database, url: str, read_url: str | None, max_age: float) -> AsyncIterator[Reading]:
    """Open a pool to each server of ``read_url`` for the length of a process; without one, read from the primary."""
    if read_url is None:
        yield Reading(primary)
        return
    async with AsyncExitStack() as stack:
        servers = [
            Replica(name, await stack.enter_async_context(opened(address, max_size=POOL_SIZE, writes=False)))
            for name, address in each_server(read_url, "DATABASE_READ_URL")
        ]
        watched = await stack.enter_async_context(opened(url, max_size=2))
        yield Reading(primary, servers, watched, max_age)
