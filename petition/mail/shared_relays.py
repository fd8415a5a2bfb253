"""What all workers know of the relays: written when something changes, read once a second, never per mail."""

import asyncio
import secrets
import time
from collections.abc import Sequence

from petition.core.database import Database, Record
from petition.mail import relay_queries as queries
from petition.mail.breaker import TRY, BreakerState
from petition.mail.relay_errors import RelayDown
from petition.mail.relay_line import RelayLine, RelayNews
from petition.mail.relay_quota import WorkerShare

POLL = 1.0  # seconds between two readings
BEAT = 5.0  # seconds between two signs of life; after twenty without one a worker's share goes to the others


class DatabaseStore:
    """The breakers' shared state in the table ``relay``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def failed(self, name: str, error: RelayDown, max_rest: float) -> BreakerState | None:
        async with self._database.connection() as conn:
            row = await queries.failed(conn, name, error.trouble.name.lower(), error.code, max_rest)
        return None if row is None else _state(row)

    async def worked(self, name: str) -> None:
        async with self._database.connection() as conn:
            await queries.worked(conn, name)

    async def claim_try(self, name: str) -> bool:
        async with self._database.connection() as conn:
            return await queries.claim_try(conn, name, TRY)

    async def give_up_try(self, name: str) -> None:
        async with self._database.connection() as conn:
            await queries.give_up_try(conn, name)


class SharedRelays:
    """Keeps the relays of one worker and the database in step."""

    def __init__(self, database: Database, lines: Sequence[RelayLine]) -> None:
        self._database = database
        self._lines = {line.name: line for line in lines}
        self._worker = secrets.randbits(63)
        self._beat_at = float("-inf")
        self._share = WorkerShare()

    async def step(self) -> bool:
        """Report and read once; return False: there is nothing to do at once. Raises ``Unavailable``."""
        await self._report()
        read_at = asyncio.get_running_loop().time()
        async with self._database.connection() as conn:
            if time.monotonic() - self._beat_at >= BEAT:
                await queries.register(conn, list(self._lines))
                self._share = WorkerShare(*await queries.beat(conn, self._worker))
                self._beat_at = time.monotonic()
            rows = await queries.states(conn, list(self._lines))
        for row in rows:
            line = self._lines[row["name"]]
            line.breaker.update(_state(row), read_at)
            line.quota.change(self._share, row["age"])
            line.pool.set_limit(line.quota.connections)
        return False

    async def leave(self) -> None:
        """Report for the last time, and leave this worker's share to the others. Raises ``Unavailable``."""
        await self._report()
        async with self._database.connection() as conn:
            await queries.leave(conn, self._worker)

    async def _report(self) -> None:
        """Store what happened; what cannot be stored is reported the next time."""
        taken = {name: line.take_news() for name, line in sorted(self._lines.items())}
        news = [_row(name, new) for name, (_, new) in taken.items() if not new.is_empty()]
        counts = [(name, *key, mails) for name, (counted, _) in taken.items() for key, mails in counted.items()]
        if not news and not counts:
            return
        try:
            async with self._database.transaction() as conn:
                if news:
                    await queries.report(conn, news)
                if counts:
                    await queries.count(conn, counts)
        except BaseException:
            for name, (counted, new) in taken.items():
                self._lines[name].put_back(counted, new)
            raise


def _state(row: Record) -> BreakerState:
    rests = row["rests"]
    return BreakerState(row["failures"], rests.total_seconds() if rests else 0.0, row["refused_in_a_row"])


def _row(name: str, news: RelayNews) -> tuple[object, ...]:
    tls, rejection = news.tls, news.rejection
    return (
        name,
        news.accepted,
        news.refused,
        tls.version if tls else None,
        tls.is_verified if tls else None,
        tls.until if tls else None,
        f"rejected_{rejection.reason}" if rejection else None,
        rejection.step if rejection else None,
        rejection.code if rejection else None,
        rejection.status if rejection else None,
    )
