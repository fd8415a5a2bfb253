"""Verifying a copy from outside: its signature, every file, and its age; with nothing of the installation's."""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from petition.mirrors import log_checking, manifest, sealing
from petition.mirrors.log_checking import LogReport
from petition.mirrors.manifest import MANIFEST, MAX_MANIFEST, MAX_NOTE, NOTE, Manifest
from petition.mirrors.model import BadMirror

MAX_PROBLEMS = 50  # named
FUTURE = timedelta(minutes=10)  # a clock may be ahead by


class CopySource(Protocol):
    """Where the files of a mirror are read from."""

    async def read(self, path: str, max_bytes: int) -> bytes | None:
        """Return a file, cut behind ``max_bytes`` + 1; None if there is none. Raises ``BadMirror``."""

    def paths(self) -> Sequence[str] | None:
        """Return every path there is, None where that cannot be known."""


@dataclass(frozen=True, slots=True)
class MirrorReport:
    """What was verified. ``problems`` is empty if all is as it was signed."""

    letter: str
    written_at: datetime
    counted_at: datetime
    total: int
    key: str
    files: int
    size: int  # bytes
    problems: Sequence[str]
    has_unlisted: bool  # were files looked for that are not in the manifest?
    log: LogReport | None = None  # of the count log, if the copy has it


async def verify_mirror(source: CopySource, public_key: bytes | None) -> MirrorReport:
    """Return what is wrong with each file. Raises ``BadMirror`` if the manifest is not signed as it must be."""
    content, note = await _required(source, MANIFEST, MAX_MANIFEST), await _required(source, NOTE, MAX_NOTE)
    named = manifest.key_of(content)
    signed = manifest.verified(content, note, public_key or named.public)
    if public_key is not None and named.public != public_key:
        raise BadMirror(f"{MANIFEST} names another key than the one that signed it")
    log_files: dict[str, bytes] = {}
    problems = [problem for path in signed.files if (problem := await _problem(source, path, signed, log_files))]
    paths = source.paths()
    unlisted = sorted(set(paths or ()) - signed.files.keys() - {MANIFEST, NOTE})
    problems += [f"{path}: is not in the manifest" for path in unlisted]
    log = await asyncio.to_thread(log_checking.check_log, log_files, named.public, signed.total)
    problems += [] if log is None else log.problems
    return MirrorReport(
        letter=signed.letter,
        written_at=signed.written_at,
        counted_at=signed.counted_at,
        total=signed.total,
        log=log,
        key=str(named),
        files=len(signed.files),
        size=sum(entry.size for entry in signed.files.values()),
        problems=problems,
        has_unlisted=paths is not None,
    )


async def _required(source: CopySource, path: str, max_bytes: int) -> bytes:
    content = await source.read(path, max_bytes)
    if content is None:
        raise BadMirror(f"there is no {path}: this is no mirror, or not all of one")
    if len(content) > max_bytes:
        raise BadMirror(f"{path} is larger than a mirror's")
    return content


async def _problem(source: CopySource, path: str, signed: Manifest, log_files: dict[str, bytes]) -> str | None:
    """Return what is wrong with a file; what is of the count log is added to ``log_files``."""
    entry = signed.files[path]
    try:
        content = await source.read(path, entry.size)
    except BadMirror as bad:
        return f"{path}: {bad}"
    if content is None:
        return f"{path}: is missing"
    if len(content) != entry.size:
        return f"{path}: has {'more' if len(content) > entry.size else 'fewer'} bytes than were signed"
    if path.startswith(log_checking.FOLDER):
        log_files[path] = content
    return None if hashlib.sha256(content).hexdigest() == entry.sha256 else f"{path}: differs from what was signed"


def verify_file(content: bytes, public_key: bytes | None) -> MirrorReport:
    """Return the report on a letter in one file. Raises ``BadMirror``."""
    seal, key = sealing.verified(content, public_key)
    return MirrorReport(
        letter=seal.letter,
        written_at=seal.written_at,
        counted_at=seal.counted_at,
        total=seal.total,
        key=str(key),
        files=1,
        size=len(content),
        problems=(),
        has_unlisted=True,
    )


def age_problem(report: MirrorReport, now: datetime, max_age: timedelta | None) -> str | None:
    """Return what is wrong with the time of a copy: older than ``max_age``, or later than now."""
    if report.written_at > now + FUTURE:
        return "the copy is dated in the future"
    if max_age is not None and report.written_at < now - max_age:
        return f"the copy is older than {max_age}: an old one may have been put back"
    return None


class FolderSource:
    """A mirror on this machine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def read(self, path: str, max_bytes: int) -> bytes | None:
        file = self._folder / path
        if not file.is_file():
            return None
        with file.open("rb") as opened:
            return opened.read(max_bytes + 1)

    def paths(self) -> Sequence[str]:
        files = (path for path in self._folder.rglob("*") if path.is_symlink() or not path.is_dir())
        return [path.relative_to(self._folder).as_posix() for path in files]
