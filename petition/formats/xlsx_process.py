"""The program that parses one workbook in a process of its own: ``xlsx_reader`` starts it.

An uploaded file can be made to exploit or exhaust a parser, and the worker that reads it has the private contact key.
So the parser runs here, without that key: no environment, no file but standard input, limits on memory and time. Of
Petition it imports only what parses.

The file comes on standard input, the operation as an argument. Lines of JSON go to standard output, then one string:
empty at the end, or a reason why the file cannot be read.

* ``outline``: one list, of [name, is hidden, number of rows, number of hidden rows, first rows, hidden columns] of each
  sheet.
* ``rows`` with the index of a sheet: [number, cells] of each row that is not empty, and a third item if it is hidden.
* ``member``: true if the file is a workbook; else [the one file in the archive in base64, a piece at a time].
"""

import base64
import codecs
import contextlib
import ctypes
import io
import json
import os
import signal
import struct
import sys
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from xml.parsers import expat

if __name__ == "__main__":
    sys.path += sys.argv[2:4]  # the library, and Petition

from petition.formats import archive_members, html_tables, workbook_xml
from petition.formats.workbook_limits import (
    HOSTILE,
    LOCKED,
    MAX_CELL,
    MAX_CELLS,
    MAX_HEAD,
    MAX_HEAD_CELL,
    MAX_ROWS,
    MAX_SHEETS,
    MAX_UNPACKED,
    NO_SHEET,
    NOT_A_WORKBOOK,
    TOO_LARGE,
    WorkbookRefused,
)
from petition.formats.workbook_xml import HiddenParts

if sys.platform != "win32":
    import resource  # here, as no file can be opened once root is dropped

MAX_MEMORY = 1024 * 1024 * 1024  # bytes of addresses; 200,000 rows of 40 cells take 760 MB
MAX_CPU = 120  # seconds
PIECE = 192 * 1024  # bytes of an archive's file that are written at once

_OLE = b"\xd0\xcf\x11\xe0"  # an old .xls, or an encrypted .xlsx
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")  # MS-OFFCRYPTO, 2.3.4.4
_ROOT_LINKS, _BOOK_LINKS = "_rels/.rels", "xl/_rels/workbook.xml.rels"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
_ROOT = (
    f'<Relationships xmlns="{_PACKAGE}"><Relationship Id="rId1" Type="{_OFFICE}/officeDocument"'
    ' Target="xl/workbook.xml"/></Relationships>'
)
# LookupError: an encoding unknown to Python; RuntimeError: an encrypted entry; ValueError: a row number that is none.
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    expat.ExpatError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    ValueError,
)
_EPOCH = datetime(1899, 12, 30)  # noqa: DTZ001 - a cell has no zone
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38  # linux/prctl.h
_UNPRIVILEGED = 65_534


def main() -> None:
    """Read a file from standard input and write what the operation asks for to standard output."""
    operation, index = sys.argv[4], int(sys.argv[5])
    if operation != "member":
        import python_calamine  # noqa: F401 - before files can no longer be opened; the parent never loads it

    _confine(int(sys.argv[1]))
    try:
        for message in _messages(sys.stdin.buffer.read(MAX_UNPACKED + 1), operation, index):
            _write(message)
        reason = ""
    except WorkbookRefused as refused:
        reason = refused.args[0]
    except MemoryError:
        reason = TOO_LARGE
    except Exception:
        raise
    except BaseException:  # noqa: BLE001 - a panic in calamine is no Exception; it panics for want of memory
        reason = TOO_LARGE
    _write(reason)


def _write(message: object) -> None:
    sys.stdout.buffer.write(json.dumps(message, ensure_ascii=False).encode() + b"\n")


