"""Quotas: counts of what a network or a mailbox does, stored only under digests with a key of the day.

A day's key is random, shared by all processes through the database, and deleted when the next day is over. From then
on no row can be traced to a network or a mailbox.

Limits of buckets that several people share are drawn from the same key, a fresh one for each bucket and hour
(``HourKey.hidden``): a limit that could be read would be a meter of what the others do (docs/decisions/no-meter.md).
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from nacl.exceptions import CryptoError
from nacl.secret import SecretBox

from petition.core import array_texts, encryption
from petition.core.database import Connection, Database
from petition.core.encryption import Wrapper

HOUR = timedelta(hours=1)
_64_BITS = (1 << 64) - 1
HARDER_FACTOR = 10  # times a limit: a harder challenge up to it, a refusal above

# What the hour before has used is read in the same statement: the price follows from it.
SPEND = """
WITH spent AS (
  INSERT INTO limit_use AS l (key, used, expires_at)
  SELECT * FROM unnest($1::text::bytea[], $2::text::integer[], $3::text::timestamptz[]) AS u (key, used, expires_at)
  ORDER BY key
  ON CONFLICT (key) DO UPDATE SET used = l.used + excluded.used
  RETURNING key, used
)
SELECT key, used FROM spent UNION ALL SELECT key, used FROM limit_use WHERE key = ANY($4::text::bytea[])
"""

SPENT = "SELECT key, used FROM limit_use WHERE key = ANY($1::bytea[])"

# In the order of the keys: another transaction may have spent them.
GIVE_BACK = """
WITH locked AS (SELECT key FROM limit_use WHERE key = ANY($1::bytea[]) ORDER BY key FOR UPDATE)
UPDATE limit_use l SET used = l.used - u.used
FROM locked JOIN unnest($1::bytea[], $2::integer[]) AS u (key, used) USING (key) WHERE l.key = locked.key
"""

DELETE_UNUSED = "DELETE FROM limit_use WHERE key = ANY($1::bytea[]) AND used <= 0"

ADD_DAY_KEY = "INSERT INTO day_key (day, wrapped) VALUES ($1, $2) ON CONFLICT DO NOTHING"

STORED_DAY_KEYS = "SELECT day, wrapped FROM day_key ORDER BY day"

DAY_KEY = "SELECT wrapped FROM day_key WHERE day = $1"


class Quota(NamedTuple):
    """What a request counts against, for as long as its window lasts."""

    key: bytes
    expires_at: datetime


class HiddenQuota(NamedTuple):
    """A quota of a bucket that several people share, with the limits drawn for this bucket and hour."""

    quota: Quota
    limits: tuple[int, ...]


class HourKey:
    """One hour of a day's key."""

    def __init__(self, day: "DayKey", start: datetime) -> None:
        self.start = start
        self._prefix = f"{start:%H}"
        self._day = day
        self._ends = start + HOUR
        self._forgotten = start + 2 * HOUR  # the hour after it reads what this one has used
        self._of_letters: dict[tuple[int, int], HiddenQuota] = {}

    def quota(self, purpose: str, subject: str) -> Quota:
        return Quota(self._day.digest(f"{purpose}|{self._prefix}|{subject}"), self._ends)

    def of_letter(self, letter_id: int, limit: int) -> HiddenQuota:
        """Return the quota of a letter's forms, with its limit drawn. All forms need it, so it is remembered."""
        key = letter_id, limit
        if key not in self._of_letters:
            self._of_letters[key] = self.hidden("letter", str(letter_id), limit)
        return self._of_letters[key]

    def hidden(self, purpose: str, subject: str, *limits: int) -> HiddenQuota:
        """Return the quota of ``subject``, and for each of ``limits`` (two at most) one drawn from half to one and a
        half times of it.

        Who does not have the key knows nothing of the limits drawn; every process draws the same.
        """
        return self._day.hidden(f"{purpose}|{self._prefix}|{subject}", self._forgotten, limits)


