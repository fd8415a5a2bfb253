"""Parsing mail of strangers: bounded in size, parts and depth, and never raising for what is in it."""

from collections.abc import Iterator
from email import message_from_bytes
from email.errors import MessageError
from email.message import Message
from email.policy import compat32

from petition.incoming_mail.model import MAX_MESSAGE

MAX_PARTS = 50
MAX_FIELDS = 500  # of one part's header
MAX_TEXT = 64 * 1024  # bytes of one part


def parse(content: bytes) -> Message | None:
    """Return the beginning of a message as its parts; None where it is nothing that a mail program writes.

    The older policy is meant: it leaves fields as they are, where the newer one parses, and stumbles over, each.
    """
    content = content[:MAX_MESSAGE]
    lower = content.lower()
    if lower.count(b"boundary") > 2 * MAX_PARTS or lower.count(b"message/") > 2 * MAX_PARTS:
        return None
    try:
        message = message_from_bytes(content, policy=compat32)
    except (MessageError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
    return message if message.keys() else None


def parts(message: Message) -> Iterator[Message]:
    """Yield the message and its parts, outer ones first, ``MAX_PARTS`` at most."""
    waiting, count = [message], 0
    while waiting and count < MAX_PARTS:
        part = waiting.pop(0)
        count += 1
        yield part
        waiting += below(part)[:MAX_PARTS]


def below(part: Message) -> list[Message]:
    """Return the parts of a part; asking a leaf would decode it, and raise for some charsets."""
    payload = part.get_payload() if part.is_multipart() else []
    return [one for one in payload if isinstance(one, Message)]


def fields(part: Message) -> Iterator[tuple[str, str]]:
    """Yield names (lower case) and values of a part's header."""
    for name, value in part.items()[:MAX_FIELDS]:
        yield name.lower(), str(value)


def field(part: Message, name: str) -> str:
    """Return the first value of a field, or nothing."""
    return next((value.strip() for other, value in fields(part) if other == name.lower()), "")


def text(part: Message) -> str:
    """Return the beginning of a leaf's content, decoded so far as ASCII goes."""
    if part.is_multipart():
        return ""
    try:
        content = part.get_payload(decode=True)
    except (ValueError, LookupError, TypeError, AttributeError):
        return ""
    return content[:MAX_TEXT].decode("latin-1") if isinstance(content, bytes) else ""
