"""The figures of a process, where its siblings can read them: one scrape answers for all processes behind a port.

Every figure is a cell, a double in memory. Of several web processes each maps a file of cells in a folder that they
share; whichever is scraped adds up all files, also those of processes that have ended, so that no counter goes down.
Nothing is sent, and counting takes no lock: a cell has one writer.

prometheus_client has the like. It was not taken: it grows its files by holes, and on a full disk the write to a hole
kills the process (SIGBUS); a figure costs it ten times as much; and it cannot drop a series.
See docs/decisions/metrics.md.
"""

import contextlib
import fcntl
import json
import logging
import mmap
import os
import secrets
import tempfile
import threading
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

log = logging.getLogger(__name__)

CAPACITY = 8192  # cells of a process, 64 KB
SPARE = 64  # of them, for series that find no room: counted, and never read
FOLDER = "PETITION_METRICS_FOLDER"  # in the environment of the processes of one parent
PREFIX = "petition-metrics-"


class Key(NamedTuple):
    """One series: ``is_total`` if it only grows, so that it outlives its process."""

    name: str
    labels: tuple[str, ...]
    is_total: bool


Figures = dict[Key, list[float]]


@dataclass(frozen=True, slots=True)
class ProcessFigures:
    """What a process has counted; ``pid`` is None of those that have ended."""

    pid: int | None
    figures: Figures = field(default_factory=dict)


class Cells:
    """The cells of this process: in its own memory until they are shared."""

    def __init__(self) -> None:
        self.values: array[float] | memoryview[float] = array("d", bytes(8 * CAPACITY))
        self._series: list[tuple[Key, int, int]] = []  # with the first cell, and the number of cells
        self._used = 0
        self._folder: Path | None = None
        self._keys: int | None = None  # the descriptor of their file; None: no more are written
        self._held: int | None = None  # the same, locked for as long as this process lives
        self._lock = threading.Lock()

    @property
    def is_shared(self) -> bool:
        return self._folder is not None

    def allocate(self, key: Key, number: int) -> int:
        """Return the first of ``number`` new cells in a row; without room, of cells that are not read."""
        with self._lock:
            first = self._used
            if first + number > CAPACITY - SPARE:
                return CAPACITY - SPARE
            self._used += number
            self._series.append((key, first, number))
            self._write_keys(self._series[-1:])
            return first

    def share(self, folder: Path) -> None:
        """Move the cells into a file of ``folder``. A folder that cannot be written to leaves them where they are."""
        try:
            _merge_ended(folder)
            self._move_into(folder)
        except OSError as error:
            log.warning("the processes cannot share their metrics", exc_info=error)

    def _move_into(self, folder: Path) -> None:
        stem = f"{os.getpid()}-{secrets.token_hex(4)}"
        with (folder / f"{stem}.cells").open("x+b") as file:
            _reserve(file.fileno(), 8 * CAPACITY)
            shared = memoryview(mmap.mmap(file.fileno(), 8 * CAPACITY)).cast("d")
        keys = os.open(folder / f"{stem}.new", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        fcntl.flock(keys, fcntl.LOCK_EX)
        with self._lock:
            shared[: self._used] = memoryview(self.values)[: self._used]
            self.values, self._folder, self._keys, self._held = shared, folder, keys, keys
            self._write_keys(self._series)
        # Only now others see it: a file of keys that is not locked would be that of a process that has ended.
        (folder / f"{stem}.new").rename(folder / f"{stem}.keys")

    def _write_keys(self, series: Sequence[tuple[Key, int, int]]) -> None:
        """Say where these series are; after an error (the disk is full) no more are, since a line may be cut."""
        if self._keys is None:
            return
        lines = "".join(json.dumps([*key, first, number]) + "\n" for key, first, number in series).encode()
        try:
            is_written = os.write(self._keys, lines) == len(lines)
        except OSError:
            is_written = False
        if not is_written:
            log.warning("the processes cannot share their metrics")
            self._keys = None

    def read_all(self) -> list[ProcessFigures]:
        """Return the figures of all processes that share a folder, and of those that ended; else of this one."""
        if self._folder is None:
            return [ProcessFigures(os.getpid(), self._own())]
        with _locked(self._folder, fcntl.LOCK_SH):
            ended, merged = _read_ended(self._folder)
            processes = [_read(path) for path in sorted(self._folder.glob("*.keys")) if path.stem not in merged]
        return [ProcessFigures(None, ended), *processes]

    def _own(self) -> Figures:
        return {key: list(self.values[first : first + number]) for key, first, number in self._series}


@contextlib.contextmanager
def shared_folder() -> Iterator[None]:
    """In the parent of several processes: have them share their metrics while the block runs."""
    memory = Path("/dev/shm")  # noqa: S108 - a folder in it is made for this account alone
    where = memory if os.access(memory, os.W_OK) else Path(tempfile.gettempdir())
    try:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=where))
    except OSError as error:
        log.warning("the processes cannot share their metrics", exc_info=error)
        yield
        return
    try:
        with (folder / "parent").open("x") as parent:
            fcntl.flock(parent, fcntl.LOCK_EX)
            _remove_orphans(where, folder)
            os.environ[FOLDER] = str(folder)
            yield
    finally:
        os.environ.pop(FOLDER, None)
        _remove(folder)


