"""All SQL of preview links: one for each letter, a row that can be taken away."""

from datetime import timedelta

from petition.core.database import Connection, Record
from petition.core.ids import LetterId

ADD = """
INSERT INTO preview_link (id, letter, until_published, expires_at) VALUES ($1, $2, $3, now() + $4::interval)
ON CONFLICT (letter) DO UPDATE
SET id = excluded.id, until_published = excluded.until_published, made_at = now(), expires_at = excluded.expires_at
"""

OF_LETTER = "SELECT id, until_published, made_at, expires_at FROM preview_link WHERE letter = $1 AND expires_at > now()"

OPEN = """
SELECT l.slug, p.expires_at FROM preview_link p JOIN letter l ON l.id = p.letter
WHERE p.letter = $1 AND p.id = $2 AND p.expires_at > now() AND l.state <> 'gone'
"""

DROP = "DELETE FROM preview_link WHERE letter = $1 RETURNING id"

DROP_PUBLISHED = "DELETE FROM preview_link WHERE letter = $1 AND until_published"


async def add(conn: Connection, number: int, letter_id: LetterId, until_published: bool, length: timedelta) -> None:
    """Make the letter's preview link, in place of the one there was."""
    await conn.execute(ADD, number, letter_id, until_published, length)


async def of_letter(conn: Connection, letter_id: LetterId) -> Record | None:
    """Return the letter's preview link while it works."""
    return await conn.fetchrow(OF_LETTER, letter_id)


async def opened(conn: Connection, letter_id: LetterId, number: int) -> Record | None:
    """Return (slug, expires_at) of the letter that a link opens, or None. One that was taken down opens no more, even
    while its rows are still being deleted."""
    return await conn.fetchrow(OPEN, letter_id, number)


async def drop(conn: Connection, letter_id: LetterId) -> bool:
    """Take the link away; tell whether there was one."""
    return await conn.fetchval(DROP, letter_id) is not None


async def drop_published(conn: Connection, letter_id: LetterId) -> None:
    """Take the link away if it was made until publication only."""
    await conn.execute(DROP_PUBLISHED, letter_id)
