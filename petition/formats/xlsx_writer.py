"""Writes a workbook (XLSX, ECMA-376) as a stream: no temporary file, constant memory.

A cell is a date or an inline string, so nothing in it is run; cells that a program could take for a formula after
copying are guarded all the same.
"""

import zipfile
from collections.abc import Sequence
from datetime import UTC, datetime
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
_DATE_FORMAT = r"yyyy\-mm\-dd\ hh:mm"
# Characters that XML 1.0 has no way to write, not even escaped.
_NOT_XML = dict.fromkeys([*range(9), 11, 12, *range(14, 32), 0xFFFE, 0xFFFF, *range(0xD800, 0xE000)], "\ufffd")

_DATE, _HEADER = 1, 2  # positions in cellXfs
_STYLES = (
    f'{_HEAD}<styleSheet xmlns="{_MAIN}">'
    f'<numFmts count="1"><numFmt numFmtId="164" formatCode="{_DATE_FORMAT}"/></numFmts>'
    '<fonts count="2"><font/><font><b/></font></fonts>'
    '<fills count="2"><fill><patternFill patternType="none"/></fill>'  # the first two are fixed (ECMA-376, 18.8.20)
    '<fill><patternFill patternType="gray125"/></fill></fills>'
    '<borders count="1"><border/></borders><cellStyleXfs count="1"><xf/></cellStyleXfs>'
    '<cellXfs count="3"><xf/><xf numFmtId="164" applyNumberFormat="1"/><xf fontId="1" applyFont="1"/></cellXfs>'
    '<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles>'
    "</styleSheet>"
)
_EPOCH = datetime(1899, 12, 30, tzinfo=UTC)  # day 0, as numbers of days are counted from March 1900 on
_FIRST_DATE = datetime(1900, 3, 1, tzinfo=UTC)  # before that, programs differ by a day
_DAY = 86_400

Cell = str | datetime | None


class Workbook:
    """Rows in, bytes out. A full sheet is followed by another. Times appear in UTC.

    ``widths`` are columns' in characters; without them the program that opens the file chooses.
    """

    def __init__(self, header: Sequence[str], max_rows: int = MAX_XLSX_ROWS, widths: Sequence[int] = ()) -> None:
        self._header = header
        self._widths = widths
        self._max_rows = max_rows
        self._out = _Pipe()
        self._zip = zipfile.ZipFile(self._out, "w", zipfile.ZIP_DEFLATED, compresslevel=4)
        self._sheets = 0
        self._rows = 0
        self._sheet: Any = None
        self._text: list[str] = []
        self._begin_sheet()

    def write(self, row: Sequence[Cell]) -> None:
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
        columns = "".join(
            f'<col min="{n}" max="{n}" width="{width}" customWidth="1"/>' for n, width in enumerate(self._widths, 1)
        )
        cols = f"<cols>{columns}</cols>" if columns else ""
        header = "".join(_text_cell(title, _HEADER) for title in self._header)
        self._text.append(f'{_HEAD}<worksheet xmlns="{_MAIN}">{views}{cols}<sheetData><row>{header}</row>')

    def _end_sheet(self) -> None:
        corner = f"{_letters(len(self._header))}{self._rows + 1}"
        self._text.append(f'</sheetData><autoFilter ref="A1:{corner}"/></worksheet>')
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
        links += f'<Relationship Id="rIdS" Type="{_OFFICE}/styles" Target="styles.xml"/>'
        types = "".join(
            f'<Override PartName="/xl/worksheets/sheet{n}.xml" ContentType="{_TYPE}.worksheet+xml"/>' for n in numbers
        )
        book = f'{_RELATIONSHIPS}<Relationship Id="rId1" Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/>'
        parts = {
            "xl/workbook.xml": f'{_HEAD}<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>{sheets}</sheets>'
            "</workbook>",
            "xl/_rels/workbook.xml.rels": f"{_RELATIONSHIPS}{links}</Relationships>",
            "xl/styles.xml": _STYLES,
            "_rels/.rels": f"{book}</Relationships>",
            "[Content_Types].xml": f'{_HEAD}<Types xmlns="{_PACKAGE}/content-types">'
            '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            '<Default Extension="xml" ContentType="application/xml"/>'
            f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPE}.sheet.main+xml"/>'
            f'<Override PartName="/xl/styles.xml" ContentType="{_TYPE}.styles+xml"/>{types}</Types>',
        }
        for name, part in parts.items():
            self._zip.writestr(name, part)


def _row(cells: Sequence[Cell]) -> str:
    return f"<row>{''.join(map(_cell, cells))}</row>"


def _cell(cell: Cell) -> str:
    if not cell:
        return "<c/>"
    if isinstance(cell, str):
        return _text_cell(cell)
    moment = cell.astimezone(UTC)
    if moment < _FIRST_DATE:
        return _text_cell(moment.strftime("%Y-%m-%d %H:%M"))
    return f'<c s="{_DATE}"><v>{(moment - _EPOCH).total_seconds() / _DAY:.8f}</v></c>'


def _text_cell(text: str, style: int = 0) -> str:
    written = escape(guard(text).translate(_NOT_XML))
    of_style = f' s="{style}"' if style else ""
    return f'<c{of_style} t="inlineStr"><is><t xml:space="preserve">{written}</t></is></c>'


def _letters(number: int) -> str:
    """Return the letters of column ``number``, counted from 1: A to Z, AA, AB …"""
    letters = ""
    while number:
        number, last = divmod(number - 1, 26)
        letters = chr(ord("A") + last) + letters
    return letters or "A"


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
