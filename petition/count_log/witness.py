"""A witness: checks the log of a letter from what it saw before, and cosigns its checkpoint. Made for cron.

This module and those that it imports are also one file that needs nothing but Python and the library ``cryptography``
(``witness_bundle``). It prints one line to standard output if all is well; what is wrong goes to standard error.
"""

import argparse
import copy
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

from petition.core import signed_notes
from petition.core.errors import PetitionError
from petition.core.signed_notes import BadNote, NoteKey
from petition.count_log import tiles, verifying
from petition.count_log.checkpoints import Checkpoint
from petition.count_log.cosignatures import Cosigner
from petition.count_log.entries import EntryKind, Recount
from petition.count_log.served_logs import LogAddress, ServedLogs, ServerRefusal, Unreachable
from petition.count_log.verifying import CheckedLog, CountDiffers, EntriesDiffer, LogFault, LogForked, WentBack
from petition.count_log.witness_files import BadWitnessFile, Unsettled, WitnessedLogState, WitnessState, read_key

KEY, COUNT, COSIGNATURES = "key", "count", "cosignatures"  # files below a log's address, beside those of tlog-tiles
ALWAYS_FULL = 100_000  # entries: up to so many all are read each time
FULL_AFTER = 7 * 86400.0  # seconds after which all are read anew of a longer log
SETTLED_AFTER = 1200.0  # seconds in which everything that is counted gets into the log
TRIES, TRY_SECONDS = 4, 1.5  # the shown count is half a second old, and a busy letter moves meanwhile
NAMES = "people", "organizations", "imported"

Numbers = tuple[int, int, int]  # people, organizations, imported


class ExitCode(IntEnum):
    """How the program ends; 2 is wrong usage."""

    OK = 0
    OWN_FILES = 1  # key, state or arguments
    UNREACHABLE = 3
    STALE = 4
    NOT_TAKEN = 5
    BAD_CHECKPOINT = 10
    WENT_BACK = 11
    FORKED = 12
    ENTRIES = 13
    COUNT = 14


class LogStale(LogFault):
    """The count moves and the log does not follow."""


CODES: dict[type[Exception], ExitCode] = {
    WentBack: ExitCode.WENT_BACK,
    LogForked: ExitCode.FORKED,
    EntriesDiffer: ExitCode.ENTRIES,
    CountDiffers: ExitCode.COUNT,
    LogStale: ExitCode.STALE,
    LogFault: ExitCode.BAD_CHECKPOINT,
    Unreachable: ExitCode.UNREACHABLE,
    ServerRefusal: ExitCode.NOT_TAKEN,
    BadWitnessFile: ExitCode.OWN_FILES,
    PetitionError: ExitCode.OWN_FILES,
    OSError: ExitCode.OWN_FILES,
}


