"""The SQL of reading the log."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from petition.core.database import Connection, Record
from petition.core.ids import BulkActId, LetterId, LogId, OrganizerId
from petition.moderation.model import UNDOABLE, LogLine


@dataclass(frozen=True, slots=True)
class LogFilter:
    """The conditions of a page of the log; None is no condition."""

    organizer_id: OrganizerId | None = None
    act: str | None = None
    day: tuple[datetime, datetime] | None = None  # its beginning and the next one's
    bulk_act_id: BulkActId | None = None  # all its steps


# With a LIMIT of its own: without it, the planner reads the whole log for fifty lines.
_LINES = """
SELECT l.id, l.at, l.organizer AS organizer_id, o.name AS organizer_name, l.act, l.ids, l.before, l.after, l.reason,
       l.campaign AS bulk_act_id, l.undoes, l.command,
       (SELECT u.id FROM log u WHERE u.undoes = l.id LIMIT 1) IS NOT NULL AS is_undone
FROM log l LEFT JOIN organizer o ON o.id = l.organizer
"""

PAGE_OF_LETTER = f"{_LINES} WHERE l.letter = $1 AND l.id < $2 ORDER BY l.id DESC LIMIT $3"

# The steps of a bulk act are folded into the act that started or reverted it, as in the index ``log_folded``.
_FOLDED = "(l.campaign IS NULL OR l.act NOT LIKE 'signature.%')"

AUTHORS = """
SELECT o.id, coalesce(nullif(o.name, ''), '#' || o.id) AS name
FROM member m JOIN organizer o ON o.id = m.organizer WHERE m.letter = $1 ORDER BY name, o.id
"""

ORGANIZATIONS = "SELECT id, name_en, name_ru FROM organization WHERE letter = $1 AND id = ANY($2::bigint[])"

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


async def filtered(conn: Connection, letter_id: LetterId, filter: LogFilter, before: int, limit: int) -> list[LogLine]:
    """Return the newest matching acts on a letter below an id; the steps of bulk acts only where one is asked for."""
    conditions, params = _conditions(filter)
    statement = f"{_LINES} WHERE l.letter = $1 AND l.id < $2 AND {conditions} ORDER BY l.id DESC LIMIT $3"
    return [_line(row) for row in await conn.fetch(statement, letter_id, before, limit, *params)]


def _conditions(filter: LogFilter) -> tuple[str, list[object]]:
    conditions = [_FOLDED]
    params: list[object] = []
    if filter.bulk_act_id is not None:
        params.append(filter.bulk_act_id)
        conditions = [f"l.campaign = ${3 + len(params)}"]
    if filter.organizer_id is not None:
        params.append(filter.organizer_id)
        conditions.append(f"l.organizer = ${3 + len(params)}")
    if filter.act is not None:
        params.append(filter.act)
        conditions.append(f"l.act = ${3 + len(params)}")
    if filter.day is not None:
        params += filter.day
        conditions.append(f"l.at >= ${2 + len(params)} AND l.at < ${3 + len(params)}")
    return " AND ".join(conditions), params


async def authors(conn: Connection, letter_id: LetterId) -> dict[OrganizerId, str]:
    """Return the names of a letter's members."""
    return {row["id"]: row["name"] for row in await conn.fetch(AUTHORS, letter_id)}


async def organization_names(conn: Connection, letter_id: LetterId, ids: Sequence[int]) -> dict[int, str]:
    """Return the names of entries that exist."""
    rows = await conn.fetch(ORGANIZATIONS, letter_id, ids) if ids else []
    return {row["id"]: " // ".join(filter(None, (row["name_en"], row["name_ru"]))) for row in rows}


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
