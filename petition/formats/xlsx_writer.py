"""Writes a workbook (XLSX, ECMA-376) as a stream: no temporary file, constant memory.

Every cell is an inline string, so nothing in it is run; cells that a program could take for a formula after copying
are guarded all the same.
"""

import zipfile
from collections.abc import Sequence
from io import RawIOBase
from typing import Any
from xml.sax.saxutils import escape

from petition.formats.csv_rows import guard

MAX_XLSX_ROWS = 1_048_575  # below the header; Microsoft, "Excel specifications and limits"
_HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_RELATIONSHIPS = f'{_HEAD}<Relationships xmlns="{_PACKAGE}/relationships">'
# Characters that XML 1.0 has no way to write, not even escaped.
_NOT_XML = dict.fromkeys([*range(9), 11, 12, *range(14, 32), 0xFFFE, 0xFFFF, *range(0xD800, 0xE000)], "\ufffd")


class Workbook:
    """Rows in, bytes out. A full sheet is followed by another."""

    def __init__(self, header: Sequence[str], max_rows: int = MAX_XLSX_ROWS) -> None:
        self._header = header
        self._max_rows = max_rows
        self._out = _Pipe()
        self._zip = zipfile.ZipFile(self._out, "w", zipfile.ZIP_DEFLATED, compresslevel=4)
        self._sheets = 0
        self._rows = 0
        self._sheet: Any = None
        self._text: list[str] = []
        self._begin_sheet()

    def write(self, row: Sequence[str | None]) -> None:
        if self._rows >= self._max_rows:
            self._end_sheet()
            self._begin_sheet()
        self._rows += 1
        self._text.append(_row(row))

    def take(self) -> bytes:
        """Return the bytes produced since the last call."""
        self._flush()
        return self._out.take()

    def close(self) -> None:
        """Write the parts that make the sheets a workbook; ``take`` returns the last bytes."""
        self._end_sheet()
        self._write_parts()
        self._zip.close()

    def _begin_sheet(self) -> None:
        self._sheets += 1
        self._rows = 0
        self._sheet = self._zip.open(f"xl/worksheets/sheet{self._sheets}.xml", "w")
        pane = '<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/>'
        views = f'<sheetViews><sheetView workbookViewId="0">{pane}</sheetView></sheetViews>'
        self._text.append(f'{_HEAD}<worksheet xmlns="{_MAIN}">{views}<sheetData>{_row(self._header)}')

    def _end_sheet(self) -> None:
        self._text.append("</sheetData></worksheet>")
        self._flush()
        self._sheet.close()

    def _flush(self) -> None:
        if self._text:
            self._sheet.write("".join(self._text).encode())
            self._text.clear()

    def _write_parts(self) -> None:
        numbers = range(1, self._sheets + 1)
        sheets = "".join(f'<sheet name="{n}" sheetId="{n}" r:id="rId{n}"/>' for n in numbers)
        links = "".join(
            f'<Relationship Id="rId{n}" Type="{_OFFICE}/worksheet" Target="worksheets/sheet{n}.xml"/>' for n in numbers
        )
        types = "".join(
            f'<Override PartName="/xl/worksheets/sheet{n}.xml" ContentType="{_TYPE}.worksheet+xml"/>' for n in numbers
        )
        book = f'{_RELATIONSHIPS}<Relationship Id="rId1" Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/>'
        parts = {
            "xl/workbook.xml": f'{_HEAD}<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>{sheets}</sheets>'
            "</workbook>",
            "xl/_rels/workbook.xml.rels": f"{_RELATIONSHIPS}{links}</Relationships>",
            "_rels/.rels": f"{book}</Relationships>",
            "[Content_Types].xml": f'{_HEAD}<Types xmlns="{_PACKAGE}/content-types">'
            '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            '<Default Extension="xml" ContentType="application/xml"/>'
            f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPE}.sheet.main+xml"/>{types}</Types>',
        }
        for name, part in parts.items():
            self._zip.writestr(name, part)


def _row(cells: Sequence[str | None]) -> str:
    return f"<row>{''.join(map(_cell, cells))}</row>"


def _cell(cell: str | None) -> str:
    if not cell:
        return "<c/>"
    text = escape(guard(cell).translate(_NOT_XML))
    return f'<c t="inlineStr"><is><t xml:space="preserve">{text}</t></is></c>'


class _Pipe(RawIOBase):
    """Buffers the archive until ``take``; it is not seekable, so that the archive is written as a stream."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._buffer += data
        return len(data)

    def take(self) -> bytes:
        content = bytes(self._buffer)
        self._buffer.clear()
        return content
