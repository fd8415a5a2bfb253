"""The people of ``--only million`` and ``--only mixed``: who they are, and the bytes of their forms.

A form is put together from parts that were encoded before, so that the generator takes little of the cores that are
measured; what the server sees is what a browser sends.
"""

import hashlib
import hmac
import json
import secrets
import time
from base64 import b64encode
from collections.abc import Iterator
from urllib.parse import quote_plus, urlencode

from petition.core.encryption import derive
from tests.bench.visitors import BROWSER, DOMAINS, Visitors
from tests.running import KEY

# What a challenge is before it has its values; a JSON of sorted keys without spaces is what is signed.
_PARAMETERS = (
    '{"algorithm":"PBKDF2/SHA-256","cost":5000,"data":{"dear":false,"letter":%d,"price":0},"expiresAt":%d,'
    '"keyLength":32,"keyPrefix":"%s","keySignature":"%s","nonce":"%s","salt":"%s"}'
)
_SOLVED = (
    '{"challenge": {"parameters": %s, "signature": "%s"},'
    ' "solution": {"counter": 700, "derivedKey": "%s", "time": 900}}'
)
assert json.loads(_PARAMETERS % (1, 1, "", "", "", ""))
MINUTES_20 = 1200  # seconds in which a challenge must be used


class SolvedChallenges:
    """Challenges and their solutions, made without searching: checking one costs what it always does."""

    def __init__(self, letter_id: int) -> None:
        self._letter_id = letter_id
        self._signing, self._answer = derive(KEY, "pow"), derive(KEY, "pow answer")

    def solved(self) -> str:
        """Return the field of the form."""
        derived = secrets.token_bytes(32)
        nonce, salt = secrets.token_hex(16), secrets.token_hex(16)
        key_signature = hmac.digest(self._answer, derived, hashlib.sha256).hex()
        expires_at = int(time.time()) + MINUTES_20
        parameters = _PARAMETERS % (self._letter_id, expires_at, derived[:16].hex(), key_signature, nonce, salt)
        signature = hmac.digest(self._signing, parameters.encode(), hashlib.sha256).hex()
        return b64encode((_SOLVED % (parameters, signature, derived.hex())).encode()).decode()


def email_of(number: int) -> str:
    """Return the mailbox of a person, by number from 0."""
    return f"visitor.{number}@{DOMAINS[number % len(DOMAINS)]}"


class CrowdForms:
    """Makes the requests of people, each from a network of their own."""

    def __init__(self, visitors: Visitors, port: int) -> None:
        self._visitors, self._port = visitors, port
        letter = visitors.letter
        self._challenges = SolvedChallenges(letter.id)
        fixed = {"version": letter.version.digest, "kind": "person", "consent": "yes"}
        self._fixed = urlencode(fixed)
        self._sign_head = self._head(f"/ru/{letter.slug}/sign")
        self._domains = [quote_plus(f"@{domain}") for domain in DOMAINS]

    def signing(self, people: int) -> Iterator[bytes]:
        """Yield the forms of so many people."""
        for number in range(people):
            yield self.form(number)

    def form(self, number: int) -> bytes:
        """Return the form of a person."""
        typed = self._visitors.typed()
        del typed["email"]
        mailbox = f"visitor.{number}{self._domains[number % len(DOMAINS)]}"
        altcha = self._challenges.solved().replace("+", "%2B").replace("/", "%2F").replace("=", "%3D")
        body = f"{urlencode(typed)}&email={mailbox}&{self._fixed}&altcha={altcha}".encode()
        return self._sign_head % (self._visitors.network().encode(), len(body)) + body

    def confirming(self, path: str) -> bytes:
        """Return what the button behind a link sends."""
        return self._head(path) % (self._visitors.network().encode(), 0)

    def _head(self, path: str) -> bytes:
        return (
            f"POST {path} HTTP/1.1\r\nHost: localhost:{self._port}\r\n{BROWSER.replace('%', '%%')}"
            f"Origin: http://localhost:{self._port}\r\nX-Forwarded-For: %b\r\n"
            "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n"
        ).encode()
