"""Reading and writing the rows of CSV files (RFC 4180), as people and spreadsheets write them."""

import csv
import functools
import re
from collections import deque
from collections.abc import Iterator, Sequence
from io import StringIO
from typing import BinaryIO

from petition.core.i18n import N_
from petition.formats.csv_blocks import MAX_ROW, ReadAhead, plain_rows

TOO_LONG = N_("This row is too long. A quote may not be closed.")
BAD_QUOTES = N_('A quote is not closed or not doubled. A cell that contains quotes is written as "one ""two"" three".')


def rows(source: BinaryIO, delimiter: str = ",") -> Iterator[tuple[int, list[str] | str]]:
    """Yield (line, cells) of each row, or (line, error message); lines are counted from 1, a row has its first line's.

    The file is read lazily, a row at a time; bytes that are no UTF-8 come as lone surrogates.
    """
    ahead = ReadAhead(source)
    lines = _Lines(ahead)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    width = 0  # of the last row that could be read
    careful = 0  # the line up to which each row is read by itself
    while True:
        if lines.number >= careful and lines.is_between:
            block = ahead.whole_lines()
            if plain := plain_rows(block, delimiter):
                yield from enumerate(plain, lines.number + 1)
                ahead.take(len(block))
                lines.number += len(plain)
                width = len(plain[-1])
                continue
            careful = lines.number + block.count(b"\n")
        lines.begin_row()
        cells = _next(reader)
        if cells is None:
            return
        begin = lines.begin
        if isinstance(cells, str):
            lines.break_row()
        cells = _repaired(cells, lines, delimiter, width)
        if isinstance(cells, list):
            width = len(cells)
        yield begin, cells


def _next(reader: Iterator[list[str]]) -> list[str] | str | None:
    """Return the cells of the next row, or an error message; None at the end."""
    try:
        return next(reader)
    except StopIteration:
        return None
    except _RowTooLong:
        return TOO_LONG
    except csv.Error:
        return BAD_QUOTES


def _repaired(cells: list[str] | str, lines: "_Lines", delimiter: str, width: int) -> list[str] | str:
    """Return the cells as a more lenient reader finds them, if they are plainly meant so."""
    # Of RFC 4180, a quote behind a space begins no cell: ``"a", "b"`` would be taken letter by letter.
    if isinstance(cells, str) or (lines.is_single and any(cell[:2] == ' "' for cell in cells)):
        repaired = lenient_cells(lines.first, delimiter)
        if repaired and (len(repaired) == width or (width == 0 and isinstance(cells, list))):
            return repaired
    return cells


def lenient_cells(line: str, delimiter: str) -> list[str] | None:
    """Return the cells of one line as programs write them that do not double quotes, put a backslash before them, or a
    space between the delimiter and them; None if a quote is not closed."""
    text, cells, position = line.rstrip("\r\n"), [], 0
    quoted, plain = _lenient_patterns(delimiter)
    while position <= len(text):
        if match := quoted.match(text, position):
            cells.append(match[1].replace('\\"', '"').replace('""', '"'))
        else:
            match = plain.match(text, position)
            if match is None or match[0].lstrip(" ").startswith('"'):
                return None
            cells.append(match[0])
        position = match.end() + 1
    return cells


