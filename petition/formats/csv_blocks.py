"""Many rows of a CSV file at once: most files need none of the care that ``csv_rows`` takes with each."""

import csv
from typing import BinaryIO

MAX_ROW = 40_000  # bytes; nine full cells have fewer than 8,000
BLOCK = 64 * 1024  # bytes read at once
_MARK = b"\xef\xbb\xbf"


class ReadAhead:
    """A file read in blocks, out of which lines are taken one by one, or all whole lines of a block."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self._buffer = b""
        self._begin = 0  # what comes before is taken

    def readline(self, limit: int) -> bytes:
        """Return the next line up to LF, or its first ``limit`` bytes."""
        while (end := self._buffer.find(b"\n", self._begin, self._begin + limit)) < 0:
            if len(self._buffer) - self._begin >= limit or not self._fill():
                break
        line = self._buffer[self._begin : self._begin + limit if end < 0 else end + 1]
        self.take(len(line))
        return line

    def whole_lines(self) -> bytes:
        """Return the lines that end in this block, without taking them; nothing if none does."""
        end = self._buffer.rfind(b"\n", self._begin)
        if end < 0 and self._fill():
            end = self._buffer.rfind(b"\n", self._begin)
        return self._buffer[self._begin : end + 1]

    def take(self, size: int) -> None:
        self._begin += size

    def _fill(self) -> bool:
        piece = self._source.read(BLOCK)
        self._buffer, self._begin = self._buffer[self._begin :] + piece, 0
        return bool(piece)


def plain_rows(block: bytes, delimiter: str) -> list[list[str]] | None:
    """Return the cells of each line; None unless each is surely one row, read as row by row."""
    if not block or block.startswith(_MARK):
        return None
    block = block.replace(b"\r\n", b"\n")
    if b"\r" in block:
        return None
    try:
        lines = block.decode().split("\n")
    except UnicodeDecodeError:
        return None
    lines.pop()
    if 4 * max(map(len, lines)) > MAX_ROW:  # a character has four bytes at most
        return None
    if b'"' in block:
        return None if b' "' in block else _quoted_rows(lines, delimiter)
    return [line.split(delimiter) if line else [] for line in lines]


def _quoted_rows(lines: list[str], delimiter: str) -> list[list[str]] | None:
    try:
        rows = list(csv.reader(lines, delimiter=delimiter, strict=True))
    except csv.Error:
        return None
    return rows if len(rows) == len(lines) else None  # else one has a line break in quotes
