"""The SQL of reading the log."""

from petition.core.database import Connection, Record
from petition.core.ids import LetterId, LogId, OrganizerId
from petition.moderation.model import UNDOABLE, LogLine

# With a LIMIT of its own: without it, the planner reads the whole log for fifty lines.
_LINES = """
SELECT l.id, l.at, l.organizer AS organizer_id, o.name AS organizer_name, l.act, l.ids, l.before, l.after, l.reason,
       l.campaign AS bulk_act_id, l.undoes, l.command,
       (SELECT u.id FROM log u WHERE u.undoes = l.id LIMIT 1) IS NOT NULL AS is_undone
FROM log l LEFT JOIN organizer o ON o.id = l.organizer
"""

PAGE_OF_LETTER = f"{_LINES} WHERE l.letter = $1 AND l.id < $2 ORDER BY l.id DESC LIMIT $3"

OF_SIGNATURE = f"{_LINES} WHERE l.letter = $1 AND l.ids @> ARRAY[$2::bigint] ORDER BY l.id DESC LIMIT 100"

ONE = f"{_LINES} WHERE l.letter = $1 AND l.id = $2"

LAST_OF = f"""
{_LINES} WHERE l.letter = $1 AND l.organizer = $2 AND l.act = ANY($3::text[]) AND l.undoes IS NULL
  AND l.campaign IS NULL AND l.at > now() - interval '12 hours'
ORDER BY l.at DESC, l.id DESC LIMIT 1
"""


async def page(conn: Connection, letter_id: LetterId, before: int, limit: int) -> list[LogLine]:
    """Return the newest acts on a letter below an id."""
    return [_line(row) for row in await conn.fetch(PAGE_OF_LETTER, letter_id, before, limit)]


async def of_signature(conn: Connection, letter_id: LetterId, id: int) -> list[LogLine]:
    """Return the newest 100 acts on one signature, organization or bulk act."""
    return [_line(row) for row in await conn.fetch(OF_SIGNATURE, letter_id, id)]


async def one(conn: Connection, letter_id: LetterId, log_id: LogId) -> LogLine | None:
    row = await conn.fetchrow(ONE, letter_id, log_id)
    return _line(row) if row else None


async def last_of(conn: Connection, letter_id: LetterId, organizer_id: OrganizerId) -> LogLine | None:
    """Return an organizer's last act that can be undone, if it is at most 12 hours old and not undone."""
    row = await conn.fetchrow(LAST_OF, letter_id, organizer_id, sorted(UNDOABLE))
    line = _line(row) if row else None
    return line if line and not line.is_undone else None


def _line(row: Record) -> LogLine:
    return LogLine(**{**row, "ids": tuple(row["ids"])})
