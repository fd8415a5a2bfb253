"""Receipts: 16 bytes derived from the letter's receipt key and the id of what counts, so that none is stored."""

import base64
import binascii
import hashlib
import hmac

from petition.core.errors import PetitionError
from petition.count_log.entries import EntryKind, token_of

RECEIPT_BYTES = 16
GROUP = 4  # characters
_CHARACTERS = -(-RECEIPT_BYTES * 8 // 5)
_MISREAD = str.maketrans("018", "OIB")  # in no base32
# An organization's two kinds are one entry of the list.
_SUBJECTS = {
    EntryKind.PERSON: b"person",
    EntryKind.ORGANIZATION: b"organization",
    EntryKind.LISTED_ORGANIZATION: b"organization",
    EntryKind.LISTED_PEOPLE: b"import",
    EntryKind.PAPER: b"paper",
}


class BadReceipt(PetitionError):
    """What was typed is no receipt."""


def receipt_of(key: bytes, kind: EntryKind, subject: int) -> bytes:
    message = _SUBJECTS[kind] + b"|" + subject.to_bytes(8, signed=True)
    return hmac.digest(key, message, hashlib.sha256)[:RECEIPT_BYTES]


def token_for(key: bytes, kind: EntryKind, subject: int) -> bytes:
    """Return what stands in the log for a subject."""
    return token_of(receipt_of(key, kind, subject))


def as_text(receipt: bytes) -> str:
    """Return a receipt as people read it: ``ABCD-EFGH-…``, 26 letters and digits."""
    text = base64.b32encode(receipt).decode().rstrip("=")
    return "-".join(text[at : at + GROUP] for at in range(0, len(text), GROUP))


def parse(text: str) -> bytes:
    """Return the receipt in what was typed, however it is spaced. Raises ``BadReceipt``."""
    characters = "".join(character for character in text[:200].upper() if character.isalnum()).translate(_MISREAD)
    try:
        receipt = base64.b32decode(characters + "=" * (-len(characters) % 8))
    except (binascii.Error, ValueError):
        raise BadReceipt("a receipt has 26 letters and digits") from None
    if len(characters) != _CHARACTERS or len(receipt) != RECEIPT_BYTES:
        raise BadReceipt("a receipt has 26 letters and digits")
    return receipt
