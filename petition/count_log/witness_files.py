"""What a witness keeps between two runs: its key, and what it has seen of each log.

The state is written before a cosignature leaves the machine, so that no later run signs what contradicts it.
"""

import base64
import json
import os
import re
import secrets
import socket
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from petition.core.errors import PetitionError
from petition.core.signed_notes import BadNote
from petition.count_log import merkle, tiles
from petition.count_log.checkpoints import Checkpoint
from petition.count_log.cosignatures import Cosigner
from petition.count_log.entries import EntryKind, Exit, Recount
from petition.count_log.verifying import CheckedLog

FORMAT = 1
FUTURE = 600.0  # seconds by which the clock may have been ahead
MAX_STATE = 512 * 1024 * 1024  # bytes
ENTRY_BYTES, NUMBER_BYTES, TOKEN_BYTES = 41, 8, 32
NAME = re.compile(r"[^\s+]{1,200}")


class BadWitnessFile(PetitionError):
    """The key or the state cannot be used; the text says why."""


def read_key(path: Path, name: str | None) -> tuple[Cosigner, bool]:
    """Return the key in a file, and whether it was made just now. Raises ``BadWitnessFile``, ``OSError``."""
    if not path.exists():
        return _new_key(path, name), True
    if path.stat().st_mode & 0o077:
        raise BadWitnessFile(f"{path} can be read by other accounts: chmod 600 {path}")
    try:
        cosigner = Cosigner.parse(path.read_text(encoding="utf-8", errors="replace"))
    except BadNote as bad:
        raise BadWitnessFile(f"{path}: {bad}") from None
    if name is not None and name != cosigner.name:
        raise BadWitnessFile(f"the key in {path} is that of {cosigner.name}, not of {name}")
    return cosigner, False


def _new_key(path: Path, name: str | None) -> Cosigner:
    cosigner = Cosigner(name or _host_name(), secrets.token_bytes(32))
    if not NAME.fullmatch(cosigner.name):
        raise BadWitnessFile("a witness's name has up to 200 characters, no spaces and no plus signs")
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(cosigner.stored() + "\n")
    return cosigner


def _host_name() -> str:
    return re.sub(r"[^A-Za-z0-9.-]", "-", socket.getfqdn())[:100] or "witness"


@dataclass(frozen=True, slots=True)
class Unsettled:
    """That readers were shown another count than the log's: the log must say so itself before long."""

    at: float  # seconds since 1970
    size: int
    visible: tuple[int, int, int]  # people, organizations, imported
    by_kind: Counter[EntryKind]
    left: Counter[EntryKind]


@dataclass(slots=True)
class WitnessedLogState:
    """What a witness has seen of one log; ``note`` is the checkpoint with its own cosignature."""

    key: str  # of the log: name+hash+key
    note: str
    checked: CheckedLog = field(default_factory=CheckedLog)
    at: float = 0.0  # seconds since 1970
    full_at: float = 0.0  # when all entries were read last
    has_count: bool = False
    unsettled: Unsettled | None = None
    address: str = ""  # host and path at which it was read; "" if only copies were

    @property
    def checkpoint(self) -> Checkpoint:
        return Checkpoint.parse(self.note)

    def as_json(self) -> dict[str, Any]:
        edge, counted = self.checked.edge, self.checked.counted
        entries = b"".join(
            bytes([kind]) + number.to_bytes(NUMBER_BYTES) + token for token, (kind, number) in counted.open.items()
        )
        return {
            "key": self.key,
            "note": self.note,
            "edge": _text(b"".join(edge.hashes)),
            "by_kind": dict(counted.by_kind),
            "left": dict(counted.left),
            "exits": dict(counted.exits),
            "open": _text(entries),
            "at": self.at,
            "full_at": self.full_at,
            "has_count": self.has_count,
            "address": self.address,
            "unsettled": None if self.unsettled is None else _unsettled_json(self.unsettled),
        }

    @classmethod
    def parse(cls, value: Any) -> "WitnessedLogState":
        """Read what ``as_json`` returned. Raises ``BadNote``, ``KeyError``, ``TypeError``, ``ValueError``."""
        size = Checkpoint.parse(value["note"]).size
        edge = merkle.RightEdge(size, tiles.split_hashes(base64.b64decode(value["edge"])))
        entries = base64.b64decode(value["open"])
        counted = Recount(
            entries=size,
            by_kind=_kinds(value["by_kind"]),
            left=_kinds(value["left"]),
            exits=Counter({Exit(int(number)): count for number, count in value["exits"].items()}),
            open=dict(_open(entries[at : at + ENTRY_BYTES]) for at in range(0, len(entries), ENTRY_BYTES)),
        )
        return cls(
            value["key"],
            value["note"],
            CheckedLog(edge, counted),
            float(value["at"]),
            float(value["full_at"]),
            bool(value["has_count"]),
            None if value["unsettled"] is None else _unsettled(value["unsettled"]),
            str(value["address"]),
        )


