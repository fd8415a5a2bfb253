"""All SQL of updates on a letter: news that stand on its page. Their table is called news: update is a word of SQL."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from petition.core.database import Connection, Record
from petition.core.i18n import Texts
from petition.core.ids import LetterId, OrganizerId, UpdateId
from petition.letters.model import Text

ALL_NEWS = """
SELECT id, state, texts, revision, written_at, published_at, edited_at, publish_at FROM news WHERE letter = $1
ORDER BY coalesce(published_at, written_at) DESC, id DESC LIMIT 500
"""

ONE_NEWS = """
SELECT id, state, texts, shown, revision, written_at, published_at, edited_at, publish_at, publish_by
FROM news WHERE letter = $1 AND id = $2
"""

LOCK_NEWS = ONE_NEWS + "FOR UPDATE"

ADD_NEWS = """
INSERT INTO news (letter, texts) SELECT id, $2 FROM letter WHERE id = $1 AND state <> 'gone' RETURNING id
"""

WRITE_NEWS = """
UPDATE news SET texts = $3, shown = $4, state = $5, revision = revision + 1, edited_at = CASE WHEN $6 THEN now()
       ELSE edited_at END, published_at = CASE WHEN $5 = 'published' THEN coalesce(published_at, now())
       ELSE published_at END,
       publish_at = CASE WHEN $5 = 'draft' THEN publish_at END, publish_by = CASE WHEN $5 = 'draft' THEN publish_by END
WHERE letter = $1 AND id = $2
"""

SCHEDULE = """
UPDATE news SET publish_at = $3, publish_by = $4, revision = revision + 1
WHERE letter = $1 AND id = $2 AND state = 'draft' RETURNING id
"""

# An update waits for its letter: before that, readers would not see it.
DUE_NEWS = """
SELECT n.letter, n.id FROM news n JOIN letter l ON l.id = n.letter
WHERE n.publish_at <= now() AND l.version IS NOT NULL AND l.state <> 'gone' ORDER BY n.publish_at LIMIT 100
"""

SHOWN_NEWS = """
SELECT id, shown, published_at, edited_at FROM news
WHERE letter = $1 AND state = 'published'
  AND (published_at, id) < (SELECT before.published_at, before.id FROM news before
                            WHERE before.letter = $1 AND before.id = $2
                            UNION ALL SELECT 'infinity', 0 WHERE $2 = 0)
ORDER BY published_at DESC, id DESC LIMIT $3
"""

NEWEST_OF_LETTERS = """
SELECT DISTINCT ON (letter) letter, id, shown, published_at FROM news
WHERE letter = ANY($1::integer[]) AND state = 'published' ORDER BY letter, published_at DESC, id DESC
"""

MOVE_REVISION = "UPDATE letter SET revision = revision + 1, purges = purges + $2::integer WHERE id = $1"


async def all_news(conn: Connection, letter_id: LetterId) -> list[Record]:
    """Return every update of a letter, drafts and removed ones too, newest first."""
    return await conn.fetch(ALL_NEWS, letter_id)


async def one(conn: Connection, letter_id: LetterId, update_id: UpdateId, *, lock: bool = False) -> Record | None:
    return await conn.fetchrow(LOCK_NEWS if lock else ONE_NEWS, letter_id, update_id)


async def add(conn: Connection, letter_id: LetterId, texts: Mapping[str, Mapping[str, str]]) -> UpdateId | None:
    """Add a draft; return its number, or None if the letter has been taken down."""
    number: UpdateId | None = await conn.fetchval(ADD_NEWS, letter_id, dict(texts))
    return number


async def write(
    conn: Connection,
    letter_id: LetterId,
    update_id: UpdateId,
    texts: Mapping[str, Any],
    displayed: Mapping[str, Any] | None,
    state: str,
    *,
    edited: bool,
) -> None:
    """Write an update down; ``edited`` records that readers get another text than before."""
    await conn.execute(WRITE_NEWS, letter_id, update_id, dict(texts), displayed and dict(displayed), state, edited)


async def schedule(
    conn: Connection, letter_id: LetterId, update_id: UpdateId, at: datetime | None, actor_id: OrganizerId | None
) -> bool:
    """Set or clear the time at which an update is published; return whether it is a draft still."""
    return await conn.fetchval(SCHEDULE, letter_id, update_id, at, actor_id if at else None) is not None


async def due(conn: Connection) -> list[tuple[LetterId, UpdateId]]:
    """Return (letter, update) of the updates whose time has come."""
    return [(row["letter"], row["id"]) for row in await conn.fetch(DUE_NEWS)]


async def published(
    conn: Connection, letter_id: LetterId, before: int, limit: int
) -> Sequence[tuple[Record, Mapping[str, Text]]]:
    """Return what readers see, newest first, each with its texts; after the update ``before`` (0: from the newest)."""
    rows = await conn.fetch(SHOWN_NEWS, letter_id, before, limit)
    return [(row, {lang: Text(**text) for lang, text in sorted(row["shown"].items())}) for row in rows]


async def newest_titles(conn: Connection, letter_ids: Sequence[LetterId]) -> dict[LetterId, tuple[Record, Texts]]:
    """Return the newest published update of each letter that has one: its row, and its title per language."""
    rows = await conn.fetch(NEWEST_OF_LETTERS, list(letter_ids))
    return {row["letter"]: (row, {lang: text["title"] for lang, text in sorted(row["shown"].items())}) for row in rows}


async def move_revision(conn: Connection, letter_id: LetterId, *, purge: bool = False) -> None:
    """Invalidate the letter's cached pages; ``purge`` stale copies too, if something on them was taken back."""
    await conn.execute(MOVE_REVISION, letter_id, int(purge))