@dataclass(slots=True)
class Witness:
    """One run for one address. ``say`` prints a line of what needs a person, though the log is right."""

    server: ServedLogs
    cosigner: Cosigner
    state: WitnessState
    log_key: str | None = None  # that the log must have: name+hash+key
    is_full: bool = False
    now: Callable[[], float] = time.time
    say: Callable[[str], None] = print

    def run(self) -> str:
        """Check and cosign; return what was seen. Raises ``LogFault``, ``PetitionError``, ``OSError``."""
        address = self.server.find()
        key = self._key(address)
        seen = self.state.logs.get(key.name)
        self._check_key(address, key, seen)
        read = self.server.reader(address)
        checkpoint, note = signed = verifying.read_checkpoint(read, key)
        if address.is_copy and seen is not None and checkpoint.size < seen.checkpoint.size:
            raise LogStale(f"this copy has {checkpoint.size} entries, and {seen.checkpoint.size} were seen before")
        try:
            log = self._follow(read, key, signed, seen)
        except LogForked:
            self._keep_evidence(seen, note)
            raise
        log.address = log.address if address.is_copy else self._log_address(address)
        self._check_count(address, log)
        log.note = self._cosigned(note, key)
        self.state.logs[key.name] = log
        self.state.store()
        self._hand_back(address, log)
        return _summary(checkpoint, log.checked.counted)

    def _key(self, address: LogAddress) -> NoteKey:
        """Return the log's key: the one that was named, else the one that the log names itself."""
        if self.log_key is not None:
            return signed_notes.read_key(self.log_key)
        content = self.server.get(address.log + KEY)
        if content is None:
            raise Unreachable(f"{address.log}{KEY} is missing: name the log's key with --log-key")
        try:
            return signed_notes.read_key(content.decode(errors="replace"))
        except BadNote as bad:
            raise LogFault(f"the log's key cannot be read: {bad}") from None

    def _log_address(self, address: LogAddress) -> str:
        return f"{self.server.parts.netloc}{address.log}"

    def _check_key(self, address: LogAddress, key: NoteKey, seen: WitnessedLogState | None) -> None:
        """See that the log has the name and the key that it had here before."""
        if seen is not None and seen.key != str(key):
            raise LogFault(f"the log signs with another key than before; before: {seen.key} now: {key}")
        names = {name for name, log in self.state.logs.items() if log.address == self._log_address(address)}
        if names - {key.name}:
            raise LogFault(f"the log is called {key.name} now, and was called {', '.join(names)}")

    def _follow(
        self, read: tiles.Read, key: NoteKey, signed: tuple[Checkpoint, str], seen: WitnessedLogState | None
    ) -> WitnessedLogState:
        """Return what is known of the log, with all entries of the checkpoint."""
        (checkpoint, note), now = signed, self.now()
        if seen is not None:
            verifying.check_growth(read, seen.checkpoint, checkpoint)
        is_short = checkpoint.size <= ALWAYS_FULL
        if seen is None or is_short or self.is_full or now - seen.full_at > FULL_AFTER:
            log = WitnessedLogState(str(key), note, CheckedLog(), now, now)
        else:
            log = copy.deepcopy(seen)
        verifying.extend(read, log.checked, checkpoint)
        if seen is not None:
            log.address, log.has_count, log.unsettled = seen.address, seen.has_count, seen.unsettled
        log.at = now
        return log

    def _keep_evidence(self, seen: WitnessedLogState | None, note: str) -> None:
        """Store both checkpoints: the log has signed both, which no honest one does."""
        if seen is not None:
            moment = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(self.now()))
            path = self.state.add_evidence(f"{moment} UTC, before:\n{seen.note}\nand now:\n{note}\n")
            self.say(f"both checkpoints are in {path}: keep that file")

    def _cosigned(self, note: str, key: NoteKey) -> str:
        text, _ = signed_notes.split(note)
        return f"{text}\n{signed_notes.line_of(note, key.name, key.hash)}{self.cosigner.sign(text, int(self.now()))}"

    def _hand_back(self, address: LogAddress, log: WitnessedLogState) -> None:
        if address.is_copy:
            return
        try:
            self.server.post(address.log + COSIGNATURES, log.note.encode())
        except ServerRefusal as refusal:
            if refusal.status != 403:
                raise ServerRefusal(refusal.status, f"the cosignature was not taken: {refusal}") from None
            self.say(f"all is right, but this key is not registered for the letter yet: {self.cosigner.key}")

    def _check_count(self, address: LogAddress, log: WitnessedLogState) -> None:
        """Compare the count that readers see with the log's."""
        _check_unsettled(log, self.now())
        readings = []
        for number in range(TRIES):
            if number:
                self.server.pause(TRY_SECONDS)
            reading = self._read_count(address, log)
            if reading is None:
                return
            readings.append(reading)
            if reading.is_settled or address.is_copy:
                break
        last = readings[-1]
        is_steady = all(reading == last for reading in readings) and last.size == log.checked.edge.size
        if is_steady and not last.is_settled and not last.is_stepped:
            raise CountDiffers(last.problem)
        # That something waits is the installation's word: it has to come.
        if last.visible != last.counted and not address.is_copy and log.unsettled is None:
            counted = log.checked.counted
            kinds = Counter(counted.by_kind), Counter(counted.left)
            log.unsettled = Unsettled(self.now(), counted.entries, last.visible, *kinds)

    def _read_count(self, address: LogAddress, log: WitnessedLogState) -> "_CountReading | None":
        """Return what readers see and what the log makes of it; None if no count is published beside this log."""
        beside, visible = self.server.json(address.log + COUNT), self.server.json(address.count)
        if beside is None and visible is None and not log.has_count:
            self.say("no count is published beside this log: only the log was checked")
            return None
        try:
            reading = _reading_of(beside, visible, numbers_of(log.checked.counted))
        except (KeyError, TypeError, ValueError):
            raise Unreachable(f"{address.log}{COUNT} or {address.count} cannot be read") from None
        log.has_count = True
        return reading


