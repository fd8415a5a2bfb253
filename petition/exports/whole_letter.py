"""All confirmed signatures of a letter, as ``petition signatures export`` writes them.

Rows go out as they come in from the database, so a large list needs no more memory than a small one.
"""

import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, BinaryIO

from petition.core.database import Connection, Record
from petition.core.encryption import LetterKeys
from petition.core.errors import PetitionError
from petition.core.ids import LetterId
from petition.exports import writers
from petition.exports.writers import Format
from petition.formats.xlsx_writer import MAX_XLSX_ROWS
from petition.signatures import csv_format
from petition.signatures.model import Kind

BATCH = 1000  # rows
LONG = 3600.0  # seconds

# In the order of the list, so that an import of it elsewhere has the same order.
EXPORT = """
SELECT s.kind, s.visibility, s.name, s.affiliation, s.city, s.country, s.position, s.private, s.signed_at,
       o.name_en, o.name_ru, o.website, s.import IS NOT NULL AS imported
FROM signature s LEFT JOIN organization o ON o.letter = s.letter AND o.id = s.organization
WHERE s.letter = $1 AND s.state = 'confirmed' ORDER BY s.listed_at DESC, s.id DESC
"""

_OF_PEOPLE = ("name", "affiliation", "city")
_OF_ORGANIZATIONS = ("name_en", "name_ru", "website", "representative", "position")
# A CSV file has the columns that an import knows.
COLUMNS: Mapping[Format, tuple[str, ...]] = {
    Format.CSV: csv_format.COLUMNS,
    Format.JSON: ("kind", *_OF_PEOPLE, *_OF_ORGANIZATIONS, "country", "signed_at", "visibility", "imported"),
    Format.XLSX: (*csv_format.COLUMNS, "website", "representative", "position", "imported"),
}


async def write(conn: Connection, letter_id: LetterId, keys: LetterKeys, form: Format, out: BinaryIO) -> int:
    """Write every confirmed signature to ``out``; return how many. Needs a transaction.

    Raises ``KeyDestroyed`` if names that only organizers see cannot be read any more, ``PetitionError`` if there are
    more rows than one sheet can hold.
    """
    writer, row_of, count = writers.writer(form, COLUMNS[form]), _ROWS[form], 0
    # A workbook is complete only with its end: one that cannot be finished is not begun to be sent.
    with tempfile.TemporaryFile() if form is Format.XLSX else contextlib.nullcontext(out) as file:
        file.write(writer.begin())
        async for batch in _batches(conn, letter_id):
            count += len(batch)
            if form is Format.XLSX and count > MAX_XLSX_ROWS:
                raise PetitionError(f"a sheet holds {MAX_XLSX_ROWS:,} rows at most; export as csv or json")
            file.write(writer.rows([row_of(_known(record, keys)) for record in batch]))
        file.write(writer.end())
        if file is not out:
            file.seek(0)
            shutil.copyfileobj(file, out)
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


def _known(record: Record, keys: LetterKeys) -> dict[str, Any]:
    """Return all that is known of one signature, by column."""
    names = keys.reveal(record["private"]) if record["private"] is not None else record
    person = record["kind"] == Kind.PERSON
    return dict(record) | {
        "name": names.get("name") if person else None,
        "affiliation": names.get("affiliation"),
        "city": names.get("city"),
        "signed_at": writers.timestamp(record["signed_at"]),
        "representative": None if person else names.get("name"),
        "position": names.get("position"),
    }


def csv_row(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row as an import reads it."""
    if row["kind"] == Kind.PERSON:
        return row | {"name_ru": None}
    name, name_ru = csv_format.name_cells(row["name_en"], row["name_ru"])
    return row | {"name": name, "name_ru": name_ru}


def _json_row(row: dict[str, Any]) -> dict[str, Any]:
    """Leave out what a signature of its kind cannot have."""
    absent = _OF_ORGANIZATIONS if row["kind"] == Kind.PERSON else _OF_PEOPLE
    return {name: value for name, value in row.items() if name not in absent}


def _xlsx_row(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"name": row["name"] or row["name_en"], "imported": "yes" if row["imported"] else "no"}


_ROWS: Mapping[Format, Callable[[dict[str, Any]], dict[str, Any]]] = {
    Format.CSV: csv_row,
    Format.JSON: _json_row,
    Format.XLSX: _xlsx_row,
}
