"""All SQL of the mail that says that something waits at the desk."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta

from petition.core.database import Connection, Record
from petition.core.ids import LetterId, OrganizerId

MAX_COUNTED = 1000

SUBSCRIBERS = """
SELECT o.id, o.zone, o.waiting_mail, o.waiting_mail_on FROM organizer o
WHERE o.waiting_mail <> 'off' AND o.seen_at IS NOT NULL AND (o.admin OR EXISTS (
  SELECT FROM member m WHERE m.organizer = o.id AND m.role NOT IN ('viewer', 'auditor'))) ORDER BY o.id
"""

RECIPIENT = "SELECT zone, lang, waiting_mail, admin FROM organizer WHERE id = $1"

# Of two workers, one claims the day, with the goals that no mail has reported.
CLAIM_DAY = """
WITH mine AS (
  SELECT id, waiting_goals FROM organizer
  WHERE id = $1 AND waiting_mail = 'daily' AND waiting_mail_on < $2 FOR NO KEY UPDATE
)
UPDATE organizer o SET waiting_mail_on = $2, waiting_goals = '[]' FROM mine WHERE o.id = mine.id
RETURNING o.digest, o.sealed, o.lang, o.admin, mine.waiting_goals
"""

# Of two workers, one decides whether there is more than the last mail reported.
LOCK = """
SELECT digest, sealed, lang, admin, waiting_mailed, waiting_goals, now() AS now,
       waiting_mailed_at IS NULL OR waiting_mailed_at <= now() - $2::interval AS has_rested
FROM organizer WHERE id = $1 AND waiting_mail = 'soon' FOR NO KEY UPDATE SKIP LOCKED
"""

SET_MAILED = """
UPDATE organizer SET waiting_mailed = $2, waiting_mailed_at = coalesce($3, waiting_mailed_at),
       waiting_goals = CASE WHEN $3 IS NULL THEN waiting_goals ELSE '[]' END
WHERE id = $1
"""

SET_PREFERENCES = """
UPDATE organizer SET zone = $2, waiting_mail = $3,
       waiting_mailed = CASE WHEN waiting_mail = $3 THEN waiting_mailed ELSE '{}' END,
       waiting_goals = CASE WHEN $3 = 'off' THEN '[]' ELSE waiting_goals END
WHERE id = $1
"""

# Goals that a count has passed since the last one that was noted.
REACHED = """
SELECT l.id, max(g.goal) AS goal FROM letter l JOIN count c ON c.letter = l.id
CROSS JOIN LATERAL unnest(l.goal || l.next_goals) AS g (goal)
WHERE l.goal IS NOT NULL AND l.state IN ('open', 'closed')
  AND g.goal > l.goal_reached AND g.goal <= c.people + c.organizations
GROUP BY l.id ORDER BY l.id
"""

# Of two workers, one notes it.
NOTE_REACHED = "UPDATE letter SET goal_reached = $2 WHERE id = $1 AND goal_reached < $2 RETURNING true"

LOCK_READERS = """
SELECT o.id FROM organizer o
WHERE o.waiting_mail <> 'off' AND o.seen_at IS NOT NULL
  AND o.id IN (SELECT m.organizer FROM member m WHERE m.letter = $1 AND m.role NOT IN ('viewer', 'auditor'))
ORDER BY o.id FOR NO KEY UPDATE
"""

ADD_GOAL = """
UPDATE organizer SET waiting_goals = waiting_goals || jsonb_build_array(jsonb_build_array($2::integer, $3::integer))
WHERE id = ANY($1::integer[])
"""

# What is flagged is looked at among the newest; each signature waits for one reason. An import is its organizer's;
# addressees' answers are for those who may publish them.
WAITS = f"""
SELECT l.id, l.slug, (SELECT jsonb_object_agg(t.lang, t.title) FROM translation t WHERE t.letter = l.id) AS titles,
       (SELECT count(*) FROM (
          SELECT FROM signature s WHERE s.letter = l.id AND s.state = 'held' LIMIT {MAX_COUNTED}) AS h) AS held,
       coalesce((SELECT max(s.id) FROM signature s WHERE s.letter = l.id AND s.state = 'held'), 0) AS newest_held,
       f.reported, f.flagged,
       (SELECT count(*) FROM intake i WHERE i.letter = l.id AND i.state = 'checked' AND i.organizer = m.organizer
          AND m.role IN ('editor', 'owner')) AS imports,
       a.answers, a.newest_answer
