"""The count log in a mirror, checked as a witness would: its signatures, its entries, and the count beside it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from petition.core.signed_notes import BadNote, NoteKey
from petition.count_log import tiles, verifying, witnesses
from petition.count_log.checkpoints import Checkpoint
from petition.count_log.cosignatures import WitnessKey
from petition.count_log.entries import Recount
from petition.count_log.verifying import LogFault

FOLDER = "log/"
COUNTS = "people", "organizations", "imported"


@dataclass(frozen=True, slots=True)
class LogReport:
    """What a mirror's log says; ``problems`` is empty if it agrees with itself and with the count."""

    size: int
    total: int
    cosigned: Sequence[str]  # lines: who, when, of how many entries
    problems: Sequence[str]


def check_log(files: Mapping[str, bytes], public_key: bytes, total: int) -> LogReport | None:
    """Check the log in ``files``, by their paths in a mirror whose count is ``total``; None if it has none."""
    log = {path.removeprefix(FOLDER): content for path, content in files.items() if path.startswith(FOLDER)}
    if tiles.CHECKPOINT not in log:
        return None
    try:
        origin = Checkpoint.parse(log[tiles.CHECKPOINT].decode(errors="replace")).origin
        checkpoint, note = verifying.read_checkpoint(log.__getitem__, NoteKey(origin, public_key))
        counted = verifying.recount(log.__getitem__, checkpoint)
        _check_count(log, counted, total)
        notes = [note, log.get(witnesses.COSIGNED, b"").decode(errors="replace")]
        return LogReport(checkpoint.size, counted.total, _cosigned(log, notes), ())
    except (BadNote, LogFault, KeyError, TypeError, ValueError) as error:
        problem = str(error) if isinstance(error, BadNote | LogFault) else "the count beside it cannot be read"
        return LogReport(0, 0, (), (f"log: {problem}",))


def _check_count(log: Mapping[str, bytes], counted: Recount, total: int) -> None:
    """Compare the log with the count beside it, and that with the mirror's. Raises ``LogFault``."""
    beside = json.loads(log[witnesses.COUNT])
    waiting = [int(beside["waiting"][name]) for name in COUNTS]
    visible = [int(beside[name]) for name in COUNTS]
    if not beside["stepped"]:
        people, organizations, imported = (number - more for number, more in zip(visible, waiting, strict=True))
        verifying.check_count(counted, people, organizations, imported)
    if visible[0] + visible[1] != total:
        raise LogFault(f"the count of the copy is {total}, the count beside its log is {visible[0] + visible[1]}")


def _cosigned(log: Mapping[str, bytes], notes: Sequence[str]) -> list[str]:
    """Return a line for each witness that has signed one of the checkpoints. Raises ``BadNote``."""
    lines = []
    for witness in json.loads(log.get(witnesses.WITNESSES, b"[]")):
        key = WitnessKey.parse(str(witness["key"]))
        for note in filter(None, notes):
            seconds = key.signed_at(note)
            if seconds is not None:
                moment = datetime.fromtimestamp(seconds, UTC)
                size = Checkpoint.parse(note).size
                lines.append(f"{witness['name']} ({key.name}), {moment:%Y-%m-%d %H:%M:%S} UTC: {size:,} entries")
                break
    return lines
