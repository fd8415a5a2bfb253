"""Everything that keeps names and addresses unreadable: sealed boxes, wrapped keys, keyed digests.

* An **address** is sealed (libsodium sealed box) to the contact key, whose private half only the worker has.
* A **letter** has a digest key and a name key, both random, stored wrapped under ``SECRET_KEY``; destroying the
  stored bytes destroys what they protect.
* **Digests** are HMAC-SHA-256 cut to 16 bytes: an address is not found by trying addresses without the key.
* What is encrypted is **padded** first, so that the length of a ciphertext tells neither a name nor an address.
  See docs/decisions/padding.md.
"""

import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from nacl.bindings import crypto_secretbox_easy
from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, PublicKey, SealedBox
from nacl.secret import SecretBox
from nacl.utils import random

from petition.core.decryptions import DecryptedContent, DecryptionCounts, DecryptionPurpose, note_name
from petition.core.errors import KeyDestroyed, SettingsError

KEY_BYTES = 32
SHA256_BLOCK = 64  # bytes
DIGEST_BYTES = 16
ADDRESS_STEP = 64  # bytes; nearly all addresses have fewer
FIELDS_STEP, LONG_FIELDS_STEP = 256, 1024  # bytes; the longer steps from LONG_FIELDS_STEP on
_ADDRESS_PADDING = b"\0"  # in no address
_to_json = json.JSONEncoder(ensure_ascii=False).encode
_JSON_PADDING = b" "  # white space behind a value is part of no JSON (RFC 8259, section 2)