def _confine(parent: int) -> None:
    """Give up what parsing does not need, as far as the system allows."""
    # The parent decides when this ends, not the service manager or Ctrl-C.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for encoding in (
        "cp437",
        "cp1251",
        "cp1252",
        "utf-16",
        "utf-8-sig",
        "koi8-r",
    ):  # of names in archives, and of pages
        codecs.lookup(encoding)  # now, as no file can be opened later
    if sys.platform == "linux":
        with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as score:  # noqa: PTH123 - starts faster
            score.write("1000")  # the first to be killed when memory runs out
    if sys.platform != "win32" and os.geteuid() == 0:
        with contextlib.suppress(OSError):  # a container may keep root from that
            os.setgroups([])
            os.setgid(_UNPRIVILEGED)
            os.setuid(_UNPRIVILEGED)
    if sys.platform == "linux":
        prctl = ctypes.CDLL(None).prctl
        prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)  # after the change of user, which would reset it
    if os.getppid() != parent:
        sys.exit()
    if sys.platform != "win32":
        limits = {
            resource.RLIMIT_AS: MAX_MEMORY,
            resource.RLIMIT_CPU: MAX_CPU,
            resource.RLIMIT_CORE: 0,
            resource.RLIMIT_FSIZE: 0,
            resource.RLIMIT_NPROC: 0,
            resource.RLIMIT_NOFILE: 0,  # neither secret files nor sockets can be opened
        }
        for kind, limit in limits.items():
            with contextlib.suppress(ValueError, OSError):  # lower already; or macOS, which has no limit of addresses
                resource.setrlimit(kind, (limit, limit))


def _messages(data: bytes, operation: str, index: int) -> Iterator[object]:
    """Yield the messages of an operation. Raises ``WorkbookRefused``."""
    if len(data) > MAX_UNPACKED:
        raise WorkbookRefused(TOO_LARGE)
    if operation == "member":
        yield from _member(data)
        return
    book = _opened(data)
    if operation == "outline":
        yield [book.outline(number) for number in range(min(len(book.names), MAX_SHEETS))]
        return
    if index >= len(book.names):
        raise WorkbookRefused(NO_SHEET)
    hidden = book.hidden_in(index).rows
    for number, cells in book.rows(index):
        yield (number, cells, 1) if number in hidden else (number, cells)


def _member(data: bytes) -> Iterator[object]:
    try:
        content = archive_members.member(data)
    except _DAMAGED as error:
        raise WorkbookRefused(NOT_A_WORKBOOK) from error
    if content is None:
        yield True
        return
    for begin in range(0, len(content), PIECE):
        yield [base64.b64encode(content[begin : begin + PIECE]).decode()]


@dataclass
class Book:
    """A workbook, or a page with tables: its sheets, which are read one at a time."""

    names: Sequence[str]
    hidden_sheets: frozenset[str]
    hidden: dict[str, HiddenParts]
    workbook: Any = None
    tables: Sequence[list[list[str]]] = ()

    def hidden_in(self, index: int) -> HiddenParts:
        return self.hidden.get(self.names[index], HiddenParts())

    def rows(self, index: int) -> Iterator[tuple[int, list[str]]]:
        """Yield (number, cells) of each row of a sheet that is not empty. Raises ``WorkbookRefused``."""
        for number, cells in self._cells(index):
            while cells and not cells[-1]:
                cells.pop()
            if cells:
                yield number, cells

    def _cells(self, index: int) -> Iterator[tuple[int, list[str]]]:
        if self.workbook is None:
            yield from enumerate(self.tables[index], 1)
            return
        sheet = _sheet(self.workbook, self.names[index])
        if sheet.start is None or sheet.end is None:
            return
        if sheet.end[0] >= MAX_ROWS:
            raise WorkbookRefused(HOSTILE)
        left = [""] * min(sheet.start[1], MAX_CELLS)
        for number, row in enumerate(sheet.iter_rows(), 1):
            yield number, left + [_text(cell) for cell in row[: MAX_CELLS - len(left)]]

    def outline(self, index: int) -> list[object]:
        """Return what the list of sheets says of one."""
        count, unseen, hidden = 0, 0, self.hidden_in(index)
        head: list[tuple[int, list[str]]] = []
        for number, cells in self.rows(index):
            count += 1
            unseen += number in hidden.rows
            if len(head) < MAX_HEAD and number not in hidden.rows:
                head.append((number, [cell[:MAX_HEAD_CELL] for cell in cells]))
        name = self.names[index]
        return [name, name in self.hidden_sheets, count, unseen, head, sorted(hidden.columns)]


