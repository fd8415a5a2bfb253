"""Which encoding a file of text is in, and reading it as UTF-8.

UTF-8 proves itself, and so does UTF-16 by its zero bytes. The one-byte encodings of Cyrillic are told apart by which
of them makes Russian out of the bytes: frequent letters, small ones after small ones.
"""

import codecs
from collections.abc import Iterable, Mapping
from io import RawIOBase

from petition.core.errors import ImportRefused
from petition.core.i18n import N_

NAMES: Mapping[str, str] = {
    "utf-8": "UTF-8",
    "utf-16-le": "UTF-16 LE",
    "utf-16-be": "UTF-16 BE",
    "cp1251": "Windows-1251",
    "koi8-r": "KOI8-R",
    "cp866": "CP866 (DOS)",
    "mac-cyrillic": "Mac Cyrillic",
    "cp1252": "Windows-1252",
}
SAMPLE = 128 * 1024  # bytes that are looked at, from where the first one above ASCII is

BINARY = N_("This is neither text nor an XLSX workbook. Save it as CSV or XLSX and try again.")

_MARKS = {b"\xef\xbb\xbf": "utf-8", b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
_CYRILLIC = ("cp1251", "koi8-r", "cp866", "mac-cyrillic")
_FREQUENT = frozenset("оеаинтсрвлкмдпу")
_RARE = frozenset("ъэщфё")
_LATIN = frozenset("áàâäãåéèêëíìîïóòôöõøúùûüñçßæœÁÉÓÖÜÅŠšŽž’“”–—")


def detect(pieces: Iterable[bytes]) -> str:
    """Return the encoding of a whole file. Raises ``ImportRefused`` if it is no text."""
    check = codecs.getincrementaldecoder("utf-8")()
    head, sample, is_utf8 = b"", b"", True
    for piece in pieces:
        head = head if head else piece[:4096]
        if mark := next((name for mark, name in _MARKS.items() if head.startswith(mark)), None):
            return mark
        if is_utf8:
            try:
                check.decode(piece)
            except UnicodeDecodeError:
                is_utf8 = False
        if len(sample) < SAMPLE and not piece.isascii():
            sample += piece[: SAMPLE - len(sample)]
    if head.count(0) * 50 > len(head) and (wide := _wide(head)):
        return wide
    # A stray one is that row's problem.
    return "utf-8" if is_utf8 and not check.getstate()[0] else _one_byte(sample)


def _wide(head: bytes) -> str | None:
    """Return in which UTF-16 most characters are Latin or Cyrillic: the other one makes signs of China out of them."""
    found = {name: _share_known(head.decode(name, "replace")) for name in ("utf-16-le", "utf-16-be")}
    best = max(found, key=lambda name: found[name])
    if found[best] >= 0.7:
        return best
    if head.count(0) * 10 > len(head):
        raise ImportRefused(BINARY)
    return None


def _share_known(text: str) -> float:
    known = sum(" " <= letter < "\u0250" or "\u0400" <= letter < "\u0530" or letter in "\t\r\n" for letter in text)
    return known / max(len(text), 1)


def _one_byte(sample: bytes) -> str:
    if sum(byte < 32 and byte not in b"\t\r\n" for byte in sample) * 50 > len(sample):
        raise ImportRefused(BINARY)
    scores = {name: _score(sample.decode(name, "replace")) for name in _CYRILLIC}
    best = max(scores, key=lambda name: scores[name])
    latin = sum(letter in _LATIN for letter in sample.decode("cp1252", "replace"))
    return best if scores[best] > latin else "cp1252"


def _score(text: str) -> float:
    score, before = 0.0, ""
    for letter in text:
        if letter > "\x7f":
            if "а" <= letter <= "я" or letter == "ё":
                score += 1.5 if letter in _FREQUENT else 0.2 if letter in _RARE else 0.7
            elif "А" <= letter <= "Я" or letter == "Ё":
                score += -1 if before.islower() else 0.5
            elif letter not in "«»№—–“”„… ":
                score -= 1.5
        before = letter
    return score


class AsUtf8(RawIOBase):
    """A file in any encoding, read line by line as UTF-8. What cannot be decoded becomes U+FFFD; UTF-8 stays."""

    def __init__(self, pieces: Iterable[bytes], encoding: str) -> None:
        self._pieces = iter(pieces)
        # UTF-8 passes as it is, so that a line that is none can be named.
        self._decoder = None if encoding == "utf-8" else codecs.getincrementaldecoder(encoding)("replace")
        self._held = b""
        self._first = self._more = True

    def readable(self) -> bool:
        """It is."""
        return True

    def readline(self, size: int | None = -1, /) -> bytes:
        """Return the next line, or ``size`` bytes of it."""
        most = size if size is not None and size >= 0 else 1 << 30
        place = self._held.find(b"\n")
        while place < 0 and len(self._held) < most and self._more:
            searched = len(self._held)
            self._fill()
            place = self._held.find(b"\n", searched)
        end = min(len(self._held) if place < 0 else place + 1, most)
        line, self._held = self._held[:end], self._held[end:]
        return line

    def _fill(self) -> None:
        piece = next(self._pieces, None)
        self._more = piece is not None
        if self._decoder is None:
            self._held += piece or b""
            return
        text = self._decoder.decode(piece or b"", final=piece is None)
        if self._first and text:
            text, self._first = text.removeprefix("\ufeff"), False
        self._held += text.encode("utf-8", "replace")