def padded(content: bytes, step: int, padding: bytes) -> bytes:
    """Return ``content`` filled up to the next multiple of ``step`` bytes, and to one at least."""
    return content.ljust(max(-(-len(content) // step), 1) * step, padding)


def padded_json(value: object) -> bytes:
    """Return ``value`` as JSON in UTF-8, padded so that ``json.loads`` reads it as it is."""
    content = _to_json(value).encode()
    return padded(content, FIELDS_STEP if len(content) <= LONG_FIELDS_STEP else LONG_FIELDS_STEP, _JSON_PADDING)


def new_key() -> bytes:
    """Return 32 random bytes."""
    return secrets.token_bytes(KEY_BYTES)


def new_contact_pair() -> tuple[str, str]:
    """Return a fresh (public, private) contact key pair, each as 64 hexadecimal digits."""
    private = PrivateKey.generate()
    return bytes(private.public_key).hex(), bytes(private).hex()


def public_half(private_key: str) -> str:
    """Return the public contact key of a private one, as 64 hexadecimal digits."""
    return bytes(PrivateKey(bytes.fromhex(private_key)).public_key).hex()


def derive(secret: str, purpose: str) -> bytes:
    """Return the 32-byte key for one purpose; keys of two purposes say nothing about each other."""
    return hmac.digest(secret.encode(), b"petition:" + purpose.encode(), hashlib.sha256)


def digest(key: bytes, text: str) -> bytes:
    """Return the 16-byte keyed digest of ``text``."""
    return hmac.digest(key, text.encode(), hashlib.sha256)[:DIGEST_BYTES]


class KeyedDigest:
    """Makes the digests that ``digest`` makes, in half the time, with one key."""

    def __init__(self, key: bytes) -> None:
        block = (key if len(key) <= SHA256_BLOCK else hashlib.sha256(key).digest()).ljust(SHA256_BLOCK, b"\0")
        # RFC 2104: both begin with the key, and what comes after that is the same work each time.
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))

    def digest(self, text: str) -> bytes:
        """Return the 16-byte keyed digest of ``text``."""
        return self.whole(text.encode())[:DIGEST_BYTES]

    def whole(self, content: bytes) -> bytes:
        """Return all 32 bytes of the HMAC."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(content)
        outer.update(inner.digest())
        return outer.digest()


class Sealer:
    """Seals addresses to the contact key; cannot open them."""

    def __init__(self, public_key: str) -> None:
        self._box = SealedBox(PublicKey(bytes.fromhex(public_key)))

    def seal(self, address: str) -> bytes:
        """Return ``address`` sealed: 48 bytes more than its UTF-8 padded to a multiple of 64."""
        return self._box.encrypt(padded(address.encode(), ADDRESS_STEP, _ADDRESS_PADDING))

    def seal_fields(self, fields: Mapping[str, str]) -> bytes:
        """Return ``fields`` as padded JSON, sealed: 48 bytes more."""
        return self._box.encrypt(padded_json(fields))


class Opener:
    """Opens what a ``Sealer`` sealed, and counts it. Only the worker holds one."""

    def __init__(self, private_key: str, counts: DecryptionCounts) -> None:
        self._box = SealedBox(PrivateKey(bytes.fromhex(private_key)))
        self._counts = counts

    def open(self, sealed: bytes, letter_id: int | None, purpose: DecryptionPurpose) -> str:
        """Return the address; padding is optional. Raises ``KeyDestroyed`` if it was sealed to another key."""
        try:
            address = self._box.decrypt(sealed).rstrip(_ADDRESS_PADDING).decode()
        except CryptoError:
            raise KeyDestroyed("an address was encrypted to another contact key") from None
        self._counts.add(letter_id, purpose, DecryptedContent.ADDRESS)
        return address

    def open_fields(self, sealed: bytes, letter_id: int, purpose: DecryptionPurpose) -> dict[str, str]:
        """Return the fields that ``Sealer.seal_fields`` sealed. Raises ``KeyDestroyed`` for another key."""
        try:
            opened: dict[str, str] = json.loads(self._box.decrypt(sealed))
        except CryptoError:
            raise KeyDestroyed("these fields were encrypted to another contact key") from None
        self._counts.add(letter_id, purpose, DecryptedContent.NAME)
        return opened


class Wrapper:
    """Wraps stored keys under ``SECRET_KEY``; unwraps under any of several, so that the secret can be rotated."""

    def __init__(self, secrets_newest_first: Sequence[str]) -> None:
        self._boxes = [SecretBox(derive(secret, "wrap")) for secret in secrets_newest_first]

    def wrap(self, key: bytes) -> bytes:
        """Return ``key`` encrypted under the newest secret."""
        return bytes(self._boxes[0].encrypt(key))

    def unwrap(self, wrapped: bytes) -> bytes:
        """Return the key. Raises ``SettingsError`` if no configured ``SECRET_KEY`` fits."""
        for box in self._boxes:
            try:
                return box.decrypt(wrapped)
            except CryptoError:
                continue
        raise SettingsError(
            "SECRET_KEY is not the one that encrypted this database's keys: put that one back, or add it to"
            " OLD_SECRET_KEYS"
        )


@dataclass(frozen=True, slots=True)
class LetterKeys:
    """A letter's two keys, unwrapped; ``None`` where one has been destroyed."""

    digest_key: bytes | None = field(repr=False)
    name_key: bytes | None = field(repr=False)
    letter_id: int = field(default=0, repr=False)  # under which decryptions are counted
    is_kept: bool = field(default=False, repr=False)  # the stored digests are the keeper's (``core.keeper``)

    def digest(self, canonical_address: str) -> bytes:
        """Return the digest under which this letter knows a mailbox. Raises ``KeyDestroyed``."""
        if self.digest_key is None:
            raise KeyDestroyed("this letter's digest key has been destroyed")
        return digest(self.digest_key, canonical_address)

    def hide(self, fields: Mapping[str, object]) -> bytes:
        """Return ``fields`` as padded JSON encrypted under the name key. Raises ``KeyDestroyed``."""
        return self.encrypt(padded_json(fields))

    def reveal(self, hidden: bytes) -> dict[str, str]:
        """Return the fields that ``hide`` encrypted. Raises ``KeyDestroyed`` if the key is gone or another."""
        try:
            revealed: dict[str, str] = json.loads(self._names().decrypt(hidden))
        except CryptoError:
            raise KeyDestroyed("these fields were encrypted under another key") from None
        note_name(self.letter_id)
        return revealed

    def reveal_if_left(self, hidden: bytes) -> dict[str, str]:
        """Return what ``hide`` encrypted; nothing if the name key is gone. Raises ``KeyDestroyed`` for another."""
        return {} if self.name_key is None else self.reveal(hidden)

    def encrypt(self, content: bytes) -> bytes:
        """Return ``content`` encrypted under the name key: 40 bytes more. Raises ``KeyDestroyed``."""
        # As ``SecretBox`` does, whose object with the parts of the message takes longer than the encryption.
        nonce = random(SecretBox.NONCE_SIZE)
        return nonce + crypto_secretbox_easy(content, nonce, bytes(self._names()))

    def decrypt(self, content: bytes) -> bytes:
        """Return the content that ``encrypt`` encrypted. Raises ``KeyDestroyed`` if the key is gone or another."""
        try:
            decrypted = self._names().decrypt(content)
        except CryptoError:
            raise KeyDestroyed("this was encrypted under another key") from None
        note_name(self.letter_id)
        return decrypted

    def _names(self) -> SecretBox:
        if self.name_key is None:
            raise KeyDestroyed("this letter's name key has been destroyed")
        return SecretBox(self.name_key)