@functools.cache
def _lenient_patterns(delimiter: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    end = re.escape(delimiter)
    return re.compile(rf' *"(.*?)(?<!\\)" *(?={end}|$)', re.DOTALL), re.compile(f"[^{end}]*")


def format_row(cells: Sequence[str]) -> str:
    """Return one row as a CSV line, its cells guarded against being run as formulas."""
    text = StringIO(newline="")
    csv.writer(text).writerow([guard(cell) for cell in cells])
    return text.getvalue()


# Spreadsheets run a cell that begins like this: https://owasp.org/www-community/attacks/CSV_Injection
# Programs for Chinese and Japanese turn full-width and small signs into plain ones.
_SIGNS = "-=+@\uff1d\uff0b\uff0d\uff20\ufe62\ufe63\ufe66\ufe6b"
# A cell begins where a spreadsheet splits the line, not only where a comma of ours stands: Excel takes the separator of
# the computer's region (";" in Russian or German), and a quote that does not begin its own cell is a character like any
# other, so that even a line break in quotes ends a row.
_SEPARATORS = ",;|\t\r\n\v\f\x1c-\x1e\x85\u2028\u2029"
# What may stand before the sign: spreadsheets drop it, or take it for the beginning of a quoted cell. Apostrophes as
# well, so that unguard() is the inverse of guard(); no separators, so that both take linear time.
_BEFORE = "'\"\x00-\x08\x0e-\x1b\x1f \xa0\u1680\u2000-\u200f\u202f\u205f\u2060\u3000\ufeff"
_BEGINS = f"^{{}}(?=[{_BEFORE}]*[{_SIGNS}\t\r\n])|(?<=[{_SEPARATORS}]){{}}(?=[{_BEFORE}]*[{_SIGNS}])"
# For PostgreSQL, where cells follow each other, a comma before each: what may have to be guarded, and what no cell has.
FORMULA_BEGINS = "[\x01-\x1f]|[,;|\x85\u2028\u2029][{}]*[{}]".format(
    "'\" \xa0\u1680\u2000-\u200f\u202f\u205f\u2060\u3000\ufeff", _SIGNS
)
_UNGUARDED, _GUARDED = re.compile(_BEGINS.format("", "")), re.compile(_BEGINS.format("'", "'"))
_HAS_SIGN = re.compile(f"[{_SIGNS}\t\r\n]")


def guard(cell: str) -> str:
    """Return ``cell`` as a text in which no spreadsheet finds a formula, also if it splits the cell itself."""
    return _UNGUARDED.sub("'", cell) if _HAS_SIGN.search(cell) else cell


def unguard(cell: str) -> str:
    """Return what ``guard`` was given."""
    return _GUARDED.sub("", cell) if "'" in cell else cell


# Old Mac programs end lines with CR; some editors mix all three ends.
_PART = re.compile(rb"[^\r\n]*(?:\r\n?|\n)|[^\r\n]+")
_ENDS = (b"\r", b"\n")


class _RowTooLong(Exception):
    """The row has no end within ``MAX_ROW`` bytes: reading on would only fill the memory."""


class _Lines:
    """The numbered lines of a file. All but the first line of a broken row are read again, as rows of their own."""

    def __init__(self, source: ReadAhead) -> None:
        self._source = source
        self.number = 0  # of lines read
        self._parts: deque[bytes] = deque()  # lines read and not returned yet
        self._rest = b""  # the last line read, if its end is still missing
        self._again: deque[str] = deque()
        self._row: list[str] = []
        self._size = 0

    @property
    def is_between(self) -> bool:
        """True if nothing has been read but rows that have ended."""
        return not (self._parts or self._rest or self._again)

    def begin_row(self) -> None:
        self._row.clear()
        self._size = 0

    @property
    def begin(self) -> int:
        """The number of the row's first line."""
        return self.number - len(self._row) + 1

    @property
    def is_single(self) -> bool:
        """True if the row has one line."""
        return len(self._row) == 1

    @property
    def first(self) -> str:
        """The row's first line."""
        return self._row[0] if self._row else ""

    def break_row(self) -> None:
        """Return the lines after the row's first one to the queue."""
        self.number = self.begin
        self._again.extendleft(reversed(self._row[1:]))
        del self._row[1:]

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else self._next_of_file()
        if not line:
            raise StopIteration
        self.number += 1
        self._row.append(line)
        self._size += len(line.encode(errors="surrogateescape"))
        if self._size > MAX_ROW:
            raise _RowTooLong
        return line

    def _next_of_file(self) -> str:
        line = self._next_part()
        if len(line) > MAX_ROW:
            part = line
            while part and part[-1:] not in _ENDS:
                part = self._next_part()
        if self.number == 0:
            line = line.removeprefix(b"\xef\xbb\xbf")
        # Bad bytes survive as lone surrogates, so that their row can be reported.
        return line.decode(errors="surrogateescape")

    def _next_part(self) -> bytes:
        """Return the next line (up to LF, CR LF or CR), or the next piece of one that is too long."""
        if not self._parts:
            self._fill()
        return self._parts.popleft()

    def _fill(self) -> None:
        read = self._rest + self._source.readline(MAX_ROW + 1 - len(self._rest))
        after = self._source.readline(1) if read.endswith(b"\r") else b""
        if after == b"\n":
            read, after = read + after, b""
        parts = _PART.findall(read) if b"\r" in read.removesuffix(b"\n").removesuffix(b"\r") else [read]
        self._rest = parts.pop() if len(parts) > 1 and parts[-1][-1:] not in _ENDS else after
        self._parts.extend(parts)
