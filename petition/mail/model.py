"""Mail jobs, which mail one becomes, and how long to wait before trying again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from petition.core.ids import JobId, LetterId, SignatureId
from petition.core.letter_facts import NO_NAMES, LetterFacts, SignatoryNames
from petition.core.outbox import MailContent

KindName = Literal["person", "organization"]

# After the last one, every two hours, as long as ``patience`` says.
_PAUSES = tuple(timedelta(seconds=seconds) for seconds in (10, 30, 120, 600, 1800, 3600))
_MAX_PAUSE = timedelta(hours=2)
_PATIENCE_ON_LETTER = timedelta(days=7)  # as long as a pending signature can be confirmed
_PATIENCE_AT_DESK = timedelta(days=2)


class Purpose(StrEnum):
    """What the visitor asked for: nothing else about a job is decided by the web.

    Any other purpose is of a direct mail, and its writer's (see ``core.outbox``).
    """

    SIGN = "sign"
    FIND = "find"
    REMIND = "remind"  # what the visitor asked for a day ago (``mailings.reminders``)


class Template(StrEnum):
    """The folders below ``templates/email``."""

    CONFIRM = "confirm"
    REMINDER = "reminder"
    ALREADY_SIGNED = "already_signed"
    REMOVED = "removed"
    FIND_CONFIRM = "find_confirm"
    FIND_SIGNED = "find_signed"

    @property
    def leads_to_confirming(self) -> bool:
        """Return whether its link opens the page with the confirm button; the others open the signatory's own page."""
        return self in {Template.CONFIRM, Template.REMINDER, Template.FIND_CONFIRM}


@dataclass(frozen=True, slots=True)
class MailJob:
    """One leased row of the outbox."""

    id: JobId
    letter_id: LetterId | None  # None only in direct mails
    purpose: str
    pending_id: SignatureId | None  # whose row holds the sealed address; sign only
    digest: bytes = field(repr=False)
    sealed: bytes | None = field(repr=False)  # None for sign
    lang: str
    attempts: int  # that failed so far
    lease: int
    created_at: datetime
    details: Mapping[str, object] = field(default_factory=dict, repr=False)  # of a direct mail
    bulk: bool = False  # goes out behind all other mail
    relay: str | None = None  # which asked to be tried again later, and is asked first


@dataclass(frozen=True, slots=True)
class SignatureRef:
    """A signature or pending signature that a mail leads to."""

    id: SignatureId
    kind: KindName
    names: SignatoryNames = field(default=NO_NAMES, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class ChosenMail:
    """Which mail a job has become, its recipient, and where its links lead."""

    template: Template
    address: str = field(repr=False)
    never: bytes = field(repr=False)  # digest of the address for "never mail me again"
    letter_id: LetterId
    letter: LetterFacts
    kind: KindName
    refs: tuple[SignatureRef, ...]  # empty only in a "removed" mail without a row
    code_works: bool = False  # whether the six digits are still accepted
    reply_to: str | None = None  # where they are accepted by mail

    @property
    def names(self) -> SignatoryNames:
        return self.refs[0].names if self.refs else NO_NAMES


@dataclass(frozen=True, slots=True)
class DirectMail:
    """A direct mail with the address it goes to."""

    mail: MailContent
    address: str = field(repr=False)
    never: bytes | None = field(repr=False)  # None: the mail ignores suppression


@dataclass(frozen=True, slots=True)
class MailboxNote:
    """What ceilings need to know of the mailbox of a pending row (docs/decisions/forgery.md)."""

    letter_id: LetterId
    pending_id: SignatureId
    domain: bytes | None = field(repr=False)  # digests
    mail_host: bytes | None = field(repr=False)
    provider: str
    trust: Sequence[bytes] = field(repr=False)  # digests of its domain and those above, as trusted ones are stored


def pause(attempts: int) -> timedelta:
    """Return how long to wait after the ``attempts``-th failure (the first is 1)."""
    return _PAUSES[attempts - 1] if attempts <= len(_PAUSES) else _MAX_PAUSE


def patience(job: MailJob) -> timedelta:
    """Return how long after it was written the mail is still worth an attempt."""
    return _PATIENCE_AT_DESK if job.letter_id is None else _PATIENCE_ON_LETTER
