"""All SQL of a letter's first page at the desk: what waits; and of the menu of letters above every page."""

from petition.core.database import Connection, Record
from petition.core.ids import LetterId, OrganizerId
from petition.organizers.model import MenuLetter

MAX_COUNTED = 1000
MAX_MENU_COUNTED = 100
MAX_MENU_LETTERS = 30

# Of what is flagged the newest are looked at, as in ``WAITING``.
MENU = f"""
SELECT l.slug, l.effective_state AS state,
       CASE WHEN m.role IN ('viewer', 'auditor') THEN 0 ELSE w.waiting END AS waiting,
       (SELECT jsonb_object_agg(t.lang, t.title) FROM translation t WHERE t.letter = l.id) AS titles
FROM member m JOIN letter l ON l.id = m.letter
CROSS JOIN LATERAL (
  SELECT (SELECT count(*) FROM (
            SELECT FROM signature s WHERE s.letter = l.id AND s.state = 'held' LIMIT {MAX_MENU_COUNTED + 1}) AS h)
         + (SELECT count(*) FILTER (WHERE newest.state = 'confirmed') FROM (
              SELECT s.state FROM signature s WHERE s.letter = l.id AND s.flags <> '{{}}'
              ORDER BY s.listed_at DESC, s.id DESC LIMIT {MAX_MENU_COUNTED + 1}) AS newest)
         + (SELECT count(*) FROM addressee_answer n
            WHERE n.letter = l.id AND n.state = 'waiting' AND m.role IN ('editor', 'owner')) AS waiting) AS w
WHERE m.organizer = $1 AND l.state <> 'gone' ORDER BY l.created_at DESC, l.id DESC LIMIT {MAX_MENU_LETTERS}
"""

# Of what is flagged the newest are looked at. Only of a published letter readers may see another text than is written.
WAITING = f"""
SELECT (SELECT count(*) FROM (
          SELECT FROM signature s WHERE s.letter = l.id AND s.state = 'held' LIMIT {MAX_COUNTED + 1}) AS h) AS held,
       f.flagged, f.reported,
       ARRAY(SELECT t.lang FROM translation t WHERE t.letter = l.id AND t.title <> '' AND t.markdown <> '') AS written,
       v.letter IS NOT NULL AND (
         EXISTS (SELECT FROM edit e WHERE e.letter = l.id AND e.value IS NOT NULL)
         OR EXISTS (
           SELECT FROM (SELECT t.lang, t.title, t.markdown FROM translation t WHERE t.letter = l.id) AS t
           FULL JOIN jsonb_each(v.texts) AS p (lang, text) ON p.lang = t.lang
           WHERE (t.title, t.markdown) IS DISTINCT FROM (p.text ->> 'title', p.text ->> 'markdown'))) AS changed,
       (SELECT count(*) FROM member m WHERE m.letter = l.id) AS members,
       (SELECT count(*) FROM invitation i WHERE i.letter = l.id AND i.expires_at > now()) AS invited
FROM letter l LEFT JOIN version v ON v.letter = l.id AND v.number = l.version
CROSS JOIN LATERAL (
  SELECT count(*) AS flagged, count(*) FILTER (WHERE 'reported' = ANY(newest.flags)) AS reported
  FROM (SELECT s.flags FROM signature s WHERE s.letter = l.id AND s.state = 'confirmed' AND s.flags <> '{{}}'
        ORDER BY s.listed_at DESC, s.id DESC LIMIT {MAX_COUNTED + 1}) AS newest) AS f
WHERE l.id = $1
"""

INTAKES = """
SELECT number, state FROM intake
WHERE letter = $1 AND state IN ('reading', 'mapping', 'checking', 'checked', 'importing', 'undoing', 'redoing')
AND (organizer = $2 OR state IN ('importing', 'undoing', 'redoing')) ORDER BY number DESC LIMIT 5
"""

CAMPAIGNS = """
SELECT id, state FROM campaign
WHERE letter = $1 AND id IN (SELECT c.id FROM campaign c WHERE c.letter = $1 ORDER BY c.id DESC LIMIT 100)
AND state IN ('running', 'paused', 'reverting') ORDER BY id DESC LIMIT 5
"""


async def menu(conn: Connection, organizer_id: OrganizerId) -> tuple[MenuLetter, ...]:
    """Return an organizer's newest letters, each with what waits there; over ``MAX_MENU_COUNTED`` means "more"."""
    rows = await conn.fetch(MENU, organizer_id)
    return tuple(
        MenuLetter(slug=row["slug"], state=row["state"], titles=row["titles"] or {}, waiting=row["waiting"])
        for row in rows
    )


async def waiting(conn: Connection, letter_id: LetterId) -> Record | None:
    """Return what waits on a letter; ``MAX_COUNTED`` + 1 means "more"."""
    return await conn.fetchrow(WAITING, letter_id)


async def open_imports(conn: Connection, letter_id: LetterId, organizer_id: OrganizerId) -> list[Record]:
    """Return (number, state) of imports that have not ended, the newest first; of others only those under way."""
    return await conn.fetch(INTAKES, letter_id, organizer_id)


async def running_bulk_acts(conn: Connection, letter_id: LetterId) -> list[Record]:
    """Return (id, state) of campaigns that have not ended, the newest first."""
    return await conn.fetch(CAMPAIGNS, letter_id)
