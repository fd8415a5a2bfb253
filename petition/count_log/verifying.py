"""Checks a log from outside, with nothing but its public files: what a witness and a reader run.

Needs the standard library and Ed25519, no database and no settings.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from petition.core.signed_notes import BadNote, NoteKey
from petition.count_log import merkle, tiles
from petition.count_log.checkpoints import Checkpoint, open_checkpoint
from petition.count_log.entries import LogEntry, Recount
from petition.count_log.tiles import Read, TilePath

FORKED = "it was forked, and both its checkpoints are signed"


class LogFault(Exception):
    """The log does not say what it said, or not what it must; the text says how, in English."""


class WentBack(LogFault):
    """The log has fewer entries than it had."""


class LogForked(LogFault):
    """The log has two histories: it was changed where it had been signed before."""


class EntriesDiffer(LogFault):
    """Entries are missing, or are not those that the checkpoint was signed for."""


class CountDiffers(LogFault):
    """Readers are shown another count than the log's."""


@dataclass(slots=True)
class CheckedLog:
    """What was read of a log so far: the right edge of its tree, and the count of its entries."""

    edge: merkle.RightEdge = field(default_factory=merkle.RightEdge)
    counted: Recount = field(default_factory=Recount)


def read_checkpoint(read: Read, key: NoteKey) -> tuple[Checkpoint, str]:
    """Return the log's present checkpoint and the note that it stands in. Raises ``LogFault``."""
    content = _read(read, tiles.CHECKPOINT).decode(errors="replace")
    try:
        return open_checkpoint(content, key), content
    except BadNote as error:
        raise LogFault(f"the checkpoint is not valid: {error}") from None


def check_growth(read: Read, older: Checkpoint, newer: Checkpoint) -> list[bytes]:
    """Return the proof that ``newer`` begins with all entries of ``older``. Raises ``LogFault``."""
    if older.origin != newer.origin:
        raise LogFault("the checkpoints are of two logs")
    if newer.size < older.size:
        raise WentBack(f"the log had {older.size} entries and has {newer.size}: it went back")
    path: list[bytes] = []
    if 0 < older.size < newer.size:
        try:
            path = merkle.consistency_proof(older.size, newer.size, tiles.hashes_of(read, newer.size))
        except (LookupError, ValueError) as error:
            raise EntriesDiffer(f"the log's tiles cannot be read: {error}") from None
    if not merkle.is_consistent(older.size, older.root, newer.size, newer.root, path):
        raise LogForked(f"the log has changed entries that it had before: {FORKED}")
    return path


def recount(read: Read, checkpoint: Checkpoint) -> Recount:
    """Return the count that the log's entries make, all of which are read. Raises ``LogFault``."""
    checked = CheckedLog()
    extend(read, checked, checkpoint)
    return checked.counted


def extend(read: Read, checked: CheckedLog, checkpoint: Checkpoint) -> None:
    """Read the entries of ``checkpoint`` that ``checked`` does not have.

    Raises ``LogFault``; ``checked`` is of no use then.
    """
    edge, contradiction = checked.edge, None
    for number in range(edge.size // tiles.WIDTH, -(-checkpoint.size // tiles.WIDTH)):
        entries = _bundle(read, number, checkpoint.size)[edge.size - number * tiles.WIDTH :]
        for entry in entries:
            edge.append(merkle.leaf_hash(entry))
        contradiction = contradiction or _count(checked.counted, entries)
    if edge.root != checkpoint.root:
        raise EntriesDiffer("the entries are not those of the checkpoint: one is missing or was changed")
    if contradiction:
        raise EntriesDiffer(contradiction)


def _count(counted: Recount, entries: Sequence[bytes]) -> str | None:
    """Count the entries of a bundle; return what is wrong with them."""
    try:
        counted.add(map(LogEntry.parse, entries))
    except ValueError as error:
        return str(error)
    return None


def check_count(counted: Recount, people: int, organizations: int, imported: int) -> None:
    """Compare a published count with the log's. Raises ``LogFault`` if it is another."""
    published = people, organizations, imported
    logged = counted.people, counted.organizations, counted.imported
    for name, number, logged_number in zip(("people", "organizations", "imported"), published, logged, strict=True):
        if number != logged_number:
            raise CountDiffers(f"the published count has {number} {name}, the log has {logged_number}")


def _bundle(read: Read, number: int, size: int) -> list[bytes]:
    path = TilePath(None, number, tiles.tile_width(None, number, size))
    try:
        entries = tiles.split_entries(_read(read, str(path)))
    except ValueError as error:
        raise EntriesDiffer(str(error)) from None
    if len(entries) != path.width:
        raise EntriesDiffer(f"{path} has {len(entries)} entries instead of {path.width}")
    return entries


def _read(read: Read, path: str) -> bytes:
    try:
        return read(path)
    except LookupError:
        raise EntriesDiffer(f"{path} is missing") from None
