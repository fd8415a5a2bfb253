"""All confirmed signatures of a letter, as ``petition signatures export`` writes them.

Rows are written as the database yields them, so a large list needs no more memory than a small one.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, BinaryIO

from petition.core.database import Connection, Record
from petition.core.encryption import LetterKeys
from petition.core.ids import LetterId
from petition.exports import writers
from petition.exports.writers import Format
from petition.letters import count_step_queries, switch_queries
from petition.signatures import csv_format
from petition.signatures.model import Kind

BATCH = 1000  # rows
LONG = 3600.0  # seconds

# In the order of the list, which an import of the file elsewhere preserves.
EXPORT = f"""
SELECT s.kind, s.visibility, s.name, s.affiliation, s.city,
       {count_step_queries.shown_country("s.country")} AS country, s.position, s.private, s.signed_at,
       o.name_en, o.name_ru, o.website, s.import IS NOT NULL AS imported
FROM signature s LEFT JOIN organization o ON o.letter = s.letter AND o.id = s.organization
WHERE s.letter = $1 AND s.state = 'confirmed' ORDER BY s.listed_at DESC, s.id DESC
"""  # noqa: S608 - constants

_PERSON_COLUMNS = ("name", "affiliation", "city")
_ORGANIZATION_COLUMNS = ("name_en", "name_ru", "website", "representative", "position")
_NAMELESS = dict.fromkeys((*_PERSON_COLUMNS, *_ORGANIZATION_COLUMNS))
# CSV: those that an import reads.
COLUMNS: Mapping[Format, tuple[str, ...]] = {
    Format.CSV: csv_format.COLUMNS,
    Format.JSON: ("kind", *_PERSON_COLUMNS, *_ORGANIZATION_COLUMNS, "country", "signed_at", "visibility", "imported"),
    Format.XLSX: (*csv_format.COLUMNS, "website", "representative", "position", "imported"),
}


async def write(conn: Connection, letter_id: LetterId, keys: LetterKeys, file_format: Format, out: BinaryIO) -> int:
    """Write every confirmed signature to ``out``; return how many. Needs a transaction.

    While the letter's names are hidden, all are written without a name; so are those that only organizers see where
    the letter's key has been destroyed. Raises ``KeyDestroyed`` for another letter's keys.
    """
    writer, format_row, count = writers.writer(file_format, COLUMNS[file_format]), _ROWS[file_format], 0
    try:
        out.write(writer.begin())
        async for batch in _batches(conn, letter_id):
            count += len(batch)
            hides = (await switch_queries.of_letter(conn, letter_id)).list_hidden
            rows = [_row(record, keys) | (_NAMELESS if hides else {}) for record in batch]
            out.write(writer.rows([format_row(row) for row in rows]))
    finally:  # an archive left open complains when it is garbage
        end = writer.end()
    out.write(end)
    return count


async def _batches(conn: Connection, letter_id: LetterId) -> AsyncIterator[list[Record]]:
    batch: list[Record] = []
    async for record in conn.cursor(EXPORT, letter_id, prefetch=BATCH, timeout=LONG):
        batch.append(record)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _row(record: Record, keys: LetterKeys) -> dict[str, Any]:
    """Return one signature with its names decrypted, by column."""
    names = record if record["private"] is None else keys.reveal_if_left(record["private"])
    is_person = record["kind"] == Kind.PERSON
    return dict(record) | {
        "name": names.get("name") if is_person else None,
        "affiliation": names.get("affiliation"),
        "city": names.get("city"),
        "representative": None if is_person else names.get("name"),
        "position": names.get("position"),
    }


def csv_row(row: dict[str, Any]) -> dict[str, Any]:
    if row["kind"] == Kind.PERSON:
        return row | {"name_ru": None}
    name, name_ru = csv_format.name_cells(row["name_en"], row["name_ru"])
    return row | {"name": name, "name_ru": name_ru}


def _json_row(row: dict[str, Any]) -> dict[str, Any]:
    absent = _ORGANIZATION_COLUMNS if row["kind"] == Kind.PERSON else _PERSON_COLUMNS
    return {name: value for name, value in row.items() if name not in absent}


def _xlsx_row(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"name": row["name"] or row["name_en"], "imported": "yes" if row["imported"] else "no"}


_ROWS: Mapping[Format, Callable[[dict[str, Any]], dict[str, Any]]] = {
    Format.CSV: csv_row,
    Format.JSON: _json_row,
    Format.XLSX: _xlsx_row,
}
