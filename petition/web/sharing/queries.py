"""All SQL of what leads to letters."""

from petition.core.database import Connection, Record

LETTERS = """
SELECT l.slug, ARRAY(SELECT jsonb_object_keys(v.texts) ORDER BY 1) AS langs, v.published_at
FROM letter l JOIN version v ON v.letter = l.id AND v.number = l.version
WHERE l.effective_state IN ('open', 'closed') ORDER BY l.opened_at DESC, l.id DESC LIMIT $1
"""


async def letters(conn: Connection, most: int) -> list[Record]:
    """Return (slug, langs, published_at) of the letters that search engines may find, the newest first."""
    return await conn.fetch(LETTERS, most)
