"""Detecting the encoding of a text file, and reading it as UTF-8.

UTF-8 proves itself: a file of which most is UTF-8 is UTF-8, and its rows with other bytes are reported. UTF-16 shows by
its zero bytes. Of the one-byte Cyrillic encodings the one wins that makes the most plausible Russian of the bytes:
frequent letters, lower case after lower case.
"""

import codecs
import re
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
SAMPLE = 128 * 1024  # bytes, from the first piece with one above ASCII

BINARY = N_("This is neither text nor an XLSX workbook. Save it as CSV or XLSX and try again.")

_MARKS = {b"\xef\xbb\xbf": "utf-8", b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
_CYRILLIC = ("cp1251", "koi8-r", "cp866", "mac-cyrillic")
_FREQUENT = frozenset("оеаинтсрвлкмдпу")
_RARE = frozenset("ъэщфё")
_BAD_BYTE = re.compile("[\udc80-\udcff]")
_LATIN = frozenset("áàâäãåéèêëíìîïóòôöõøúùûüñçßæœÁÉÓÖÜÅŠšŽž’“”–—")


def detect(pieces: Iterable[bytes]) -> str:
    """Return a key of ``NAMES``, after reading all pieces. Raises ``ImportRefused`` if the file is no text."""
    check = _Utf8Share()
    head, sample = b"", b""
    for piece in pieces:
        head = head if head else piece[:4096]
        if mark := next((name for mark, name in _MARKS.items() if head.startswith(mark)), None):
            return mark
        check.add(piece)
        if len(sample) < SAMPLE and not piece.isascii():
            sample += piece[: SAMPLE - len(sample)]
    if head.count(0) * 50 > len(head) and (wide := _wide(head)):
        return wide
    # A few zero bytes make no UTF-16: their rows are reported.
    return "utf-8" if check.is_utf8 else _one_byte(sample)


class _Utf8Share:
    """Counts, over the pieces of a file, the bytes above ASCII that are UTF-8 and those that are not."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._good = self._bad = 0

    def add(self, piece: bytes) -> None:
        text = self._decoder.decode(piece)
        if not text.isascii():
            self._good += len(text.encode("utf-8", "surrogateescape")) - len(text)
            self._bad += len(_BAD_BYTE.findall(text))

    @property
    def is_utf8(self) -> bool:
        """True if other bytes are rare: in Russian text of CP866, which comes closest, they are two in three."""
        unfinished = len(self._decoder.getstate()[0])
        return self._good >= 2 * (self._bad + unfinished)


def _wide(head: bytes) -> str | None:
    """Return the UTF-16 in which most characters are Latin or Cyrillic: the other byte order makes them Chinese."""
    shares = {name: _share_known(head.decode(name, "replace")) for name in ("utf-16-le", "utf-16-be")}
    best = max(shares, key=lambda name: shares[name])
    if shares[best] >= 0.7:
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
    """Reads a file in any encoding line by line as UTF-8; bytes that cannot be decoded become U+FFFD.

    UTF-8 passes unchanged, so that the row with bad bytes can be reported.
    """

    def __init__(self, pieces: Iterable[bytes], encoding: str) -> None:
        self._pieces = iter(pieces)
        self._decoder = None if encoding == "utf-8" else codecs.getincrementaldecoder(encoding)("replace")
        self._buffer = b""
        self._first = self._more = True

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        while not self._buffer and self._more:
            self._fill()
        limit = size if size >= 0 else len(self._buffer)
        piece, self._buffer = self._buffer[:limit], self._buffer[limit:]
        return piece

    def readline(self, size: int | None = -1, /) -> bytes:
        limit = size if size is not None and size >= 0 else 1 << 30
        position = self._buffer.find(b"\n")
        while position < 0 and len(self._buffer) < limit and self._more:
            searched = len(self._buffer)
            self._fill()
            position = self._buffer.find(b"\n", searched)
        end = min(len(self._buffer) if position < 0 else position + 1, limit)
        line, self._buffer = self._buffer[:end], self._buffer[end:]
        return line

    def _fill(self) -> None:
        piece = next(self._pieces, None)
        self._more = piece is not None
        if self._decoder is None:
            self._buffer += piece or b""
            return
        text = self._decoder.decode(piece or b"", final=piece is None)
        if self._first and text:
            text, self._first = text.removeprefix("\ufeff"), False
        self._buffer += text.encode("utf-8", "replace")
