"""Envelope senders that say which mail came back (VERP), in an authenticated token that tells no address.

A token is 33 bytes in base32, so that neither a change of case nor a server's limit of 64 characters harms it. It is
encrypted as well: without the secret nothing in it can be compared with a row of the database. Nonce and proof are one
value (a synthetic IV, as in RFC 5297), because no byte is left for two.
"""

import base64
import binascii
import hashlib
import hmac
import re
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import islice

from petition.core.encryption import derive
from petition.core.ids import LetterId, SignatureId

PREFIX = "bounce+"
MAX_AGE = timedelta(days=30)  # relays give up after five days; later ones are read by no rule
TOKEN = re.compile(r"(?<![a-z2-7])[a-z2-7]{53}(?![a-z2-7])", re.IGNORECASE)
MAX_TOKENS = 50  # that are tried in one message

_PLAIN = struct.Struct(">BiH16s")  # kind, letter, day, what it is about
_TWO_NUMBERS = struct.Struct(">qq")
_PROOF_BYTES = 10
_EPOCH = date(2026, 1, 1)
_MAILBOX, _MAILING = 1, 2


@dataclass(frozen=True, slots=True)
class MailboxMail:
    """A mail to one mailbox. ``letter_id`` is None for mails of the desk."""

    letter_id: LetterId | None
    digest: bytes = field(repr=False)  # 16 bytes: of the mailbox, under the letter's key


@dataclass(frozen=True, slots=True)
class MailingMail:
    """One recipient's copy of a mailing."""

    letter_id: LetterId
    mailing_id: int
    signature_id: SignatureId


Reference = MailboxMail | MailingMail


@dataclass(frozen=True, slots=True)
class ReturnedToken:
    """What a token says: which mail, sent on which day."""

    mail: Reference
    day: date


class ReturnPaths:
    """Makes and reads the tokens of one installation; those of older secrets are still read."""

    def __init__(self, secrets_newest_first: Sequence[str], bounce_domain: str | None) -> None:
        self._keys = [derive(secret, "return-path") for secret in secrets_newest_first]
        self._domain = bounce_domain

    def address(self, mail: Reference, day: date) -> str | None:
        """Return the envelope sender, ``bounce+TOKEN@BOUNCE_DOMAIN``; None without ``BOUNCE_DOMAIN``: ``MAIL_FROM``."""
        return None if self._domain is None else f"{PREFIX}{self.token(mail, day)}@{self._domain}"

    def token(self, mail: Reference, day: date) -> str:
        """Return 53 lower-case characters, the same for the same mail and day."""
        plain = _pack(mail, day)
        key = self._keys[0]
        proof = _proof(key, plain)
        return base64.b32encode(proof + _crypt(key, proof, plain)).decode("ascii").rstrip("=").lower()

    def read(self, token: str) -> ReturnedToken | None:
        """Return what a token of ours says, however old; None for any other text."""
        if not TOKEN.fullmatch(token):
            return None
        try:
            sealed = base64.b32decode(token.upper() + "===")
        except binascii.Error:
            return None
        proof, secret = sealed[:_PROOF_BYTES], sealed[_PROOF_BYTES:]
        for key in self._keys:
            plain = _crypt(key, proof, secret)
            if hmac.compare_digest(_proof(key, plain), proof):
                return _unpack(plain)
        return None

    def first_valid(self, texts: Iterable[str]) -> ReturnedToken | None:
        """Return what the first token of ours in ``texts`` says: in an address, in a header, in a text."""
        matches = (match[0] for text in texts for match in TOKEN.finditer(text))
        tokens = (self.read(match) for match in islice(matches, MAX_TOKENS))
        return next((token for token in tokens if token is not None), None)


def _pack(mail: Reference, day: date) -> bytes:
    days = max((day - _EPOCH).days, 0)
    if isinstance(mail, MailingMail):
        return _PLAIN.pack(_MAILING, mail.letter_id, days, _TWO_NUMBERS.pack(mail.mailing_id, mail.signature_id))
    return _PLAIN.pack(_MAILBOX, mail.letter_id or 0, days, mail.digest)


def _unpack(plain: bytes) -> ReturnedToken | None:
    kind, letter, days, about = _PLAIN.unpack(plain)
    day = _EPOCH + timedelta(days=days)
    if kind == _MAILING:
        mailing_id, signature_id = _TWO_NUMBERS.unpack(about)
        return ReturnedToken(MailingMail(LetterId(letter), mailing_id, SignatureId(signature_id)), day)
    if kind == _MAILBOX:
        return ReturnedToken(MailboxMail(LetterId(letter) if letter else None, about), day)
    return None


def _proof(key: bytes, plain: bytes) -> bytes:
    return hmac.digest(key, b"proof" + plain, hashlib.sha256)[:_PROOF_BYTES]


def _crypt(key: bytes, proof: bytes, text: bytes) -> bytes:
    """Encrypt or decrypt up to 32 bytes with the key stream of ``proof``."""
    stream = hmac.digest(key, b"stream" + proof, hashlib.sha256)[: len(text)]
    return (int.from_bytes(text) ^ int.from_bytes(stream)).to_bytes(len(text))