def _sheet(workbook: Any, name: str) -> Any:
    from python_calamine import CalamineError, WorksheetNotFound

    try:
        return workbook.get_sheet_by_name(name)
    except WorksheetNotFound as error:
        raise WorkbookRefused(NO_SHEET) from error
    except CalamineError as error:
        raise WorkbookRefused(NOT_A_WORKBOOK) from error


def _opened(data: bytes) -> Book:
    """Raises ``WorkbookRefused``."""
    from python_calamine import CalamineError, PasswordError, SheetTypeEnum, SheetVisibleEnum, load_workbook

    if not data.startswith((b"PK", _OLE)):
        return _page(data)
    if data.startswith(_OLE) and _ENCRYPTED in data:
        raise WorkbookRefused(LOCKED)
    content, hidden = _checked(data) if data.startswith(b"PK") else (data, {})
    try:
        workbook = load_workbook(io.BytesIO(content))
    except PasswordError as error:
        raise WorkbookRefused(LOCKED) from error
    except CalamineError as error:
        raise WorkbookRefused(NOT_A_WORKBOOK) from error
    sheets = [sheet for sheet in workbook.sheets_metadata if sheet.typ == SheetTypeEnum.WorkSheet]
    unseen = frozenset(sheet.name for sheet in sheets if sheet.visible != SheetVisibleEnum.Visible)
    if not sheets:
        raise WorkbookRefused(NO_SHEET)
    return Book([sheet.name for sheet in sheets], unseen, hidden, workbook)


def _page(data: bytes) -> Book:
    tables = [table for table in html_tables.tables(data) if table]
    if not tables:
        raise WorkbookRefused(NO_SHEET)
    return Book([str(number) for number in range(1, len(tables) + 1)], frozenset(), {}, tables=tables)


def _text(cell: Any) -> str:
    """Return a cell as a CSV file has it: dates in ISO 8601, numbers without an empty fraction."""
    if isinstance(cell, str):
        if len(cell) > 4 * MAX_CELL:
            raise WorkbookRefused(HOSTILE)
        return cell[:MAX_CELL]
    if isinstance(cell, bool):
        return str(cell).upper()
    if isinstance(cell, int | float):
        return str(int(cell)) if float(cell).is_integer() and abs(cell) < 1e16 else f"{cell:.15g}"
    if isinstance(cell, time):
        cell = datetime.combine(_EPOCH, cell) - _EPOCH
    if isinstance(cell, timedelta):
        cell = _EPOCH + cell if cell % timedelta(days=1) else (_EPOCH + cell).date()
    if isinstance(cell, datetime):
        cell = (cell + timedelta(milliseconds=500)).replace(microsecond=0)
    moment: date = cell
    return moment.isoformat()


def _checked(data: bytes) -> tuple[bytes, dict[str, HiddenParts]]:
    """Return the archive as calamine can read it, and what is hidden, by the sheet's name.

    Raises ``WorkbookRefused`` for a bomb, or for rows out of order.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive_members.entries_of(archive)
            if any(entry.flag_bits & 1 for entry in entries.values()):
                raise WorkbookRefused(LOCKED)
            kind = archive_members.workbook_format(archive, entries)
            if kind == archive_members.ODS and "content.xml" in entries:
                return data, workbook_xml.check_ods(archive.read(entries["content.xml"]))
            if kind != archive_members.XLSX:
                raise WorkbookRefused(NOT_A_WORKBOOK)
            return _normalized(archive, entries) or data, workbook_xml.check_xlsx(archive, entries)
    except _DAMAGED as error:
        raise WorkbookRefused(NOT_A_WORKBOOK) from error


def _normalized(archive: zipfile.ZipFile, entries: dict[str, zipfile.ZipInfo]) -> bytes | None:
    """Return an archive with what calamine needs and some programs do not write; None if nothing is missing."""
    links = archive.read(entries[_BOOK_LINKS]) if _BOOK_LINKS in entries else b""
    if _ROOT_LINKS in entries and b'"../' not in links:
        return None
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        for name, entry in {_ROOT_LINKS: None, **entries}.items():
            content = _ROOT.encode() if entry is None else archive.read(entry)
            packed.writestr(name, content.replace(b'Target="../', b'Target="/') if name == _BOOK_LINKS else content)
    return out.getvalue()


if __name__ == "__main__":
    main()
