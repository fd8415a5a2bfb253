"""Workbooks, well-formed ones and others."""

import io
import zipfile
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

import xlsxwriter

HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
WORKBOOK = (
    f'{HEAD}<workbook xmlns="{MAIN}" xmlns:r="{RELATIONS}"><sheets><sheet name="1" sheetId="1" r:id="rId1"/></sheets>'
    "</workbook>"
)
LINKS = (
    f'{HEAD}<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1"'
    f' Type="{RELATIONS}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>'
)


def book(rows: Sequence[Sequence[Any]], *, hidden_first: bool = False, is_1904: bool = False) -> bytes:
    """Return a workbook as a spreadsheet program writes it; dates are dates there."""
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True, "date_1904": is_1904}) as workbook:
        if hidden_first:
            workbook.add_worksheet("notes").write(0, 0, "nothing here")
        sheet = workbook.add_worksheet("list")
        if hidden_first:
            sheet.activate()
            workbook.worksheets()[0].hide()
        formats = {date: workbook.add_format({"num_format": "dd.mm.yyyy"})}
        formats[datetime] = workbook.add_format({"num_format": 'yyyy-mm-dd "at" hh:mm'})
        for number, row in enumerate(rows):
            for column, cell in enumerate(row):
                if type(cell) in formats:
                    sheet.write_datetime(number, column, cell, formats[type(cell)])
                elif cell is not None:
                    sheet.write(number, column, cell)
    return out.getvalue()


def raw(sheet: str | bytes, **more: str | bytes) -> bytes:
    """Return a workbook whose one sheet is ``sheet``, word for word."""
    parts: Mapping[str, str | bytes] = {
        "xl/workbook.xml": WORKBOOK,
        "xl/_rels/workbook.xml.rels": LINKS,
        "xl/worksheets/sheet1.xml": sheet,
        **{name.replace("__", "/") + ".xml": part for name, part in more.items()},
    }
    return archive(parts)


def archive(parts: Mapping[str, str | bytes]) -> bytes:
    """Return a packed archive."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, part in parts.items():
            packed.writestr(name, part)
    return out.getvalue()


def sheet(rows: str) -> str:
    """Return a sheet around rows."""
    return f'{HEAD}<worksheet xmlns="{MAIN}"><sheetData>{rows}</sheetData></worksheet>'
