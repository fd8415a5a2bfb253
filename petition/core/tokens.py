"""Tokens for mailed links, and the six-digit code: nothing of them is stored, no time is in them.

A signature's token holds (letter, id). The database's clock alone decides what has expired.
"""

import base64
import binascii
import hashlib
import hmac
import struct
from collections.abc import Sequence

from itsdangerous import BadData, BadSignature, Signer
from itsdangerous.encoding import base64_decode, base64_encode

from petition.core.encryption import derive
from petition.core.errors import BadToken
from petition.core.ids import AddresseeId, LetterId, MessageId, QuestionId, SignatureId

_TWO_IDS = struct.Struct(">iq")  # letter, signature
_SOLVED = struct.Struct(">i16sqh?")  # letter, nonce, when it expires (seconds), price, drawn
_ANSWER = struct.Struct(">iih?")  # letter, addressee, number of the link, mailed
CODE_DIGITS = 6
MARK_DIGITS = 10


class Tokens:
    """Makes and reads tokens under ``SECRET_KEY``; older secrets are still read."""

    def __init__(self, secrets_newest_first: Sequence[str]) -> None:
        oldest_first = [derive(secret, "token") for secret in reversed(secrets_newest_first)]
        self._signers = {
            purpose: Signer(
                # itsdangerous takes the oldest first. It would derive these keys again for each token.
                [hmac.digest(key, f"petition.{purpose}".encode(), hashlib.sha256) for key in oldest_first],
                key_derivation="none",
                digest_method=hashlib.sha256,
            )
            for purpose in (
                "signature",
                "never",
                "second",
                "preview",
                "reply",
                "updates",
                "answer",
                "package",
                "audit",
                "again",
            )
        }
        self._code_keys = [derive(secret, "code") for secret in secrets_newest_first]
        self._mark_keys = [derive(secret, "answer-mark") for secret in secrets_newest_first]

    def for_signature(self, letter_id: LetterId, signature_id: SignatureId) -> str:
        """Return the token that confirms a pending signature and later opens the signatory's own page."""
        return self._make("signature", _TWO_IDS.pack(letter_id, signature_id))

    def read_signature(self, token: str) -> tuple[LetterId, SignatureId]:
        """Return the ids of the letter and the signature. Raises ``BadToken``."""
        letter_id, signature_id = self._read_pair("signature", token)
        return LetterId(letter_id), SignatureId(signature_id)

    def for_second(self, letter_id: LetterId, signature_id: SignatureId) -> str:
        """Return the token mailed to another address of an organization: it says yes, and opens nothing."""
        return self._make("second", _TWO_IDS.pack(letter_id, signature_id))

    def read_second(self, token: str) -> tuple[LetterId, SignatureId]:
        """Return the ids of the letter and the signature. Raises ``BadToken``."""
        letter_id, signature_id = self._read_pair("second", token)
        return LetterId(letter_id), SignatureId(signature_id)

    def for_updates(self, letter_id: LetterId, signature_id: SignatureId) -> str:
        """Return the token that stops updates to a signatory, and opens nothing: mails with it are passed on."""
        return self._make("updates", _TWO_IDS.pack(letter_id, signature_id))

    def read_updates(self, token: str) -> tuple[LetterId, SignatureId]:
        """Return the ids of the letter and the signature. Raises ``BadToken``."""
        letter_id, signature_id = self._read_pair("updates", token)
        return LetterId(letter_id), SignatureId(signature_id)

    def for_reply(self, letter_id: LetterId, message_id: MessageId) -> str:
        """Return the token by which a representative answers one message of the organizers."""
        return self._make("reply", _TWO_IDS.pack(letter_id, message_id))

    def read_reply(self, token: str) -> tuple[LetterId, MessageId]:
        """Return the ids of the letter and the message. Raises ``BadToken``."""
        letter_id, message_id = self._read_pair("reply", token)
        return LetterId(letter_id), MessageId(message_id)

    def for_preview(self, letter_id: LetterId, link: int) -> str:
        """Return the token that shows people outside a draft, as long as the link's row is there."""
        return self._make("preview", _TWO_IDS.pack(letter_id, link))

    def read_preview(self, token: str) -> tuple[LetterId, int]:
        """Return the id of the letter and the number of the link. Raises ``BadToken``."""
        letter_id, link = self._read_pair("preview", token)
        return LetterId(letter_id), link

    def for_answer(self, letter_id: LetterId, addressee_id: AddresseeId, link: int, *, mailed: bool) -> str:
        """Return the token by which an addressee answers; ``mailed`` tells the one in its mailbox from all others."""
        return self._make("answer", _ANSWER.pack(letter_id, addressee_id, link, mailed))

    def read_answer(self, token: str) -> tuple[LetterId, AddresseeId, int, bool]:
        """Return (letter, addressee, number of the link, mailed?). Raises ``BadToken``."""
        payload = self._read("answer", token)
        if len(payload) != _ANSWER.size:
            raise BadToken("this link is not complete")
        letter_id, addressee_id, link, mailed = _ANSWER.unpack(payload)
        return LetterId(letter_id), AddresseeId(addressee_id), link, mailed

    def for_audit(self, letter_id: LetterId, question_id: QuestionId) -> str:
        """Return the token by which one who was asked by an auditor answers; it names no signature."""
        return self._make("audit", _TWO_IDS.pack(letter_id, question_id))

    def read_audit(self, token: str) -> tuple[LetterId, QuestionId]:
        """Return the ids of the letter and the question. Raises ``BadToken``."""
        letter_id, question_id = self._read_pair("audit", token)
        return LetterId(letter_id), QuestionId(question_id)

    def for_package(self, letter_id: LetterId) -> str:
        """Return the token by which an addressee gets a letter's package, as long as one is stored."""
        return self._make("package", _TWO_IDS.pack(letter_id, 0))

    def read_package(self, token: str) -> LetterId:
        """Return the id of the letter. Raises ``BadToken``."""
        letter_id, _ = self._read_pair("package", token)
        return LetterId(letter_id)

    def for_again(self, letter_id: LetterId, nonce: bytes, expires_at: int, price: int, *, drawn: bool) -> str:
        """Return the token in a form that could not be stored: the challenge (16 bytes) that came with it is solved."""
        return self._make("again", _SOLVED.pack(letter_id, nonce, expires_at, price, drawn))

    def read_again(self, token: str) -> tuple[LetterId, bytes, int, int, bool]:
        """Return (letter, nonce, when it expires, price, drawn?). Raises ``BadToken``."""
        payload = self._read("again", token)
        if len(payload) != _SOLVED.size:
            raise BadToken("this form is not complete")
        letter_id, nonce, expires_at, price, drawn = _SOLVED.unpack(payload)
        return LetterId(letter_id), nonce, expires_at, price, drawn

    def for_never(self, suppression_digest: bytes) -> str:
        """Return the token of a "never mail me again" link: it holds a keyed digest of the address."""
        return self._make("never", suppression_digest)

    def read_never(self, token: str) -> bytes:
        """Return the suppression digest. Raises ``BadToken``."""
        return self._read("never", token)

    def is_valid(self, purpose: str, token: str) -> bool:
        """Return whether a token is one of ours, without reading what it holds."""
        try:
            self._read(purpose, token)
        except BadToken:
            return False
        return True

    def code(self, letter_id: LetterId, signature_id: SignatureId) -> str:
        """Return the six digits that confirm this pending signature when typed."""
        return _code(self._code_keys[0], letter_id, signature_id)

    def is_code(self, typed: str, letter_id: LetterId, signature_id: SignatureId) -> bool:
        """Return in constant time whether ``typed`` is the code of this pending signature."""
        matches = [
            hmac.compare_digest(_code(key, letter_id, signature_id).encode(), typed.encode()) for key in self._code_keys
        ]
        return any(matches)

    def answer_mark(self, letter_id: LetterId, mailbox_digest: bytes) -> str:
        """Return ten hexadecimal digits that stand in our answers to a mailbox about a letter, and nowhere else."""
        return _mark(self._mark_keys[0], letter_id, mailbox_digest)

    def is_answer_mark(self, mark: str, letter_id: LetterId, mailbox_digest: bytes) -> bool:
        """Return in constant time whether ``mark`` is the one of this mailbox and letter."""
        matches = [
            hmac.compare_digest(_mark(key, letter_id, mailbox_digest).encode(), mark.encode())
            for key in self._mark_keys
        ]
        return any(matches)

    def _read_pair(self, purpose: str, token: str) -> tuple[int, int]:
        payload = self._read(purpose, token)
        if len(payload) != _TWO_IDS.size:
            raise BadToken("this link is not complete")
        first, second = _TWO_IDS.unpack(payload)
        return first, second

    def _make(self, purpose: str, payload: bytes) -> str:
        text = base64.urlsafe_b64encode(payload).rstrip(b"=")
        return self._signers[purpose].sign(text).decode()

    def _read(self, purpose: str, token: str) -> bytes:
        try:
            text = self._signers[purpose].unsign(token.encode())
            # The last letter of a signature has two bits to spare: only one spelling of a token is a token.
            signature = token.rpartition(".")[2].encode()
            if base64_encode(base64_decode(signature)) != signature:
                raise BadToken("this link is not one of ours")
            return base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))
        except (BadSignature, BadData, binascii.Error, ValueError):
            raise BadToken("this link is not one of ours, or was cut off") from None


def _mark(key: bytes, letter_id: LetterId, mailbox_digest: bytes) -> str:
    mac = hmac.digest(key, letter_id.to_bytes(4, "big") + mailbox_digest, hashlib.sha256)
    return mac.hex()[:MARK_DIGITS]


def _code(key: bytes, letter_id: LetterId, signature_id: SignatureId) -> str:
    mac = hmac.digest(key, _TWO_IDS.pack(letter_id, signature_id), hashlib.sha256)
    return str(int.from_bytes(mac[:8], "big") % 10**CODE_DIGITS).zfill(CODE_DIGITS)
