"""Proof of work: the visitor's browser searches for a number while they type (ALTCHA's second format).

The server picks the number, derives a key from it and shows half of that key; the browser counts up until its own
derivation begins with that half. The library signs the whole challenge, the derived key included, so that checking
an answer costs two HMACs (0.13 ms) and no state.
"""

import binascii
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import altcha

from petition.captcha.model import Passed, Refusal, Result, nonce_of
from petition.captcha.pool import Pool
from petition.core.encryption import KeyedDigest, derive
from petition.core.ids import LetterId

ALGORITHM = "PBKDF2/SHA-256"
LIFETIME = timedelta(minutes=20)
MAX_PAYLOAD = 4096  # characters; an honest answer has about 700
KEY_BYTES = 32
_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class Price:
    """What a challenge costs: ``iterations`` of PBKDF2 for each number tried, up to one in ``numbers``.

    The first 500 are the same work for everyone: the spread between a lucky and an unlucky visitor stays at two.
    """

    iterations: int = 5000
    numbers: range = range(500, 1001)
    hard_numbers: tuple[range, ...] = (range(2000, 4001), range(4000, 8001), range(8000, 16001))

    def at(self, step: int) -> range:
        """Return the numbers of a step: 0, or one of ``hard_numbers`` counted from 1."""
        return self.hard_numbers[step - 1] if step else self.numbers


STANDARD = Price()


@dataclass(frozen=True, slots=True)
class _Derived:
    """The hard part of a challenge (3 ms), which depends neither on the letter nor on the time."""

    number: int
    nonce: str
    salt: str
    key: bytes


class ProofOfWork:
    """Makes and checks challenges. Any process with the same ``SECRET_KEY`` accepts another's."""

    def __init__(
        self, secrets_newest_first: Sequence[str], *, price: Price = STANDARD, lifetime: timedelta = LIFETIME
    ) -> None:
        self._keys = [(derive(secret, "pow"), derive(secret, "pow answer")) for secret in secrets_newest_first]
        self._signing, self._answer = (KeyedDigest(key) for key in self._keys[0])
        self._price = price
        self._lifetime = lifetime
        self._pools = [
            Pool(partial(self._derive, price.at(step)), 16 if step else 64)
            for step in range(len(price.hard_numbers) + 1)
        ]

    def challenge(self, letter_id: LetterId, *, price: int = 0) -> dict[str, Any]:
        """Return a challenge as ALTCHA's JSON: ``parameters`` and ``signature``; ``price`` is a step, from 0."""
        ready = self._pools[price].take()

        def precomputed_key(parameters: altcha.ChallengeParameters, _salt: bytes, _password: bytes) -> bytes:
            # The library lets us derive the key, before it signs these very parameters: here the ones already
            # derived take the place of the ones it has just drawn.
            parameters.nonce, parameters.salt = ready.nonce, ready.salt
            return ready.key

        signing_key, answer_key = self._keys[0]
        challenge = altcha.create_challenge(
            ALGORITHM,
            self._price.iterations,
            derive_key=precomputed_key,
            counter=ready.number,
            expires_at=datetime.now(UTC) + self._lifetime,
            data={"letter": letter_id, "dear": price > 0, "price": price},
            hmac_secret=signing_key,
            hmac_key_secret=answer_key,
        )
        return dict(challenge.to_dict())

    def check(self, text: str, letter_id: LetterId) -> Result:
        """Return whether ``text``, base64 of JSON, solves a challenge of ours for this letter."""
        whole = _read(text)
        if whole is None:
            return Refusal.WRONG
        if _is_solved(whole, self._signing, self._answer):
            return _passed(whole["challenge"], letter_id)
        return self._by_library(whole, letter_id)

    def _by_library(self, whole: Any, letter_id: LetterId) -> Result:
        """Check anew what is no plain solution under the newest key; say what is wrong with it."""
        try:
            payload = altcha.Payload.from_dict(whole)
        except (KeyError, TypeError, AttributeError):
            return Refusal.WRONG
        for signing_key, answer_key in self._keys:
            result = altcha.verify_solution(payload, signing_key, hmac_key_secret=answer_key)
            if result.verified:
                return _passed(payload.challenge.to_dict(), letter_id)
            if result.expired:
                return Refusal.EXPIRED
        return Refusal.WRONG

    def _derive(self, numbers: range) -> _Derived:
        number = secrets.choice(numbers)
        nonce, salt = secrets.token_bytes(16), secrets.token_bytes(16)
        password = nonce + number.to_bytes(4, "big")
        key = hashlib.pbkdf2_hmac("sha256", password, salt, self._price.iterations, KEY_BYTES)
        return _Derived(number, nonce.hex(), salt.hex(), key)


def _read(text: str) -> Any:
    """Return the decoded payload, of any shape; None if it is too long, or no base64 of JSON."""
    if len(text) > MAX_PAYLOAD:
        return None
    try:
        content = binascii.a2b_base64(text, strict_mode=True)
        # What begins like this is UTF-8, for which the library need not look.
        return json.loads(content.decode("utf-8", "surrogatepass") if content[:2] == b'{"' else content)
    except (ValueError, RecursionError):
        return None


def _is_solved(whole: Any, signing: KeyedDigest, answer: KeyedDigest) -> bool:
    """Tell quickly whether this is a solved challenge of ours that has not expired; if not, the library says why not.

    The library writes what is signed in Python, so that every number and text comes out as a browser would write it.
    We sign small whole numbers, truth values and ASCII, which ``json.dumps`` writes the same. In this order: the time
    and the answer's signature may be believed once the whole is known to be ours.
    """
    try:
        challenge, derived = whole["challenge"], whole["solution"]["derivedKey"]
        parameters = challenge["parameters"]
        return (
            _matches(signing, _canonical(parameters).encode(), challenge["signature"])
            and parameters["expiresAt"] >= time.time()
            and _matches(answer, bytes.fromhex(derived), parameters["keySignature"])
        )
    except (ValueError, TypeError, KeyError, RecursionError):
        return False


def _matches(key: KeyedDigest, message: bytes, signature: object) -> bool:
    expected = key.whole(message).hex()
    return isinstance(signature, str) and hmac.compare_digest(expected.encode(), signature.encode())


def _passed(challenge: dict[str, Any], letter_id: LetterId) -> Result:
    """Read what we signed ourselves, so that its shape is known."""
    parameters = challenge["parameters"]
    if parameters["data"]["letter"] != letter_id:
        return Refusal.OTHER_LETTER
    return Passed(
        nonce=nonce_of(challenge["signature"]),
        expires_at=datetime.fromtimestamp(parameters["expiresAt"], UTC),
        price=int(parameters["data"].get("price", parameters["data"]["dear"])),  # none in those of older versions
    )
