"""Room in memory for the databases of a run: each clone is a thousand files, and a disk takes ten times as long."""

import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SHARED = Path("/dev/shm")
NEEDED = 1 << 30  # bytes; the largest database of a test has some hundred MB


@contextmanager
def room(where: Path = SHARED, needed: int = NEEDED) -> Iterator[Path | None]:
    """Give an empty folder in memory, or None where there is none or too little; what killed runs left is removed."""
    if not where.is_dir() or not os.access(where, os.W_OK) or shutil.disk_usage(where).free < needed:
        yield None
        return
    _sweep(where)
    folder = where / f"petition-test-{secrets.token_hex(8)}"
    lock = folder.with_suffix(".lock")
    with lock.open("w") as held:  # as long as this process lives, the folder is somebody's
        fcntl.flock(held, fcntl.LOCK_EX)
        folder.mkdir()
        folder.chmod(0o711)  # the server has an account of its own
        try:
            yield folder
        finally:
            shutil.rmtree(folder)
            lock.unlink()


def _sweep(where: Path) -> None:
    for lock in where.glob("petition-test-*.lock"):
        with lock.open("a") as left:
            try:
                fcntl.flock(left, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
            lock.unlink(missing_ok=True)
