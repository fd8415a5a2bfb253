"""What comes from elsewhere to a count log: receipts, paths, proofs, entries, keys of witnesses."""

import contextlib

from hypothesis import strategies as st

from petition.core.signed_notes import BadNote
from petition.count_log import receipts, tiles
from petition.count_log.checkpoints import Checkpoint, Proof
from petition.count_log.cosignatures import WitnessKey
from petition.count_log.entries import LogEntry
from petition.count_log.receipts import BadReceipt
from petition.count_log.tiles import TilePath
from tests.fuzz.running import BYTES, ROUGH, fuzz, lines_of

RECEIPTS = lines_of("ABCD", "2345", "-", " ", "0", "1", "8", "=", "Ж", "\0")
PATHS = lines_of("tile/", "entries/", "0/", "x001/", "000", ".p/", "255", "-", "\n")
PROOFS = lines_of("c2sp.org/tlog-proof@v1", "extra ", "index ", "7", "A" * 43 + "=", "\n", "\n\n", "— name AAAAAAAA\n")


@fuzz(st.binary(min_size=16, max_size=16))
def test_a_receipt_that_was_written_is_read_again(receipt: bytes) -> None:
    text = receipts.as_text(receipt)
    assert receipts.parse(text) == receipts.parse(text.lower().replace("-", " ")) == receipt


@fuzz(RECEIPTS | ROUGH)
def test_any_text_is_a_receipt_or_none(text: str) -> None:
    with contextlib.suppress(BadReceipt):
        assert len(receipts.parse(text)) == receipts.RECEIPT_BYTES


@fuzz(PATHS | ROUGH)
def test_any_path_has_one_spelling_or_none(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert str(TilePath.parse(text)) == text


@fuzz(PROOFS | ROUGH)
def test_any_text_is_a_proof_a_checkpoint_a_key_or_none(text: str) -> None:
    content = text.encode("utf-8", "surrogatepass")
    with contextlib.suppress(BadNote):
        assert Proof.parse(bytes(Proof.parse(content))) == Proof.parse(content)
    with contextlib.suppress(BadNote):
        assert text.startswith(str(Checkpoint.parse(text)))
    with contextlib.suppress(BadNote):
        assert str(WitnessKey.parse(text)) == text.strip()


@fuzz(BYTES)
def test_any_bytes_are_entries_or_none(content: bytes) -> None:
    with contextlib.suppress(ValueError):
        assert tiles.join_entries(tiles.split_entries(content)) == content
    with contextlib.suppress(ValueError):
        assert bytes(LogEntry.parse(content)) == content
