"""What a returned mail reports: delivery status (RFC 3464) and complaints (RFC 5965), by their machine-readable parts.

A report says *what* happened. Our own token alone says which mailbox it is about: addresses in a report are never read.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import Message
from email.parser import HeaderParser
from enum import StrEnum

from petition.incoming_mail import mime_parts

MAX_BLOCKS = 20  # recipients of one report; ours has one

# As in answers to RCPT: the mailbox or its domain does not exist, has moved, is disabled (docs/decisions/refusals.md).
MAILBOX_GONE = frozenset({"5.1.1", "5.1.2", "5.1.3", "5.1.4", "5.1.6", "5.1.10", "5.2.1"})
# Neither the mailbox for good nor the relay: it is full, or the mail too long for it; or no one knows.
_UNCLEAR = re.compile(r"5\.(?:0\.\d+|1\.0|2\.\d+|4\.\d+)")
_STATUS = re.compile(r"\b([245]\.\d{1,3}\.\d{1,3})\b")
_UNSPECIFIC = frozenset({"", "5.0.0", "4.0.0"})


class ReportKind(StrEnum):
    """What came in. The values are counted by day."""

    HARD = "hard"  # the mailbox does not exist
    SOFT = "soft"  # not delivered, and the mailbox may well exist
    RELAY = "relay"  # a server between us and the mailbox does not like the mail, or us
    DELAYED = "delayed"
    DELIVERED = "delivered"
    COMPLAINT = "complaint"
    OTHER_FEEDBACK = "other_feedback"
    NO_REPORT = "no_report"  # an automatic answer, or a person
    UNREADABLE = "unreadable"


NO_TOKEN, OLD_TOKEN = "no_token", "old_token"  # counted beside the kinds of reports


@dataclass(frozen=True, slots=True)
class Report:
    """``is_final``: the mail will not be delivered any more. ``texts`` are where our token may stand."""

    kind: ReportKind
    is_final: bool = False
    texts: tuple[str, ...] = field(default=(), repr=False)


def read(content: bytes) -> Report:
    """Read one message of any kind."""
    message = mime_parts.parse(content)
    if message is None:
        return Report(ReportKind.UNREADABLE)
    parts = list(mime_parts.parts(message))
    kind, is_final = _read_parts(parts)
    return Report(kind, is_final, tuple(_texts(parts)))


def _read_parts(parts: list[Message]) -> tuple[ReportKind, bool]:
    for part in parts:
        match part.get_content_type():
            case "message/feedback-report":
                return _feedback(part), False
            case "message/delivery-status" | "message/global-delivery-status":
                return _worst([_delivery(block) for block in _blocks(part)])
    return ReportKind.NO_REPORT, False


def _feedback(part: Message) -> ReportKind:
    types = {mime_parts.field(block, "Feedback-Type").lower() for block in _blocks(part)}
    return ReportKind.COMPLAINT if "abuse" in types else ReportKind.OTHER_FEEDBACK


def _delivery(block: Message) -> tuple[ReportKind, bool] | None:
    """Return what one block says of a recipient; None if it is none of a recipient."""
    action = mime_parts.field(block, "Action").lower().split(" ")[0]
    status = _status(block)
    if not action and not status:
        return None
    if action == "delayed":
        return ReportKind.DELAYED, False
    if action in {"delivered", "relayed", "expanded"} or status.startswith("2"):
        return ReportKind.DELIVERED, False
    is_final = action == "failed" or status.startswith("5")
    if status in MAILBOX_GONE and action in {"failed", ""}:
        return ReportKind.HARD, is_final
    if not status.startswith("5") or _UNCLEAR.fullmatch(status):
        return ReportKind.SOFT, is_final
    return ReportKind.RELAY, is_final


def _status(block: Message) -> str:
    """Return the enhanced status code; the diagnostic's own where the field says nothing in particular."""
    match = _STATUS.match(mime_parts.field(block, "Status"))
    status = match[1] if match else ""
    if status in _UNSPECIFIC and (inner := _STATUS.search(mime_parts.field(block, "Diagnostic-Code")[:1000])):
        return inner[1]
    return status


def _worst(findings: list[tuple[ReportKind, bool] | None]) -> tuple[ReportKind, bool]:
    order = list(ReportKind)
    known = sorted((one for one in findings if one is not None), key=lambda one: order.index(one[0]))
    return known[0] if known else (ReportKind.NO_REPORT, False)


def _blocks(part: Message) -> Iterator[Message]:
    """Yield the groups of fields in a report's part, however deep the parser has put them."""
    for block in mime_parts.below(part)[:MAX_BLOCKS]:
        yield block
        for rest in mime_parts.text(block).replace("\r\n", "\n").split("\n\n")[:MAX_BLOCKS]:
            if rest.strip():
                yield HeaderParser().parsestr(rest.lstrip("\n"))


def _texts(parts: list[Message]) -> Iterator[str]:
    for part in parts:
        for _, value in mime_parts.fields(part):
            yield value
    for part in parts:
        yield mime_parts.text(part)
