"""The SQL of finding repeated names on a letter, and of checking imported names."""

from collections.abc import Sequence
from datetime import datetime

from petition.core.database import Connection, Record
from petition.core.ids import LetterId

# One worker per letter. (The first number is "name".)
TRY_LOCK = "SELECT pg_try_advisory_xact_lock(1851878757, $1)"

ADD_POSITION = "INSERT INTO name_look (letter) VALUES ($1) ON CONFLICT DO NOTHING"

POSITION = "SELECT listed_at, signature, import, imported FROM name_look WHERE letter = $1"

SET_POSITION = "UPDATE name_look SET listed_at = $2, signature = $3, import = $4, imported = $5 WHERE letter = $1"

# In the order of listing; a minute late, so that no row is listed before the position afterwards.
SIGNED_SINCE = """
SELECT id, listed_at, name_key, import IS NOT NULL AS imported FROM signature
WHERE letter = $1 AND kind = 'person' AND state = 'confirmed' AND visibility = 'public'
  AND (listed_at, id) > ($2, $3) AND listed_at < now() - interval '1 minute'
ORDER BY listed_at, id LIMIT $4
"""

# Imported rows are listed at the time in their file, so they are scanned by import.
IMPORTED_SINCE = """
SELECT s.id, s.import, s.kind, s.name, s.affiliation, s.city, s.name_key, s.private, o.name_en, o.name_ru
FROM signature s LEFT JOIN organization o ON o.letter = s.letter AND o.id = s.organization
WHERE s.letter = $1 AND s.import IS NOT NULL AND (s.import, s.id) > ($2, $3) ORDER BY s.import, s.id LIMIT $4
"""

PEOPLE = "SELECT coalesce((SELECT people FROM count WHERE letter = $1), 0)"

# Without those that a moderator has decided about. Needs the index of words (``use_index_of_words``).
NAMED_LIKE = """
SELECT id, name_key FROM signature
WHERE state = 'confirmed' AND visibility = 'public' AND kind = 'person'
  AND name_words(letter, name_key) @@ $1::text::tsquery
  AND last_act IS NULL AND array_length(string_to_array(name_key, ' '), 1) BETWEEN $2::integer AND $2 + 1
LIMIT $3
"""

# SKIP LOCKED: leaves alone what a moderator is deciding about.
ADD_FLAGS = """
WITH mine AS MATERIALIZED (
  SELECT s.id, u.flags FROM signature s JOIN unnest($2::bigint[], $3::text[]) AS u (id, flags) ON u.id = s.id
  WHERE s.letter = $1 AND s.last_act IS NULL AND s.state IN ('held', 'confirmed')
    AND NOT s.flags @> string_to_array(u.flags, ',')
  ORDER BY s.id FOR UPDATE OF s SKIP LOCKED
)
UPDATE signature s SET flags = ARRAY(SELECT DISTINCT unnest(s.flags || string_to_array(m.flags, ',')))
FROM mine m WHERE s.letter = $1 AND s.id = m.id
"""


async def try_lock(conn: Connection, letter_id: LetterId) -> bool:
    """Lock the letter's names until the transaction ends; return False if another worker has the lock."""
    is_locked: bool = await conn.fetchval(TRY_LOCK, letter_id)
    return is_locked


async def position(conn: Connection, letter_id: LetterId) -> Record:
    """Return how far the names of a letter have been checked."""
    await conn.execute(ADD_POSITION, letter_id)
    row = await conn.fetchrow(POSITION, letter_id)
    if row is None:
        raise LookupError("the row has just been inserted")
    return row


async def set_position(
    conn: Connection, letter_id: LetterId, signed: tuple[datetime, int], imported: tuple[int, int]
) -> None:
    await conn.execute(SET_POSITION, letter_id, *signed, *imported)


async def signed_since(conn: Connection, letter_id: LetterId, after: tuple[datetime, int], limit: int) -> list[Record]:
    """Return public people listed after a position, the oldest first."""
    return await conn.fetch(SIGNED_SINCE, letter_id, *after, limit)


async def imported_since(conn: Connection, letter_id: LetterId, after: tuple[int, int], limit: int) -> list[Record]:
    """Return imported rows after a position (import, id), in order."""
    return await conn.fetch(IMPORTED_SINCE, letter_id, *after, limit)


async def people(conn: Connection, letter_id: LetterId) -> int:
    """Return how many people count."""
    return int(await conn.fetchval(PEOPLE, letter_id))


async def named_like(conn: Connection, words: str, length: int, limit: int) -> list[Record]:
    """Return (id, name_key) of public people with ``words`` (a ``tsquery``), and ``length`` words or one more."""
    return await conn.fetch(NAMED_LIKE, words, length, limit)


async def add_flags(conn: Connection, letter_id: LetterId, ids: Sequence[int], flags: Sequence[str]) -> int:
    """Add flags (comma-separated) to signatures without a decision; return how many signatures got a new one."""
    return int((await conn.execute(ADD_FLAGS, letter_id, ids, flags)).split()[-1])
