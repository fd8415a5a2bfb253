"""Logs made by hand, as the files that they are."""

import hashlib
from collections.abc import Sequence

from petition.core.signed_notes import NoteSigner
from petition.count_log import merkle, tiles
from petition.count_log.checkpoints import Checkpoint
from petition.count_log.entries import EntryKind, LogEntry, token_of

ORIGIN = "letters.example.org/log/free-the-library"


def signer(origin: str = ORIGIN) -> NoteSigner:
    return NoteSigner(origin, hashlib.sha256(b"a key for tests").digest())


def person(number: int, **fields: object) -> LogEntry:
    return LogEntry(EntryKind.PERSON, token_of(b"receipt %d" % number), **fields)  # type: ignore[arg-type]


class MadeLog:
    """The files of a log with these entries, by path."""

    def __init__(self, entries: Sequence[bytes], origin: str = ORIGIN) -> None:
        leaves = [merkle.leaf_hash(entry) for entry in entries]
        self.files: dict[str, bytes] = {}
        for path in tiles.paths_of(len(entries)):
            first = path.number * tiles.WIDTH
            if path.level is None:
                self.files[str(path)] = tiles.join_entries(entries[first : first + path.width])
            else:
                step = tiles.WIDTH**path.level
                nodes = [
                    merkle.complete_hash(leaves[number * step : (number + 1) * step])
                    for number in range(first, first + path.width)
                ]
                self.files[str(path)] = b"".join(nodes)
        edge = merkle.RightEdge()
        for leaf in leaves:
            edge.append(leaf)
        self.checkpoint = Checkpoint(origin, len(entries), edge.root)
        self.files[tiles.CHECKPOINT] = signer(origin).sign(str(self.checkpoint)).encode()

    def read(self, path: str) -> bytes:
        return self.files[path]
