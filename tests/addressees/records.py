"""Deliveries and answers written directly, as an organizer's acts would."""

from collections.abc import Mapping
from datetime import datetime

from petition.core.database import Database
from tests.running import SLUG

ADD = """
WITH added AS (
  INSERT INTO addressee_event (letter, addressee, state, at, summary, url)
  SELECT a.letter, a.id, $3, $4, $5, $6 FROM addressee a JOIN letter l ON l.id = a.letter
  WHERE l.slug = $1 AND a.names ->> 'en' = $2 RETURNING letter, id
), moved AS (
  UPDATE letter SET revision = revision + 1 WHERE id IN (SELECT letter FROM added)
)
SELECT id FROM added
"""

NAMED = """
SELECT a.names ->> 'en' AS name, a.id FROM addressee a JOIN letter l ON l.id = a.letter
WHERE l.slug = $1 AND a.position IS NOT NULL ORDER BY a.position
"""


async def record(
    database: Database,
    name: str,
    state: str,
    at: datetime,
    *,
    summary: Mapping[str, str] | None = None,
    url: str | None = None,
    slug: str = SLUG,
) -> int:
    """Add an event of the addressee with this English name; return its id."""
    async with database.connection() as conn:
        return int(await conn.fetchval(ADD, slug, name, state, at, dict(summary or {}), url))


async def addressee_ids(database: Database, slug: str = SLUG) -> dict[str, int]:
    """Return the ids of those whom the letter names, by their English name."""
    async with database.connection() as conn:
        return {row["name"]: row["id"] for row in await conn.fetch(NAMED, slug)}
