"""Sealed addresses, wrapped keys, keyed digests, hidden names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.public import PublicKey, SealedBox

from petition.core import encryption
from petition.core.decryptions import DecryptionCounts, DecryptionPurpose
from petition.core.encryption import LetterKeys, Opener, Sealer, Wrapper
from petition.core.errors import KeyDestroyed, SettingsError

PUBLIC_KEY, PRIVATE_KEY = encryption.new_contact_pair()
SEALER, OPENER = Sealer(PUBLIC_KEY), Opener(PRIVATE_KEY, DecryptionCounts())
PURPOSE = DecryptionPurpose.KEY_CHECK
KEYS = LetterKeys(encryption.new_key(), encryption.new_key())
OLD, NEW, OTHER = ("old " * 10, "new " * 10, "other " * 10)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=300)


@given(TEXTS)
def test_what_is_sealed_is_opened_by_the_private_key_only(address: str) -> None:
    sealed = SEALER.seal(address)
    assert OPENER.open(sealed, None, PURPOSE) == address.rstrip("\0")
    assert (len(sealed) - 48) % encryption.ADDRESS_STEP == 0
    with pytest.raises(KeyDestroyed):
        Opener(encryption.new_contact_pair()[1], DecryptionCounts()).open(sealed, None, PURPOSE)


def test_ciphertexts_of_names_and_addresses_have_one_length() -> None:
    first = [*("Ян Ли", "Анна Петрова", "Maximiliane von Hohenstein"), *(f"{'И' * n} Иванова" for n in range(1, 40))]
    names = [f"{name} {number}" for number, name in enumerate(first * 4)][:150]
    assert len({len(KEYS.hide({"name": name, "visibility": "organizers"})) for name in names}) == 1
    assert len({len(SEALER.seal(f"{'x' * (number % 40)}@mail.example")) for number in range(150)}) == 1
    assert {len(SEALER.seal("x" * size)) - 48 for size in (0, 1, 64, 65, 254)} == {64, 128, 256}


@pytest.mark.parametrize("size", [0, 255, 256, 257, 1024, 1025, 5000])
def test_long_fields_grow_in_steps(size: int) -> None:
    overhead, content = 40, len('{"name": ""}') + size
    length = len(KEYS.hide({"name": "x" * size})) - overhead
    step = 256 if content <= 1024 else 1024
    assert length % step == 0
    assert 0 <= length - content < step


def test_ciphertexts_written_without_padding_still_open() -> None:
    old = SealedBox(PublicKey(bytes.fromhex(PUBLIC_KEY))).encrypt(b"vera@letters.example")
    assert OPENER.open(old, None, PURPOSE) == "vera@letters.example"
    assert KEYS.reveal(KEYS.encrypt('{"name": "Вера Новак"}'.encode())) == {"name": "Вера Новак"}


def test_one_address_sealed_twice_does_not_look_the_same() -> None:
    assert SEALER.seal("vera@letters.example") != SEALER.seal("vera@letters.example")


@given(st.binary(max_size=100))
def test_nothing_else_is_opened(sealed: bytes) -> None:
    with pytest.raises(KeyDestroyed):
        OPENER.open(sealed, None, PURPOSE)


def test_a_private_key_has_its_public_half() -> None:
    assert encryption.public_half(PRIVATE_KEY) == PUBLIC_KEY


@given(st.dictionaries(TEXTS, TEXTS, max_size=8))
def test_hidden_fields_are_revealed_whole(fields: dict[str, str]) -> None:
    assert KEYS.reveal(KEYS.hide(fields)) == fields


def test_hidden_names_do_not_show() -> None:
    hidden = KEYS.hide({"name": "Вера Новак"})
    assert "Вера".encode() not in hidden
    assert hidden != KEYS.hide({"name": "Вера Новак"})
    with pytest.raises(KeyDestroyed):
        LetterKeys(None, encryption.new_key()).reveal(hidden)


def test_destroyed_keys_say_so() -> None:
    gone = LetterKeys(None, None)
    for attempt in (lambda: gone.digest("a@b.example"), lambda: gone.hide({}), lambda: gone.reveal(KEYS.hide({}))):
        with pytest.raises(KeyDestroyed):
            attempt()


@given(TEXTS)
def test_digests_are_the_same_under_one_key_only(text: str) -> None:
    assert KEYS.digest(text) == KEYS.digest(text)
    assert len(KEYS.digest(text)) == 16
    assert KEYS.digest(text) != LetterKeys(encryption.new_key(), None).digest(text)


@given(st.binary(min_size=1, max_size=64))
def test_wrapped_keys_survive_a_rotation(key: bytes) -> None:
    wrapped = Wrapper([OLD]).wrap(key)
    assert key not in wrapped or len(key) < 4
    rotated = Wrapper([NEW, OLD])
    assert rotated.unwrap(wrapped) == key
    assert Wrapper([NEW]).unwrap(rotated.wrap(key)) == key
    with pytest.raises(SettingsError, match="SECRET_KEY is not the one"):
        Wrapper([OTHER]).unwrap(wrapped)


@given(st.binary(max_size=100))
def test_what_was_never_wrapped_is_refused(wrapped: bytes) -> None:
    with pytest.raises(SettingsError):
        Wrapper([NEW]).unwrap(wrapped)


def test_keys_of_two_purposes_have_nothing_in_common() -> None:
    assert encryption.derive(NEW, "token") != encryption.derive(NEW, "wrap")
    assert encryption.derive(NEW, "token") != encryption.derive(OLD, "token")
    assert len({encryption.new_key() for _ in range(100)}) == 100


def test_keys_do_not_show() -> None:
    assert repr(KEYS) == "LetterKeys()"


@given(st.binary(min_size=1, max_size=100), TEXTS)
def test_a_prepared_key_makes_the_same_digests(key: bytes, text: str) -> None:
    assert encryption.KeyedDigest(key).digest(text) == encryption.digest(key, text)
