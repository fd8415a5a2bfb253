"""All SQL of mirrors: when each was last written, for the desk."""

from datetime import datetime

from petition.core.database import Connection, Record
from petition.core.ids import LetterId

WRITTEN = """
INSERT INTO mirror (letter, written_at, counted_at, files, bytes)
SELECT id, $2, $3, $4, $5 FROM letter WHERE id = $1 AND state <> 'gone'
ON CONFLICT (letter) DO UPDATE SET written_at = excluded.written_at, counted_at = excluded.counted_at,
  files = excluded.files, bytes = excluded.bytes, failed_at = NULL, problem = NULL
"""

FAILED = """
INSERT INTO mirror (letter, failed_at, problem) SELECT id, now(), $2 FROM letter WHERE id = $1 AND state <> 'gone'
ON CONFLICT (letter) DO UPDATE SET failed_at = excluded.failed_at, problem = excluded.problem
"""

OF_LETTER = "SELECT written_at, counted_at, files, bytes, failed_at, problem FROM mirror WHERE letter = $1"

ALL = """
SELECT l.slug, m.written_at, m.counted_at, m.files, m.bytes, m.failed_at, m.problem
FROM letter l LEFT JOIN mirror m ON m.letter = l.id
WHERE l.version IS NOT NULL AND l.state <> 'gone' ORDER BY l.id DESC LIMIT 500
"""


SHOWN_COUNT = "SELECT * FROM published_count WHERE letter = $1"


async def shown_count(conn: Connection, letter_id: LetterId) -> Record | None:
    """Return the count that readers see now."""
    return await conn.fetchrow(SHOWN_COUNT, letter_id)


async def written(
    conn: Connection, letter_id: LetterId, written_at: datetime, counted_at: datetime, size: tuple[int, int]
) -> None:
    """Note that a mirror was written; ``size`` is (files, bytes)."""
    await conn.execute(WRITTEN, letter_id, written_at, counted_at, *size)


async def failed(conn: Connection, letter_id: LetterId, problem: str) -> None:
    await conn.execute(FAILED, letter_id, problem)


async def of_letter(conn: Connection, letter_id: LetterId) -> Record | None:
    return await conn.fetchrow(OF_LETTER, letter_id)


async def all_letters(conn: Connection) -> list[Record]:
    """Return every published letter with what is known of its mirror, the newest letter first."""
    return await conn.fetch(ALL)
