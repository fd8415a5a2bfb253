"""Folders that are replaced at once: a server that reads one meanwhile sees the old copy or the new one, never half.

Copies are public, so their modes let the account of any web server read them, under any umask.
"""

import ctypes
import errno
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from petition.mirrors.manifest import MANIFEST, MAX_MANIFEST
from petition.mirrors.model import BadMirror

FOLDER_MODE, FILE_MODE = 0o755, 0o644
NEW, OLD = ".new-", ".old-"  # in front of names that are being written, or removed
_AT_FDCWD, _EXCHANGE = -100, 2  # renameat2(2)


def replace(folder: Path, files: Mapping[str, bytes]) -> None:
    """Make ``folder`` hold exactly ``files``.

    Raises ``BadMirror`` if something stands there that is no mirror, ``OSError`` if the disk refuses; then, and when
    the process is killed, the old copy stays.
    """
    check_place(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    remove_remains(folder)
    new = Path(tempfile.mkdtemp(prefix=f"{NEW}{folder.name}-", dir=folder.parent))
    try:
        _write(new, files)
        _swap(new, folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)  # what stood there before, or what could not be finished


def replace_file(path: Path, content: bytes) -> None:
    """Make ``path`` hold ``content``: all of it, or what it held before. Raises ``OSError``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=NEW, dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        Path(name).chmod(FILE_MODE)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def check_place(folder: Path) -> None:
    """Raise ``BadMirror`` unless ``folder`` is a mirror, empty or not there: nothing else is to be overwritten."""
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise BadMirror(f"{folder} is no folder")
    if folder.exists() and any(folder.iterdir()) and letter_in(folder) is None:
        raise BadMirror(f"{folder} holds something that is no mirror; name an empty folder")


def remove(folder: Path) -> bool:
    """Remove a mirror at once; return whether there was one. Raises ``OSError``."""
    if letter_in(folder) is None:
        return False
    gone = folder.with_name(f"{OLD}{folder.name}-{os.getpid()}")
    folder.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)
    return True


def remove_remains(folder: Path) -> None:
    """Remove what a killed process has left beside ``folder``. Two must not write one folder at a time."""
    for begin in (NEW, OLD):
        for path in folder.parent.glob(f"{begin}{folder.name}-*"):
            shutil.rmtree(path, ignore_errors=True)


def letter_in(folder: Path) -> str | None:
    """Return the letter whose mirror ``folder`` is, None if it is none."""
    try:
        with (folder / MANIFEST).open("rb") as file:
            letter = json.loads(file.read(MAX_MANIFEST))["letter"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return letter if isinstance(letter, str) else None


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        path.chmod(FILE_MODE)
    for path in (folder, *(path for path in folder.rglob("*") if path.is_dir())):
        path.chmod(FOLDER_MODE)


def _swap(new: Path, folder: Path) -> None:
    """Put ``new`` where ``folder`` is, which then has the name of ``new``."""
    if not folder.exists():
        new.rename(folder)
        return
    if _exchange(new, folder):
        return
    # Where the system cannot exchange two folders there is a moment without any.
    old = folder.with_name(f"{OLD}{folder.name}-{os.getpid()}")
    folder.rename(old)
    new.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two names in one step; return False where the system or its disk cannot."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError):
        return False
    if renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP}:
        return False
    raise OSError(number, os.strerror(number), str(other))
