"""A code drawn by the server, to read and type: for those who run no scripts.

Nothing is remembered: the token in the hidden field holds the letter, the time, the price and a keyed digest of the
answer. It is the caller who counts the tries of one challenge (``nonce``), before the answer is compared.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from itsdangerous import BadSignature, Signer

from petition.captcha import picture, questions
from petition.captcha.model import NONCE_BYTES, DrawnCode, Passed, Refusal, Result
from petition.captcha.pool import Pool
from petition.captcha.questions import Question
from petition.core.encryption import derive
from petition.core.ids import LetterId

LIFETIME = timedelta(minutes=10)
LETTERS, HARD_LETTERS = 5, 8
MAX_TRIES = 3  # answers to one challenge; the caller counts them
MAX_TOKEN = 256  # characters; ours have 111
MAX_CODE = 64  # characters; more is no answer to anything

_STUB = struct.Struct(f">i?I{NONCE_BYTES}s16s")  # letter, hard, expiry (Unix time), nonce, digest of the answer

# Who types with a Russian keyboard types the Cyrillic letters that look the same; both are right.
_LOOKS_LIKE = str.maketrans(picture.CYRILLIC, picture.ALPHABET, " \t\u00a0-‐–.")


@dataclass(frozen=True, slots=True)
class _Token:
    letter_id: LetterId
    hard: bool
    expires: int
    nonce: bytes
    digest: bytes

    @property
    def expired(self) -> bool:
        return self.expires < datetime.now(UTC).timestamp()


class DrawnCodes:
    """Draws codes and checks what was read. Any process with the same ``SECRET_KEY`` accepts another's."""

    def __init__(self, secrets_newest_first: Sequence[str], *, lifetime: timedelta = LIFETIME) -> None:
        self._signer = Signer(
            [derive(secret, "drawn") for secret in reversed(secrets_newest_first)],  # it takes the oldest first
            salt="petition.drawn",
            key_derivation="hmac",
            digest_method=hashlib.sha256,
        )
        self._answer_keys = [derive(secret, "drawn answer") for secret in secrets_newest_first]
        self._lifetime = lifetime
        self._normal = Pool(lambda: _drawn(LETTERS), 8)
        self._hard = Pool(lambda: _drawn(HARD_LETTERS), 4)

    def draw(self, letter_id: LetterId, *, hard: bool) -> DrawnCode:
        """Return a fresh code as picture and token."""
        answer, png = (self._hard if hard else self._normal).take()
        return DrawnCode(
            token=self.token(answer, letter_id, hard=hard),
            png=png,
            length=len(answer),
            width=picture.width(len(answer)),
            height=picture.HEIGHT,
        )

    def token(self, answer: str, letter_id: LetterId, *, hard: bool) -> str:
        """Return the token under which ``answer`` will be accepted."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        expires = int((datetime.now(UTC) + self._lifetime).timestamp())
        digest = _digest(self._answer_keys[0], nonce, answer)
        stub = _STUB.pack(letter_id, hard, expires, nonce, digest)
        return self._signer.sign(base64.urlsafe_b64encode(stub).rstrip(b"=")).decode()

    def check(self, text: str, typed: str, letter_id: LetterId) -> Result:
        """Return whether ``typed`` is what the picture of the token ``text`` shows, or the answer to its question."""
        token = self._read(text)
        if token is None:
            return Refusal.WRONG
        if token.expired:
            return Refusal.EXPIRED
        if token.letter_id != letter_id:
            return Refusal.OTHER_LETTER
        answer = normal(typed)
        matches = [hmac.compare_digest(_digest(key, token.nonce, answer), token.digest) for key in self._answer_keys]
        if not any(matches) and questions.normal(typed) not in self._answers_in_words(token):
            return Refusal.WRONG
        return Passed(token.nonce, datetime.fromtimestamp(token.expires, UTC), price=0, drawn=True)

    def question(self, text: str, lang: str) -> Question:
        """Return the question that a token of ours may be answered by instead. Raises ``ValueError``."""
        token = self._read(text)
        if token is None:
            raise ValueError("this is no token of ours")
        return questions.question(_seed(self._answer_keys[0], token, lang), lang, hard=token.hard)

    def _answers_in_words(self, token: _Token) -> set[str]:
        return {
            questions.question(_seed(key, token, lang), lang, hard=token.hard).answer
            for key in self._answer_keys
            for lang in questions.WORDS
        }

    def nonce(self, text: str) -> bytes | None:
        """Return the nonce of a token that is ours and has not expired."""
        token = self._read(text)
        return None if token is None or token.expired else token.nonce

    def _read(self, text: str) -> _Token | None:
        if len(text) > MAX_TOKEN or not text.isascii():
            return None
        try:
            stub = self._signer.unsign(text.encode())
            return _Token(*_STUB.unpack(base64.urlsafe_b64decode(stub + b"=" * (-len(stub) % 4))))
        except (BadSignature, binascii.Error, struct.error):
            return None


def normal(typed: str) -> str:
    """Return what was typed as the alphabet would have it: capital, Latin, without spaces."""
    return typed[:MAX_CODE].upper().translate(_LOOKS_LIKE)


def _drawn(letters: int) -> tuple[str, bytes]:
    answer = picture.code(letters)
    return answer, picture.draw(answer)


def _seed(key: bytes, token: _Token, lang: str) -> bytes:
    return hmac.digest(key, b"question" + token.nonce + lang.encode(), hashlib.sha256)


def _digest(key: bytes, nonce: bytes, answer: str) -> bytes:
    return hmac.digest(key, nonce + answer.encode("utf-8", "surrogatepass"), hashlib.sha256)[:16]
