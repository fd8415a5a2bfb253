"""The program that parses one workbook in a process of its own: ``xlsx_reader`` starts it.

An uploaded file can be made to exploit or exhaust a parser, and the worker that reads it has the private contact key.
So the parser runs here, without that key: no environment, no file but standard input, limits on memory and time. This
module imports nothing of Petition, so that it starts fast.

The workbook comes on standard input. Lines of JSON go to standard output: the number of visible sheets, then rows of
the first one as [number, cells], then one string: empty at the end of the sheet, or a reason why it cannot be read.
"""

import codecs
import contextlib
import ctypes
import io
import json
import os
import re
import signal
import struct
import sys
import zipfile
import zlib
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import Any
from xml.parsers import expat

if sys.platform != "win32":
    import resource  # here, as no file can be opened once root is dropped

HOSTILE, LOCKED, NO_SHEET, NOT_A_WORKBOOK, OLD, TOO_LARGE = "hostile", "locked", "no sheet", "damaged", "old", "large"

MAX_MEMORY = 1024 * 1024 * 1024  # bytes of addresses; 200,000 rows of 40 cells take 760 MB
MAX_CPU = 120  # seconds
MAX_UNPACKED = 256 * 1024 * 1024  # bytes of all entries of the archive
MAX_RATIO = 300  # to 1, of an entry of more than a megabyte; real sheets have up to 60
MAX_ENTRIES = 1000
MAX_ROWS = 1_048_576  # Microsoft, "Excel specifications and limits"
MAX_CELLS = 200  # of a row; further ones are dropped
MAX_CELL = 32_767  # characters; same source

_OLE = b"\xd0\xcf\x11\xe0"  # an old .xls, or an encrypted .xlsx
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")  # MS-OFFCRYPTO, 2.3.4.4
_ROOT_LINKS, _BOOK_LINKS = "_rels/.rels", "xl/_rels/workbook.xml.rels"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
_ROOT = (
    f'<Relationships xmlns="{_PACKAGE}"><Relationship Id="rId1" Type="{_OFFICE}/officeDocument"'
    ' Target="xl/workbook.xml"/></Relationships>'
)
_BOOK = re.compile(r"(?:.*/)?workbook[^/]*\.xml", re.IGNORECASE)
_CHECKED = re.compile(r"(?:.*/)?(?:worksheets/[^/]+|(?:workbook|styles|sharedStrings))\.xml(?:\.rels)?", re.IGNORECASE)
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


class WorkbookRefused(Exception):
    """The workbook cannot be read; the argument is one of the reasons above."""


def main() -> None:
    """Read a workbook from standard input and write its first sheet to standard output."""
    sys.path.append(sys.argv[2])
    import python_calamine  # noqa: F401 - before files can no longer be opened; the parent never loads it

    _confine(int(sys.argv[1]))
    try:
        for message in _messages(sys.stdin.buffer.read(MAX_UNPACKED + 1)):
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
    codecs.lookup("cp437")  # for names in archives; loaded now, as no file can be opened later
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


def _messages(data: bytes) -> Iterator[int | tuple[int, list[str]]]:
    """Yield the number of visible sheets, then (number, cells) of each row of the first that is not empty.

    Raises ``WorkbookRefused``.
    """
    from python_calamine import CalamineError, WorksheetNotFound, load_workbook

    if data.startswith(_OLE):
        raise WorkbookRefused(LOCKED if _ENCRYPTED in data else OLD)
    try:
        book = load_workbook(io.BytesIO(_checked(data)))
        names = _visible_sheets(book)
        yield len(names)
        sheet = book.get_sheet_by_name(names[0])
    except WorksheetNotFound as error:
        raise WorkbookRefused(NO_SHEET) from error
    except CalamineError as error:
        raise WorkbookRefused(NOT_A_WORKBOOK) from error
    if sheet.start is None or sheet.end is None:
        return
    if sheet.end[0] >= MAX_ROWS:
        raise WorkbookRefused(HOSTILE)
    left = [""] * min(sheet.start[1], MAX_CELLS)
    for number, row in enumerate(sheet.iter_rows(), 1):
        cells = left + [_text(cell) for cell in row[: MAX_CELLS - len(left)]]
        while cells and not cells[-1]:
            cells.pop()
        if cells:
            yield number, cells


def _visible_sheets(book: Any) -> list[str]:
    from python_calamine import SheetTypeEnum, SheetVisibleEnum

    names = [
        sheet.name
        for sheet in book.sheets_metadata
        if sheet.visible == SheetVisibleEnum.Visible and sheet.typ == SheetTypeEnum.WorkSheet
    ]
    if not names:
        raise WorkbookRefused(NO_SHEET)
    return names


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


def _checked(data: bytes) -> bytes:
    """Return the archive as calamine can read it. Raises ``WorkbookRefused`` for a bomb, or for rows out of order."""
    if len(data) > MAX_UNPACKED:
        raise WorkbookRefused(TOO_LARGE)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = {entry.filename.replace("\\", "/").lstrip("/"): entry for entry in archive.infolist()}
            if len(entries) > MAX_ENTRIES or sum(entry.file_size for entry in entries.values()) > MAX_UNPACKED:
                raise WorkbookRefused(TOO_LARGE)
            if not any(map(_BOOK.fullmatch, entries)):  # calamine would read ODS and XLSB as well
                raise WorkbookRefused(NOT_A_WORKBOOK)
            for name, entry in entries.items():
                if entry.file_size > 1024 * 1024 and entry.file_size > MAX_RATIO * max(entry.compress_size, 1):
                    raise WorkbookRefused(TOO_LARGE)
                if entry.flag_bits & 1:
                    raise WorkbookRefused(LOCKED)
                if entry.file_size and _CHECKED.fullmatch(name):
                    _check_xml(archive.read(entry))
            return _normalized(archive, entries) or data
    except _DAMAGED as error:
        raise WorkbookRefused(NOT_A_WORKBOOK) from error


def _check_xml(content: bytes) -> None:
    """Refuse entities and rows out of order: calamine ignores both, and an import identifies rows by their numbers."""
    parser = expat.ParserCreate()
    row = 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal row
        if tag == "row" or tag.endswith(":row"):
            number = int(attributes.get("r", row + 1))
            if not row < number <= MAX_ROWS:
                raise WorkbookRefused(HOSTILE)
            row = number

    def refuse(*_: object) -> None:
        raise WorkbookRefused(HOSTILE)

    parser.StartElementHandler, parser.StartDoctypeDeclHandler = start, refuse
    parser.Parse(content, True)


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
