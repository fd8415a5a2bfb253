"""What a challenge is answered with, and what comes of it."""

import base64
import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

NONCE_BYTES = 16

# The names of the form fields. The first two are what the widgets of ALTCHA and hCaptcha call themselves.
POW_FIELD = "altcha"
HCAPTCHA_FIELD = "h-captcha-response"
DRAWN_FIELD = "drawn"  # hidden: the token that belongs to the picture
CODE_FIELD = "code"  # what the visitor read in it


@dataclass(slots=True)  # of each form: frozen, it takes four times as long to make
class Passed:
    """A challenge was solved.

    Nothing has been used up yet: storing the signature inserts ``nonce`` into ``used_challenge`` in the same
    transaction, where a second insert fails.
    """

    nonce: bytes  # 16 bytes, the same each time this challenge is shown again
    expires_at: datetime  # UTC; afterwards the nonce may be forgotten, since the challenge is refused as expired
    price: int  # the step of the price that was paid (``prices.MAX_PRICE`` at most)
    drawn: bool = False  # a picture was read, which programs do as well as people: over a limit the signature waits


class Refusal(StrEnum):
    """Why an answer does not count."""

    MISSING = "missing"
    WRONG = "wrong"
    EXPIRED = "expired"
    OTHER_LETTER = "other letter"
    UNREACHABLE = "unreachable"  # hCaptcha did not say a clear yes or no: show our own challenge


Result = Passed | Refusal


@dataclass(frozen=True, slots=True)
class DrawnCode:
    """A code to read and type: ``token`` goes into the hidden field ``drawn``, ``png`` onto the page."""

    token: str
    png: bytes = field(repr=False)
    length: int  # characters to be read
    width: int  # CSS pixels; the picture has twice as many
    height: int

    @property
    def src(self) -> str:
        """Return the picture as a ``data:`` address."""
        return f"data:image/png;base64,{base64.b64encode(self.png).decode()}"


def nonce_of(text: str) -> bytes:
    """Return the 16 bytes by which a solved challenge is known once it is used up."""
    return hashlib.sha256(text.encode()).digest()[:NONCE_BYTES]