@dataclass(frozen=True, slots=True)
class _CountReading:
    """``counted`` by the log; ``waiting`` for it, by the installation's word; ``visible`` to readers."""

    size: int  # of the log, when the installation looked
    counted: Numbers
    waiting: Numbers
    visible: Numbers
    is_stepped: bool

    @property
    def is_settled(self) -> bool:
        return self.visible == self._expected

    @property
    def _expected(self) -> Numbers:
        people, organizations, imported = (a + b for a, b in zip(self.counted, self.waiting, strict=True))
        return people, organizations, imported

    @property
    def problem(self) -> str:
        return "; ".join(
            f"readers see {visible} {name}, the log has {counted}"
            + (f" and {waiting} more wait for it" if waiting else "")
            for name, visible, counted, waiting in zip(NAMES, self.visible, self.counted, self.waiting, strict=True)
            if visible != counted + waiting
        )


def _reading_of(beside: Any, visible: Any, counted: Numbers) -> _CountReading:
    """Read both files. Raises ``KeyError``, ``TypeError``, ``ValueError``."""
    waiting = _numbers(beside["waiting"])
    counts = visible.get("counts", visible)
    return _CountReading(
        int(beside["size"]),
        counted,
        waiting,
        _numbers({"imported": counted[2] + waiting[2]} | counts),
        beside["stepped"],
    )


def _numbers(value: Any) -> Numbers:
    people, organizations, imported = (int(value[name]) for name in NAMES)
    return people, organizations, imported


def numbers_of(counted: Recount) -> Numbers:
    return counted.people, counted.organizations, counted.imported


def _check_unsettled(log: WitnessedLogState, now: float) -> None:
    """See whether the log has come to say what readers were shown. Raises ``LogFault``."""
    before, counted = log.unsettled, log.checked.counted
    if before is None or now - before.at < SETTLED_AFTER:
        return
    log.unsettled = None
    then = Recount(by_kind=before.by_kind)
    left = counted.left - before.left
    joined = Counter({kind: counted.by_kind[kind] - before.by_kind[kind] + left[kind] for kind in EntryKind})
    bounds = zip(
        NAMES, before.visible, *map(numbers_of, (then, Recount(by_kind=left), Recount(by_kind=joined))), strict=True
    )
    for name, visible, number, fewer, more in bounds:
        if not number - fewer <= visible <= number + more:
            moment = time.strftime("%Y-%m-%d %H:%M", time.gmtime(before.at))
            if counted.entries == before.size:
                raise LogStale(f"at {moment} UTC readers saw {visible} {name}; the log still has {number}: it is stale")
            raise CountDiffers(f"at {moment} UTC readers saw {visible} {name}, which the log has never had")


def _summary(checkpoint: Checkpoint, counted: Recount) -> str:
    return (
        f"{checkpoint.origin}: {checkpoint.size} entries make {counted.total} signatures"
        f" ({counted.people} people, {counted.organizations} organizations); checked and cosigned"
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe what the command takes."""
    parser.add_argument("url", metavar="URL", help="the letter's page, its log, or a mirror of it")
    parser.add_argument("--key", type=Path, metavar="FILE", required=True, help="own key; made if it is not there")
    parser.add_argument("--state", type=Path, metavar="FILE", required=True, help="what was seen; made likewise")
    parser.add_argument(
        "--name", metavar="NAME", help="of a new key, like witness.example.org; default: this machine's"
    )
    parser.add_argument("--log-key", metavar="KEY", help="of the log; default: what it names the first time")
    parser.add_argument("--full", action="store_true", help="read all entries anew, also of a long log")


def run(arguments: argparse.Namespace) -> int:
    """Run once; return the exit code, having said what is wrong."""
    try:
        cosigner, is_new = read_key(arguments.key, arguments.name)
        if is_new:
            _say(f"a new key was made; the letter's owners register this line: {cosigner.key}")
        with (
            WitnessState.locked(arguments.state, time.time()) as state,
            closing(ServedLogs(arguments.url)) as server,
        ):
            print(Witness(server, cosigner, state, arguments.log_key, arguments.full, say=_say).run())
    except (LogFault, PetitionError, OSError) as error:
        code = next(code for kind, code in CODES.items() if isinstance(error, kind))
        _say(f"{arguments.url}: {'wrong: ' if isinstance(error, LogFault) else ''}{_words(error)}")
        return code
    return ExitCode.OK


def _words(error: Exception) -> str:
    if isinstance(error, OSError):
        return ": ".join(str(part) for part in (error.filename, error.strerror or error) if part)
    return str(error)


def _say(line: str) -> None:
    print(f"witness: {line}", file=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="petition-witness", description="Check the log of a letter, and cosign its checkpoint."
    )
    add_arguments(parser)
    return run(parser.parse_args(arguments))
