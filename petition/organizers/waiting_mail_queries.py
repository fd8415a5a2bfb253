"""All SQL of the mail that says that something waits at the desk."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta

from petition.core.database import Connection, Record
from petition.core.ids import OrganizerId

MAX_COUNTED = 1000

SUBSCRIBERS = """
SELECT o.id, o.zone, o.waiting_mail, o.waiting_mail_on FROM organizer o
WHERE o.waiting_mail <> 'off' AND o.seen_at IS NOT NULL AND EXISTS (
  SELECT FROM member m WHERE m.organizer = o.id AND m.role <> 'viewer') ORDER BY o.id
"""

RECIPIENT = "SELECT zone, lang, waiting_mail FROM organizer WHERE id = $1"

# Of two workers, one claims the day.
CLAIM_DAY = """
UPDATE organizer SET waiting_mail_on = $2 WHERE id = $1 AND waiting_mail = 'daily' AND waiting_mail_on < $2
RETURNING digest, sealed, lang
"""

# Of two workers, one decides whether there is more than the last mail reported.
LOCK = """
SELECT digest, sealed, lang, waiting_mailed, now() AS now,
       waiting_mailed_at IS NULL OR waiting_mailed_at <= now() - $2::interval AS has_rested
FROM organizer WHERE id = $1 AND waiting_mail = 'soon' FOR NO KEY UPDATE SKIP LOCKED
"""

SET_MAILED = """
UPDATE organizer SET waiting_mailed = $2, waiting_mailed_at = coalesce($3, waiting_mailed_at) WHERE id = $1
"""

SET_PREFERENCES = """
UPDATE organizer SET zone = $2, waiting_mail = $3,
       waiting_mailed = CASE WHEN waiting_mail = $3 THEN waiting_mailed ELSE '{}' END
WHERE id = $1
"""

# What is flagged is looked at among the newest; each signature waits for one reason. An import is its organizer's.
WAITS = f"""
SELECT l.id, l.slug, (SELECT jsonb_object_agg(t.lang, t.title) FROM translation t WHERE t.letter = l.id) AS titles,
       (SELECT count(*) FROM (
          SELECT FROM signature s WHERE s.letter = l.id AND s.state = 'held' LIMIT {MAX_COUNTED}) AS h) AS held,
       coalesce((SELECT max(s.id) FROM signature s WHERE s.letter = l.id AND s.state = 'held'), 0) AS newest_held,
       f.reported, f.flagged,
       (SELECT count(*) FROM intake i WHERE i.letter = l.id AND i.state = 'checked' AND i.organizer = m.organizer
          AND m.role IN ('editor', 'owner')) AS imports
FROM member m JOIN letter l ON l.id = m.letter
CROSS JOIN LATERAL (
  SELECT count(*) FILTER (WHERE n.flags @> '{{reported}}') AS reported,
         count(*) FILTER (WHERE NOT n.flags @> '{{reported}}') AS flagged
  FROM (SELECT s.flags, s.state FROM signature s WHERE s.letter = l.id AND s.flags <> '{{}}'
        ORDER BY s.listed_at DESC, s.id DESC LIMIT {MAX_COUNTED}) AS n WHERE n.state = 'confirmed') AS f
WHERE m.organizer = $1 AND m.role <> 'viewer' AND l.state <> 'gone' ORDER BY l.created_at DESC, l.id DESC
"""


async def load_subscribers(conn: Connection) -> list[Record]:
    """Return (id, zone, waiting_mail, waiting_mail_on) of organizers who can decide and want the mail."""
    return await conn.fetch(SUBSCRIBERS)


async def load_recipient(conn: Connection, organizer_id: OrganizerId) -> Record | None:
    return await conn.fetchrow(RECIPIENT, organizer_id)


async def claim_day(conn: Connection, organizer_id: OrganizerId, day: date) -> Record | None:
    """Return (digest, sealed, lang) if the day's mail has not been dealt with; afterwards it has."""
    return await conn.fetchrow(CLAIM_DAY, organizer_id, day)


async def lock(conn: Connection, organizer_id: OrganizerId, pause: timedelta) -> Record | None:
    """Lock an organizer who wants mail at once; None if another worker has."""
    return await conn.fetchrow(LOCK, organizer_id, pause)


async def set_mailed(
    conn: Connection, organizer_id: OrganizerId, numbers: Mapping[str, int], at: datetime | None
) -> None:
    """Store the numbers that the next ones are compared with; ``at`` is the time of a mail, None without one."""
    await conn.execute(SET_MAILED, organizer_id, dict(numbers), at)


async def set_preferences(conn: Connection, organizer_id: OrganizerId, zone: str, waiting_mail: str) -> None:
    await conn.execute(SET_PREFERENCES, organizer_id, zone, waiting_mail)


async def load_waits(conn: Connection, organizer_id: OrganizerId) -> list[Record]:
    """Return an organizer's letters, each with what waits there by kind; ``MAX_COUNTED`` at most."""
    return await conn.fetch(WAITS, organizer_id)
