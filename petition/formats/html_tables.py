"""The tables of an HTML page: some programs write one and call it a workbook.

Runs in the confined process of ``xlsx_process`` only. A table in a table is read as cells of the outer one.
"""

import re
from html.parser import HTMLParser

from petition.formats.workbook_limits import MAX_CELL, MAX_CELLS

_CHARSET = re.compile(rb"charset\s*=\s*[\"']?([\w-]+)", re.IGNORECASE)
_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_BREAKS = {"br", "p", "div", "li"}


def decoded(data: bytes) -> str:
    """Return the page as text, by its byte order mark, as UTF-8, or by what it says of itself."""
    for mark, encoding in _MARKS.items():
        if data.startswith(mark):
            return data.decode(encoding, "replace")
    try:
        return data.decode()
    except UnicodeDecodeError:
        match = _CHARSET.search(data[:4096])
    try:
        return data.decode(match[1].decode() if match else "cp1251", "replace")
    except LookupError:
        return data.decode("cp1251", "replace")


class TableReader(HTMLParser):
    """Collects the rows of each table of a page, hidden ones as empty rows."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tables: list[list[list[str]]] = []
        self._depth = 0
        self._row: list[str] | None = None
        self._cell: list[str] | None = None
        self._span = 1
        self._skipped = 0  # inside <style> or <script>

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "table":
            self._depth += 1
            if self._depth == 1:
                self.tables.append([])
        elif tag in {"style", "script"}:
            self._skipped += 1
        elif self._depth == 1 and tag == "tr":
            self._end_row()
            self._row = []
        elif self._depth == 1 and tag in {"td", "th"}:
            self._end_cell()
            self._row = [] if self._row is None else self._row
            span = dict(attrs).get("colspan") or "1"
            self._cell, self._span = [], min(int(span), MAX_CELLS) if span.isdecimal() and len(span) < 5 else 1
        elif tag in _BREAKS and self._cell is not None:
            self._cell.append(" ")

    def handle_endtag(self, tag: str) -> None:
        if tag == "table" and self._depth:
            if self._depth == 1:
                self._end_row()
            self._depth -= 1
        elif tag in {"style", "script"}:
            self._skipped = max(self._skipped - 1, 0)
        elif self._depth == 1 and tag == "tr":
            self._end_row()
        elif self._depth == 1 and tag in {"td", "th"}:
            self._end_cell()

    def handle_data(self, data: str) -> None:
        if self._cell is not None and not self._skipped:
            self._cell.append(data)

    def _end_cell(self) -> None:
        if self._cell is not None and self._row is not None and len(self._row) < MAX_CELLS:
            self._row.append(" ".join("".join(self._cell).split())[:MAX_CELL])
            self._row.extend([""] * (self._span - 1))
        self._cell = None

    def _end_row(self) -> None:
        self._end_cell()
        if self._row is not None:
            self.tables[-1].append(self._row)
        self._row = None


def tables(data: bytes) -> list[list[list[str]]]:
    """Return the rows of each table."""
    reader = TableReader()
    reader.feed(decoded(data))
    reader.close()
    return reader.tables
