"""The program that parses one workbook in a process of its own: ``xlsx_reader`` starts it.

Uploaded files can be made to exploit or exhaust a parser, and the worker that reads them has the private contact key.
So the parser runs here, without that key: no environment, no file but standard input, limits on memory and time. This
module imports nothing of Petition, so that it starts fast.

The workbook comes on standard input. Lines of JSON go to standard output: batches of rows (or the number of sheets),
then one string, which is empty at the end of the sheet or says why there is none.
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
_MAX_DIRECTORY = 256 * 1024  # bytes of the archive's list of entries
_MAX_DEPTH = 32  # of nested elements; a sheet has seven
_MAX_NAMES = 2000  # distinct ones, of elements and attributes; real workbooks have two hundred
_MAX_PENDING = 256 * 1024  # bytes of one unfinished token
_PIECE = 64 * 1024  # bytes read or written at once

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
_SCANNED = re.compile(r"(?:.*/)?(?:worksheets/[^/]+|(?:workbook|styles|sharedStrings))\.xml(?:\.rels)?", re.IGNORECASE)
# LookupError is an encoding unknown to Python, RuntimeError an encrypted entry, ValueError a row's number that is none.
_DAMAGED = (
    *(zipfile.BadZipFile, zlib.error, struct.error, expat.ExpatError),
    *(EOFError, LookupError, OSError, RuntimeError, ValueError),
)
_EPOCH = datetime(1899, 12, 30)  # noqa: DTZ001 - a cell has no zone
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38  # linux/prctl.h
_NOBODY = 65_534


class Refused(Exception):
    """The workbook cannot be read; the argument is one of the reasons above."""


def main() -> None:
    """Read a workbook from standard input and write its first sheet, or how many it has, to standard output."""
    mode, parent = sys.argv[1:]
    import python_calamine  # noqa: F401 - before no file can be opened any more; the parent never loads it

    _confine(int(parent))
    try:
        data = sys.stdin.buffer.read(MAX_UNPACKED + 1)
        for message in [json.dumps(count(data))] if mode == "count" else _batches(rows(data)):
            _send(message)
        reason = ""
    except Refused as refused:
        reason = refused.args[0]
    except BrokenPipeError:  # the reader has stopped
        return
    except MemoryError:
        reason = TOO_LARGE
    except Exception:
        raise
    except BaseException:  # noqa: BLE001 - a panic in calamine, which is no Exception; what makes it panic is size
        reason = TOO_LARGE
    _send(json.dumps(reason))


def _confine(parent: int) -> None:
    """Give up whatever parsing does not need, as far as the system can do that."""
    # The parent decides when this ends, not who stops the service or presses Ctrl-C.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    codecs.lookup("cp437")  # for names in archives; loaded now, as no file can be opened later
    if sys.platform == "linux":
        with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as score:  # noqa: PTH123 - starts faster
            score.write("1000")  # the first to go when memory runs out
    _drop_root()
    if sys.platform == "linux":
        prctl = ctypes.CDLL(None).prctl
        prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)  # after the change of user, which would reset it
    if os.getppid() != parent:
        sys.exit()
    _limit()


def _drop_root() -> None:
    if sys.platform != "win32" and os.geteuid() == 0:
        with contextlib.suppress(OSError):  # a container may keep root from that
            os.setgroups([])
            os.setgid(_NOBODY)
            os.setuid(_NOBODY)


def _limit() -> None:
    if sys.platform == "win32":
        return
    limits = {
        resource.RLIMIT_AS: MAX_MEMORY,
        resource.RLIMIT_CPU: MAX_CPU,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_NPROC: 0,
        resource.RLIMIT_NOFILE: 0,  # neither secret files nor sockets can be opened
    }
    for kind, most in limits.items():
        with contextlib.suppress(ValueError, OSError):  # lower already; or macOS, which has no limit of addresses
            resource.setrlimit(kind, (most, most))


def _send(message: str) -> None:
    sys.stdout.buffer.write(message.encode() + b"\n")
    sys.stdout.buffer.flush()


def _batches(found: Iterator[tuple[int, list[str]]]) -> Iterator[str]:
    batch: list[str] = []
    size = 0
    for row in found:
        batch.append(json.dumps(row, ensure_ascii=False))
        size += len(batch[-1])
        if size > _PIECE:
            yield f"[{','.join(batch)}]"
            batch, size = [], 0
    yield f"[{','.join(batch)}]"


def count(data: bytes) -> int:
    """Return how many sheets are visible. Raises ``Refused``."""
    return len(_sheets(_open(data, scan=False)))


def rows(data: bytes) -> Iterator[tuple[int, list[str]]]:
    """Yield (number, cells) of each row of the first visible sheet that is not empty. Raises ``Refused``."""
    from python_calamine import CalamineError, WorksheetNotFound

    book = _open(data, scan=True)
    try:
        sheet = book.get_sheet_by_name(_sheets(book)[0])
    except WorksheetNotFound as error:
        raise Refused(NO_SHEET) from error
    except CalamineError as error:
        raise Refused(NOT_A_WORKBOOK) from error
    if sheet.start is None or sheet.end is None:
        return
    if sheet.end[0] >= MAX_ROWS:
        raise Refused(HOSTILE)
    left = [""] * min(sheet.start[1], MAX_CELLS)
    for number, row in enumerate(sheet.iter_rows(), 1):
        cells = left + [_text(cell) for cell in row[: MAX_CELLS - len(left)]]
        while cells and not cells[-1]:
            cells.pop()
        if cells:
            yield number, cells


def _sheets(book: Any) -> list[str]:
    from python_calamine import SheetTypeEnum, SheetVisibleEnum

    names = [
        each.name
        for each in book.sheets_metadata
        if each.visible == SheetVisibleEnum.Visible and each.typ == SheetTypeEnum.WorkSheet
    ]
    if not names:
        raise Refused(NO_SHEET)
    return names


def _text(cell: Any) -> str:
    """Return a cell as a CSV file has it: dates in ISO 8601, numbers without an empty fraction."""
    if isinstance(cell, str):
        if len(cell) > 4 * MAX_CELL:
            raise Refused(HOSTILE)
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


def _open(data: bytes, *, scan: bool) -> Any:
    from python_calamine import CalamineError, load_workbook

    if data.startswith(_OLE):
        raise Refused(LOCKED if _ENCRYPTED in data else OLD)
    try:
        return load_workbook(io.BytesIO(_checked(data, scan=scan)))
    except CalamineError as error:
        raise Refused(NOT_A_WORKBOOK) from error


def _checked(data: bytes, *, scan: bool) -> bytes:
    """Return the archive as calamine reads it. Raises ``Refused`` for what only costs memory or time."""
    _check_directory(data)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = {each.filename.replace("\\", "/").lstrip("/"): each for each in archive.infolist()}
            _check_entries(entries)
            if not any(map(_BOOK.fullmatch, entries)):  # calamine would read ODS and XLSB as well
                raise Refused(NOT_A_WORKBOOK)
            for name, entry in entries.items():
                if scan and entry.file_size and _SCANNED.fullmatch(name):
                    _scan(archive, entry)
            return _normalized(archive, entries) or data
    except _DAMAGED as error:
        raise Refused(NOT_A_WORKBOOK) from error


def _check_directory(data: bytes) -> None:
    """Refuse an archive whose list of entries is too long, before it is read (PKWARE, APPNOTE.TXT, 4.3.16)."""
    place = data.rfind(b"PK\x05\x06", max(0, len(data) - 65_557))
    if len(data) > MAX_UNPACKED:
        raise Refused(TOO_LARGE)
    if place < 0 or len(data) - place < 22:
        raise Refused(NOT_A_WORKBOOK)
    entries, directory = struct.unpack("<HI", data[place + 10 : place + 16])
    zip64 = b"PK\x06\x07" in data[max(0, place - 20) : place]
    if zip64 or entries > MAX_ENTRIES or directory > _MAX_DIRECTORY:
        raise Refused(TOO_LARGE)


def _check_entries(entries: dict[str, zipfile.ZipInfo]) -> None:
    if len(entries) > MAX_ENTRIES or sum(each.file_size for each in entries.values()) > MAX_UNPACKED:
        raise Refused(TOO_LARGE)
    for each in entries.values():
        if each.file_size > 1024 * 1024 and each.file_size > MAX_RATIO * max(each.compress_size, 1):
            raise Refused(TOO_LARGE)
        if each.flag_bits & 1:
            raise Refused(LOCKED)


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


def _scan(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> None:
    """Refuse XML that no spreadsheet program writes: calamine passes over it, but its rows could not be trusted."""
    parser = expat.ParserCreate()
    depth = row = 0

    def start(tag: str, given: dict[str, str]) -> None:
        nonlocal depth, row
        depth += 1
        if depth > _MAX_DEPTH:
            raise Refused(HOSTILE)
        if tag == "row" or tag.endswith(":row"):
            number = int(given.get("r", row + 1))
            if not row < number <= MAX_ROWS:  # rows are identified by their number
                raise Refused(HOSTILE)
            row = number

    def end(_: str) -> None:
        nonlocal depth
        depth -= 1

    def refuse(*_: object) -> None:
        raise Refused(HOSTILE)

    parser.StartElementHandler, parser.EndElementHandler, parser.StartDoctypeDeclHandler = start, end, refuse
    size = 0
    with archive.open(entry) as source:
        while piece := source.read(_PIECE):
            size += len(piece)
            parser.Parse(piece)
            if size - parser.CurrentByteIndex > _MAX_PENDING or len(parser.intern) > _MAX_NAMES:
                raise Refused(HOSTILE)
        parser.Parse(b"", True)


if __name__ == "__main__":
    main()
