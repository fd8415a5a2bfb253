"""Limits: who comes how often is kept only as a digest under a key of the day, and forgotten with it.

A day's key is random, shared by all processes through the database and deleted when the next day is over; from then on
nobody can tell which network or mailbox a row stood for.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from petition.core import encryption
from petition.core.database import Connection, Database
from petition.core.encryption import Wrapper

HOUR = timedelta(hours=1)
HARDER_FACTOR = 10  # times a limit: below comes a dearer challenge, above a refusal

SPEND = """
INSERT INTO limit_use AS l (key, used, expires_at)
SELECT * FROM unnest($1::bytea[], $2::integer[], $3::timestamptz[]) AS u (key, used, expires_at) ORDER BY key
ON CONFLICT (key) DO UPDATE SET used = l.used + excluded.used
RETURNING key, used
"""

SPENT = "SELECT used FROM limit_use WHERE key = $1"

ADD_DAY_KEY = "INSERT INTO day_key (day, wrapped) VALUES ($1, $2) ON CONFLICT DO NOTHING"

DAY_KEY = "SELECT wrapped FROM day_key WHERE day = $1"


class Quota(NamedTuple):
    """One limit that something counts against, for as long as its window lasts."""

    key: bytes
    expires_at: datetime


class DayKey:
    """One day's key."""

    def __init__(self, day: date, key: bytes) -> None:
        self.day = day
        self._key = key
        self._ends = datetime.combine(day, datetime.min.time(), UTC) + timedelta(days=1)
        self._hour, self._hour_ends = "", self._ends - timedelta(days=1)  # over already, so made at first use

    def hourly(self, what: str, who: str) -> Quota:
        """Return the use of ``what`` by ``who`` in this hour."""
        now = datetime.now(UTC)
        if not self._hour_ends - HOUR <= now < self._hour_ends:
            start = now.replace(minute=0, second=0, microsecond=0)
            self._hour, self._hour_ends = f"{start:%H}", start + HOUR
        return Quota(self.digest(f"{what}|{self._hour}|{who}"), self._hour_ends)

    def daily(self, what: str, who: str) -> Quota:
        """Return the use of ``what`` by ``who`` today."""
        return Quota(self.digest(f"{what}|{who}"), self._ends)

    def digest(self, text: str) -> bytes:
        """Return the digest of ``text`` under this day's key."""
        return encryption.digest(self._key, text)


class DayKeys:
    """Gives each day its key."""

    def __init__(self, database: Database, wrapper: Wrapper) -> None:
        self._database = database
        self._wrapper = wrapper
        self._today: DayKey | None = None

    async def today(self) -> DayKey:
        """Return today (UTC). Raises ``Unavailable`` once a day at most: when the key must be fetched and cannot be."""
        day = datetime.now(UTC).date()
        if self._today is None or self._today.day != day:
            self._today = DayKey(day, await self._key(day))
        return self._today

    async def _key(self, day: date) -> bytes:
        async with self._database.connection() as conn:
            await conn.execute(ADD_DAY_KEY, day, self._wrapper.wrap(encryption.new_key()))
            wrapped: bytes = await conn.fetchval(DAY_KEY, day)
        return self._wrapper.unwrap(wrapped)


async def spend(conn: Connection, uses: Mapping[Quota, int]) -> dict[bytes, int]:
    """Count ``uses`` (each so many times); return by key how often each has been used now, these included.

    Rows are taken in the order of their keys, so that two processes cannot wait for each other.
    """
    each = sorted(uses.items(), key=lambda pair: pair[0].key)
    rows = await conn.fetch(SPEND, [u.key for u, _ in each], [n for _, n in each], [u.expires_at for u, _ in each])
    return {row["key"]: row["used"] for row in rows}


async def spent(conn: Connection, one: Quota) -> int:
    """Return how often it has been used in its window, without counting."""
    return int(await conn.fetchval(SPENT, one.key) or 0)


def count_by_quota(uses: Iterable[Quota]) -> dict[Quota, int]:
    """Return how many times each use stands in ``uses``."""
    counted: dict[Quota, int] = {}
    for each in uses:
        counted[each] = counted.get(each, 0) + 1
    return counted


class BatchPositions:
    """Gives each of a batch its own place in line, as if they had been counted one after another."""

    def __init__(self, after: Mapping[bytes, int], counted: Mapping[Quota, int]) -> None:
        self._next = {use.key: after[use.key] - n + 1 for use, n in counted.items()}

    def next_position(self, one: Quota) -> int:
        """Return the place (from 1) of the next one that counts against it."""
        place = self._next[one.key]
        self._next[one.key] = place + 1
        return place
