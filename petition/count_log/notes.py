"""Signed notes of C2SP: Ed25519 signatures of a log, and time-stamped cosignatures of its witnesses."""

import base64
import binascii
import hashlib
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

ED25519, COSIGNATURE = 1, 4  # types of a signature, the first byte of a key
MAX_NOTE_BYTES = 64_000
MAX_SIGNATURES = 100
KEY_NAME = re.compile(r"[^\s+]+")
SIGNATURE_LINE = re.compile(r"— (?P<name>[^\s+]+) (?P<signature>[A-Za-z0-9+/]+={0,2})")
TIME_BYTES = 8


class NoteError(ValueError):
    """A note, key or signature that cannot be read, or that does not fit."""


@dataclass(frozen=True, slots=True)
class Signature:
    """One line of a note: ``content`` is the signature, behind a time of eight bytes if it is a witness's."""

    name: str
    key_id: bytes
    content: bytes

    def __str__(self) -> str:
        return f"— {self.name} {base64.b64encode(self.key_id + self.content).decode()}"


@dataclass(frozen=True, slots=True)
class SignedNote:
    """A text that ends with a newline, and its signatures, not yet verified."""

    text: str
    signatures: tuple[Signature, ...]

    def __str__(self) -> str:
        return self.text + "\n" + "".join(f"{signature}\n" for signature in self.signatures)

    @classmethod
    def parse(cls, content: bytes) -> "SignedNote":
        """Read a note. Raises ``NoteError``."""
        if len(content) > MAX_NOTE_BYTES:
            raise NoteError("the note is too long")
        try:
            body = content.decode()
        except UnicodeDecodeError:
            raise NoteError("the note is not UTF-8") from None
        text, separator, lines = body.rpartition("\n\n")
        if not separator or not lines.endswith("\n"):
            raise NoteError("the note has no signatures")
        signatures = lines[:-1].split("\n")
        if len(signatures) > MAX_SIGNATURES:
            raise NoteError("the note has too many signatures")
        return cls(text + "\n", tuple(map(_read_signature, signatures)))


def _read_signature(line: str) -> Signature:
    match = SIGNATURE_LINE.fullmatch(line)
    if match is None:
        raise NoteError("a signature cannot be read")
    content = _decoded(match["signature"])
    if len(content) < 5:
        raise NoteError("a signature is too short")
    return Signature(match["name"], content[:4], content[4:])


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key with its name, as ``name+key id+key``."""

    name: str
    kind: int  # ED25519 or COSIGNATURE
    public_key: bytes

    @property
    def key_id(self) -> bytes:
        return hashlib.sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public_key).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(bytes([self.kind]) + self.public_key).decode()}"

    @classmethod
    def parse(cls, text: str) -> "VerifierKey":
        """Read ``name+key id+key``. Raises ``NoteError``."""
        name, _, rest = text.strip().partition("+")
        key_id, _, encoded = rest.partition("+")
        content = _decoded(encoded)
        if not KEY_NAME.fullmatch(name) or len(content) != 33 or content[0] not in (ED25519, COSIGNATURE):
            raise NoteError("this is not a verifier key")
        key = cls(name, content[0], content[1:])
        if key.key_id.hex() != key_id:
            raise NoteError("the key id does not fit the key")
        return key

    def signed_at(self, note: SignedNote) -> int | None:
        """Return when this key signed the note, in seconds since 1970, 0 if the signature has no time; else None."""
        for signature in note.signatures:
            if signature.name == self.name and signature.key_id == self.key_id:
                return self._time_in(signature.content, note.text)
        return None

    def _time_in(self, content: bytes, text: str) -> int | None:
        moment = 0
        message = text.encode()
        if self.kind == COSIGNATURE:
            moment = int.from_bytes(content[:TIME_BYTES])
            content, message = content[TIME_BYTES:], _cosigned(text, moment)
        try:
            Ed25519PublicKey.from_public_bytes(self.public_key).verify(content, message)
        except InvalidSignature:
            return None
        return moment


class NoteSigner:
    """Signs texts with an Ed25519 key: as a log, or with ``kind`` COSIGNATURE as a witness."""

    def __init__(self, name: str, seed: bytes, kind: int = ED25519) -> None:
        if not KEY_NAME.fullmatch(name):
            raise NoteError("the name of a key has neither spaces nor +")
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self.key = VerifierKey(name, kind, self._private.public_key().public_bytes_raw())

    def sign(self, text: str, now: int | None = None) -> Signature:
        """Sign a text that ends with a newline; ``now`` is for witnesses, in seconds since 1970."""
        if self.key.kind == ED25519:
            return Signature(self.key.name, self.key.key_id, self._private.sign(text.encode()))
        moment = int(time.time()) if now is None else now
        content = moment.to_bytes(TIME_BYTES) + self._private.sign(_cosigned(text, moment))
        return Signature(self.key.name, self.key.key_id, content)


def signed(text: str, signers: Sequence[NoteSigner]) -> SignedNote:
    return SignedNote(text, tuple(signer.sign(text) for signer in signers))


def _cosigned(text: str, moment: int) -> bytes:
    return f"cosignature/v1\ntime {moment}\n{text}".encode()


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise NoteError("this is not base64") from None
