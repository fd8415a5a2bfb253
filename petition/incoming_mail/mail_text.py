"""The text of an incoming mail: one text part, or an HTML part without its markup; limited in size, depth and number.

The charset is what the mail says, if it is one that maps bytes to characters and nothing else: UTF-7 and its kin can
hide markup and controls. What cannot be read with it is read as UTF-8, and what is no character is left out.
"""

import codecs
import html
import re
from dataclasses import dataclass, field
from email.errors import MessageError
from email.message import Message
from email.parser import BytesParser
from email.policy import compat32
from enum import StrEnum

import nh3

MAX_PARTS = 50
MAX_TEXT = 200_000  # bytes of the part that is read
MAX_TAGS = 3_000  # of HTML; the sanitizer takes time by the square of their depth
# Of Python's codecs those that are no charsets of mail, or can hide what is read.
_REFUSED = re.compile(r"utf[_-]?7|.*(?:escape|codec|punycode|idna|mbcs|undefined|hex|zip|bz2|uu|rot|quopri|base64).*")
_UUENCODED = frozenset(("x-uuencode", "uuencode", "uue", "x-uue"))
_QUOTED_HTML = {"blockquote"}
_LINES_HTML = {"br", "p", "div", "tr", "li", "h1", "h2", "h3", "pre", "hr"}
_TAG = re.compile(r"<(/?)([a-z0-9]+)[^<>]*>")


class Unreadable(StrEnum):
    """Why a mail has no text that we read."""

    ENCRYPTED = "encrypted"
    ATTACHMENT = "attachment"  # it has parts, and none is text
    TOO_BIG = "too big"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class MailText:
    """The text, or why there is none; ``has_attachments``: more came along."""

    text: str = field(default="", repr=False)
    trouble: Unreadable | None = None
    has_attachments: bool = False


def parse(content: bytes) -> Message | None:
    """Return the parsed mail; None if it cannot be parsed, or is nested so that it would take long."""
    if content.lower().count(b"multipart/") > MAX_PARTS:
        return None
    try:
        return BytesParser(policy=compat32).parsebytes(content)
    except (MessageError, ValueError, LookupError, RecursionError, AssertionError, TypeError, IndexError):
        return None


def text_of(message: Message) -> MailText:
    """Return the text of a parsed mail."""
    try:
        return _text_of(message)
    except (MessageError, ValueError, LookupError, RecursionError, AttributeError, TypeError):
        return MailText(trouble=Unreadable.BROKEN)


def _text_of(message: Message) -> MailText:
    parts = _parts(message)
    if len(parts) > MAX_PARTS:
        return MailText(trouble=Unreadable.BROKEN)
    if any(_is_encrypted(part) for part in parts):
        return MailText(trouble=Unreadable.ENCRYPTED)
    leaves = [part for part in parts if part.get_content_maintype() != "multipart"]
    texts = [part for part in leaves if _is_text(part)]
    others = len(leaves) - len(texts)
    chosen = next((part for part in texts if part.get_content_type() == "text/plain" and _payload(part).strip()), None)
    chosen = chosen or next((part for part in texts if part.get_content_type() == "text/html"), None)
    if chosen is None:
        return MailText(trouble=Unreadable.ATTACHMENT if others else None, has_attachments=others > 0)
    return MailText(_decoded(chosen), has_attachments=others > 0)


def _parts(message: Message) -> list[Message]:
    """Return the mail and its parts, ``MAX_PARTS`` and one at most; a mail attached to it is one part."""
    parts, waiting = list[Message](), [message]
    while waiting and len(parts) <= MAX_PARTS:
        part = waiting.pop(0)
        parts.append(part)
        if part.get_content_maintype() == "multipart":
            waiting += [inner for inner in part.get_payload() if isinstance(inner, Message)]
    return parts


def _is_encrypted(part: Message) -> bool:
    kind = part.get_content_type()
    if kind == "application/pkcs7-mime":
        return True
    return kind == "multipart/encrypted" or (
        kind == "text/plain" and _payload(part).lstrip().startswith(b"-----BEGIN PGP MESSAGE-----")
    )


def _is_text(part: Message) -> bool:
    disposition = str(part.get("Content-Disposition", "")).strip().lower()
    return part.get_content_type() in {"text/plain", "text/html"} and not disposition.startswith("attachment")


def _payload(part: Message) -> bytes:
    """Return a part's bytes without its transfer encoding, which is read leniently."""
    if str(part.get("Content-Transfer-Encoding", "")).strip().lower() in _UUENCODED:
        return b""
    data = part.get_payload(decode=True)
    return data[:MAX_TEXT] if isinstance(data, bytes) else b""


def _decoded(part: Message) -> str:
    text = _in_charset(_payload(part), part.get_param("charset"))
    if part.get_content_type() == "text/html":
        return _without_markup(text)
    is_flowed = str(part.get_param("format", "")).strip().lower() == "flowed"
    return _unwrapped(text, is_delsp=str(part.get_param("delsp", "")).strip().lower() == "yes") if is_flowed else text


def _in_charset(data: bytes, charset: object) -> str:
    name = charset.strip().lower() if isinstance(charset, str) and charset.isascii() else "utf-8"
    if len(name) > 40 or _REFUSED.fullmatch(name):
        return ""
    try:
        if not codecs.lookup(name)._is_text_encoding:
            name = "utf-8"
        text = data.decode("utf-8" if name == "us-ascii" else name)
    except (LookupError, UnicodeError, ValueError):
        text = data.decode("utf-8", "ignore")
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")


def _unwrapped(text: str, *, is_delsp: bool) -> str:
    """Return text with format=flowed (RFC 3676) as the lines that were typed."""
    lines: list[str] = []
    is_open, depth_before = False, 0
    for line in text.split("\n"):
        depth = len(line) - len(line.lstrip(">"))
        content = line[depth:].removeprefix(" ")
        is_signature = content == "-- "
        if is_open and depth == depth_before and not is_signature:
            lines[-1] += content
        else:
            lines.append(">" * depth + (" " if depth else "") + content)
        is_open = content.endswith(" ") and not is_signature
        if is_open and is_delsp:
            lines[-1] = lines[-1][:-1]
        depth_before = depth
    return "\n".join(lines)


def _without_markup(markup: str) -> str:
    """Return the text of HTML, a line for each block, quoted blocks with marks. The sanitizer leaves simple tags."""
    tags = _QUOTED_HTML | _LINES_HTML
    markup = "<".join(markup.split("<", MAX_TAGS)[:MAX_TAGS]).replace("\n", " ")
    simple = nh3.clean(markup, tags=tags, attributes={}, link_rel=None)
    lines, depth, at = [""], 0, 0
    for match in _TAG.finditer(simple):
        lines[-1] += simple[at : match.start()]
        at = match.end()
        if match[2] in _QUOTED_HTML:
            depth = max(0, depth + (-1 if match[1] else 1))
        lines.append("> " * min(depth, 5))
    lines[-1] += simple[at:]
    return html.unescape("\n".join(line.rstrip() if line.strip("> ") else "" for line in lines))
