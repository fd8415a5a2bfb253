"""Checks a log from outside, with nothing but its public files: what a witness and a reader run.

Needs the standard library and Ed25519, no database and no settings.
"""

from collections.abc import Sequence

from petition.core.signed_notes import BadNote, NoteKey
from petition.count_log import merkle, tiles
from petition.count_log.checkpoints import Checkpoint, open_checkpoint
from petition.count_log.entries import LogEntry, Recount
from petition.count_log.tiles import Read, TilePath


class LogFault(Exception):
    """The log does not say what it said, or not what it must; the text says how, in English."""


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
        raise LogFault(f"the log had {older.size} entries and has {newer.size}")
    path: list[bytes] = []
    if 0 < older.size < newer.size:
        try:
            path = merkle.consistency_proof(older.size, newer.size, tiles.hashes_of(read, newer.size))
        except (LookupError, ValueError) as error:
            raise LogFault(f"the log's tiles cannot be read: {error}") from None
    if not merkle.is_consistent(older.size, older.root, newer.size, newer.root, path):
        raise LogFault("the log has changed entries that it had before")
    return path


def recount(read: Read, checkpoint: Checkpoint) -> Recount:
    """Return the count that the log's entries make, all of which are read. Raises ``LogFault``."""
    edge, counted = merkle.RightEdge(), Recount()
    contradiction = None
    for number in range(-(-checkpoint.size // tiles.WIDTH)):
        entries = _bundle(read, number, checkpoint.size)
        for entry in entries:
            edge.append(merkle.leaf_hash(entry))
        contradiction = contradiction or _count(counted, entries)
    if edge.root != checkpoint.root:
        raise LogFault("the entries are not those of the checkpoint")
    if contradiction:
        raise LogFault(contradiction)
    return counted


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
            raise LogFault(f"the published count has {number} {name}, the log has {logged_number}")


def _bundle(read: Read, number: int, size: int) -> list[bytes]:
    path = TilePath(None, number, tiles.tile_width(None, number, size))
    try:
        entries = tiles.split_entries(_read(read, str(path)))
    except ValueError as error:
        raise LogFault(str(error)) from None
    if len(entries) != path.width:
        raise LogFault(f"{path} has {len(entries)} entries instead of {path.width}")
    return entries


def _read(read: Read, path: str) -> bytes:
    try:
        return read(path)
    except LookupError:
        raise LogFault(f"{path} is missing") from None
