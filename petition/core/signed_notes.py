"""Signed notes (c2sp.org/signed-note): text with lines of Ed25519 signatures below it.

One key signs several kinds of text. Each kind begins with a line that no other begins with, so that a signature under
one says nothing about another.

The library is imported where it is used: it takes 14 MB, and most web processes never sign or verify a note.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from petition.core.errors import PetitionError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ED25519 = b"\x01"  # the type of signature (signed-note, "Signatures")
SIGNATURE_BYTES = 64
KEY_BYTES = 32
HASH_BYTES = 4
MAX_SIGNATURES = 100
_NAME = re.compile(r"[^\s+]{1,200}")
_LINE = re.compile(r"— ([^\s+]{1,200}) ([A-Za-z0-9+/]+={0,2})")


class BadNote(PetitionError):
    """A note cannot be read, or no signature of the key is under it."""


@dataclass(frozen=True, slots=True)
class NoteKey:
    """A public key under the name it signs with."""

    name: str
    public: bytes

    @property
    def hash(self) -> bytes:
        """Return the four bytes by which a signature says which key made it."""
        return hashlib.sha256(self.name.encode() + b"\n" + ED25519 + self.public).digest()[:HASH_BYTES]

    def __str__(self) -> str:
        """Return the verifier key: name+hash+key."""
        return f"{self.name}+{self.hash.hex()}+{_base64(ED25519 + self.public)}"

    def verifies(self, text: str, signature: bytes) -> bool:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text.encode())
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True, slots=True)
class NoteSigner:
    """Signs notes under a name with the key of a 32-byte seed."""

    name: str
    seed: bytes = field(repr=False)

    @property
    def key(self) -> NoteKey:
        return NoteKey(self.name, public_bytes(self.seed))

    def sign(self, text: str) -> str:
        """Return the note. ``text`` must end with a line end."""
        if not text.endswith("\n"):
            raise ValueError("the text of a note ends with a line end")
        return f"{text}\n{signature_line(self.key, signature(self.seed, text))}"


def signature(seed: bytes, text: str) -> bytes:
    """Return the 64 bytes of an Ed25519 signature under the key of a 32-byte seed."""
    return _private_key(seed).sign(text.encode())


def public_bytes(seed: bytes) -> bytes:
    """Return the 32 bytes of the public key."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    # Debian's library of 2023 has no shorter way; witnesses run on it.
    return _private_key(seed).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def _private_key(seed: bytes) -> "Ed25519PrivateKey":
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(seed)


def signature_line(key: NoteKey, signature: bytes) -> str:
    """Return the line that stands under a note."""
    return f"— {key.name} {_base64(key.hash + signature)}\n"


def read_key(text: str) -> NoteKey:
    """Return the public key in ``name+hash+key``. Raises ``BadNote``."""
    name, _, rest = text.strip().partition("+")
    digest, _, encoded = rest.partition("+")
    content = _bytes(encoded)
    if not _NAME.fullmatch(name) or not name.isprintable() or content[:1] != ED25519 or len(content) != 1 + KEY_BYTES:
        raise BadNote("a key looks like name+hash+key, of Ed25519")
    key = NoteKey(name, content[1:])
    if key.hash.hex() != digest:
        raise BadNote("the key and its hash do not belong together")
    return key


def split(note: str) -> tuple[str, str]:
    """Return (text, signature lines) of a note. Raises ``BadNote``."""
    text, blank, lines = note.rpartition("\n\n")
    if not blank or not lines.startswith("— ") or not lines.endswith("\n"):
        raise BadNote("this is no signed note")
    return text + "\n", lines


def signatures(note: str) -> Iterator[tuple[str, bytes, bytes]]:
    """Yield (name, hash of the key, signature) of each line below a note, not yet verified. Raises ``BadNote``."""
    lines = split(note)[1].splitlines()
    if len(lines) > MAX_SIGNATURES:
        raise BadNote("too many signatures are under this note")
    for line in lines:
        match = _LINE.fullmatch(line)
        content = _bytes(match[2]) if match else b""
        if match is None or len(content) <= HASH_BYTES:
            raise BadNote("a signature under this note cannot be read")
        yield match[1], content[:HASH_BYTES], content[HASH_BYTES:]


def line_of(note: str, name: str, digest: bytes) -> str:
    """Return the line of a key, named by its name and hash, that is below a note. Raises ``BadNote``."""
    marks = [(name, digest) for name, digest, _ in signatures(note)]
    if (name, digest) not in marks:
        raise BadNote(f"there is no signature of {name} with this key")
    return split(note)[1].splitlines()[marks.index((name, digest))] + "\n"


def verify(note: str, key: NoteKey) -> str:
    """Return the text of a note that ``key`` has signed; signatures of others are left alone. Raises ``BadNote``."""
    text, _ = split(note)
    for name, digest, signature in signatures(note):
        if (name, digest) == (key.name, key.hash):
            if key.verifies(text, signature):
                return text
            raise BadNote("the signature does not fit the text")
    raise BadNote(f"there is no signature of {key.name} with this key")


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _bytes(text: str) -> bytes:
    """Decode base64; b"" if it is not."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
