"""The SQL of a count report. All of it is read in one snapshot."""

from collections.abc import Sequence
from datetime import datetime

from petition.core.database import Connection, Record
from petition.core.ids import LetterId

# A sensitive letter that is small shows what its step says; the evidence belongs to the same count.
COUNTED = """
SELECT c.people, c.organizations, c.hidden, c.imported, c.listed_people, c.listed_organizations,
       coalesce(c.counted_at, now()) AS counted_at, c.is_stepped,
       CASE WHEN c.is_stepped THEN (SELECT s.evidence FROM count_step s WHERE s.letter = c.letter)
            ELSE evidence_counts(c.letter) END AS evidence,
       date_trunc('day', now(), 'UTC') AS today, date_trunc('week', now(), 'UTC') AS this_week
FROM published_count c WHERE c.letter = $1
"""

# What moderators decided about signatures that counted, by weeks (UTC, from Monday on) that have ended.
REMOVED = """
SELECT date_trunc('week', at, 'UTC') AS week, coalesce(reason, 'other') AS reason,
       sum(cardinality(ids))::bigint AS number
FROM log
WHERE letter = $1 AND at < date_trunc('week', now(), 'UTC') AND act LIKE 'signature.%'
  AND split_part(before, ':', 1) = 'confirmed' AND split_part(after, ':', 1) = 'removed'
GROUP BY 1, 2 ORDER BY 1, 2
"""

RESTORED = """
SELECT coalesce(sum(cardinality(ids)), 0)::bigint FROM log
WHERE letter = $1 AND at < date_trunc('week', now(), 'UTC') AND act LIKE 'signature.%'
  AND split_part(before, ':', 1) = 'removed' AND split_part(after, ':', 1) = 'confirmed'
"""


async def counted(conn: Connection, letter_id: LetterId) -> Record | None:
    """Return the published count with its time and evidence, and the beginning of this day and week (UTC)."""
    return await conn.fetchrow(COUNTED, letter_id)


async def removed(conn: Connection, letter_id: LetterId) -> Sequence[tuple[datetime, str, int]]:
    """Return (beginning of the week, reason, number)."""
    return [(row["week"], row["reason"], row["number"]) for row in await conn.fetch(REMOVED, letter_id)]


async def restored(conn: Connection, letter_id: LetterId) -> int:
    return int(await conn.fetchval(RESTORED, letter_id))
