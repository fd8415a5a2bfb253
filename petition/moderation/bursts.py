"""What shows in many signatures at once: bursts from one network, and one name repeated within an hour.

A network is stored as a digest that differs from hour to hour. Once the hour is over, the worker counts the signatures
of each network in it, stores a flag and a random group number, and deletes the networks: one to two hours after signing
the database no longer says which signatures shared a network, except those in a burst.
"""

import re
import secrets
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from petition.core.client_networks import ONION, UNKNOWN
from petition.core.database import Connection, Database, Record
from petition.core.encryption import Wrapper
from petition.core.ids import LetterId
from petition.core.quotas import DayKey
from petition.signatures.flags import Flag

BURST = 10  # sign-ups from one network within an hour
REPEATED = 5  # signatures of nearly one name within an hour …
REPEATED_SHARE = 50  # … that are at least 1 in so many of the hour: in a crowd some share a common name
MAX_ROWS = 50_000  # signatures per transaction
BATCH = 2_000
TIMEOUT = 120.0  # seconds

_IGNORED = re.compile(r"\d+|(.)(?=\1)")  # digits, and all but the last of the same letters in a row

CURRENT_HOUR = "SELECT date_trunc('hour', now())"

LETTERS = "SELECT id FROM letter WHERE version IS NOT NULL ORDER BY id"

# One worker per letter. (The first number is "burs".)
TRY_LOCK = "SELECT pg_try_advisory_xact_lock(1651864179, $1)"

BURST_NETWORKS = """
SELECT network FROM (
  SELECT network FROM signature WHERE letter = $1 AND network IS NOT NULL AND signed_at < $2
  UNION ALL
  SELECT network FROM pending
  WHERE letter = $1 AND network IS NOT NULL AND created_at < $2 AND created_at >= $2 - interval '8 days'
) AS known GROUP BY network HAVING count(*) >= $3
"""

ROWS_WITH_NETWORK = """
SELECT id, network, date_trunc('hour', signed_at) AS hour,
       CASE WHEN kind = 'person' AND visibility = 'public' THEN name_key END AS name_key
FROM signature WHERE letter = $1 AND network IS NOT NULL AND signed_at < $2 ORDER BY signed_at LIMIT $3
"""

MARK_SIGNED = """
UPDATE signature s SET network = NULL,
       group_number = CASE WHEN s.flags && '{one_domain,one_host}' THEN s.group_number -- the larger group
                           ELSE coalesce(u.group_number, s.group_number) END,
       flags = CASE WHEN u.flags = '' OR s.state NOT IN ('held', 'confirmed') THEN s.flags
                    ELSE ARRAY(SELECT DISTINCT unnest(s.flags || string_to_array(u.flags, ','))) END
FROM unnest($2::bigint[], $3::text[], $4::bigint[]) AS u (id, flags, group_number)
WHERE s.letter = $1 AND s.id = u.id
"""

# A pending row keeps the group, because confirming may be days later. Locked rows are left for the next round.
MARK_PENDING = """
WITH mine AS MATERIALIZED (
  SELECT p.id, u.group_number FROM pending p
  LEFT JOIN unnest($3::bytea[], $4::bigint[]) AS u (network, group_number) ON u.network = p.network
  WHERE p.letter = $1 AND p.network IS NOT NULL AND p.created_at < $2 AND p.created_at >= $2 - interval '8 days'
  ORDER BY p.id FOR UPDATE OF p SKIP LOCKED
)
UPDATE pending p SET network = NULL,
       signals = CASE WHEN m.group_number IS NULL THEN p.signals
                      ELSE coalesce(p.signals, '{}') || jsonb_build_object('burst', m.group_number) END
FROM mine m WHERE p.letter = $1 AND p.id = m.id
"""

DAY_KEYS = "SELECT day, wrapped FROM day_key WHERE day >= $1::timestamptz::date - 9"


async def load_letters(conn: Connection) -> list[LetterId]:
    return [row["id"] for row in await conn.fetch(LETTERS)]


async def delete_networks(database: Database, wrapper: Wrapper) -> int:
    """Flag the bursts of the hours that are over, and delete the networks of those; return how many signatures had one.

    Idempotent, also for two workers at once. Raises ``Unavailable``.
    """
    async with database.connection() as conn:
        before = await conn.fetchval(CURRENT_HOUR)
        letter_ids = await load_letters(conn)
        exempt = _shared_digests(await conn.fetch(DAY_KEYS, before), wrapper)
    total = 0
    for letter_id in letter_ids:
        async with database.transaction() as conn:
            if await conn.fetchval(TRY_LOCK, letter_id):
                total += await _delete(conn, letter_id, before, exempt)
    return total


def _shared_digests(days: Sequence[Record], wrapper: Wrapper) -> frozenset[bytes]:
    """Return the digests that stand for more than one network: Tor's, and the unknown one's."""
    keys = [DayKey(row["day"], wrapper.unwrap(row["wrapped"])) for row in days]
    names = [f"network|{hour:02}|{name}" for hour in range(24) for name in (ONION, UNKNOWN)]
    return frozenset(key.digest(name) for key in keys for name in names)


async def _delete(conn: Connection, letter_id: LetterId, before: datetime, exempt: frozenset[bytes]) -> int:
    bursts = await conn.fetch(BURST_NETWORKS, letter_id, before, BURST, timeout=TIMEOUT)
    groups = {row["network"]: secrets.randbits(62) for row in bursts if row["network"] not in exempt}
    rows = await conn.fetch(ROWS_WITH_NETWORK, letter_id, before, MAX_ROWS, timeout=TIMEOUT)
    repeated = repeated_names([(row["hour"], row["name_key"]) for row in rows])
    # lock order: see docs/decisions/lock-order.md (signatures by id)
    by_id = sorted(rows, key=lambda row: int(row["id"]))
    for start in range(0, len(rows), BATCH):
        batch = by_id[start : start + BATCH]
        ids, flags = [row["id"] for row in batch], [_flags(row, groups, repeated) for row in batch]
        numbers = [groups.get(row["network"]) for row in batch]
        await conn.execute(MARK_SIGNED, letter_id, ids, flags, numbers, timeout=TIMEOUT)
    networks, numbers_of_networks = list(groups), list(groups.values())
    await conn.execute(MARK_PENDING, letter_id, before, networks, numbers_of_networks, timeout=TIMEOUT)
    return len(rows)


def _flags(row: Record, groups: Mapping[bytes, int], repeated: frozenset[tuple[datetime, str]]) -> str:
    flags = {
        Flag.BURST: row["network"] in groups,
        Flag.REPEATED: row["name_key"] is not None and (row["hour"], likeness(row["name_key"])) in repeated,
    }
    return ",".join(flag.value for flag, applies in flags.items() if applies)


def repeated_names(names: Iterable[tuple[datetime, str | None]]) -> frozenset[tuple[datetime, str]]:
    """Return (hour, likeness) of the names that are repeated within an hour; ``names`` are (hour, folded name)."""
    names = list(names)
    in_hour = Counter(hour for hour, _ in names)
    alike = Counter((hour, likeness(name)) for hour, name in names if name)
    return frozenset(
        (hour, name) for (hour, name), n in alike.items() if n >= max(REPEATED, in_hour[hour] // REPEATED_SHARE)
    )


def likeness(name_key: str) -> str:
    """Return what nearly the same names share: the order of words, digits and doubled letters make no difference."""
    words = sorted(_IGNORED.sub("", word) for word in name_key.split())
    return " ".join(filter(None, words)) or name_key
