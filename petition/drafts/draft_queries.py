"""All SQL of drafts: who wrote which field when, what is not yet shown to readers, and pictures."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from petition.core.database import Connection, Record
from petition.core.ids import LetterId, OrganizerId

EDITS = """
SELECT e.field, e.value, e.at, e.organizer, o.name
FROM edit e LEFT JOIN organizer o ON o.id = e.organizer WHERE e.letter = $1
"""

EDIT = """
INSERT INTO edit (letter, field, value, organizer) VALUES ($1, $2, $3, $4)
ON CONFLICT (letter, field) DO UPDATE SET value = excluded.value, organizer = excluded.organizer, at = now()
"""

# What was waiting is what readers see now; who wrote it, and when, stays.
SETTLE = "UPDATE edit SET value = NULL WHERE letter = $1 AND value IS NOT NULL"

SET_TRANSLATION = """
INSERT INTO translation (letter, lang, title, markdown) VALUES ($1, $2, $3, $4)
ON CONFLICT (letter, lang) DO UPDATE SET title = excluded.title, markdown = excluded.markdown
"""

DROP_TRANSLATION = "DELETE FROM translation WHERE letter = $1 AND lang = $2"

# The same picture is the same row.
ADD_PICTURE = "INSERT INTO picture (letter, id, type, content) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING"

PICTURE = "SELECT type, content FROM picture WHERE letter = $1 AND id = $2"

PUBLIC_PICTURE = """
SELECT p.type, octet_length(p.content) AS size, substring(p.content FROM $3::int + 1 FOR $4::int) AS part
FROM letter l JOIN picture p ON p.letter = l.id
WHERE l.slug = $1 AND l.version IS NOT NULL AND p.id = $2
AND EXISTS (SELECT FROM sharing s WHERE s.letter = l.id AND s.picture = p.id)
"""

# Where the letter has never been published.
SCHEDULE = """
UPDATE letter SET publish_at = $2, publish_by = $3 WHERE id = $1 AND version IS NULL AND state = 'draft' RETURNING id
"""

DUE_LETTERS = "SELECT slug FROM letter WHERE publish_at <= now() ORDER BY publish_at LIMIT 100"

SCHEDULED = "SELECT publish_at FROM letter WHERE id = $1"

# Only an address that no reader knows changes.
RENAME = "UPDATE letter SET slug = $2 WHERE id = $1 AND version IS NULL AND state = 'draft' RETURNING id"

COPY_PICTURES = """
INSERT INTO picture (letter, id, type, content) SELECT $2, id, type, content FROM picture WHERE letter = $1
"""

PICTURES = "SELECT id, type, content FROM picture WHERE letter = $1 ORDER BY id"

DROP_UNUSED_PICTURES = """
DELETE FROM picture p WHERE p.letter = $1
AND NOT EXISTS (SELECT FROM sharing s WHERE s.letter = p.letter AND s.picture = p.id)
AND NOT EXISTS (
  SELECT FROM edit e WHERE e.letter = p.letter AND e.field LIKE 'picture.%' AND e.value = p.id::text
)
"""


async def edits(conn: Connection, letter_id: LetterId) -> list[Record]:
    """Return (field, value, at, organizer, name) of every field that was ever touched."""
    return await conn.fetch(EDITS, letter_id)


async def edit(
    conn: Connection, letter_id: LetterId, waiting: Mapping[str, str | None], actor_id: OrganizerId | None
) -> None:
    """Note that ``actor_id`` has just written these fields; the values wait for readers, None where none does."""
    await conn.executemany(EDIT, [(letter_id, name, value, actor_id) for name, value in sorted(waiting.items())])


async def settle(conn: Connection, letter_id: LetterId) -> None:
    """Forget what waited: it has been shown to readers."""
    await conn.execute(SETTLE, letter_id)


async def set_translation(conn: Connection, letter_id: LetterId, lang: str, text: tuple[str, str]) -> None:
    """Replace the working text (title, Markdown) of one language; an empty one goes."""
    if any(text):
        await conn.execute(SET_TRANSLATION, letter_id, lang, *text)
    else:
        await conn.execute(DROP_TRANSLATION, letter_id, lang)


async def add_picture(conn: Connection, letter_id: LetterId, number: int, picture_type: str, content: bytes) -> None:
    """Keep a picture; harmless if it is there."""
    await conn.execute(ADD_PICTURE, letter_id, number, picture_type, content)


async def picture(conn: Connection, letter_id: LetterId, number: int) -> Record | None:
    """Return (type, content) of a picture, also of one that readers do not see yet."""
    return await conn.fetchrow(PICTURE, letter_id, number)


async def public_picture(conn: Connection, slug: str, number: int, start: int, length: int) -> Record | None:
    """Return (type, size, part) of a picture that a published letter is shared with; the part begins at ``start``."""
    return await conn.fetchrow(PUBLIC_PICTURE, slug, number, start, length)


async def pictures(conn: Connection, letter_id: LetterId) -> Sequence[Record]:
    """Return (id, type, content) of every picture of a letter."""
    return await conn.fetch(PICTURES, letter_id)


async def copy_pictures(conn: Connection, source_id: LetterId, letter_id: LetterId) -> None:
    """Give a new letter the pictures of another one."""
    await conn.execute(COPY_PICTURES, source_id, letter_id)


async def schedule(conn: Connection, letter_id: LetterId, at: datetime | None, actor_id: OrganizerId | None) -> bool:
    """Set or clear the time at which a draft is published; return whether it is a draft still."""
    return await conn.fetchval(SCHEDULE, letter_id, at, actor_id if at else None) is not None


async def due_letters(conn: Connection) -> list[str]:
    """Return the short names of drafts whose time has come."""
    return [row["slug"] for row in await conn.fetch(DUE_LETTERS)]


async def scheduled(conn: Connection, letter_id: LetterId) -> datetime | None:
    """Return the time at which a draft is published by itself."""
    at: datetime | None = await conn.fetchval(SCHEDULED, letter_id)
    return at


async def rename(conn: Connection, letter_id: LetterId, slug: str) -> bool:
    """Change a draft's short name; return whether it is a draft still.

    The transaction ends in ``Taken`` if another letter gets the name at this moment.
    """
    return await conn.fetchval(RENAME, letter_id, slug) is not None


async def drop_unused_pictures(conn: Connection, letter_id: LetterId) -> None:
    """Delete the pictures that neither readers see nor the draft has."""
    await conn.execute(DROP_UNUSED_PICTURES, letter_id)
