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

_PLACE = struct.Struct(">iq")  # letter, signature
CODE_DIGITS = 6


class Tokens:
    """Makes and reads tokens under ``SECRET_KEY``; older secrets are still read."""

    def __init__(self, secrets_newest_first: Sequence[str]) -> None:
        oldest_first = [derive(each, "token") for each in reversed(secrets_newest_first)]
        self._signers = {
            purpose: Signer(
                oldest_first,  # itsdangerous takes the oldest first
                salt=f"petition.{purpose}",
                key_derivation="hmac",
                digest_method=hashlib.sha256,
            )
            for purpose in ("signature", "never", "second", "preview")
        }
        self._code_keys = [derive(each, "code") for each in secrets_newest_first]

    def for_signature(self, letter: int, signature: int) -> str:
        """Return the token that confirms a pending signature and later opens the signatory's own page."""
        return self._make("signature", _PLACE.pack(letter, signature))

    def read_signature(self, token: str) -> tuple[int, int]:
        """Return (letter, signature). Raises ``BadToken``."""
        return self._place("signature", token)

    def for_second(self, letter: int, signature: int) -> str:
        """Return the token mailed to another address of an organization: it says yes, and opens nothing."""
        return self._make("second", _PLACE.pack(letter, signature))

    def read_second(self, token: str) -> tuple[int, int]:
        """Return (letter, signature). Raises ``BadToken``."""
        return self._place("second", token)

    def for_preview(self, letter: int, link: int) -> str:
        """Return the token that shows people outside a draft, as long as the link's row is there."""
        return self._make("preview", _PLACE.pack(letter, link))

    def read_preview(self, token: str) -> tuple[int, int]:
        """Return (letter, link). Raises ``BadToken``."""
        return self._place("preview", token)

    def for_never(self, suppression_digest: bytes) -> str:
        """Return the token of a "never mail me again" link: it holds a keyed digest of the address."""
        return self._make("never", suppression_digest)

    def read_never(self, token: str) -> bytes:
        """Return the suppression digest. Raises ``BadToken``."""
        return self._read("never", token)

    def code(self, letter: int, signature: int) -> str:
        """Return the six digits that confirm this pending signature when typed."""
        return _code(self._code_keys[0], letter, signature)

    def is_code(self, typed: str, letter: int, signature: int) -> bool:
        """Tell in constant time whether ``typed`` is the code of this pending signature."""
        matches = [
            hmac.compare_digest(_code(key, letter, signature).encode(), typed.encode()) for key in self._code_keys
        ]
        return any(matches)

    def _place(self, purpose: str, token: str) -> tuple[int, int]:
        payload = self._read(purpose, token)
        if len(payload) != _PLACE.size:
            raise BadToken("this link is not complete")
        letter, signature = _PLACE.unpack(payload)
        return letter, signature

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


def _code(key: bytes, letter: int, signature: int) -> str:
    mac = hmac.digest(key, _PLACE.pack(letter, signature), hashlib.sha256)
    return str(int.from_bytes(mac[:8], "big") % 10**CODE_DIGITS).zfill(CODE_DIGITS)