class DayKey:
    """One day's key."""

    def __init__(self, day: date, key: bytes) -> None:
        self.day = day
        self._digests = encryption.KeyedDigest(key)
        self._hidden = hashlib.blake2b(key=key, digest_size=32)
        self._box = SecretBox(encryption.derive(key.hex(), "box"))
        self._midnight = datetime.combine(day, datetime.min.time(), UTC)
        self._ends = self._midnight + 24 * HOUR
        self._hours: dict[int, HourKey] = {}

    def hourly(self, purpose: str, subject: str) -> Quota:
        """Return the quota of ``subject`` (a network, a mailbox) for ``purpose`` in this hour."""
        return self.hour(datetime.now(UTC).hour).quota(purpose, subject)

    def hour(self, number: int) -> HourKey:
        """Return the key of the hour ``number``, from 0 to 23."""
        if number not in self._hours:
            self._hours[number] = HourKey(self, self._midnight + number * HOUR)
        return self._hours[number]

    def daily(self, purpose: str, subject: str) -> Quota:
        return Quota(self.digest(f"{purpose}|{subject}"), self._ends)

    def hidden_daily(self, purpose: str, subject: str, *limits: int) -> HiddenQuota:
        """Return the quota of ``subject`` for this day, and ``limits`` (two at most) drawn as by the hour."""
        return self.hidden(f"{purpose}|{subject}", self._ends, limits)

    def hidden(self, text: str, expires_at: datetime, limits: Sequence[int]) -> HiddenQuota:
        # Eight of these for each form: a keyed BLAKE2 that has read its key takes a quarter of an HMAC's time.
        keyed = self._hidden.copy()
        keyed.update(text.encode())
        digest = keyed.digest()
        rest, drawn = int.from_bytes(digest[encryption.DIGEST_BYTES :]), []  # beside the 16 bytes that are stored
        for limit in limits:
            drawn.append((limit + 1) // 2 + (rest & _64_BITS) % (limit + 1))
            rest >>= 64
        return HiddenQuota(Quota(digest[: encryption.DIGEST_BYTES], expires_at), tuple(drawn))

    def mail_domain(self, letter_id: int, domain: str) -> bytes:
        """Return the digest under which a letter's signatures of one domain are counted this day."""
        return self.digest(f"mail domain|{letter_id}|{domain}")

    def mail_host(self, letter_id: int, host: str) -> bytes:
        return self.digest(f"mail host|{letter_id}|{host}")

    def digest(self, text: str) -> bytes:
        return self._digests.digest(text)

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
        self._hours: tuple[HourKey, HourKey] | None = None

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

    async def hours(self) -> tuple[HourKey, HourKey]:
        """Return this hour and the one before. Raises ``Unavailable``."""
        now = datetime.now(UTC)
        if self._hours and self._hours[0].start <= now < self._hours[0].start + HOUR:
            return self._hours
        self._hours = await self._hours_at(now)
        return self._hours

    async def _hours_at(self, now: datetime) -> tuple[HourKey, HourKey]:
        before = now - HOUR
        today = await self.today()
        if before.date() == today.day:
            return today.hour(now.hour), today.hour(before.hour)
        if self._yesterday is None or self._yesterday.day != before.date():
            self._yesterday = DayKey(before.date(), await self._key(before.date()))
        return today.hour(now.hour), self._yesterday.hour(before.hour)

    async def _key(self, day: date) -> bytes:
        async with self._database.connection() as conn:
            await conn.execute(ADD_DAY_KEY, day, self._wrapper.wrap(encryption.new_key()))
            wrapped: bytes = await conn.fetchval(DAY_KEY, day)
        return self._wrapper.unwrap(wrapped)


async def spend(conn: Connection, amounts: Mapping[Quota, int], also_read: Collection[bytes] = ()) -> dict[bytes, int]:
    """Add ``amounts``; return by key how much of each quota is spent now, these included.

    The result has the keys in ``also_read`` as well, as far as anything is spent there; they must be others. Rows are
    locked in the order of their keys, so that two processes cannot deadlock.
    """
    # lock order: see docs/decisions/lock-order.md
    columns = zip(*[(quota.key, used, quota.expires_at) for quota, used in amounts.items()], strict=True)
    keys, used_now, ends = columns if amounts else ((), (), ())
    arrays = array_texts.of_bytes(keys), array_texts.of_integers(used_now), array_texts.of_times(ends)
    rows = await conn.fetch(SPEND, *arrays, array_texts.of_bytes(also_read))
    return {key: used for key, used in rows}


async def give_back(conn: Connection, amounts: Mapping[Quota, int]) -> None:
    """Take ``amounts`` off again: what was refused does not count, and leaves no row that a flood could pile up.

    In the transaction that has spent them, or in one of its own.
    """
    # lock order: see docs/decisions/lock-order.md
    keys = [quota.key for quota in amounts]
    await conn.execute(GIVE_BACK, keys, list(amounts.values()))
    await conn.execute(DELETE_UNUSED, keys)


async def spent(conn: Connection, keys: Collection[bytes]) -> dict[bytes, int]:
    """Return by key how much is spent, without counting. A key of which nothing is spent is missing."""
    return {row["key"]: row["used"] for row in await conn.fetch(SPENT, list(keys))}


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
