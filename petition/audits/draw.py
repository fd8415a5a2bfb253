"""The draw: a function of public values, computed again from public files (docs/decisions/audit-by-sample.md).

The frame is the list of entries of a count log whose signatories agreed to be asked. Its text is published, and its
digest fixed, before the randomness exists.
"""

import base64
import hashlib
from collections.abc import Sequence

FRAME_HEADER = "petition audit frame v1"
DRAW_HEADER = "petition audit draw v1"


def frame_text(origin: str, size: int, root: bytes, indexes: Sequence[int]) -> str:
    """Return a frame as it is published: the log, its size and root hash, and the indexes of entries, ascending."""
    head = (FRAME_HEADER, origin, str(size), base64.b64encode(root).decode())
    return "".join(f"{line}\n" for line in (*head, *map(str, indexes)))


def frame_digest(text: str) -> bytes:
    """Return the SHA-256 of the published text."""
    return hashlib.sha256(text.encode()).digest()


def sample(digest: bytes, value: str, indexes: Sequence[int], number: int) -> list[int]:
    """Return the indexes that the public ``value`` draws: the ``number`` whose hashes come first; ascending."""
    seed = hashlib.sha256(f"{DRAW_HEADER}\n{digest.hex()}\n{value}\n".encode()).digest()
    return sorted(sorted(indexes, key=lambda index: hashlib.sha256(seed + index.to_bytes(8)).digest())[:number])
