"""An uploaded file as rows of cells: CSV, a workbook, a table of a web page, or an archive with one of them."""

import csv
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from io import BytesIO
from itertools import dropwhile, islice
from typing import BinaryIO, cast

from petition.core.errors import ImportRefused
from petition.core.i18n import N_
from petition.formats import csv_rows, encodings, xlsx_reader
from petition.formats.cells import encodable
from petition.formats.workbook_limits import MAX_HEAD, MAX_HEAD_CELL
from petition.formats.xlsx_reader import SheetOutline

MAX_ROWS = 200_000
MAX_COLUMNS = 50
DELIMITERS = (",", ";", "\t", "|")
CSV, XLSX, XLS, ODS, HTML = "csv", "xlsx", "xls", "ods", "html"
NAMES = {CSV: "CSV", XLSX: "XLSX", XLS: "XLS", ODS: "ODS", HTML: "HTML"}
_SAMPLE_LINES = 30  # from which the delimiter is detected
_NAMES_DELIMITER = re.compile("sep=[,;\t|]?", re.IGNORECASE)
_ARCHIVE, _OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"
_ODS_START = b"mimetypeapplication/vnd.oasis.opendocument.spreadsheet"
_PAGE = re.compile(
    r"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<(?:!doctype html|html|head|meta|style|body|table|div|tr)\b",
    re.IGNORECASE | re.DOTALL,
)

EMPTY = N_("This file is empty.")
ONLY_HEADER = N_("This file has a header but no rows below it.")
TOO_MANY_ROWS = N_("This file has more than 200,000 rows. Split it.")
TOO_MANY_COLUMNS = N_("This file has more than 50 columns. Delete those you do not need.")
NO_HEADER = N_("The first row could not be read: it must contain the column names.")
PDF = N_("This is a PDF. Export the list as CSV or XLSX where it was made.")
JSON = N_("This is JSON. Only tables can be imported: CSV, XLSX, XLS or ODS.")
XML = N_("This is an XML file. Open it in a spreadsheet program and save it as XLSX or CSV.")
PACKED = N_("Archives of this kind cannot be read. Unpack the file and upload the list in it.")
CONTACTS = N_("These are contacts (vCard). Export them as CSV.")

# How files begin that are often taken for tables.
_OTHERS: Sequence[tuple[re.Pattern[bytes], str]] = (
    (re.compile(rb"%PDF-"), PDF),
    (re.compile(rb"\{\\rtf"), xlsx_reader.DOCUMENT),
    (re.compile(rb"\s*(?:\[\s*[\[{\"]|\{\s*\")"), JSON),
    (re.compile(rb"\s*<\?xml|MIME-Version:"), XML),
    (re.compile(rb"\x1f\x8b|7z\xbc\xaf|Rar!|BZh|\xfd7zXZ"), PACKED),
    (re.compile(rb"BEGIN:VCARD"), CONTACTS),
)

Pieces = Callable[[], Iterable[bytes]]  # each call returns the file from its beginning
Line = tuple[int, list[str] | str]


def unwrapped(pieces: Pieces) -> Pieces:
    """Return the one table in an archive; the file itself if it is none. Raises ``ImportRefused``."""
    if not _head(pieces).startswith(_ARCHIVE) or xlsx_reader.member(_whole(pieces)) is None:
        return pieces
    return lambda: xlsx_reader.member(_whole(pieces)) or ()


def _head(pieces: Pieces) -> bytes:
    return b"".join(islice((piece[:4096] for piece in pieces()), 1))


def _whole(pieces: Pieces) -> BinaryIO:
    return BytesIO(b"".join(pieces()))


def detect_format(pieces: Pieces) -> str:
    """Return a key of ``NAMES`` by the content; the name of a file proves nothing.

    Raises ``ImportRefused`` if it is empty, or a file of another kind.
    """
    head = _head(pieces)
    if not head:
        raise ImportRefused(EMPTY)
    if xlsx_reader.is_workbook(BytesIO(head)):
        return XLS if head.startswith(_OLE) else ODS if _ODS_START in head[:200] else XLSX
    plain = head.removeprefix(b"\xef\xbb\xbf")
    text = plain.decode("utf-16" if plain[:2] in {b"\xff\xfe", b"\xfe\xff"} else "latin-1", "replace")
    if _PAGE.match(text):
        return HTML
    for start, reason in _OTHERS:
        if start.match(plain):
            raise ImportRefused(reason)
    return CSV


