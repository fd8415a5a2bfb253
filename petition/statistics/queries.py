"""The SQL of statistics. The migration that fills the tables defines the figures.

Reads include the changes that the worker has not added up yet, in one statement, and so as of one moment.
"""

from collections.abc import Iterable
from datetime import date, datetime

from petition.core.database import Connection, Database, Record
from petition.core.ids import LetterId

# The signs give the figures of an hour: a sign-up adds to the pending ones, confirming and expiring subtract. Until
# here, the changes of each statement are rows of their own.
_OF_HOUR = """
sum(number) FILTER (WHERE what = 'pending' AND number > 0) AS signed_up,
sum(number) FILTER (WHERE what = 'confirmed_in') AS confirmed,
sum(number) FILTER (WHERE what = 'source' AND value = 'web' AND number > 0) AS came,
-sum(number) FILTER (WHERE what = 'source' AND value = 'web' AND number < 0) AS went
"""

# Exactly once: the statement deletes the rows that it adds up. Two workers add up different rows.
FOLD = f"""
WITH taken AS (DELETE FROM statistics_change RETURNING *),
known AS MATERIALIZED (SELECT t.* FROM taken t JOIN letter l ON l.id = t.letter),
hours AS (
  INSERT INTO statistics_hour AS h (letter, hour, signed_up, confirmed, came, went)
  SELECT letter, hour, coalesce(signed_up, 0), coalesce(confirmed, 0), coalesce(came, 0), coalesce(went, 0)
  FROM (SELECT letter, hour, {_OF_HOUR} FROM known GROUP BY letter, hour) AS k ORDER BY letter, hour
  ON CONFLICT (letter, hour) DO UPDATE SET
    signed_up = h.signed_up + excluded.signed_up, confirmed = h.confirmed + excluded.confirmed,
    came = h.came + excluded.came, went = h.went + excluded.went
), totals AS (
  INSERT INTO statistics_total AS t (letter, what, value, number)
  SELECT letter, what, value, sum(number) FROM known GROUP BY letter, what, value ORDER BY letter, what, value
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
) AS changes GROUP BY 1 ORDER BY 1
"""


# Until the end of a day, so that no number of them moves in the moment in which someone signs.
FORMS_UNTIL = f"""
SELECT coalesce(sum(signed_up), 0)::bigint AS asked, coalesce(sum(confirmed), 0)::bigint AS confirmed
FROM (
  SELECT signed_up, confirmed FROM statistics_hour WHERE letter = $1 AND hour < $2
  UNION ALL
  SELECT signed_up, confirmed
  FROM (SELECT hour, {_OF_HOUR} FROM statistics_change WHERE letter = $1 AND hour < $2 GROUP BY hour) AS new
) AS changes
"""

IS_SENSITIVE = "SELECT sensitive FROM letter WHERE id = $1"

TALLIES = "SELECT counted_on, people FROM tally WHERE letter = $1 AND ended_at IS NULL ORDER BY counted_on, id"


async def fold(database: Database) -> int:
    """Add up the changes since the last time; return how many rows those were. Raises ``Unavailable``."""
    async with database.transaction() as conn:
        changes: int = await conn.fetchval(FOLD)
    return changes


async def totals(conn: Connection, letter_id: LetterId) -> Iterable[Record]:
    """Return (what, value, number) of a letter's figures, with the count and the partners' part of it."""
    return await conn.fetch(TOTALS, letter_id)


async def forms_until(conn: Connection, letter_id: LetterId, end: datetime) -> tuple[int, int]:
    """Return how many forms were sent in before ``end``, the beginning of an hour, and how many were confirmed."""
    row = await conn.fetchrow(FORMS_UNTIL, letter_id, end)
    return (0, 0) if row is None else (row["asked"], row["confirmed"])


async def is_sensitive(conn: Connection, letter_id: LetterId) -> bool:
    return bool(await conn.fetchval(IS_SENSITIVE, letter_id))


async def tallies(conn: Connection, letter_id: LetterId) -> list[tuple[date, int]]:
    """Return (day, people) of the numbers counted on paper that are in the count."""
    return [(row["counted_on"], row["people"]) for row in await conn.fetch(TALLIES, letter_id)]


async def periods(conn: Connection, letter_id: LetterId, step: str, since: datetime) -> Iterable[Record]:
    """Return the changes of each "hour" or "day" (UTC) since an hour, in order; without empty ones."""
    return await conn.fetch(HOURS, letter_id, step, since)