def _remove_orphans(where: Path, own: Path) -> None:
    """Remove the folders of parents of this account that were killed."""
    for folder in where.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError), (folder / "parent").open() as parent:
            if folder != own:
                fcntl.flock(parent, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(folder)


def _remove(folder: Path) -> None:
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()


def _reserve(descriptor: int, size: int) -> None:
    """Give a file all its blocks at once. Raises ``OSError`` if there is no room."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
    else:
        os.write(descriptor, bytes(size))


@contextlib.contextmanager
def _locked(folder: Path, how: int) -> Iterator[None]:
    """Hold the folder's lock: shared to read its files, exclusively to remove some."""
    with (folder / "lock").open("a") as file:
        fcntl.flock(file, how)
        yield


def _read(keys_path: Path) -> ProcessFigures:
    with keys_path.open(encoding="utf-8") as file:
        pid: int | None = None
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = int(keys_path.stem.partition("-")[0])
        lines = file.read().split("\n")[:-1]  # a line that is not complete yet is left out
    values = array("d", keys_path.with_suffix(".cells").read_bytes())
    figures = Figures()
    for name, labels, is_total, first, number in map(json.loads, lines):
        figures[Key(name, tuple(labels), is_total)] = list(values[first : first + number])
    return ProcessFigures(pid, figures)


def _merge_ended(folder: Path) -> None:
    """Add the totals of processes that have ended to those of earlier ones, and remove their files.

    The sum names the files that are in it: a crash before they are removed counts nothing twice.
    """
    with _locked(folder, fcntl.LOCK_EX):
        totals, merged = _read_ended(folder)
        paths = [path for path in folder.glob("*.keys") if path.stem in merged or _read(path).pid is None]
        if not paths:
            return
        add_up(totals, (_read(path).figures for path in paths if path.stem not in merged))
        content = [[*key, values] for key, values in totals.items() if key.is_total]
        new = folder / "ended.new"
        new.write_text(json.dumps({"merged": [path.stem for path in paths], "totals": content}), encoding="utf-8")
        new.replace(folder / "ended.json")
        for path in paths:
            path.with_suffix(".cells").unlink(missing_ok=True)
            path.unlink()


def _read_ended(folder: Path) -> tuple[Figures, set[str]]:
    try:
        content = json.loads((folder / "ended.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}, set()
    totals = {Key(name, tuple(labels), is_total): values for name, labels, is_total, values in content["totals"]}
    return totals, set(content["merged"])


def add_up(sums: Figures, parts: Iterable[Figures]) -> None:
    """Add ``parts`` to ``sums``, in place. A figure of another version, with other cells, is left out."""
    for part in parts:
        for key, values in part.items():
            before: Sequence[float] = sums.setdefault(key, [0.0] * len(values))
            if len(before) == len(values):
                sums[key] = [one + other for one, other in zip(before, values, strict=True)]