def read_lines(
    pieces: Pieces, file_format: str, encoding: str, delimiter: str, sheet: int = 0, *, hidden: bool = True
) -> Iterator[Line]:
    """Yield (line, cells) or (line, error message) of each row that is not empty, also those above the header.

    ``sheet`` and ``hidden`` (rows that are not shown) are for workbooks. Raises ``ImportRefused``.
    """
    if file_format != CSV:
        return _within_limits(xlsx_reader.rows(_whole(pieces), sheet, hidden=hidden))
    lines = csv_rows.rows(cast("BinaryIO", encodings.AsUtf8(pieces(), encoding)), delimiter)
    return _within_limits(dropwhile(_names_delimiter, lines))


def _names_delimiter(line: Line) -> bool:
    """True for ``sep=;`` in the first line, from which Excel takes the delimiter."""
    return line[0] == 1 and isinstance(line[1], list) and _NAMES_DELIMITER.fullmatch("".join(line[1])) is not None


def outline(pieces: Pieces, file_format: str, encoding: str, delimiter: str) -> list[SheetOutline]:
    """Return the sheets; of a CSV file the only one, whose rows are not counted. Raises ``ImportRefused``."""
    if file_format != CSV:
        return xlsx_reader.outline(_whole(pieces))
    head = list(islice(read_lines(pieces, CSV, encoding, delimiter), MAX_HEAD))
    cells = [
        (number, [encodable(cell[:MAX_HEAD_CELL]) for cell in row]) for number, row in head if isinstance(row, list)
    ]
    if head and isinstance(head[0][1], str):
        raise ImportRefused(TOO_MANY_COLUMNS if head[0][1] == csv_rows.TOO_LONG else NO_HEADER)
    return [SheetOutline("", is_hidden=False, rows=0, hidden_rows=0, head=cells, hidden_columns=())]


def _within_limits(lines: Iterator[Line]) -> Iterator[Line]:
    for number, (line, cells) in enumerate(lines):
        if number > MAX_ROWS:
            raise ImportRefused(TOO_MANY_ROWS)
        if isinstance(cells, str):
            yield line, cells
        elif any(cells) and (len(cells) > 1 or cells[0] != "\x1a"):  # with which DOS ended files
            yield line, _trimmed(cells)


def _trimmed(cells: list[str]) -> list[str]:
    while cells and not cells[-1].strip():
        cells.pop()
    return cells


def column_names(cells: Sequence[str], width: int) -> list[str]:
    """Return the names of ``width`` columns at least. Raises ``ImportRefused`` if there are too many."""
    if max(len(cells), width) > MAX_COLUMNS:
        raise ImportRefused(TOO_MANY_COLUMNS)
    names = [encodable(" ".join(cell.replace("\0", "").split())[:200]) for cell in cells]
    return names + [""] * (width - len(names))


def detect_delimiter(pieces: Pieces, encoding: str) -> str:
    """Return the delimiter that Excel's first line names, or that splits most of the first lines into equally many
    cells."""
    source = encodings.AsUtf8(pieces(), encoding)
    text = "".join(source.readline(20_000).decode(errors="replace") for _ in range(_SAMPLE_LINES))
    lines = [f"{line}\n" for line in re.split("\r\n?|\n", text.removeprefix("\ufeff")) if line.strip()]
    if lines and (named := re.fullmatch(r"sep=([,;\t|])\s*", lines[0], re.IGNORECASE)):
        return named[1]
    return max(DELIMITERS, key=lambda delimiter: _fit(lines, delimiter))


def _fit(lines: Sequence[str], delimiter: str) -> tuple[int, int]:
    try:
        widths = Counter(len(row) for row in csv.reader(lines, delimiter=delimiter))
    except csv.Error:
        return 0, 0
    return max(((number, width) for width, number in widths.items() if width > 1), default=(0, 0))
