"""Quotas: counts of what a network or a mailbox does, stored only under digests with a key of the day.

A day's key is random, shared by all processes through the database, and deleted when the next day is over. From then
on no row can be traced to a network or a mailbox.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from nacl.exceptions import CryptoError
from nacl.secret import SecretBox

from petition.core import encryption
from petition.core.database import Connection, Database
from petition.core.encryption import Wrapper

HOUR = timedelta(hours=1)
HARDER_FACTOR = 10  # times a limit: a harder challenge up to it, a refusal above

SPEND = """
INSERT INTO limit_use AS l (key, used, expires_at)
SELECT * FROM unnest($1::bytea[], $2::integer[], $3::timestamptz[]) AS u (key, used, expires_at) ORDER BY key
ON CONFLICT (key) DO UPDATE SET used = l.used + excluded.used
RETURNING key, used
"""

SPENT = "SELECT used FROM limit_use WHERE key = $1"

ADD_DAY_KEY = "INSERT INTO day_key (day, wrapped) VALUES ($1, $2) ON CONFLICT DO NOTHING"

STORED_DAY_KEYS = "SELECT day, wrapped FROM day_key ORDER BY day"

DAY_KEY = "SELECT wrapped FROM day_key WHERE day = $1"


class Quota(NamedTuple):
    """What a request counts against, for as long as its window lasts."""

    key: bytes
    expires_at: datetime


class DayKey:
    """One day's key."""

    def __init__(self, day: date, key: bytes) -> None:
        self.day = day
        self._key = key
        self._box = SecretBox(encryption.derive(key.hex(), "box"))
        self._ends = datetime.combine(day, datetime.min.time(), UTC) + timedelta(days=1)
        self._hour, self._hour_ends = "", self._ends - timedelta(days=1)  # over already, so computed at first use

    def hourly(self, purpose: str, subject: str) -> Quota:
        """Return the quota of ``subject`` (a network, a mailbox) for ``purpose`` in this hour."""
        now = datetime.now(UTC)
        if not self._hour_ends - HOUR <= now < self._hour_ends:
            start = now.replace(minute=0, second=0, microsecond=0)
            self._hour, self._hour_ends = f"{start:%H}", start + HOUR
        return Quota(self.digest(f"{purpose}|{self._hour}|{subject}"), self._hour_ends)

    def daily(self, purpose: str, subject: str) -> Quota:
        return Quota(self.digest(f"{purpose}|{subject}"), self._ends)

    def mail_domain(self, letter_id: int, domain: str) -> bytes:
        """Return the digest under which a letter's signatures of one domain are counted this day."""
        return self.digest(f"mail domain|{letter_id}|{domain}")

    def mail_host(self, letter_id: int, host: str) -> bytes:
        return self.digest(f"mail host|{letter_id}|{host}")

    def digest(self, text: str) -> bytes:
        return encryption.digest(self._key, text)

    def encrypt(self, content: bytes) -> bytes:
        """Return ``content`` encrypted: 40 bytes more. Unreadable for everyone once the day's key is deleted."""
        return bytes(self._box.encrypt(content))

    def decrypt(self, content: bytes) -> bytes | None:
        """Return what ``encrypt`` was given, or None if it was not this key's."""
        try:
            return self._box.decrypt(content)
        except (CryptoError, ValueError):
            return None


class DayKeys:
    """Gives each day its key."""

    def __init__(self, database: Database, wrapper: Wrapper) -> None:
        self._database = database
        self._wrapper = wrapper
        self._today: DayKey | None = None
        self._yesterday: DayKey | None = None

    async def today(self) -> DayKey:
        """Return today (UTC). Raises ``Unavailable`` once a day at most: when the key must be fetched and cannot be."""
        day = datetime.now(UTC).date()
        if self._today is None or self._today.day != day:
            self._yesterday, self._today = self._today, DayKey(day, await self._key(day))
        return self._today

    async def recent(self) -> list[DayKey]:
        """Return today's key, then the one that this process used before, if any. Raises ``Unavailable``."""
        today = await self.today()
        return [today] if self._yesterday is None else [today, self._yesterday]

    async def stored(self) -> list[DayKey]:
        """Return every day's key that is not deleted yet: today's and yesterday's. Raises ``Unavailable``."""
        async with self._database.connection() as conn:
            rows = await conn.fetch(STORED_DAY_KEYS)
        return [DayKey(row["day"], self._wrapper.unwrap(row["wrapped"])) for row in rows]

    async def _key(self, day: date) -> bytes:
        async with self._database.connection() as conn:
            await conn.execute(ADD_DAY_KEY, day, self._wrapper.wrap(encryption.new_key()))
            wrapped: bytes = await conn.fetchval(DAY_KEY, day)
        return self._wrapper.unwrap(wrapped)


async def spend(conn: Connection, amounts: Mapping[Quota, int]) -> dict[bytes, int]:
    """Add ``amounts``; return by key how much of each quota is spent now, these included.

    Rows are locked in the order of their keys, so that two processes cannot deadlock.
    """
    # lock order: see docs/decisions/lock-order.md
    quotas = sorted(amounts, key=lambda quota: quota.key)
    keys, ends = [quota.key for quota in quotas], [quota.expires_at for quota in quotas]
    rows = await conn.fetch(SPEND, keys, [amounts[quota] for quota in quotas], ends)
    return {row["key"]: row["used"] for row in rows}


async def spent(conn: Connection, quota: Quota) -> int:
    """Return how much of it is spent in its window, without counting."""
    return int(await conn.fetchval(SPENT, quota.key) or 0)


def count_by_quota(quotas: Iterable[Quota]) -> dict[Quota, int]:
    """Return how many times each occurs in ``quotas``."""
    amounts: dict[Quota, int] = {}
    for quota in quotas:
        amounts[quota] = amounts.get(quota, 0) + 1
    return amounts


class BatchPositions:
    """Gives each request of a batch its own position, as if they had been counted one after another."""

    def __init__(self, spent_by_key: Mapping[bytes, int], amounts: Mapping[Quota, int]) -> None:
        self._next = {quota.key: spent_by_key[quota.key] - amount + 1 for quota, amount in amounts.items()}

    def next_position(self, quota: Quota) -> int:
        """Return the position (from 1) of the next request that counts against ``quota``."""
        position = self._next[quota.key]
        self._next[quota.key] = position + 1
        return position
