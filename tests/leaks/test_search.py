"""The search finds a word in every way in which it may be written, and no other."""

import base64
import html
import json
import quopri
from collections.abc import Callable
from email.header import Header
from email.message import EmailMessage
from urllib.parse import quote, quote_plus

import pytest

from tests.leaks.search import Finder, begins_a_word, word_of

WAYS: dict[str, Callable[[str], bytes]] = {
    "UTF-8": str.encode,
    "upper case": lambda word: word.upper().encode(),
    "lower case": lambda word: word.lower().encode(),
    "UTF-16": lambda word: word.encode("utf-16"),
    "UTF-16, big end first": lambda word: word.encode("utf-16-be"),
    "hexadecimal": lambda word: word.encode().hex().encode(),
    "hexadecimal, upper case": lambda word: word.encode().hex().upper().encode(),
    "base64": lambda word: base64.b64encode(word.encode()),
    "base64, 1 byte ahead": lambda word: base64.b64encode(b"x" + word.encode()),
    "base64, 2 bytes ahead": lambda word: base64.b64encode(b"xy" + word.encode() + b"z"),
    "base64 of UTF-16": lambda word: base64.b64encode(word.encode("utf-16-le")),
    "base64 for addresses": lambda word: base64.urlsafe_b64encode(b"??" + word.encode()),
    "base64 in lines": lambda word: base64.encodebytes(b"x" * 50 + word.encode()),
    "base32": lambda word: base64.b32encode(b"xyz" + word.encode()),
    "percent": lambda word: quote(word).encode(),
    "percent, in a form": lambda word: quote_plus(f"Ann {word}").encode(),
    "JSON": lambda word: json.dumps({"name": word}).encode(),
    "JSON in JSON": lambda word: json.dumps(json.dumps({"name": word})).encode(),
    "HTML": lambda word: html.escape(f"<{word}>").encode(),
    "HTML by numbers": lambda word: "".join(f"&#{ord(letter)};" for letter in word).encode(),
    "quoted-printable": lambda word: quopri.encodestring(word.encode()),
    "quoted-printable in lines": lambda word: quopri.encodestring(b"x" * 65 + word.encode()),
    "a mail": lambda word: bytes(mail_of(word)),
    "a mail's header": lambda word: Header(word, "utf-8").encode().encode(),
    "an address": lambda word: f"{word}+tag@mail.example".encode(),
    "a domain": lambda word: f"someone@{word.lower().encode('idna').decode()}.example".encode(),
    "cp1251": lambda word: word.encode("cp1251"),
    "PostgreSQL's hexadecimal": lambda word: b"\\\\x" + word.encode().hex().encode(),
}
LATIN, CYRILLIC = word_of(4711), word_of(4712, cyrillic=True)
OTHERS = [word_of(4713), word_of(4714, cyrillic=True)]


def mail_of(word: str) -> EmailMessage:
    message = EmailMessage()
    message.set_content(f"{'ы' * 40} {word} {'ы' * 40}\n")
    return message


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("word", [LATIN, CYRILLIC], ids=["Latin", "Cyrillic"])
def test_each_way_is_found(way: str, word: str) -> None:
    finder = Finder([word, *OTHERS])
    content = b"\0" * 100 + b"before " + WAYS[way](word) + b" after"
    assert finder.words_in(content) == {word}
    assert begins_a_word(content) or way == "a domain"  # which Punycode writes in another order
    assert Finder(OTHERS).words_in(content) == set()


def test_words_differ_and_are_equally_long() -> None:
    words = [word_of(number, cyrillic=cyrillic) for number in range(0, 9000, 7) for cyrillic in (False, True)]
    assert len(set(words)) == len(words)
    assert {len(word) for word in words} == {15}


def test_nothing_is_found_in_nothing() -> None:
    assert not begins_a_word(b"anything else" * 100)
