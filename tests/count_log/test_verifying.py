"""The verifier sees what a log of files does: an entry dropped, a count lowered, a fork."""

from collections.abc import Sequence

import pytest

from petition.core.signed_notes import BadNote
from petition.count_log import tiles, verifying
from petition.count_log.checkpoints import Proof
from petition.count_log.entries import Exit
from petition.count_log.merkle import inclusion_proof, leaf_hash
from petition.count_log.verifying import LogFault
from tests.count_log.logs import MadeLog, person, signer

KEY = signer().key
ENTRIES = [bytes(person(number)) for number in range(600)]


@pytest.mark.parametrize(("before", "after"), [(0, 600), (1, 600), (256, 600), (511, 512), (600, 600), (100, 257)])
def test_growth_is_proven_from_the_tiles(before: int, after: int) -> None:
    older, newer = MadeLog(ENTRIES[:before]), MadeLog(ENTRIES[:after])
    checkpoint, note = verifying.read_checkpoint(newer.read, KEY)
    assert (checkpoint, note) == (newer.checkpoint, newer.files[tiles.CHECKPOINT].decode())
    verifying.check_growth(newer.read, older.checkpoint, checkpoint)
    assert verifying.recount(newer.read, checkpoint).total == after


@pytest.mark.parametrize(
    "entries",
    [
        [*ENTRIES[:99], *ENTRIES[100:]],  # one dropped
        [*ENTRIES[:99], bytes(person(9999)), *ENTRIES[100:]],  # one replaced
        [*ENTRIES[:99], ENTRIES[100], ENTRIES[99], *ENTRIES[101:]],  # two in another order
        [*ENTRIES[:299], bytes(person(9999)), *ENTRIES[300:]],  # a fork after the witness's last visit but one
    ],
)
def test_changed_logs_are_no_growth(entries: Sequence[bytes]) -> None:
    older, newer = MadeLog(ENTRIES[:300]), MadeLog(entries)
    with pytest.raises(LogFault, match="changed entries"):
        verifying.check_growth(newer.read, older.checkpoint, newer.checkpoint)


def test_a_fork_of_one_size_and_a_shorter_log_are_faults() -> None:
    older, fork = MadeLog(ENTRIES[:300]), MadeLog([*ENTRIES[:299], bytes(person(9999))])
    with pytest.raises(LogFault, match="changed entries"):
        verifying.check_growth(fork.read, older.checkpoint, fork.checkpoint)
    shorter = MadeLog(ENTRIES[:299])
    with pytest.raises(LogFault, match="had 300 entries and has 299"):
        verifying.check_growth(shorter.read, older.checkpoint, shorter.checkpoint)
    other = MadeLog(ENTRIES, origin="another.example/log/letter")
    with pytest.raises(LogFault, match="two logs"):
        verifying.check_growth(other.read, older.checkpoint, other.checkpoint)


def test_files_that_do_not_fit_the_checkpoint_are_faults() -> None:
    log = MadeLog(ENTRIES)
    dropped = MadeLog(ENTRIES[1:])
    log.files["tile/entries/000"] = dropped.files["tile/entries/000"]
    with pytest.raises(LogFault, match="not those of the checkpoint"):
        verifying.recount(log.read, log.checkpoint)
    log.files["tile/entries/000"] = b"\0\1"
    with pytest.raises(LogFault, match="within an entry"):
        verifying.recount(log.read, log.checkpoint)
    log.files["tile/entries/000"] = tiles.join_entries(ENTRIES[:255])
    with pytest.raises(LogFault, match="255 entries instead of 256"):
        verifying.recount(log.read, log.checkpoint)
    del log.files["tile/entries/000"]
    with pytest.raises(LogFault, match="missing"):
        verifying.recount(log.read, log.checkpoint)
    del log.files["tile/0/000"]
    with pytest.raises(LogFault, match="cannot be read"):
        verifying.check_growth(log.read, MadeLog(ENTRIES[:5]).checkpoint, log.checkpoint)


def test_a_checkpoint_of_another_key_is_a_fault() -> None:
    log = MadeLog(ENTRIES[:3])
    with pytest.raises(LogFault, match="no signature"):
        verifying.read_checkpoint(log.read, signer("another.example/log/letter").key)


def test_a_lower_count_is_a_fault() -> None:
    log = MadeLog([*ENTRIES[:10], bytes(person(3, exit=Exit.WITHDRAWN))])
    counted = verifying.recount(log.read, log.checkpoint)
    verifying.check_count(counted, people=9, organizations=0, imported=0)
    with pytest.raises(LogFault, match="8 people, the log has 9"):
        verifying.check_count(counted, people=8, organizations=0, imported=0)


def test_entries_that_contradict_each_other_are_a_fault() -> None:
    log = MadeLog([ENTRIES[0], ENTRIES[0]])
    with pytest.raises(LogFault, match="entry 1 does not fit"):
        verifying.recount(log.read, log.checkpoint)


@pytest.mark.parametrize("index", [0, 255, 256, 599])
def test_a_proof_holds_for_its_entry_only(index: int) -> None:
    log = MadeLog(ENTRIES)
    path = inclusion_proof(index, 600, tiles.hashes_of(log.read, 600))
    proof = Proof.parse(bytes(Proof(index, tuple(path), log.files[tiles.CHECKPOINT].decode(), ENTRIES[index])))
    assert proof.check(ENTRIES[index], KEY) == log.checkpoint
    assert leaf_hash(proof.extra) == leaf_hash(ENTRIES[index])
    with pytest.raises(BadNote, match="not in the log"):
        proof.check(ENTRIES[index - 1], KEY)
