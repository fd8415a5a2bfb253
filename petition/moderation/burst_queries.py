"""All SQL of finding bursts, and of forgetting the networks they came from."""

from collections.abc import Sequence
from datetime import datetime

from petition.core.database import Connection, Record
from petition.core.ids import LetterId

OVER = "SELECT date_trunc('hour', now())"

LETTERS = "SELECT id FROM letter WHERE version IS NOT NULL ORDER BY id"

# One worker is enough for a letter. (The first number is "burs".)
TRY_LOCK = "SELECT pg_try_advisory_xact_lock(1651864179, $1)"

BURSTS = """
SELECT network FROM (
  SELECT network FROM signature WHERE letter = $1 AND network IS NOT NULL AND signed_at < $2
  UNION ALL
  SELECT network FROM pending
  WHERE letter = $1 AND network IS NOT NULL AND created_at < $2 AND created_at >= $2 - interval '8 days'
) AS known GROUP BY network HAVING count(*) >= $3
"""

SIGNED = """
SELECT id, network, date_trunc('hour', signed_at) AS hour,
       CASE WHEN kind = 'person' AND visibility = 'public' THEN name_key END AS name_key
FROM signature WHERE letter = $1 AND network IS NOT NULL AND signed_at < $2 ORDER BY signed_at LIMIT $3
"""

MARK_SIGNED = """
UPDATE signature s SET network = NULL, group_number = coalesce(u.group_number, s.group_number),
       flags = CASE WHEN u.flags = '' OR s.state NOT IN ('held', 'confirmed') THEN s.flags
                    ELSE ARRAY(SELECT DISTINCT unnest(s.flags || string_to_array(u.flags, ','))) END
FROM unnest($2::bigint[], $3::text[], $4::bigint[]) AS u (id, flags, group_number)
WHERE s.letter = $1 AND s.id = u.id
"""

# Who has not confirmed yet takes the group along: confirming may be days later. Rows that somebody works on are left
# for the next time.
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


async def over(conn: Connection) -> datetime:
    """Return the end of the last hour that is over."""
    moment: datetime = await conn.fetchval(OVER)
    return moment


async def letters(conn: Connection) -> list[LetterId]:
    """Return the letters that may have signatures."""
    return [row["id"] for row in await conn.fetch(LETTERS)]


async def day_keys(conn: Connection, moment: datetime) -> list[Record]:
    """Return (day, wrapped) of the newest days' keys, as far as they are kept."""
    return await conn.fetch(DAY_KEYS, moment)


async def try_lock(conn: Connection, letter_id: LetterId) -> bool:
    """Tell whether nobody else looks for this letter's bursts until the transaction ends."""
    mine: bool = await conn.fetchval(TRY_LOCK, letter_id)
    return mine


async def bursts(conn: Connection, letter_id: LetterId, before: datetime, least: int) -> list[bytes]:
    """Return the networks from which at least so many signed within an hour that is over."""
    return [row["network"] for row in await conn.fetch(BURSTS, letter_id, before, least, timeout=120)]


async def signed(conn: Connection, letter_id: LetterId, before: datetime, most: int) -> list[Record]:
    """Return (id, network, hour, name_key) of signatures whose network is known, the oldest first; names if public."""
    return await conn.fetch(SIGNED, letter_id, before, most, timeout=120)


async def mark_signed(
    conn: Connection, letter_id: LetterId, ids: Sequence[int], flags: Sequence[str], groups: Sequence[int | None]
) -> None:
    """Forget networks, and add flags ("" for none, with commas between) and group numbers instead."""
    await conn.execute(MARK_SIGNED, letter_id, ids, flags, groups, timeout=120)


async def mark_pending(
    conn: Connection, letter_id: LetterId, before: datetime, networks: Sequence[bytes], groups: Sequence[int]
) -> None:
    """Forget the networks of what waits to be confirmed; those in a burst keep their group."""
    await conn.execute(MARK_PENDING, letter_id, before, networks, groups, timeout=120)
