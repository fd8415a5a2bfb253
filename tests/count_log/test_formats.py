"""Paths and bundles of tiles, signed notes, checkpoints, proofs, entries: what is written can be read, nothing else."""

import base64
import dataclasses

import pytest

from petition.core import signed_notes
from petition.core.signed_notes import BadNote
from petition.count_log import tiles
from petition.count_log.checkpoints import Checkpoint, Proof, open_checkpoint
from petition.count_log.cosignatures import Cosigner, WitnessKey
from petition.count_log.entries import EntryKind, Exit, LogEntry, Recount, token_of
from petition.count_log.tiles import TilePath
from tests.count_log.logs import ORIGIN, person, signer

# A checkpoint in the specification of cosignatures, with made-up signatures.
EXAMPLE = """example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==
"""  # noqa: E501


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (TilePath(0, 0), "tile/0/000"),
        (TilePath(0, 1_234_067), "tile/0/x001/x234/067"),
        (TilePath(2, 1_000, 7), "tile/2/x001/000.p/7"),
        (TilePath(None, 999, 255), "tile/entries/999.p/255"),
    ],
)
def test_paths_are_those_of_the_format(path: TilePath, text: str) -> None:
    assert str(path) == text
    assert TilePath.parse(text) == path


@pytest.mark.parametrize(
    "text",
    [
        *("", "checkpoint", "tile/0/0", "tile/0/0000", "tile/00/000", "tile/64/000", "tile/0/x000/001"),
        *("tile/0/000.p/0", "tile/0/000.p/256", "tile/0/000.p/01", "tile/0/001/002", "tile/0/x001", "tile/-1/000"),
        *("tile/entries/000/", "tile/0/000\n", "tile/0/٠٠٠", "tile/0/x999/x999/x999/x999/999"),
    ],
)
def test_other_paths_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no path"):
        TilePath.parse(text)


def test_a_tree_has_the_tiles_of_the_format() -> None:
    # The example of the description: 273 full tiles at level 0, a partial one of 112, and so on.
    paths = list(tiles.paths_of(70_000))
    by_level = {level: [path for path in paths if path.level == level] for level in (None, 0, 1, 2, 3)}
    widths = {level: (len(found), found[-1].width) for level, found in by_level.items() if found}
    assert widths == {None: (274, 112), 0: (274, 112), 1: (2, 17), 2: (1, 1)}
    assert all(path.is_in(70_000) for path in paths)
    assert not TilePath(0, 273, 113).is_in(70_000)
    assert not TilePath(0, 274, 1).is_in(70_000)
    assert TilePath(0, 273, 5).is_in(70_000)
    assert list(tiles.paths_of(0)) == []


def test_bundles_and_tiles_can_be_read_or_are_refused() -> None:
    entries = [b"", b"a", b"b" * 300]
    assert tiles.split_entries(tiles.join_entries(entries)) == entries
    for broken in (b"\0", b"\0\2a", b"\0\1ab"):
        with pytest.raises(ValueError, match="within an entry"):
            tiles.split_entries(broken)
    with pytest.raises(ValueError, match="within a hash"):
        tiles.split_hashes(b"a" * 33)


def test_a_witness_signs_with_a_time() -> None:
    witness = Cosigner("witness.example.net", b"w" * 32)
    text = str(Checkpoint(ORIGIN, 5, b"r" * 32))
    note = signer().sign(text)
    cosigned = note + witness.sign(text, now=1_700_000_000)
    assert witness.key.signed_at(cosigned) == 1_700_000_000
    assert open_checkpoint(cosigned, signer().key).size == 5
    assert witness.key.signed_at(note) is None
    assert WitnessKey.parse(str(witness.key)) == witness.key
    other_time = base64.b64encode(base64.b64decode(cosigned.split()[-1])[:4] + b"\0" * 8 + b"s" * 64).decode()
    assert witness.key.signed_at(cosigned.replace(cosigned.split()[-1], other_time)) is None