def _open(entry: bytes) -> tuple[bytes, tuple[EntryKind, int]]:
    if len(entry) != ENTRY_BYTES:
        raise ValueError("an entry was cut")
    return entry[-TOKEN_BYTES:], (EntryKind(entry[0]), int.from_bytes(entry[1 : 1 + NUMBER_BYTES]))


def _kinds(value: dict[str, int]) -> Counter[EntryKind]:
    return Counter({EntryKind(int(kind)): int(number) for kind, number in value.items()})


def _unsettled_json(value: Unsettled) -> dict[str, Any]:
    kinds = {"by_kind": dict(value.by_kind), "left": dict(value.left)}
    return {"at": value.at, "size": value.size, "shown": list(value.visible), **kinds}


def _unsettled(value: dict[str, Any]) -> Unsettled:
    people, organizations, imported = map(int, value["shown"])
    kinds = _kinds(value["by_kind"]), _kinds(value["left"])
    return Unsettled(float(value["at"]), int(value["size"]), (people, organizations, imported), *kinds)


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()


class WitnessState:
    """The state file: what was seen of each log, by its name. ``locked`` holds it against a second run."""

    def __init__(self, path: Path, logs: dict[str, WitnessedLogState]) -> None:
        self._path = path
        self.logs = logs

    @classmethod
    @contextmanager
    def locked(cls, path: Path, now: float) -> "Iterator[WitnessState]":
        """Read the state. Raises ``BadWitnessFile``, ``OSError``."""
        with path.with_name(f"{path.name}.lock").open("a") as lock:
            _lock(lock.fileno())
            state = cls(path, _read(path))
            for name, log in state.logs.items():
                if log.at > now + FUTURE:
                    raise BadWitnessFile(f"the state of {name} is from the future: this machine's clock is wrong")
            yield state

    def store(self) -> None:
        """Write it: all of it, or nothing. Raises ``OSError``."""
        content = {"format": FORMAT, "logs": {name: log.as_json() for name, log in self.logs.items()}}
        descriptor, name = tempfile.mkstemp(prefix=f".{self._path.name}-", dir=self._path.absolute().parent)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(content, file, indent=1)
                file.flush()
                os.fsync(descriptor)
            Path(name).replace(self._path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise

    def add_evidence(self, lines: str) -> Path:
        """Append to a file beside the state; return its path. Raises ``OSError``."""
        path = self._path.with_name(f"{self._path.name}.evidence")
        with path.open("a", encoding="utf-8") as file:
            file.write(lines)
        return path


def _read(path: Path) -> dict[str, WitnessedLogState]:
    if not path.exists() or not path.stat().st_size:
        return {}
    try:
        with path.open(encoding="utf-8") as file:
            value = json.loads(file.read(MAX_STATE))
        if value["format"] > FORMAT:
            raise BadWitnessFile(f"{path} was written by a newer version of this program: download that")
        return {name: WitnessedLogState.parse(log) for name, log in value["logs"].items()}
    except (BadNote, KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadWitnessFile(f"{path} is no state of a witness, or it is damaged ({type(error).__name__})") from None


def _lock(descriptor: int) -> None:
    try:
        import fcntl
    except ImportError:  # not on this system
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise BadWitnessFile("another run has not ended yet") from None
