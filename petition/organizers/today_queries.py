"""All SQL of the figures of Today: the last confirmation, the last decision, how mail is doing."""

from datetime import datetime

from petition.core import by_time
from petition.core.database import Connection, Record
from petition.core.ids import LetterId

MAX_COUNTED = 1000

# Of the newest rows, as thousands may have been imported since.
LAST_CONFIRMED = f"""
SELECT max(n.listed_at) FROM (
  {by_time.newest("s.id, s.listed_at, s.import, s.state", "s.letter = $1", MAX_COUNTED)}) AS n
WHERE n.import IS NULL AND n.state IN ('confirmed', 'held')
"""

LAST_DECISION = """
SELECT n.at, n.organizer AS organizer_id, o.name AS organizer_name FROM (
  SELECT l.id, l.at, l.act, l.organizer FROM log l WHERE l.letter = $1 ORDER BY l.id DESC LIMIT 200) AS n
LEFT JOIN organizer o ON o.id = n.organizer
WHERE n.act LIKE 'signature.%' AND n.organizer IS NOT NULL ORDER BY n.id DESC LIMIT 1
"""

MAIL = f"""
SELECT (SELECT count(*) FROM (SELECT FROM outbox o WHERE o.letter = $1 LIMIT {MAX_COUNTED + 1}) AS w) AS waiting,
       (SELECT min(o.created_at) FROM outbox o WHERE o.letter = $1) AS oldest,
       (SELECT count(*) FROM (
          SELECT FROM refused_mail r WHERE r.letter = $1 AND r.refused_at > now() - interval '24 hours'
          LIMIT {MAX_COUNTED + 1}) AS f) AS refused,
       now() AS now
"""


async def last_confirmed(conn: Connection, letter_id: LetterId) -> datetime | None:
    """Return when a signature was last confirmed here, if among the newest ``MAX_COUNTED``."""
    at: datetime | None = await conn.fetchval(LAST_CONFIRMED, letter_id)
    return at


async def last_decision(conn: Connection, letter_id: LetterId) -> Record | None:
    """Return (at, organizer_id, organizer_name) of the last decision on signatures among the newest acts."""
    return await conn.fetchrow(LAST_DECISION, letter_id)


async def mail(conn: Connection, letter_id: LetterId) -> Record | None:
    """Return (waiting, oldest, refused, now) of a letter's mail; refused permanently within a day."""
    return await conn.fetchrow(MAIL, letter_id)
