"""The sheets of a workbook (XLSX, XLS, ODS), of an HTML table, and the one file in an archive.

They are parsed in a confined process of their own (``xlsx_process``): uploaded files are not trusted.
"""

import base64
import contextlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from petition.core.errors import ImportRefused
from petition.core.i18n import N_
from petition.formats import workbook_limits, xlsx_process
from petition.formats.workbook_limits import MAX_CELLS

MAX_WAIT = 1800.0  # seconds that reading may take, its reader's work included; MAX_CPU ends the process sooner
MAX_LINE = 64 * 1024 * 1024  # bytes; a row has 200 cells of 32,767 characters at most
MAX_OUTPUT = 1024 * 1024 * 1024  # bytes

NOT_A_WORKBOOK = N_("This is not an XLSX workbook, or it is damaged.")
TOO_LARGE = N_("This workbook is too large once unpacked.")
HOSTILE = N_("This workbook contains something that no spreadsheet program writes.")
LOCKED = N_("This workbook is protected by a password.")
NO_SHEET = N_("This workbook has no sheet with data.")
BINARY_BOOK = N_("This is a binary workbook (XLSB). Open it in a spreadsheet program and save it as XLSX or CSV.")
DOCUMENT = N_(
    "This is a text document or a presentation. Copy its table into a spreadsheet and save it as XLSX or CSV."
)
NUMBERS = N_("This is a Numbers document. In Numbers, choose File, then Export To, then CSV.")
SEVERAL = N_("This ZIP archive has several tables. Unpack it and upload the one with the list.")
NO_TABLE = N_("There is no table in this ZIP archive: no CSV, XLSX, XLS or ODS file.")

_REASONS = {
    workbook_limits.HOSTILE: HOSTILE,
    workbook_limits.LOCKED: LOCKED,
    workbook_limits.NO_SHEET: NO_SHEET,
    workbook_limits.NOT_A_WORKBOOK: NOT_A_WORKBOOK,
    workbook_limits.TOO_LARGE: TOO_LARGE,
    workbook_limits.BINARY_BOOK: BINARY_BOOK,
    workbook_limits.DOCUMENT: DOCUMENT,
    workbook_limits.NUMBERS: NUMBERS,
    workbook_limits.SEVERAL: SEVERAL,
    workbook_limits.NO_TABLE: NO_TABLE,
}
_STARTS = {b"PK\x03\x04", b"PK\x05\x06", b"\xd0\xcf\x11\xe0"}  # an archive, an empty one, an old or encrypted workbook
_ENVIRONMENT = ("SYSTEMROOT", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")  # without which some interpreters do not start


def is_workbook(source: BinaryIO) -> bool:
    """Return whether a file begins as a workbook does, old or new; its position stays."""
    if not source.seekable():  # a pipe
        return False
    head = source.read(4)
    source.seek(-len(head), 1)
    return head in _STARTS


@dataclass(frozen=True, slots=True)
class SheetOutline:
    """What is known of a sheet before it is chosen. ``head`` has its first rows that are not hidden."""

    name: str
    is_hidden: bool
    rows: int
    hidden_rows: int
    head: Sequence[tuple[int, list[str]]]
    hidden_columns: Sequence[int]  # indexes


def outline(source: BinaryIO) -> list[SheetOutline]:
    """Return the sheets of a workbook. Raises ``ImportRefused`` with a message for the catalogues."""
    (sheets,) = _messages(source, "outline")
    return [
        SheetOutline(name, is_hidden, rows, unseen, [(line, cells) for line, cells in head], columns)
        for name, is_hidden, rows, unseen, head, columns in sheets
    ]


def rows(source: BinaryIO, sheet: int = 0, *, hidden: bool = True) -> Iterator[tuple[int, list[str] | str]]:
    """Yield (number, cells) of each row of a sheet that is not empty; numbers are those a spreadsheet program shows.

    Dates come as ISO 8601. Rows that are hidden come only with ``hidden``. Raises ``ImportRefused`` with a message for
    the catalogues. The process ends with the iterator.
    """
    with contextlib.closing(_messages(source, "rows", sheet)) as messages:
        for number, cells, *is_hidden in messages:
            if hidden or not is_hidden:
                yield int(number), [str(cell) for cell in cells[:MAX_CELLS]]


def member(source: BinaryIO) -> Iterator[bytes] | None:
    """Return the one table in an archive, in pieces; None if the archive is a workbook. Raises ``ImportRefused``."""
    messages = _messages(source, "member")
    first = next(messages, [""])
    if first is True:
        messages.close()
        return None
    return _pieces(first, messages)


def _pieces(first: list[str], messages: Generator[Any, None, None]) -> Iterator[bytes]:
    with contextlib.closing(messages):
        yield base64.b64decode(first[0])
        for (piece,) in messages:
            yield base64.b64decode(piece)


def _messages(source: BinaryIO, operation: str = "rows", sheet: int = 0) -> Generator[Any, None, None]:
    """Yield what the process writes before its last line. Raises ``ImportRefused``."""
    with _started(operation, sheet) as process:
        stdin, stdout = cast("BinaryIO", process.stdin), cast("BinaryIO", process.stdout)
        with contextlib.suppress(OSError), stdin:  # a process that has ended reads no more
            source.seek(0)
            shutil.copyfileobj(source, stdin)
        size = 0
        while True:
            line = stdout.readline(MAX_LINE)
            size += len(line)
            if not line.endswith(b"\n") and process.wait() == 1:
                raise RuntimeError("the program that reads workbooks has failed")
            if not line.endswith(b"\n") or size > MAX_OUTPUT:  # it was killed by a limit, or wrote too much
                raise ImportRefused(TOO_LARGE)
            message = json.loads(line)
            if isinstance(message, str):
                break
            yield message
    if message:
        raise ImportRefused(_REASONS[message])


def _library_folder() -> str:
    """Return where the parsing library is installed: ``-I`` ignores PYTHONPATH and the user's packages."""
    spec = importlib.util.find_spec("python_calamine")  # without loading it here
    if spec is None or spec.origin is None:
        raise RuntimeError("python-calamine is not installed")
    return str(Path(spec.origin).parents[1])


@contextlib.contextmanager
def _started(operation: str = "rows", sheet: int = 0) -> Iterator[subprocess.Popen[bytes]]:
    """Start the process and kill it at the end. It gets no secrets: neither the environment nor open files."""
    program_folder = str(Path(workbook_limits.__file__).parents[2])
    arguments = (str(os.getpid()), _library_folder(), program_folder, operation, str(sheet))
    process = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-I", xlsx_process.__file__, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=os.sep,
        env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
        start_new_session=True,
    )
    alarm = threading.Timer(MAX_WAIT, process.kill)
    alarm.daemon = True
    alarm.start()
    try:
        yield process
    finally:
        alarm.cancel()
        process.kill()
        for pipe in (process.stdin, process.stdout):
            with contextlib.suppress(OSError):
                pipe.close() if pipe else None
        process.wait()
