"""Cosignatures (c2sp.org/tlog-cosignature): a witness signs a log's checkpoint together with the time."""

import base64
import hashlib
import re
import time
from dataclasses import dataclass, field

from petition.core import signed_notes
from petition.core.signed_notes import HASH_BYTES, KEY_BYTES, BadNote, NoteKey

COSIGNATURE = b"\x04"  # the type of signature, the first byte of a key
TIME_BYTES = 8
PRIVATE = "PRIVATE+KEY+"  # in front of a stored key
_KEY = re.compile(r"(?P<name>[^\s+]{1,200})\+(?P<hash>[0-9a-f]{8})\+(?P<content>[A-Za-z0-9+/]{44})")


@dataclass(frozen=True, slots=True)
class WitnessKey:
    """A witness's public key under its name."""

    name: str
    public: bytes

    @property
    def hash(self) -> bytes:
        """Return the four bytes by which a signature says which key made it."""
        return hashlib.sha256(self.name.encode() + b"\n" + COSIGNATURE + self.public).digest()[:HASH_BYTES]

    def __str__(self) -> str:
        """Return the verifier key: name+hash+key."""
        return f"{self.name}+{self.hash.hex()}+{base64.b64encode(COSIGNATURE + self.public).decode()}"

    @classmethod
    def parse(cls, text: str) -> "WitnessKey":
        """Read name+hash+key. Raises ``BadNote``."""
        match = _KEY.fullmatch(text.strip())
        content = base64.b64decode(match["content"]) if match else b""
        if match is None or content[:1] != COSIGNATURE or len(content) != 1 + KEY_BYTES:
            raise BadNote("a witness's key looks like name+hash+key, of the type for cosignatures")
        key = cls(match["name"], content[1:])
        if key.hash.hex() != match["hash"]:
            raise BadNote("the key and its hash do not belong together")
        return key

    def signed_at(self, note: str) -> int | None:
        """Return when this witness signed the note, in seconds since 1970; None if it did not. Raises ``BadNote``."""
        text, _ = signed_notes.split(note)
        for name, digest, content in signed_notes.signatures(note):
            if (name, digest) == (self.name, self.hash):
                moment, signature = int.from_bytes(content[:TIME_BYTES]), content[TIME_BYTES:]
                is_valid = NoteKey(self.name, self.public).verifies(cosigned(text, moment), signature)
                return moment if is_valid else None
        return None


@dataclass(frozen=True, slots=True)
class Cosigner:
    """Signs the checkpoints of logs as a witness, with the key of a 32-byte seed."""

    name: str
    seed: bytes = field(repr=False)

    @property
    def key(self) -> WitnessKey:
        return WitnessKey(self.name, signed_notes.public_bytes(self.seed))

    def stored(self) -> str:
        """Return the key as one line for a file of its owner: PRIVATE+KEY+name+hash+seed."""
        return f"{PRIVATE}{self.name}+{self.key.hash.hex()}+{base64.b64encode(COSIGNATURE + self.seed).decode()}"

    @classmethod
    def parse(cls, text: str) -> "Cosigner":
        """Read what ``stored`` returned. Raises ``BadNote``."""
        match = _KEY.fullmatch(text.strip().removeprefix(PRIVATE)) if text.startswith(PRIVATE) else None
        content = base64.b64decode(match["content"]) if match else b""
        if match is None or content[:1] != COSIGNATURE or len(content) != 1 + KEY_BYTES:
            raise BadNote("this is no key of a witness")
        cosigner = cls(match["name"], content[1:])
        if cosigner.key.hash.hex() != match["hash"]:
            raise BadNote("the key and its hash do not belong together")
        return cosigner

    def sign(self, text: str, now: int | None = None) -> str:
        """Return the line under the note of a checkpoint's text; ``now`` is in seconds since 1970."""
        moment = int(time.time()) if now is None else now
        signature = signed_notes.signature(self.seed, cosigned(text, moment))
        content = self.key.hash + moment.to_bytes(TIME_BYTES) + signature
        return f"— {self.name} {base64.b64encode(content).decode()}\n"


def cosigned(text: str, moment: int) -> str:
    """Return what a witness signs of a checkpoint's text."""
    return f"cosignature/v1\ntime {moment}\n{text}"
