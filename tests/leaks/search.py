"""Finds words in bytes, however they may be written there."""

import base64
import html
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from urllib.parse import quote

STEMS = ("zuqvimoga", "чуквимога")  # words that begin alike are found quickly, and cut off ones are found at all
_KEY = 8  # bytes by which forms are looked up
_ZEROS = re.compile(rb"\0{16,}")
_BREAKS = re.compile(rb"=?\r?\n[ \t]?|\\n")


def word_of(number: int, *, cyrillic: bool = False) -> str:
    """Return a word of its own for each number below 1,000,000; all are equally long."""
    consonants, vowels = ("бвгдзклмнпрстфхцчшжщ", "аеиоу") if cyrillic else ("bcdfghjklmnpqrstvwxz", "aeiou")
    text = STEMS[cyrillic]
    for _ in range(3):
        number, rest = divmod(number, len(consonants) * len(vowels))
        text += consonants[rest // len(vowels)] + vowels[rest % len(vowels)]
    return text.capitalize()


class Finder:
    """Searches for many words at once, in any spelling and encoding."""

    def __init__(self, words: Iterable[str]) -> None:
        self._words: dict[bytes, dict[bytes, str]] = defaultdict(dict)
        for word in words:
            for form in forms_of(word):
                self._words[form[:_KEY]][form] = word
        self._lengths = {key: sorted({len(form) for form in forms}) for key, forms in self._words.items()}

    def words_in(self, content: bytes, *, is_text: bool = True) -> set[str]:
        """Return the words that are in ``content``; in a text also where lines break within them."""
        lower = squeezed(content)
        found = set(self._words_in(lower))
        if is_text and (b"\n" in lower or b"\\n" in lower):
            found |= set(self._words_in(_BREAKS.sub(b"", lower)))
        return found

    def _words_in(self, content: bytes) -> Iterator[str]:
        for key, forms in self._words.items():
            at = content.find(key)
            while at >= 0:
                yield from (
                    forms[form] for length in self._lengths[key] if (form := content[at : at + length]) in forms
                )
                at = content.find(key, at + 1)


def found(words: Iterable[str], contents: Iterable[bytes]) -> set[str]:
    """Return those of ``words`` that are in one of ``contents``, however they may be written there."""
    return Finder(words).words_in(b"\n".join(contents))


def squeezed(content: bytes) -> bytes:
    """Return ``content`` ready to be searched: in lower case, without long stretches of nothing."""
    return _ZEROS.sub(b"\0", content.lower())


def begins_a_word(content: bytes) -> bool:
    """Return whether the beginning of any word is in ``content``, so that one that was cut off is noticed too."""
    lower = squeezed(content)
    joined = _BREAKS.sub(b"", lower)
    return any(form in lower or form in joined for stem in STEMS for form in forms_of(stem))


def forms_of(text: str) -> set[bytes]:
    """Return everything that may stand for a text, in lower case."""
    forms: set[bytes] = set()
    for spelling in {text, text.lower(), text.upper(), text.capitalize()}:
        forms |= set(_as_characters(spelling))
        forms |= {spelling.encode(encoding) for encoding in ("utf-16-be", "cp1251", "koi8-r")}
        for encoding in ("utf-8", "utf-16-le"):
            forms |= set(_as_bytes(spelling.encode(encoding)))
    return {form.lower() for form in forms}


def _as_characters(text: str) -> Iterator[bytes]:
    """Yield the text in an address, in JSON, in HTML by numbers, in a mail, and as a domain."""
    yield quote(text).encode()
    yield json.dumps(text)[1:-1].encode()
    yield json.dumps(json.dumps(text)[1:-1])[1:-1].encode()
    yield "".join(f"&#{ord(character)};" for character in text).encode()
    yield "".join(f"&#x{ord(character):x};" for character in text).encode()
    yield html.escape(text).encode()
    yield "".join(f"={byte:02x}" if byte > 127 else chr(byte) for byte in text.encode()).encode()
    yield text.encode("punycode") if text.isascii() else text.lower().encode("idna")


def _as_bytes(raw: bytes) -> Iterator[bytes]:
    """Yield bytes as they are, as hexadecimal digits, and in base64 and base32."""
    yield raw
    yield raw.hex().encode()
    # Whole groups look the same wherever they stand, if they begin at a group.
    for size, encode in ((3, base64.b64encode), (3, base64.urlsafe_b64encode), (5, base64.b32encode)):
        for skip in range(size):
            inner = raw[skip : skip + (len(raw) - skip) // size * size]
            if len(encoded := encode(inner)) >= _KEY:
                yield encoded
