"""An uploaded file, CSV or XLSX, as rows of cells."""

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from io import BytesIO
from itertools import dropwhile, islice
from typing import BinaryIO, cast

from petition.core.errors import ImportRefused
from petition.core.i18n import N_
from petition.formats import csv_rows, encodings, xlsx_reader

MAX_ROWS = 200_000
MAX_COLUMNS = 50
DELIMITERS = (",", ";", "\t")
CSV, XLSX = "csv", "xlsx"
_SAMPLE_LINES = 30  # from which the delimiter is detected
_NAMES_DELIMITER = re.compile("sep=[,;\t]?", re.IGNORECASE)

EMPTY = N_("This file is empty.")
ONLY_HEADER = N_("This file has a header but no rows below it.")
TOO_MANY_ROWS = N_("This file has more than 200,000 rows. Split it.")
TOO_MANY_COLUMNS = N_("This file has more than 50 columns. Delete those you do not need.")
NO_HEADER = N_("The first row could not be read: it must contain the column names.")

Pieces = Callable[[], Iterable[bytes]]  # each call returns the file from its beginning
Line = tuple[int, list[str] | str]


def detect_format(pieces: Pieces) -> str:
    """Return CSV or XLSX by the content; the name of a file proves nothing. Raises ``ImportRefused`` if it is empty."""
    head = b"".join(islice((piece[:4] for piece in pieces()), 1))
    if not head:
        raise ImportRefused(EMPTY)
    return XLSX if xlsx_reader.is_workbook(BytesIO(head)) else CSV


def read_lines(pieces: Pieces, file_format: str, encoding: str, delimiter: str) -> Iterator[Line]:
    """Yield (line, cells) or (line, error message) of each row that is not empty, the header first.

    Raises ``ImportRefused``.
    """
    if file_format == XLSX:
        return _within_limits(xlsx_reader.rows(BytesIO(b"".join(pieces()))))
    lines = csv_rows.rows(cast("BinaryIO", encodings.AsUtf8(pieces(), encoding)), delimiter)
    return _within_limits(dropwhile(_names_delimiter, lines))


def _names_delimiter(line: Line) -> bool:
    """True for ``sep=;`` in the first line, from which Excel takes the delimiter."""
    return line[0] == 1 and isinstance(line[1], list) and _NAMES_DELIMITER.fullmatch("".join(line[1])) is not None


def count_sheets(pieces: Pieces) -> int:
    """Return the number of visible sheets of a workbook; only the first is read. Raises ``ImportRefused``."""
    return xlsx_reader.count_sheets(BytesIO(b"".join(pieces())))


def _within_limits(lines: Iterator[Line]) -> Iterator[Line]:
    for number, (line, cells) in enumerate(lines):
        if number > MAX_ROWS:
            raise ImportRefused(TOO_MANY_ROWS)
        if isinstance(cells, str):
            yield line, cells
        elif any(cells):
            yield line, _trimmed(cells)


def _trimmed(cells: list[str]) -> list[str]:
    while cells and not cells[-1].strip():
        cells.pop()
    return cells


def parse_header(line: Line | None) -> list[str]:
    """Return the names of the columns. Raises ``ImportRefused`` for a line that cannot be a header."""
    if line is None:
        raise ImportRefused(EMPTY)
    if isinstance(line[1], str):
        raise ImportRefused(TOO_MANY_COLUMNS if line[1] == csv_rows.TOO_LONG else NO_HEADER)
    if len(line[1]) > MAX_COLUMNS:
        raise ImportRefused(TOO_MANY_COLUMNS)
    return [" ".join(cell.replace("\0", "").split())[:200] for cell in line[1]]


def detect_delimiter(pieces: Pieces, encoding: str) -> str:
    """Return the delimiter that splits the most of the first lines into the header's number of cells."""
    source = encodings.AsUtf8(pieces(), encoding)
    text = "".join(source.readline(20_000).decode(errors="replace") for _ in range(_SAMPLE_LINES))
    lines = [f"{line}\n" for line in re.split("\r\n?|\n", text) if line.strip()]
    return max(DELIMITERS, key=lambda delimiter: _fit(lines, delimiter))


def _fit(lines: Sequence[str], delimiter: str) -> tuple[int, int]:
    try:
        widths = [len(row) for row in csv.reader(lines, delimiter=delimiter)]
    except csv.Error:
        return 0, 0
    if not widths or widths[0] < 2:
        return 0, 0
    return sum(width == widths[0] for width in widths), widths[0]
