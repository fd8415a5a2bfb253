"""What the header of an incoming mail says: sender, recipients, subject, and whether a program wrote it.

Fields that must stand alone (RFC 5322, 3.6) are read only if they do: another program may take the other one.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message

from petition.core import email_addresses
from petition.core.email_addresses import BadAddress, Mailbox
from petition.core.text_cleaning import clean

MAX_FIELDS = 300
MAX_VALUE = 10_000  # characters
MAX_RECIPIENTS = 50
OURS = "X-Petition"  # in the answers, so that one that comes back is known

_SINGLE = frozenset(("from", "to", "subject", "date", "message-id", "sender", "reply-to"))
_NAMED = re.compile(r"\s*(?:\"(?:[^\"\\]|\\.)*\"|[^<>\",;:()]*)\s*<([^<>\s\",;:()]+@[^<>\s\",;:()]+)>\s*")
_BARE = re.compile(r"\s*([^<>\s\",;:()]+@[^<>\s\",;:()]+)\s*")
_IN_BRACKETS = re.compile(r"[^<>]*<([^<>\s\",;:()]+@[^<>\s\",;:()]+)>\s*")
_NO_ADDRESS = re.compile(r"\"(?:[^\"\\]|\\.)*\"|\((?:[^()\\]|\\.)*\)")  # names in quotes, comments
_BETWEEN_ADDRESSES = re.compile(r"[,;:]")
_REPLY_SUBJECT = re.compile(r"\s*[^\W\d_]{1,12}\s?(?:[\[(]\d+[\])])?\s?[:：]")
_REFERENCES = ("in-reply-to", "references")
_WRITTEN_BY_PROGRAMS = ("x-autoreply", "x-autorespond", "x-loop", OURS.lower())
_DAEMONS = re.compile(r"(?:mailer-daemon|postmaster|.*no-?_?reply.*|.*bounces?(?:[+-].*)?|listserv|majordomo)", re.I)


@dataclass(frozen=True, slots=True)
class MailHeader:
    """The fields that count. ``sender`` is None where there is not exactly one author's address."""

    sender: Mailbox | None = field(repr=False)
    recipients: tuple[str, ...] = field(repr=False)  # of "To", in lower case
    subject: str = field(repr=False)
    has_reply_subject: bool
    message_id: str = field(repr=False)
    languages: str
    references: str = field(repr=False)
    is_automatic: bool


def read(message: Message) -> MailHeader | None:
    """Return the header of a parsed mail; None if a field stands twice that must not, or there are too many."""
    names = [name.lower() for name in message]
    if len(names) > MAX_FIELDS or any(names.count(name) > 1 for name in _SINGLE):
        return None
    sender = _sender(_value(message, "From"))
    subject = _unencoded(_value(message, "Subject"))
    return MailHeader(
        sender=sender,
        recipients=tuple(_recipients(_value(message, "To"))),
        subject=subject,
        has_reply_subject=_REPLY_SUBJECT.match(subject) is not None,
        message_id=clean(_value(message, "Message-ID")),
        languages=f"{_value(message, 'Content-Language')},{_value(message, 'Accept-Language')}".lower()[:100],
        references=" ".join(filter(None, (_unencoded(_value(message, name)) for name in _REFERENCES))),
        is_automatic=sender is None or _is_automatic(message, names, sender),
    )


def _value(message: Message, name: str) -> str:
    return " ".join(str(message.get(name, ""))[:MAX_VALUE].split())


def _sender(value: str) -> Mailbox | None:
    match = _NAMED.fullmatch(value) or _BARE.fullmatch(value)
    try:
        return email_addresses.parse(match[1]) if match and match[1].isprintable() else None
    except BadAddress:
        return None


def _recipients(value: str) -> list[str]:
    """Return the addresses that the mail goes to, and none that only stands in a name or a comment beside them."""
    pieces = _BETWEEN_ADDRESSES.split(_NO_ADDRESS.sub(" ", value.lower()))[:MAX_RECIPIENTS]
    matches = (_IN_BRACKETS.fullmatch(piece) or _BARE.fullmatch(piece) for piece in pieces)
    return [match[1] for match in matches if match]


def _unencoded(value: str) -> str:
    """Return a subject with its encoded words (RFC 2047) read."""
    try:
        pieces = decode_header(value)
        text = "".join(
            piece.decode(charset or "ascii", "replace") if isinstance(piece, bytes) else piece
            for piece, charset in pieces
        )
    except (HeaderParseError, LookupError, ValueError):
        text = value
    return clean(text)


def _is_automatic(message: Message, names: Sequence[str], sender: Mailbox) -> bool:
    """Return whether no person wrote this: auto-replies, lists, bounces, and our own mails."""
    submitted = _value(message, "Auto-Submitted").lower()
    return (
        (submitted != "" and submitted.split(";")[0].strip() != "no")
        or _value(message, "Precedence").lower() in {"bulk", "list", "junk", "auto_reply"}
        or _value(message, "Return-Path") == "<>"
        or any(name in _WRITTEN_BY_PROGRAMS or name.startswith("list-") for name in names)
        or message.get_content_type() in {"multipart/report", "message/delivery-status"}
        or _DAEMONS.fullmatch(sender.local) is not None
    )
