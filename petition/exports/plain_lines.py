"""Lines of a CSV file that PostgreSQL writes itself, as COPY does: most people on a list need nothing done to them.

A row that needs care (a name that is encrypted, an organization, a cell that a spreadsheet could run, a flag) stands
there as a mark with its number, and is written as every other file writes it. So a million rows take about three
times as long as a bare COPY (docs/performance.md).
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from petition.core.database import Connection, Record
from petition.core.ids import LetterId
from petition.formats.csv_rows import FORMULA_BEGINS
from petition.moderation import queue_queries
from petition.moderation.model import Filter

LONG = 600.0  # seconds
_MARK = re.compile(rb"\x01(\d+),*\n")

_UTC = "s.signed_at AT TIME ZONE 'UTC'"
# As ``writers.timestamp`` writes it.
_TIME = f"""CASE WHEN s.signed_at = date_trunc('second', s.signed_at) THEN replace(({_UTC})::text, ' ', 'T') || 'Z'
ELSE to_char({_UTC}, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') END"""
# The columns of a person whose names are public, or not stored.
_CELLS: Mapping[str, str] = {
    "kind": "'person'",
    "name": "nullif(s.name, '')",
    "affiliation": "nullif(s.affiliation, '')",
    "city": "nullif(s.city, '')",
    "country": "s.country",
    "signed_at": _TIME,
    "visibility": "s.visibility::text",
    "position": "nullif(s.\"position\", '')",
    "imported": "CASE WHEN s.imported THEN 'yes' ELSE 'no' END",
    "state": "s.state::text",
    "lang": "s.read_lang",
}
_CARE = f"""s.kind <> 'person' OR s.private IS NOT NULL OR s.flags <> '{{}}' OR s.removed_for IS NOT NULL
OR coalesce(s.signed_at, s.listed_at) NOT BETWEEN '0001-01-02' AND '9999-12-30'
OR concat_ws(',', '', s.name, s.affiliation, s.city, s."position") ~ '{FORMULA_BEGINS.replace("'", "''")}'"""


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines as they are sent, and their number; ``end`` is the last row that was looked at, None at the end."""

    content: bytes
    rows: int
    end: tuple[datetime, int] | None


def can_be_written(columns: Sequence[str]) -> bool:
    """Return whether lines of these columns are the same here: a line of one empty cell is not."""
    return len(columns) > 1


async def load(
    conn: Connection,
    letter_id: LetterId,
    filter: Filter,
    columns: Sequence[str],
    before: tuple[datetime, int],
    limit: int,
    words: str,
    write: Callable[[Record], bytes],
) -> Lines:
    """Return the next lines before a position, of at most ``limit`` rows of the filter's index.

    ``write`` returns the line of a row that needs care.
    """
    conditions = queue_queries.Conditions(filter, words, 4)
    end = await queue_queries.end_of_scan(conn, letter_id, conditions, before, limit)
    statement = _statement(columns, conditions, limit)
    content, number = await _copied(conn, statement, letter_id, *before, *conditions.arguments)
    marked = [int(mark) for mark in _MARK.findall(content)]
    records = await queue_queries.several(conn, letter_id, marked)
    lines = {row["id"]: write(row) for row in records}
    parts = enumerate(_MARK.split(content))  # every other one is a number
    pieces = [lines.get(int(part), b"") if index % 2 else part.replace(b"\n", b"\r\n") for index, part in parts]
    position = (end["listed_at"], end["id"]) if end else None
    return Lines(b"".join(pieces), number - len(marked) + len(lines), position)


def _statement(columns: Sequence[str], conditions: queue_queries.Conditions, limit: int) -> str:
    cells = [_CELLS.get(name, "NULL") for name in columns]
    first = f"CASE WHEN s.needs_care THEN E'\\x01' || s.id ELSE {cells[0]} END"
    others = ", ".join(f"CASE WHEN NOT s.needs_care THEN {cell} END" for cell in cells[1:])
    return f"""
    SELECT {first}, {others} FROM (
      SELECT s.*, ({_CARE}) IS NOT FALSE AS needs_care FROM ({queue_queries.scan_of(conditions, limit)}) AS s
      WHERE {conditions.others} OFFSET 0
    ) AS s ORDER BY s.listed_at DESC, s.id DESC
    """  # noqa: S608 - constants


async def _copied(conn: Connection, statement: str, *arguments: object) -> tuple[bytes, int]:
    """Return the lines that a statement makes, and their number."""
    content = bytearray()

    async def take(piece: bytes) -> None:
        content.extend(piece)

    status = await conn.copy_from_query(statement, *arguments, output=take, format="csv", timeout=LONG)
    return bytes(content), int(status.split()[-1])
