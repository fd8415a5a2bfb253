"""Whose refusal it is: a relay speaks of a mailbox, or of itself, its filters, its quotas and of us.

Only a mailbox's own permanent refusal, in answer to RCPT, ends a mail (docs/decisions/refusals.md). Replies quote
addresses, so of a reply only its code and its enhanced status code (RFC 3463) leave this module.
"""

import errno
import re
import socket
import ssl
from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum

from petition.core.errors import PetitionError

NO_SUCH_MAILBOX = 553  # "mailbox name not allowed"

# In answer to any command these are about us: not authenticated, or out of order (RFC 4954, 6; RFC 5321, 4.2.3).
_ABOUT_US = frozenset({503, 530, 534, 535, 538})

# The mailbox or its domain does not exist, has moved, is disabled, accepts no mail at all (RFC 3463, RFC 7505).
_MAILBOX_GONE = frozenset({"5.1.1", "5.1.2", "5.1.3", "5.1.4", "5.1.6", "5.1.10", "5.2.1"})
# Servers say these of mailboxes that do not exist, and of other things.
_PERHAPS_MAILBOX = frozenset({None, "5.0.0", "5.1.0", "5.2.0", "5.4.1", "5.4.4"})
_MAILBOX_CODES = frozenset({501, 550, 551, 553})  # RFC 5321, 4.2.3
_POLICY = re.compile(
    r"spam|unsolicited|relay|polic|block|black|listed|quota|limit|exceed|auth|denied|sender|verif|reputation|suspend"
    r"|\b(spf|dkim|dmarc|dns|rbl|rate|content|your|too many)\b",
    re.IGNORECASE,
)
_STATUS = re.compile(r"([245]\.\d{1,3}\.\d{1,3})\b")
_FILTER = re.compile(r"spam|unsolicited|block|black|listed|reputation|content|polic|suspicio|virus", re.IGNORECASE)
_QUOTA = re.compile(r"quota|limit|exceed|\brate\b|too (many|much|fast)|throttl", re.IGNORECASE)
# Greylisting (RFC 6647): "later" in answer to RCPT, for this mailbox. Its codes have other meanings, too.
_GREYLISTING_CODES = frozenset({450, 451})
_GREYLISTING = frozenset({"4.2.0", "4.7.0", "4.7.1"})
_LATER = re.compile(r"gr[ea]y-?list|again|later|temporar", re.IGNORECASE)
_IN = re.compile(r"(\d{1,5}) ?(s|sec|seconds?|m|min|minutes?)\b|\b(\d{2}):(\d{2}):(\d{2})\b", re.IGNORECASE)
# Servers want to see the mail again after five minutes (postgrey), few after more than half an hour.
USUAL_PAUSE, MIN_PAUSE, MAX_PAUSE = timedelta(minutes=5), timedelta(minutes=1), timedelta(hours=1)


class RejectionReason(StrEnum):
    """A class of reasons for which a relay does not take a mail; counted by the hour, so the values never change."""

    MAILBOX = "mailbox"  # full, disabled for a while, or the mail is too large for it
    GREYLISTING = "greylisting"
    FILTER = "filter"
    QUOTA = "quota"
    OTHER = "other"
    UNREACHABLE = "unreachable"  # the relay: not asked at all


class Trouble(StrEnum):
    """Why a relay does not serve us. The value stands in logs and in ``petition check``."""

    UNKNOWN_HOST = "its host name is unknown"
    REFUSED = "it refuses connections"
    UNREACHABLE = "it cannot be reached"
    SILENT = "it does not answer in time"
    CLOSED = "it closes the connection"
    NO_STARTTLS = "it offers no STARTTLS"
    NO_TLS = "it speaks no TLS on this port"
    CERTIFICATE = "its certificate is not valid for this name"
    TLS = "TLS cannot be agreed on"
    NO_AUTH = "it offers no authentication"
    PASSWORD = "it does not accept the user name and password"  # noqa: S105 - a sentence
    AUTH_REQUIRED = "it requires a user name and password"
    SENDER = "it does not accept the sender"
    NOT_NOW = "it is busy or shutting down"
    REFUSES_US = "it refuses to serve us"
    NOT_SMTP = "it does not answer as an SMTP server"
    TAKES_NOTHING = "it takes none of our mails"


