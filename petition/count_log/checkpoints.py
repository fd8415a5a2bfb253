"""Checkpoints and proofs as texts: C2SP tlog-checkpoint and tlog-proof."""

import base64
import binascii
import re
from dataclasses import dataclass

from petition.core import signed_notes
from petition.core.signed_notes import BadNote, NoteKey
from petition.count_log import merkle

CHECKPOINT_TEXT = re.compile(r"(?P<origin>[^\n]+)\n(?P<size>0|[1-9][0-9]{0,17})\n(?P<root>[A-Za-z0-9+/]{43}=)\n")
PROOF_HEADER = "c2sp.org/tlog-proof@v1"
PROOF_TEXT = re.compile(
    re.escape(PROOF_HEADER) + r"\n(?:extra (?P<extra>[A-Za-z0-9+/]+={0,2})\n)?index (?P<index>0|[1-9][0-9]{0,17})\n"
    r"(?P<path>(?:[A-Za-z0-9+/]{43}=\n)*)\n(?P<checkpoint>.+)",
    re.DOTALL,
)
MAX_PROOF_BYTES = 100_000


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log says of itself at one moment: its name, how many entries it has, and their root hash."""

    origin: str
    size: int
    root: bytes

    def __str__(self) -> str:
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"

    @classmethod
    def parse(cls, text: str) -> "Checkpoint":
        """Read the text of a note. Raises ``BadNote``."""
        match = CHECKPOINT_TEXT.match(text)
        if match is None:
            raise BadNote("this is not a checkpoint")
        return cls(match["origin"], int(match["size"]), _hash(match["root"]))


def open_checkpoint(note: str, key: NoteKey) -> Checkpoint:
    """Return a checkpoint that ``key`` has signed, and whose log has the key's name. Raises ``BadNote``."""
    checkpoint = Checkpoint.parse(signed_notes.verify(note, key))
    if checkpoint.origin != key.name:
        raise BadNote("the checkpoint is of another log")
    return checkpoint


@dataclass(frozen=True, slots=True)
class Proof:
    """That an entry is in the log, to be checked without the log. ``extra`` is the entry; nothing vouches for it."""

    index: int
    path: tuple[bytes, ...]
    checkpoint: str  # the signed note as it is
    extra: bytes = b""

    def __bytes__(self) -> bytes:
        extra = [f"extra {base64.b64encode(self.extra).decode()}"] if self.extra else []
        path = [base64.b64encode(node).decode() for node in self.path]
        lines = [PROOF_HEADER, *extra, f"index {self.index}", *path, ""]
        return ("".join(f"{line}\n" for line in lines) + self.checkpoint).encode()

    @classmethod
    def parse(cls, content: bytes) -> "Proof":
        """Read a proof. Raises ``BadNote``."""
        if len(content) > MAX_PROOF_BYTES:
            raise BadNote("the proof is too long")
        match = PROOF_TEXT.fullmatch(content.decode(errors="replace"))
        if match is None:
            raise BadNote("this is not a proof")
        path = tuple(_hash(line) for line in match["path"].split())
        extra = _base64(match["extra"] or "")
        return cls(int(match["index"]), path, match["checkpoint"], extra)

    def check(self, entry: bytes, key: NoteKey) -> Checkpoint:
        """Return the checkpoint in which ``entry`` is. Raises ``BadNote``."""
        checkpoint = open_checkpoint(self.checkpoint, key)
        leaf = merkle.leaf_hash(entry)
        if not merkle.is_included(leaf, self.index, checkpoint.size, self.path, checkpoint.root):
            raise BadNote("the entry is not in the log of this checkpoint")
        return checkpoint


def _hash(text: str) -> bytes:
    content = _base64(text)
    if len(content) != merkle.HASH_BYTES:
        raise BadNote("a hash has 32 bytes")
    return content


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise BadNote("this is not base64") from None
