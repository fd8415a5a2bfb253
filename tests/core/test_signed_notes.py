"""Signed notes: read as the format's authors write them, refused when a byte differs; one key for the installation."""

import asyncio

import pytest

from petition.core import signed_notes, signing_key
from petition.core.database import Connection, Database
from petition.core.encryption import Wrapper
from petition.core.signed_notes import BadNote, NoteKey, NoteSigner

# The example of golang.org/x/mod/sumdb/note (package documentation), made by another program.
PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
SAID = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)


def test_a_note_of_another_program_is_verified() -> None:
    text = signed_notes.verify(SAID, signed_notes.read_key(PETER))
    assert text.endswith("what your problem is.\n")


@pytest.mark.parametrize(
    "changed", [SAID.replace("answer", "Answer"), SAID.replace("x08go/ZJ", "x08go/ZK"), SAID.replace("\n\n", "\n")]
)
def test_a_note_with_another_byte_is_refused(changed: str) -> None:
    with pytest.raises(BadNote):
        signed_notes.verify(changed, signed_notes.read_key(PETER))


def test_what_is_signed_here_is_verified_by_its_own_key_only() -> None:
    signer = NoteSigner("letters.example/log/open", b"1" * 32)
    note = signer.sign("letters.example/log/open\n12\n")
    assert signed_notes.verify(note, signed_notes.read_key(str(signer.key))) == "letters.example/log/open\n12\n"
    for other in (NoteSigner("letters.example/log/open", b"2" * 32), NoteSigner("letters.example", b"1" * 32)):
        with pytest.raises(BadNote):
            signed_notes.verify(note, other.key)


def test_a_further_signature_takes_nothing_away() -> None:
    first, second = NoteSigner("one", b"1" * 32), NoteSigner("two", b"2" * 32)
    note = first.sign("text\n")
    both = note + second.sign("text\n").rpartition("\n\n")[2]
    assert [signed_notes.verify(both, signer.key) for signer in (first, second)] == ["text\n", "text\n"]


@pytest.mark.parametrize("text", ["", "name", "name+12345678+AQ==", str(NoteKey("a", b"1" * 32)).replace("a+", "b+")])
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(BadNote):
        signed_notes.read_key(text)


async def test_processes_that_need_the_key_at_once_get_one(database: Database, conn: Connection) -> None:
    wrapper = Wrapper(["a secret key that is long enough for this"])

    async def public() -> bytes:
        async with database.connection() as own:
            return await signing_key.public_key(own, wrapper)

    keys = await asyncio.gather(*(public() for _ in range(5)))
    assert len(set(keys)) == 1
    assert await conn.fetchval("SELECT count(*) FROM signing_key") == 1
    assert (await signing_key.signer(conn, wrapper, "a")).key.public == keys[0]
