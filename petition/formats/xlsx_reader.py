"""The first visible sheet of a workbook (XLSX, ECMA-376), row by row.

It is parsed in a confined process of its own (``xlsx_process``): uploaded files are not trusted.
"""

import contextlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from petition.core.errors import ImportRefused
from petition.core.i18n import N_
from petition.formats import xlsx_process
from petition.formats.xlsx_process import MAX_CELLS

MAX_WAIT = 1800.0  # seconds that reading may take, its reader's work included; MAX_CPU ends the process sooner
MAX_LINE = 64 * 1024 * 1024  # bytes; a row has 200 cells of 32,767 characters at most
MAX_OUTPUT = 1024 * 1024 * 1024  # bytes

NOT_A_WORKBOOK = N_("This is not an XLSX workbook, or it is damaged.")
TOO_LARGE = N_("This workbook is too large once unpacked.")
HOSTILE = N_("This workbook contains something that no spreadsheet program writes.")
LOCKED = N_("This workbook is protected by a password.")
OLD = N_("This is an old XLS file. Open it in a spreadsheet program and save it as XLSX or CSV.")
NO_SHEET = N_("This workbook has no sheet with data.")

_REASONS = {
    xlsx_process.HOSTILE: HOSTILE,
    xlsx_process.LOCKED: LOCKED,
    xlsx_process.NO_SHEET: NO_SHEET,
    xlsx_process.NOT_A_WORKBOOK: NOT_A_WORKBOOK,
    xlsx_process.OLD: OLD,
    xlsx_process.TOO_LARGE: TOO_LARGE,
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


def rows(source: BinaryIO) -> Iterator[tuple[int, list[str] | str]]:
    """Yield (number, cells) of each row that is not empty; numbers are those a spreadsheet program shows.

    Dates come as ISO 8601. Raises ``ImportRefused`` with a message for the catalogues. The process ends with the
    iterator.
    """
    with contextlib.closing(_messages(source)) as messages:
        next(messages)
        for number, cells in messages:
            yield int(number), [str(cell) for cell in cells[:MAX_CELLS]]


def count_sheets(source: BinaryIO) -> int:
    """Return the number of visible sheets of a workbook. Raises ``ImportRefused``."""
    with contextlib.closing(_messages(source)) as messages:
        return int(next(messages))


def _messages(source: BinaryIO) -> Generator[Any, None, None]:
    """Yield what the process writes before its last line. Raises ``ImportRefused``."""
    with _started() as process:
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
def _started() -> Iterator[subprocess.Popen[bytes]]:
    """Start the process and kill it at the end. It gets no secrets: neither the environment nor open files."""
    process = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-I", xlsx_process.__file__, str(os.getpid()), _library_folder()],
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
