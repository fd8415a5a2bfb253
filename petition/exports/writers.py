"""The formats of an export: rows go in, bytes come out; only the rows being written are in memory."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Protocol

from petition.formats.csv_rows import format_row
from petition.formats.xlsx_writer import Workbook

Row = Mapping[str, Any]  # by column; a missing value is None or absent


class Format(StrEnum):
    CSV = "csv"
    JSON = "json"
    XLSX = "xlsx"


class Writer(Protocol):
    """Writes one file: ``begin``, any number of ``rows``, ``end``."""

    def begin(self) -> bytes: ...
    def rows(self, rows: Sequence[Row]) -> bytes: ...
    def end(self) -> bytes: ...


def writer(
    file_format: Format, columns: Sequence[str], *, bom: bool = False, titles: Mapping[str, str] | None = None
) -> Writer:
    """Return a writer of ``columns``; with ``bom`` a CSV file starts with the mark by which Excel recognizes UTF-8.

    ``titles`` are the columns' names in a workbook, which people read; CSV and JSON, which programs read, have none.
    """
    if file_format is Format.CSV:
        return _Csv(columns, "\ufeff" if bom else "")
    return _Json(columns) if file_format is Format.JSON else _Xlsx(columns, titles or {})


def timestamp(moment: datetime | None) -> str | None:
    """Return a time in ISO 8601, in UTC, ending in Z."""
    return None if moment is None else moment.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def _plain(value: Any) -> Any:
    """Return a value as programs read it: a time as text."""
    return timestamp(value) if isinstance(value, datetime) else value


# By column, in characters; what is not here is short.
_WIDTHS: Mapping[str, int] = {
    "name": 34,
    "name_ru": 34,
    "affiliation": 30,
    "city": 18,
    "signed_at": 17,
    "website": 30,
    "representative": 26,
    "position": 24,
    "reason": 16,
    "flags": 18,
}
_MIN_WIDTH = 12


class _Csv:
    def __init__(self, columns: Sequence[str], mark: str) -> None:
        self._columns = columns
        self._mark = mark

    def begin(self) -> bytes:
        return (self._mark + format_row(self._columns)).encode()

    def rows(self, rows: Sequence[Row]) -> bytes:
        return "".join(format_row([_plain(row.get(name)) or "" for name in self._columns]) for row in rows).encode()

    def end(self) -> bytes:
        return b""


class _Json:
    """An array of objects, one a line, each with the columns present in its row."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = columns
        self._separator = "\n"

    def begin(self) -> bytes:
        return b"["

    def rows(self, rows: Sequence[Row]) -> bytes:
        objects = ({name: _plain(row[name]) for name in self._columns if name in row} for row in rows)
        lines = ",\n".join(json.dumps(fields, ensure_ascii=False) for fields in objects)
        text, self._separator = self._separator + lines, ",\n"
        return text.encode()

    def end(self) -> bytes:
        return b"\n]\n"


class _Xlsx:
    def __init__(self, columns: Sequence[str], titles: Mapping[str, str]) -> None:
        self._columns = columns
        header = [titles.get(name, name) for name in columns]
        widths = [
            max(_WIDTHS.get(name, _MIN_WIDTH), len(title) + 2) for name, title in zip(columns, header, strict=True)
        ]
        self._book = Workbook(header, widths=widths)

    def begin(self) -> bytes:
        return self._book.take()

    def rows(self, rows: Sequence[Row]) -> bytes:
        for row in rows:
            self._book.write([row.get(name) for name in self._columns])
        return self._book.take()

    def end(self) -> bytes:
        self._book.close()
        return self._book.take()
