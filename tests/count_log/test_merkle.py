"""The tree against RFC 6962: its definitions spelled out, and hashes computed by other implementations."""

import hashlib
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from petition.count_log import merkle

# The inputs and the roots of the first 1 … 8 of them with which Certificate Transparency's programs are tested.
INPUTS = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
ROOTS = {
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}

SIZES = st.integers(1, 700)


def root_by_definition(leaves: Sequence[bytes]) -> bytes:
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return leaves[0]
    middle = 1
    while middle * 2 < len(leaves):
        middle *= 2
    left, right = root_by_definition(leaves[:middle]), root_by_definition(leaves[middle:])
    return hashlib.sha256(b"\1" + left + right).digest()


def leaves_of(size: int) -> list[bytes]:
    return [merkle.leaf_hash(str(number).encode()) for number in range(size)]


def hash_at_of(leaves: Sequence[bytes]) -> merkle.HashAt:
    return lambda level, index: merkle.complete_hash(leaves[index << level : (index + 1) << level])


def test_hashes_are_those_of_other_programs() -> None:
    edge = merkle.RightEdge()
    assert edge.root.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    for number, entry in enumerate(INPUTS, 1):
        edge.append(merkle.leaf_hash(bytes.fromhex(entry)))
        assert edge.root.hex() == ROOTS.get(number, edge.root.hex())


@settings(max_examples=40, deadline=None)
@given(size=SIZES, data=st.data())
def test_roots_and_proofs_follow_the_definition(size: int, data: st.DataObject) -> None:
    leaves = leaves_of(size)
    root, hash_at = root_by_definition(leaves), hash_at_of(leaves)
    assert merkle.root_of(size, hash_at) == root
    index = data.draw(st.integers(0, size - 1))
    path = merkle.inclusion_proof(index, size, hash_at)
    assert merkle.is_included(leaves[index], index, size, path, root)
    old_size = data.draw(st.integers(1, size))
    old_root = root_by_definition(leaves[:old_size])
    growth = merkle.consistency_proof(old_size, size, hash_at)
    assert merkle.is_consistent(old_size, old_root, size, root, growth)


@settings(max_examples=40, deadline=None)
@given(size=st.integers(2, 300), data=st.data())
def test_no_proof_fits_anything_else(size: int, data: st.DataObject) -> None:
    leaves = leaves_of(size)
    root, hash_at = root_by_definition(leaves), hash_at_of(leaves)
    index, other = data.draw(st.permutations(range(size)))[:2]
    path = merkle.inclusion_proof(index, size, hash_at)
    assert not merkle.is_included(leaves[other], index, size, path, root)
    assert not merkle.is_included(leaves[index], index, size, [*path, root], root)
    assert not merkle.is_included(leaves[index], index, size, path[:-1], root)
    old_size = data.draw(st.integers(1, size - 1))
    growth = merkle.consistency_proof(old_size, size, hash_at)
    forged = [*leaves[: old_size - 1], merkle.leaf_hash(b"another")]
    assert not merkle.is_consistent(old_size, root_by_definition(forged), size, root, growth)
    assert not merkle.is_consistent(old_size, root_by_definition(leaves[:old_size]), size, leaves[0], growth)


@settings(max_examples=20, deadline=None)
@given(size=SIZES, split=st.integers(0, 699))
def test_the_edge_is_all_that_appending_needs(size: int, split: int) -> None:
    leaves, first = leaves_of(size), merkle.RightEdge()
    for leaf in leaves[:split]:
        first.append(leaf)
    edge = merkle.RightEdge(first.size, first.hashes)
    for number, leaf in enumerate(leaves[split:], first.size):
        completed = edge.append(leaf)
        for level, node in enumerate(completed):
            assert node == merkle.complete_hash(leaves[number + 1 - (1 << level) : number + 1])
    assert edge.root == root_by_definition(leaves)


def test_what_cannot_be_is_refused() -> None:
    hash_at = hash_at_of(leaves_of(5))
    for index in (-1, 5):
        with pytest.raises(ValueError, match="not in a tree"):
            merkle.inclusion_proof(index, 5, hash_at)
    for old_size in (0, 6):
        with pytest.raises(ValueError, match="older tree"):
            merkle.consistency_proof(old_size, 5, hash_at)
    with pytest.raises(ValueError, match="each bit"):
        merkle.RightEdge(3, [b""])
    root = root_by_definition(leaves_of(5))
    assert merkle.is_consistent(5, root, 5, root, [])
    assert merkle.is_consistent(0, merkle.EMPTY_ROOT, 5, root, [])
    assert not merkle.is_consistent(6, root, 5, root, [])
    assert not merkle.is_consistent(5, root, 5, b"", [])
    assert not merkle.is_consistent(3, root, 5, root, [])
