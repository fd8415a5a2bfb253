"""The history of the count, from the counts by hour."""

from datetime import datetime

from petition.core.database import Connection, Record
from petition.core.ids import LetterId

HISTORY = """
SELECT start, people, organizations, change FROM (
  SELECT start, people + organizations AS change,
         (sum(people) OVER so_far)::bigint AS people, (sum(organizations) OVER so_far)::bigint AS organizations,
         (people, organizations) <> (0, 0) AS moved
  FROM (
    SELECT date_trunc($2, hour, 'UTC') AS start,
           sum(people)::bigint AS people, sum(organizations)::bigint AS organizations
    FROM published_hour WHERE letter = $1 GROUP BY 1
  ) AS periods WINDOW so_far AS (ORDER BY start)
) AS history
WHERE moved AND start < coalesce($3, 'infinity'::timestamptz) ORDER BY start DESC LIMIT $4
"""


async def history(
    conn: Connection, letter_id: LetterId, step: str, before: datetime | None, limit: int
) -> list[Record]:
    """Return (start, people, organizations, change) of the newest "hour"s or "day"s (UTC) in which the count moved.

    ``people`` and ``organizations`` are the count at the period's end, ``change`` the difference of the total.
    """
    return await conn.fetch(HISTORY, letter_id, step, before, limit)
