"""Giving signatories out, for organizers: all names there are, in a form that any program reads.

Rows go out as they come in from the database, so a large list needs no more memory than a small one.
"""

import json
import shutil
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, BinaryIO

from petition.core.database import Connection, Record
from petition.core.encryption import LetterKeys
from petition.core.errors import PetitionError
from petition.core.ids import LetterId
from petition.formats.csv_rows import guarded
from petition.formats.xlsx_writer import MAX_XLSX_ROWS
from petition.signatures import csv_format
from petition.signatures.csv_format import Entry
from petition.signatures.model import Kind, Visibility

# What a file can say beyond the columns that an import knows.
MORE_COLUMNS = ("website", "representative", "position", "imported")


class Format(StrEnum):
    """The forms of an export."""

    CSV = "csv"
    JSON = "json"
    XLSX = "xlsx"


@dataclass(frozen=True, slots=True)
class Exported:
    """One signature with all that is known of it."""

    entry: Entry
    website: str | None
    representative: str | None
    position: str | None
    imported: bool


async def write(conn: Connection, letter_id: LetterId, keys: LetterKeys, form: Format, out: BinaryIO) -> int:
    """Write every confirmed signature to ``out``; return how many. Needs a transaction.

    Raises ``KeyDestroyed`` if names that only organizers see cannot be read any more, ``PetitionError`` if there are
    more rows than the form can hold.
    """
    writers = {Format.CSV: _csv, Format.JSON: _json, Format.XLSX: _xlsx}
    return await writers[form](_signatures(conn, letter_id, keys), out)


async def _signatures(conn: Connection, letter_id: LetterId, keys: LetterKeys) -> AsyncIterator[Exported]:
    async for row in confirmed(conn, letter_id):
        yield _exported(row, keys)


def _exported(row: Record, keys: LetterKeys) -> Exported:
    told = keys.reveal(row["private"]) if row["private"] is not None else dict(row)
    person = row["kind"] == Kind.PERSON
    entry = Entry(
        kind=Kind(row["kind"]),
        visibility=Visibility(row["visibility"]),
        name=told.get("name") if person else None,
        name_en=row["name_en"],
        name_ru=row["name_ru"],
        affiliation=told.get("affiliation"),
        city=told.get("city"),
        country=row["country"],
        signed_at=row["signed_at"],
    )
    representative = None if person else told.get("name")
    return Exported(entry, row["website"], representative, told.get("position"), row["imported"])


async def _csv(signatures: AsyncIterator[Exported], out: BinaryIO) -> int:
    out.write(csv_format.header().encode())
    count = 0
    async for each in signatures:
        out.write(csv_format.line(each.entry).encode())
        count += 1
    return count


async def _json(signatures: AsyncIterator[Exported], out: BinaryIO) -> int:
    count = 0
    out.write(b"[")
    async for each in signatures:
        out.write(b",\n" if count else b"\n")
        out.write(json.dumps(_as_json(each), ensure_ascii=False).encode())
        count += 1
    out.write(b"\n]\n")
    return count


def _as_json(each: Exported) -> dict[str, Any]:
    """Return an object with the keys its kind can have."""
    entry = each.entry
    kind = {"kind": entry.kind.value}
    shared = {
        "country": entry.country,
        "signed_at": _time(entry.signed_at),
        "visibility": entry.visibility.value,
        "imported": each.imported,
    }
    if entry.kind is Kind.PERSON:
        return kind | {"name": entry.name, "affiliation": entry.affiliation, "city": entry.city} | shared
    names = {"name_en": entry.name_en, "name_ru": entry.name_ru, "website": each.website}
    return kind | names | {"representative": each.representative, "position": each.position} | shared


async def _xlsx(signatures: AsyncIterator[Exported], out: BinaryIO) -> int:
    import xlsxwriter  # takes a while, and only this form needs it

    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    # A workbook is an archive that is put together at the end; one that cannot be finished is not begun to be sent.
    with tempfile.TemporaryFile() as whole:
        with xlsxwriter.Workbook(whole, options) as book:
            count = await _sheet(signatures, book)
        whole.seek(0)
        shutil.copyfileobj(whole, out)
    return count


async def _sheet(signatures: AsyncIterator[Exported], book: Any) -> int:
    sheet = book.add_worksheet()
    sheet.freeze_panes(1, 0)
    sheet.write_row(0, 0, csv_format.COLUMNS + MORE_COLUMNS, book.add_format({"bold": True}))
    count = 0
    async for each in signatures:
        count += 1
        if count > MAX_XLSX_ROWS:
            raise PetitionError(f"a sheet holds {MAX_XLSX_ROWS:,} rows at most; export as csv or json")
        for column, cell in enumerate(_cells(each)):
            if cell:
                sheet.write_string(count, column, guarded(cell))
    return count


def _cells(each: Exported) -> tuple[str | None, ...]:
    entry = each.entry
    return (
        *(entry.kind.value, entry.name or entry.name_en, entry.name_ru, None, entry.affiliation, entry.city),
        *(entry.country, _time(entry.signed_at), entry.visibility.value),
        *(each.website, each.representative, each.position, "yes" if each.imported else "no"),
    )


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


LONG = 3600.0  # seconds

# In the order of the list, so that an import of it elsewhere has the same order.
EXPORT = """
SELECT s.kind, s.visibility, s.name, s.affiliation, s.city, s.country, s.position, s.private, s.signed_at,
       o.name_en, o.name_ru, o.website, s.import IS NOT NULL AS imported
FROM signature s LEFT JOIN organization o ON o.letter = s.letter AND o.id = s.organization
WHERE s.letter = $1 AND s.state = 'confirmed' ORDER BY s.listed_at DESC, s.id DESC
"""


async def confirmed(conn: Connection, letter_id: LetterId) -> AsyncIterator[Record]:
    """Yield every confirmed signature, newest first, a thousand at a time. Needs a transaction."""
    async for row in conn.cursor(EXPORT, letter_id, prefetch=1000, timeout=LONG):
        yield row