FROM member m JOIN letter l ON l.id = m.letter
CROSS JOIN LATERAL (
  SELECT count(*) AS answers, coalesce(max(n.id), 0) AS newest_answer FROM addressee_answer n
  WHERE n.letter = l.id AND n.state = 'waiting' AND m.role IN ('editor', 'owner')) AS a
CROSS JOIN LATERAL (
  SELECT count(*) FILTER (WHERE n.flags @> '{{reported}}') AS reported,
         count(*) FILTER (WHERE NOT n.flags @> '{{reported}}') AS flagged
  FROM (SELECT s.flags, s.state FROM signature s WHERE s.letter = l.id AND s.flags <> '{{}}'
        ORDER BY s.listed_at DESC, s.id DESC LIMIT {MAX_COUNTED}) AS n WHERE n.state = 'confirmed') AS f
WHERE m.organizer = $1 AND m.role NOT IN ('viewer', 'auditor') AND l.state <> 'gone'
ORDER BY l.created_at DESC, l.id DESC
"""


async def load_subscribers(conn: Connection) -> list[Record]:
    """Return (id, zone, waiting_mail, waiting_mail_on) of admins and of those who can decide, if they want the mail."""
    return await conn.fetch(SUBSCRIBERS)


async def load_recipient(conn: Connection, organizer_id: OrganizerId) -> Record | None:
    return await conn.fetchrow(RECIPIENT, organizer_id)


async def claim_day(conn: Connection, organizer_id: OrganizerId, day: date) -> Record | None:
    """Return (digest, sealed, lang, admin, waiting_goals) if the day's mail has not been dealt with; then it has."""
    return await conn.fetchrow(CLAIM_DAY, organizer_id, day)


async def lock(conn: Connection, organizer_id: OrganizerId, pause: timedelta) -> Record | None:
    """Lock an organizer who wants mail at once; None if another worker has."""
    return await conn.fetchrow(LOCK, organizer_id, pause)


async def set_mailed(
    conn: Connection, organizer_id: OrganizerId, numbers: Mapping[str, int], at: datetime | None
) -> None:
    """Store the numbers that the next ones are compared with; ``at`` is the time of a mail, None without one.

    A mail has reported the goals as well.
    """
    await conn.execute(SET_MAILED, organizer_id, dict(numbers), at)


async def set_preferences(conn: Connection, organizer_id: OrganizerId, zone: str, waiting_mail: str) -> None:
    await conn.execute(SET_PREFERENCES, organizer_id, zone, waiting_mail)


async def load_waits(conn: Connection, organizer_id: OrganizerId) -> list[Record]:
    """Return an organizer's letters, each with what waits there by kind; ``MAX_COUNTED`` at most."""
    return await conn.fetch(WAITS, organizer_id)


async def load_reached(conn: Connection) -> list[Record]:
    """Return (id, goal) of the letters that have reached a higher goal than was noted."""
    return await conn.fetch(REACHED)


async def note_reached(conn: Connection, letter_id: LetterId, goal: int) -> bool:
    """Note a goal for the letter's organizers, to be mailed; False if another worker has."""
    # lock order: see docs/decisions/lock-order.md
    readers = [row["id"] for row in await conn.fetch(LOCK_READERS, letter_id)]
    if not await conn.fetchval(NOTE_REACHED, letter_id, goal):
        return False
    await conn.execute(ADD_GOAL, readers, letter_id, goal)
    return True
