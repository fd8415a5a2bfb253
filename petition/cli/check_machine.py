"""What ``petition check`` says about this machine: its folder and disk, open files."""

import os
import resource
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from petition.core.settings import Settings

MIN_ROOM = 500 * 1024 * 1024  # bytes: minutes of a large letter's write-ahead log
MIN_FILES = 4096  # one for each visitor's connection
NOT_OURS = stat.S_IRGRP | stat.S_IWGRP | stat.S_IROTH | stat.S_IWOTH  # passing through is the database server's right


def findings(settings: Settings) -> Iterator[str]:
    """Yield what is wrong."""
    if settings.data_dir.exists():
        yield from _folder(settings.data_dir)
    _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files != resource.RLIM_INFINITY and files < MIN_FILES:
        yield f"a process may open {files} files, and each visitor takes one; set LimitNOFILE=65536, or `ulimit -n`"


def _folder(folder: Path) -> Iterator[str]:
    mode = stat.S_IMODE(folder.stat().st_mode)
    if mode & NOT_OURS:
        yield f"DATA_DIR: {folder} is open to other accounts (mode {mode:o}); chmod 700 it"
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        yield f"DATA_DIR: {folder} cannot be written to ({os.strerror(error.errno or 0)}); give it to this account"
    if finding := room_on(folder):
        yield finding


def room_on(folder: Path) -> str | None:
    """Return what is wrong with the room on the disk of ``folder``; nothing if it is another machine's."""
    if not folder.exists():
        return None
    usage = shutil.disk_usage(folder)
    if not usage.total or usage.free >= MIN_ROOM:
        return None
    megabytes = usage.free // (1024 * 1024)
    return f"the disk of {folder} has {megabytes} MB left: people cannot sign when it is full; make room"
