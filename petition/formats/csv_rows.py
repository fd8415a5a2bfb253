"""The lines and cells of a CSV file (RFC 4180), for files that people and spreadsheets made."""

import csv
import re
from collections import deque
from collections.abc import Iterator, Sequence
from io import StringIO
from typing import BinaryIO

from petition.core.i18n import N_

_MAX_ROW = 40_000  # bytes; nine full cells have fewer than 8,000

TOO_LONG = N_("This row is too long. A quote may not be closed.")
BAD_QUOTES = N_('A quote is not closed or not doubled. A cell that contains quotes is written as "one ""two"" three".')


def rows(source: BinaryIO, delimiter: str = ",") -> Iterator[tuple[int, list[str] | str]]:
    """Yield (line, cells) of each row, or (line, what is wrong with it); lines are counted from 1 and rows begin there.

    The file is read as it is asked for, a row at a time; what is no UTF-8 comes as halves of surrogate pairs.
    """
    lines = _Lines(source)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        lines.begin_row()
        try:
            cells: list[str] | str = next(reader)
        except StopIteration:
            return
        except _RowTooLong:
            cells = TOO_LONG
        except csv.Error:
            cells = BAD_QUOTES
        begin = lines.begin
        if isinstance(cells, str):
            lines.break_row()
        yield begin, cells


def written(cells: Sequence[str]) -> str:
    """Return one row as text, guarded against being run as a formula."""
    # Any cell with a quote, a comma or a line end is quoted; RFC 4180.
    text = StringIO(newline="")
    csv.writer(text).writerow([guarded(cell) for cell in cells])
    return text.getvalue()


# Spreadsheets would run a cell that begins like this: https://owasp.org/www-community/attacks/CSV_Injection
# Full-width signs become plain ones in programs for Chinese and Japanese. Apostrophes in front are counted too, so that
# guarding and unguarding are opposite.
_FORMULA = re.compile("'*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")


def guarded(cell: str) -> str:
    """Return a cell that no spreadsheet takes for a formula."""
    return f"'{cell}" if _FORMULA.match(cell) else cell


def unguarded(cell: str) -> str:
    """Return what a cell held before ``written`` guarded it."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


# As old programs for the Mac write, or an editor that has mixed them all.
_PART = re.compile(rb"[^\r\n]*(?:\r\n?|\n)|[^\r\n]+")
_ENDS = (b"\r", b"\n")


class _RowTooLong(Exception):
    """So much came without an end of the row that reading on would only fill the memory."""


class _Lines:
    """The lines of a file, numbered. All but the first of a broken row are read again, as rows of their own."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self._parts: deque[bytes] = deque()  # of what was read last
        self._rest = b""  # of it, that has no end yet
        self._again: deque[str] = deque()
        self._row: list[str] = []
        self._size = 0
        self._number = 0

    def begin_row(self) -> None:
        self._row.clear()
        self._size = 0

    @property
    def begin(self) -> int:
        """Return the number of the row's first line."""
        return self._number - len(self._row) + 1

    def break_row(self) -> None:
        """Give back the lines after the row's first one."""
        self._number = self.begin
        self._again.extendleft(reversed(self._row[1:]))
        del self._row[1:]

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else self._next_of_file()
        if not line:
            raise StopIteration
        self._number += 1
        self._row.append(line)
        self._size += len(line.encode(errors="surrogateescape"))
        if self._size > _MAX_ROW:
            raise _RowTooLong
        return line

    def _next_of_file(self) -> str:
        line = self._next_part()
        if len(line) > _MAX_ROW:
            part = line
            while part and part[-1:] not in _ENDS:
                part = self._next_part()
        if self._number == 0:
            line = line.removeprefix(b"\xef\xbb\xbf")
        # What is no UTF-8 comes through as halves of surrogate pairs, so that its row can be named.
        return line.decode(errors="surrogateescape")

    def _next_part(self) -> bytes:
        """Return the next line, or of one that is too long the next piece; a line ends in LF, CR LF or CR."""
        if not self._parts:
            self._read_on()
        return self._parts.popleft()

    def _read_on(self) -> None:
        read = self._rest + self._source.readline(_MAX_ROW + 1 - len(self._rest))
        after = self._source.readline(1) if read.endswith(b"\r") else b""
        if after == b"\n":
            read, after = read + after, b""
        parts = _PART.findall(read) if b"\r" in read.removesuffix(b"\n").removesuffix(b"\r") else [read]
        self._rest = parts.pop() if len(parts) > 1 and parts[-1][-1:] not in _ENDS else after
        self._parts.extend(parts)