CURES: Mapping[Trouble, str] = {
    Trouble.UNKNOWN_HOST: "check its spelling in SMTP_URLS, and this machine's DNS",
    Trouble.REFUSED: "check the port, and that the server runs",
    Trouble.UNREACHABLE: "check the network and the firewalls in between",
    Trouble.SILENT: "check the port (465 needs smtps://) and the firewalls: many hosts block port 25",
    Trouble.CLOSED: "check the port (465 needs smtps://), and whether it lets this machine in",
    Trouble.NO_STARTTLS: "take its port for submission (587), or smtps:// and 465, or leave out starttls=1",
    Trouble.NO_TLS: "take smtp://…?starttls=1, or the port that speaks TLS (465)",
    Trouble.CERTIFICATE: "use the name that its certificate has, or renew the certificate",
    Trouble.TLS: "update the older of the two TLS libraries",
    Trouble.NO_AUTH: "use smtps:// or starttls=1: many offer it over TLS only; or leave out user name and password",
    Trouble.PASSWORD: "check both in SMTP_URLS, with special characters percent-encoded",
    Trouble.AUTH_REQUIRED: "put them into SMTP_URLS: smtp://user:password@host",
    Trouble.SENDER: "register the address or domain of MAIL_FROM with this relay",
    Trouble.NOT_NOW: "wait; it is tried again by itself",
    Trouble.REFUSES_US: "ask its operator, or look into its log",
    Trouble.NOT_SMTP: "check host and port",
    Trouble.TAKES_NOTHING: "see in the log what it answers, and ask its operator",
}


class RecipientRefused(PetitionError):
    """The mailbox refuses this mail for good. ``code`` is the relay's reply code."""

    def __init__(self, code: int) -> None:
        super().__init__("the e-mail was permanently refused")
        self.code = code


class RelayRejected(PetitionError):
    """The relay works, but does not take this mail, or not now. ``status`` is the enhanced status code, if any."""

    def __init__(
        self,
        step: str,
        code: int = 0,
        status: str | None = None,
        reason: RejectionReason = RejectionReason.OTHER,
        pause: timedelta = USUAL_PAUSE,
    ) -> None:
        super().__init__(f"the relay answers {' '.join(filter(None, (str(code), status)))} to {step}")
        self.step = step
        self.code = code
        self.status = status
        self.reason = reason
        self.pause = pause  # after which a greylisting server wants to see the mail again


class RecipientDoubted(RelayRejected):
    """Probably the mailbox's refusal, but it can be the relay's: final only if every relay gives one."""


class RelayDown(PetitionError):
    """The relay cannot be reached or does not serve us. ``code`` is its reply code, or 0."""

    def __init__(self, trouble: Trouble, code: int = 0) -> None:
        super().__init__(f"{trouble}{f' (answer {code})' if code else ''}: {CURES[trouble]}")
        self.trouble = trouble
        self.code = code


def of_recipient(code: int, text: str) -> PetitionError:
    """Return what a reply to RCPT means that is no acceptance."""
    status = _status_in(text)
    if down := _about_us(code):
        return down
    if code < 500:
        is_greylisting = code in _GREYLISTING_CODES and (
            bool(_LATER.search(text)) if status is None else status in _GREYLISTING
        )
        reason = RejectionReason.GREYLISTING if is_greylisting else _reason_of(status, text)
        return RelayRejected("RCPT", code, status, reason, _pause_in(text))
    if status in _MAILBOX_GONE:
        return RecipientRefused(code)
    if code in _MAILBOX_CODES and status in _PERHAPS_MAILBOX and not _POLICY.search(text):
        return RecipientDoubted("RCPT", code, status, RejectionReason.MAILBOX)
    return RelayRejected("RCPT", code, status, _reason_of(status, text))


