"""An uploaded file as rows of cells, whichever form it has."""

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
LINES_LOOKED_AT = 30
_NAMES_DELIMITER = re.compile("sep=[,;\t]?", re.IGNORECASE)

EMPTY = N_("This file is empty.")
ONLY_HEADER = N_("This file has a header but no rows below it.")
TOO_MANY_ROWS = N_("This file has more than 200,000 rows. Split it.")
TOO_MANY_COLUMNS = N_("This file has more than 50 columns. Delete those you do not need.")
NO_HEADER = N_("The first row could not be read: it must contain the column names.")

Pieces = Callable[[], Iterable[bytes]]  # gives the file from its beginning, each time
Line = tuple[int, list[str] | str]


def form_of(pieces: Pieces) -> str:
    """Return what a file is by what stands in it, whatever its name says. Raises ``ImportRefused``."""
    head = b"".join(islice((piece[:4] for piece in pieces()), 1))
    if not head:
        raise ImportRefused(EMPTY)
    return XLSX if xlsx_reader.is_workbook(BytesIO(head)) else CSV


def lines(pieces: Pieces, form: str, encoding: str, delimiter: str) -> Iterator[Line]:
    """Yield (line, cells) of each row that is not empty, the header first. Raises ``ImportRefused``."""
    if form == XLSX:
        found = xlsx_reader.rows(BytesIO(b"".join(pieces())))
    else:
        found = csv_rows.rows(cast("BinaryIO", encodings.AsUtf8(pieces(), encoding)), delimiter)
        found = dropwhile(_names_delimiter, found)
    return _within_limits(found)


def _names_delimiter(line: Line) -> bool:
    """Return whether it is the line by which Excel is told the delimiter: sep=; on top of a file."""
    return line[0] == 1 and isinstance(line[1], list) and _NAMES_DELIMITER.fullmatch("".join(line[1])) is not None


def sheets_of(pieces: Pieces) -> int:
    """Return how many sheets can be seen in a workbook; only the first of them is read. Raises ``ImportRefused``."""
    return xlsx_reader.count(BytesIO(b"".join(pieces())))


def _within_limits(found: Iterator[Line]) -> Iterator[Line]:
    for number, (line, cells) in enumerate(found):
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


def header_of(line: Line | None) -> list[str]:
    """Return the names of the columns. Raises ``ImportRefused`` if that is no header we could show."""
    if line is None:
        raise ImportRefused(EMPTY)
    if isinstance(line[1], str):
        raise ImportRefused(TOO_MANY_COLUMNS if line[1] == csv_rows.TOO_LONG else NO_HEADER)
    if len(line[1]) > MAX_COLUMNS:
        raise ImportRefused(TOO_MANY_COLUMNS)
    return [" ".join(cell.replace("\0", "").split())[:200] for cell in line[1]]


def delimiter_of(pieces: Pieces, encoding: str) -> str:
    """Return what parts the cells: what gives the first lines the same number of cells, and the most."""
    source = encodings.AsUtf8(pieces(), encoding)
    text = "".join(source.readline(20_000).decode(errors="replace") for _ in range(LINES_LOOKED_AT))
    found = [f"{line}\n" for line in re.split("\r\n?|\n", text) if line.strip()]
    return max(DELIMITERS, key=lambda each: _fit(found, each))


def _fit(text: Sequence[str], delimiter: str) -> tuple[int, int]:
    try:
        widths = [len(row) for row in csv.reader(text, delimiter=delimiter)]
    except csv.Error:
        return 0, 0
    if not widths or widths[0] < 2:
        return 0, 0
    return sum(width == widths[0] for width in widths), widths[0]
