"""The Merkle tree of RFC 6962, with SHA-256: hashes, roots, proofs of inclusion and of growth.

Knows neither storage nor letters. ``HashAt`` returns the hash of a complete subtree: that of the leaves
``index * 2**level`` to ``(index + 1) * 2**level``.
"""

import hashlib
from collections.abc import Callable, Sequence

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()

HashAt = Callable[[int, int], bytes]  # of level and index


def leaf_hash(entry: bytes) -> bytes:
    return hashlib.sha256(b"\0" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()


def complete_hash(hashes: Sequence[bytes]) -> bytes:
    """Return the hash of the complete subtree above ``hashes``, which are a power of two."""
    level = list(hashes)
    while len(level) > 1:
        level = [node_hash(level[at], level[at + 1]) for at in range(0, len(level), 2)]
    return level[0]


class RightEdge:
    """The hashes of the complete subtrees that a tree of ``size`` leaves consists of, the largest first.

    All that appending needs of a tree: at most 32 bytes for each bit of its size.
    """

    def __init__(self, size: int = 0, hashes: Sequence[bytes] = ()) -> None:
        if len(hashes) != size.bit_count():
            raise ValueError("the edge of a tree has one hash for each bit of its size")
        self.size = size
        self.hashes = list(hashes)

    def append(self, leaf: bytes) -> list[bytes]:
        """Add the hash of a leaf; return the hashes of the subtrees that it completes: of 1, 2, 4 … leaves."""
        completed = [leaf]
        for _ in range((~self.size & (self.size + 1)).bit_length() - 1):
            completed.append(node_hash(self.hashes.pop(), completed[-1]))
        self.hashes.append(completed[-1])
        self.size += 1
        return completed

    @property
    def root(self) -> bytes:
        if not self.hashes:
            return EMPTY_ROOT
        *rest, root = self.hashes
        for left in reversed(rest):
            root = node_hash(left, root)
        return root


def range_hash(first: int, end: int, hash_at: HashAt) -> bytes:
    """Return MTH(D[first:end]); ``first`` is where a subtree of this size may begin."""
    size = end - first
    if size & (size - 1) == 0:
        return hash_at(size.bit_length() - 1, first // size)
    middle = first + _left_size(size)
    return node_hash(range_hash(first, middle, hash_at), range_hash(middle, end, hash_at))


def root_of(size: int, hash_at: HashAt) -> bytes:
    return range_hash(0, size, hash_at) if size else EMPTY_ROOT


def inclusion_proof(index: int, size: int, hash_at: HashAt) -> list[bytes]:
    """Return the hashes from the leaf's sibling up to the child of the root. Raises ``ValueError``."""
    if not 0 <= index < size:
        raise ValueError("the leaf is not in a tree of this size")
    path: list[bytes] = []
    first, end = 0, size
    while end - first > 1:
        middle = first + _left_size(end - first)
        if index < middle:
            path.append(range_hash(middle, end, hash_at))
            end = middle
        else:
            path.append(range_hash(first, middle, hash_at))
            first = middle
    return path[::-1]


def consistency_proof(old_size: int, size: int, hash_at: HashAt) -> list[bytes]:
    """Return the proof that a tree begins with the leaves of an older one. Raises ``ValueError``."""
    if not 0 < old_size <= size:
        raise ValueError("the older tree has at least one leaf, and no more than the newer")
    path: list[bytes] = []
    first, end, is_old_root = 0, size, True
    while old_size != end:
        middle = first + _left_size(end - first)
        if old_size <= middle:
            path.append(range_hash(middle, end, hash_at))
            end = middle
        else:
            path.append(range_hash(first, middle, hash_at))
            first, is_old_root = middle, False
    if not is_old_root:
        path.append(range_hash(first, end, hash_at))
    return path[::-1]


def is_included(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Return whether ``path`` proves that ``leaf`` is at ``index`` of the tree."""
    sides = _sides(index, size - 1, len(path)) if 0 <= index < size else None
    if sides is None:
        return False
    node = leaf
    for is_left, sibling in zip(sides, path, strict=True):
        node = node_hash(sibling, node) if is_left else node_hash(node, sibling)
    return node == root


def is_consistent(old_size: int, old_root: bytes, size: int, root: bytes, path: Sequence[bytes]) -> bool:
    """Return whether ``path`` proves that the tree begins with the leaves of the older one."""
    if old_size in (0, size):
        return not path and old_root == (root if old_size == size else EMPTY_ROOT)
    if not 0 < old_size < size:
        return False
    # Both trees begin with the largest subtree in which the older one's last leaf is the last: its hash comes first.
    ends = old_size & -old_size
    first, *rest = (old_root, *path) if ends == old_size else path or (b"",)
    sides = _sides(old_size // ends - 1, (size - 1) // ends, len(rest))
    if sides is None:
        return False
    old_node = node = first
    for is_left, sibling in zip(sides, rest, strict=True):
        old_node = node_hash(sibling, old_node) if is_left else old_node
        node = node_hash(sibling, node) if is_left else node_hash(node, sibling)
    return old_node == old_root and node == root


def _sides(index: int, last: int, length: int) -> list[bool] | None:
    """Return whether the siblings on the way from a node to the root are left of it; None if they are not so many."""
    sides = []
    while last:
        if index & 1 or index < last:
            sides.append(bool(index & 1))
        index, last = index >> 1, last >> 1
    return sides if len(sides) == length else None


def _left_size(size: int) -> int:
    """Return the largest power of two below ``size``."""
    return 1 << ((size - 1).bit_length() - 1)
