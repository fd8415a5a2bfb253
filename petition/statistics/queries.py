"""All SQL of statistics. What a figure is made of, and when, stands in the migration that keeps them.

A change that the worker has not added up yet counts as well: each reading looks at both in one statement, and so at
one moment.
"""

from collections.abc import Iterable
from datetime import datetime

from petition.core.database import Connection, Database, Record
from petition.core.ids import LetterId

# What an hour has of its own follows from the signs: a sign-up adds to those that wait, confirming or expiring takes
# away; each statement's changes stand in rows of their own until here.
_OF_HOUR = """
sum(number) FILTER (WHERE what = 'pending' AND number > 0) AS signed_up,
sum(number) FILTER (WHERE what = 'confirmed_in') AS confirmed,
sum(number) FILTER (WHERE what = 'source' AND value = 'web' AND number > 0) AS came,
-sum(number) FILTER (WHERE what = 'source' AND value = 'web' AND number < 0) AS went
"""

# Exactly once: what is added up is deleted in the same statement. Two workers add up different rows.
FOLD = f"""
WITH taken AS (DELETE FROM statistics_change RETURNING *),
kept AS MATERIALIZED (SELECT t.* FROM taken t JOIN letter l ON l.id = t.letter),
hours AS (
  INSERT INTO statistics_hour AS h (letter, hour, signed_up, confirmed, came, went)
  SELECT letter, hour, coalesce(signed_up, 0), coalesce(confirmed, 0), coalesce(came, 0), coalesce(went, 0)
  FROM (SELECT letter, hour, {_OF_HOUR} FROM kept GROUP BY letter, hour) AS k ORDER BY letter, hour
  ON CONFLICT (letter, hour) DO UPDATE SET
    signed_up = h.signed_up + excluded.signed_up, confirmed = h.confirmed + excluded.confirmed,
    came = h.came + excluded.came, went = h.went + excluded.went
), totals AS (
  INSERT INTO statistics_total AS t (letter, what, value, number)
  SELECT letter, what, value, sum(number) FROM kept GROUP BY letter, what, value ORDER BY letter, what, value
  ON CONFLICT (letter, what, value) DO UPDATE SET number = t.number + excluded.number
)
SELECT count(*) FROM taken
"""

TOTALS = """
SELECT what, value, sum(number)::bigint AS number FROM (
  SELECT what, value, number FROM statistics_total WHERE letter = $1
  UNION ALL SELECT what, value, number FROM statistics_change WHERE letter = $1
  UNION ALL SELECT 'count', 'people', people FROM count WHERE letter = $1
  UNION ALL SELECT 'count', 'organizations', organizations FROM count WHERE letter = $1
  UNION ALL SELECT 'partner', p.name, c.people
  FROM count_partner c JOIN partner p ON p.letter = c.letter AND p.id = c.partner WHERE c.letter = $1
) AS f GROUP BY what, value HAVING sum(number) <> 0
"""

HOURS = f"""
SELECT date_trunc($2, hour) AS start,
       sum(signed_up)::bigint AS signed_up, sum(confirmed)::bigint AS confirmed, sum(came)::bigint AS came,
       sum(went)::bigint AS went, sum(people)::bigint AS people, sum(organizations)::bigint AS organizations
FROM (
  SELECT hour, signed_up, confirmed, came, went, 0 AS people, 0 AS organizations
  FROM statistics_hour WHERE letter = $1 AND hour >= $3
  UNION ALL
  SELECT hour, coalesce(signed_up, 0), coalesce(confirmed, 0), coalesce(came, 0), coalesce(went, 0), 0, 0
  FROM (SELECT hour, {_OF_HOUR} FROM statistics_change WHERE letter = $1 AND hour >= $3 GROUP BY hour) AS new
  UNION ALL
  SELECT hour, 0, 0, 0, 0, people, organizations FROM count_hour WHERE letter = $1 AND hour >= $3
) AS all_of_it GROUP BY 1 ORDER BY 1
"""


async def fold(database: Database) -> int:
    """Add up what has changed since the last time; return how many rows that were. Raises ``Unavailable``."""
    async with database.transaction() as conn:
        changes: int = await conn.fetchval(FOLD)
    return changes


async def totals(conn: Connection, letter_id: LetterId) -> Iterable[Record]:
    """Return (what, value, number) of a letter's figures; the count is among them, and what partners brought of it."""
    return await conn.fetch(TOTALS, letter_id)


async def periods(conn: Connection, letter_id: LetterId, step: str, since: datetime) -> Iterable[Record]:
    """Return what happened in each "hour" or "day" (UTC) since an hour, the first one first; none that is empty."""
    return await conn.fetch(HOURS, letter_id, step, since)