def of_data(code: int, text: str) -> PetitionError:
    """Return what a reply to DATA or to the mail's end means that is no acceptance: never the mailbox's refusal."""
    status = _status_in(text)
    return _about_us(code) or RelayRejected("DATA", code, status, _reason_of(status, text))


def of_sender(code: int) -> RelayDown:
    if code in _ABOUT_US:
        return RelayDown(Trouble.AUTH_REQUIRED, code)
    return RelayDown(Trouble.SENDER if code >= 500 else Trouble.NOT_NOW, code)


def of_greeting(code: int) -> RelayDown:
    """Return what a refusal of the connection, of EHLO or of STARTTLS means."""
    if not 400 <= code < 600:
        return RelayDown(Trouble.NOT_SMTP, code)
    return RelayDown(Trouble.NOT_NOW if code < 500 else Trouble.REFUSES_US, code)


def of_network(error: BaseException) -> RelayDown:
    """Return what an exception of the connection means, by the causes that it was raised from."""
    return RelayDown(next(filter(None, map(_trouble_of, _causes(error))), Trouble.CLOSED))


def _about_us(code: int) -> RelayDown | None:
    if code in _ABOUT_US:
        return RelayDown(Trouble.AUTH_REQUIRED, code)
    if code == 421:
        return RelayDown(Trouble.NOT_NOW, code)
    return None if 400 <= code < 600 else RelayDown(Trouble.NOT_SMTP, code)


def _reason_of(status: str | None, text: str) -> RejectionReason:
    _, subject, detail = (status or "x.x.x").split(".")
    if subject == "2":
        return RejectionReason.MAILBOX
    if _QUOTA.search(text) or (subject, detail) == ("4", "5"):
        return RejectionReason.QUOTA
    return RejectionReason.FILTER if subject == "7" or _FILTER.search(text) else RejectionReason.OTHER


def _pause_in(text: str) -> timedelta:
    """Return the pause that a greylisting server states, within reason, or the usual one."""
    match = _IN.search(text)
    if match is None:
        return USUAL_PAUSE
    if match[3]:
        pause = timedelta(hours=int(match[3]), minutes=int(match[4]), seconds=int(match[5]))
    else:
        pause = timedelta(**{"minutes" if match[2][0] in "mM" else "seconds": int(match[1])})
    return max(MIN_PAUSE, min(MAX_PAUSE, pause))


def _status_in(text: str) -> str | None:
    match = _STATUS.match(text)
    return match[1] if match else None


def _causes(error: BaseException | None) -> list[BaseException]:
    """Return the chain of causes, the innermost first."""
    chain: list[BaseException] = []
    while error is not None and error not in chain:
        chain.insert(0, error)
        error = error.__cause__ or error.__context__
    return chain


def _trouble_of(error: BaseException) -> Trouble | None:
    match error:
        case ssl.SSLCertVerificationError():
            return Trouble.CERTIFICATE
        case ssl.SSLError():
            return Trouble.NO_TLS if error.reason in {"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"} else Trouble.TLS
        case socket.gaierror():
            return Trouble.UNKNOWN_HOST
        case TimeoutError():
            return Trouble.SILENT
        case ConnectionResetError() | ConnectionAbortedError() | BrokenPipeError():
            return Trouble.CLOSED
        case OSError() if error.errno == errno.ECONNREFUSED or f"[Errno {errno.ECONNREFUSED}]" in str(error):
            return Trouble.REFUSED  # asyncio joins the texts of several addresses' errors
        case OSError() if error.errno is not None:
            return Trouble.UNREACHABLE
        case ValueError():
            return Trouble.NOT_SMTP
    return None