def test_a_cosignature_of_the_format_is_verified() -> None:
    """The example of the specification: its witness's key is not published, but its signature has the right shape."""
    lines = list(signed_notes.signatures(EXAMPLE))
    assert [name for name, _, _ in lines] == ["example.com/behind-the-sofa", "witness.example.com/w1"]
    assert [len(content) for _, _, content in lines] == [64, 72]
    assert int.from_bytes(lines[1][2][:8]) == 1_679_315_147
    assert Checkpoint.parse(signed_notes.split(EXAMPLE)[0]).size == 20852163


@pytest.mark.parametrize("text", ["", "a+b", "a+00000000+" + "A" * 44, str(signer().key)])
def test_other_keys_are_no_witness(text: str) -> None:
    with pytest.raises(BadNote):
        WitnessKey.parse(text)


def test_a_checkpoint_is_of_its_log_only() -> None:
    checkpoint = Checkpoint(ORIGIN, 5, b"r" * 32)
    note = signer().sign(str(checkpoint))
    assert open_checkpoint(note, signer().key) == checkpoint
    with pytest.raises(BadNote, match="no signature"):
        open_checkpoint(note, signer("another.example/log/letter").key)
    other = signer().sign(str(Checkpoint("another", 5, b"r" * 32)))
    with pytest.raises(BadNote, match="another log"):
        open_checkpoint(other, signer().key)
    for text in ("a\n05\n\n", f"{ORIGIN}\n5\nAAAA\n", f"{ORIGIN}\n-1\n{'A' * 43}=\n", "a"):
        with pytest.raises(BadNote):
            Checkpoint.parse(text)


def test_a_proof_can_be_read_back() -> None:
    note = signer().sign(str(Checkpoint(ORIGIN, 2, b"r" * 32)))
    for proof in (Proof(1, (b"p" * 32,), note, b"entry"), Proof(0, (), note)):
        assert Proof.parse(bytes(proof)) == proof
    for broken in (b"", b"c2sp.org/tlog-proof@v1\nindex 01\n\nnote", b"c2sp.org/tlog-proof@v1\nindex 1\nAAAA\n\nnote"):
        with pytest.raises(BadNote):
            Proof.parse(broken)
    with pytest.raises(BadNote, match="not in the log"):
        Proof(1, (b"p" * 32,), note).check(b"entry", signer().key)


def test_entries_can_be_read_back_and_others_are_refused() -> None:
    token = token_of(b"receipt")
    for entry in (
        LogEntry(EntryKind.PERSON, token),
        LogEntry(EntryKind.ORGANIZATION, token, exit=Exit.REMOVED),
        LogEntry(EntryKind.PAPER, token, 480),
        LogEntry(EntryKind.LISTED_PEOPLE, token, 2**32 - 1, Exit.UNDONE),
    ):
        assert LogEntry.parse(bytes(entry)) == entry
    person_entry, paper = bytes(LogEntry(EntryKind.PERSON, token)), bytes(LogEntry(EntryKind.PAPER, token, 1))
    for broken in (b"", person_entry[:-1], person_entry + b"a", paper[:-4] + b"\0\0\0\0", b"\x09" + person_entry[1:]):
        with pytest.raises(ValueError):  # noqa: PT011 - each has a reason of its own
            LogEntry.parse(broken)


def test_a_recount_follows_each_token() -> None:
    counted = Recount()
    paper = LogEntry(EntryKind.PAPER, token_of(b"paper"), 480)
    listed = LogEntry(EntryKind.LISTED_ORGANIZATION, token_of(b"society"))
    society = dataclasses.replace(listed, kind=EntryKind.ORGANIZATION)
    counted.add([person(1), person(2), paper, listed, person(1, exit=Exit.WITHDRAWN)])
    counted.add([dataclasses.replace(paper, number=80, exit=Exit.CORRECTED)])
    counted.add([dataclasses.replace(listed, exit=Exit.REGROUPED), society, person(1)])
    assert (counted.people, counted.organizations, counted.imported) == (402, 1, 400)
    assert counted.exits == {Exit.WITHDRAWN: 1, Exit.CORRECTED: 80, Exit.REGROUPED: 1}
    for impossible in (
        person(2),
        person(3, exit=Exit.REMOVED),
        dataclasses.replace(society, kind=EntryKind.PERSON),
        dataclasses.replace(paper, number=401, exit=Exit.CORRECTED),
    ):
        with pytest.raises(ValueError, match="does not fit"):
            counted.add([impossible])
