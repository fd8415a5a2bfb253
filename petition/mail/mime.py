"""A mail as bytes: header fields, then text and HTML as alternatives.

Python's email package parses and folds every field of every mail, which takes milliseconds. Here it sees only values
that need folding or encoding, and each of those once: subject and sender are the same in very many mails.
"""

import binascii
import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from email.policy import SMTP, SMTPUTF8

from petition.core.errors import PetitionError
from petition.core.mail_texts import MailTexts

MAX_LINE = 900  # octets; RFC 5321, 4.5.3.1.6 allows 1,000 with the line's end
_MAX_HEADER_LINE = 78  # RFC 5322, 2.1.1
# Stays as it is on one line: nothing to encode, and no beginning of an encoded word (RFC 2047).
_PLAIN = re.compile(r"(?!.*=\?)[!-~](?:[ -~]*[!-~])?")
_FOLDED = re.compile(rb"[!-9;-~]+: ?[^\r\n]*(?:\r\n[ \t]+[^\r\n]+)*\r\n")


@dataclass(frozen=True, slots=True)
class MailParts:
    """The subject of a mail, its text and its HTML, encoded, with the header of each."""

    subject: str = dataclass_field(repr=False)
    text: bytes = dataclass_field(repr=False)
    html: bytes = dataclass_field(repr=False)


class Unmailable(PetitionError):
    """This cannot become a mail: it would not be one to that recipient alone, or has no valid header."""


@functools.lru_cache(512)
def field(name: str, value: str) -> bytes:
    """Return a header field, folded and encoded where it must be. Raises ``Unmailable``."""
    if len(name) + 2 + len(value) <= _MAX_HEADER_LINE and _PLAIN.fullmatch(value):
        return f"{name}: {value}\r\n".encode("ascii")
    return _folded(name, value)


def whole_line(name: str, value: str) -> bytes:
    """Return a header field on one line, however long: an id or a link that no program reads in pieces."""
    if len(value) > MAX_LINE or not _PLAIN.fullmatch(value):
        raise Unmailable("this value cannot stand in a header")
    return f"{name}: {value}\r\n".encode("ascii")


def recipient_field(address: str) -> bytes:
    """Return ``To`` of an address that is no usual one: it is quoted, or folded, or stays in UTF-8 (RFC 6532)."""
    policy = SMTP if address.isascii() else SMTPUTF8
    return _checked(policy.fold_binary("To", policy.header_factory("To", address)))


@functools.lru_cache(512)
def _folded(name: str, value: str) -> bytes:
    try:
        return _checked(SMTP.fold_binary(name, SMTP.header_factory(name, value)))
    except ValueError:
        raise Unmailable("this value cannot stand in a header") from None


def _checked(line: bytes) -> bytes:
    """Raise ``Unmailable`` unless it is one field: a value must not bring another one, nor the header's end."""
    if not _FOLDED.fullmatch(line):
        raise Unmailable("a value would add fields to the header")
    return line


def alternatives(fields: Iterable[bytes], parts: MailParts, boundary: str) -> bytes:
    """Return the mail. ``boundary`` must stand in neither part."""
    mark = b"--" + boundary.encode("ascii")
    return b"".join(
        (
            *fields,
            b'MIME-Version: 1.0\r\nContent-Type: multipart/alternative;\r\n boundary="',
            mark[2:],
            b'"\r\n\r\n',
            *(mark, b"\r\n", parts.text, b"\r\n"),
            *(mark, b"\r\n", parts.html, b"\r\n"),
            *(mark, b"--\r\n"),
        )
    )


def encoded(texts: MailTexts) -> MailParts:
    """Return a mail's texts, which have LF line ends, as its parts."""
    return MailParts(texts.subject, _part("plain", texts.text), _part("html", texts.html))


def _part(subtype: str, text: str) -> bytes:
    """Return a part. Every relay takes it as it is, so that none encodes it again; links stay whole where they can."""
    if is_7bit(text):
        return head(subtype, "7bit") + plain(text)
    return head(subtype, "quoted-printable") + quoted(text)


def head(subtype: str, encoding: str) -> bytes:
    """Return the header of a part, with the empty line behind it."""
    fields = f'Content-Type: text/{subtype}; charset="utf-8"\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n'
    return fields.encode("ascii")


def is_7bit(text: str) -> bool:
    """Return whether lines of text can stand in a mail as they are."""
    return text.isascii() and max(map(len, text.split("\n"))) <= MAX_LINE


def plain(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode("utf-8", "replace")


def quoted(text: str) -> bytes:
    """Return whole lines as quoted-printable. Each is encoded by itself: nothing depends on its neighbours."""
    return binascii.b2a_qp(plain(text), istext=True)
