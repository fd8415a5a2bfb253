"""What moderators decide: actions, reasons, the status of a signature, the filter of the queue."""

from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from enum import StrEnum

from petition.core.i18n import N_
from petition.core.ids import BulkActId, LogId, OrganizationId, OrganizerId, SignatureId
from petition.moderation.evidence import Evidence
from petition.signatures import look_alikes
from petition.signatures.flags import Flag
from petition.signatures.model import Kind, Reason, SignatureState


class Action(StrEnum):
    """What a moderator does to signatures."""

    APPROVE = "approve"  # a held signature counts; a flagged one loses its flags
    REMOVE = "remove"
    RESTORE = "back"  # a removed signature returns to the state before

    @property
    def logged(self) -> str:
        return f"signature.{self.value}"


UNDO = "signature.undo"


class ReportReason(StrEnum):
    """Why a reader reports an entry of the list."""

    ME = "me"
    FAKE = "fake"
    ABUSE = "abuse"
    NOT_AUTHORIZED = "not_authorized"
    OTHER = "other"


REPORT_REASONS: dict[ReportReason, str] = {
    ReportReason.ME: N_("This is my name, and I did not sign"),
    ReportReason.FAKE: N_("There is no such person"),
    ReportReason.ABUSE: N_("The name is abusive or an advertisement"),
    ReportReason.NOT_AUTHORIZED: N_("The organization did not sign"),
    ReportReason.OTHER: N_("Something else"),
}


@dataclass(frozen=True, slots=True)
class ReviewStatus:
    """What a moderator sees of a signature's review: its state, and the flags not yet reviewed."""

    state: SignatureState
    flags: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return the form of the log: ``confirmed:burst,link``."""
        return f"{self.state}:{','.join(self.flags)}" if self.flags else str(self.state)

    def settles(self, before: "ReviewStatus") -> bool:
        """True if a decision that led here from ``before`` settles the reports: nothing waits any more."""
        return self.state is SignatureState.REMOVED or bool(before.flags and not self.flags)

    @classmethod
    def parse(cls, text: str) -> "ReviewStatus":
        """Parse the form of the log. Raises ``ValueError``."""
        state, _, flags = text.partition(":")
        return cls(SignatureState(state), tuple(flags.split(",")) if flags else ())


def status_after(action: Action, status: ReviewStatus, removed_from: SignatureState) -> ReviewStatus | None:
    """Return the status after ``action``, ``removed_from`` the state of a restored one; None if it does not apply."""
    state = status.state
    is_flagged = state is SignatureState.CONFIRMED and status.flags
    if action is Action.APPROVE and (state is SignatureState.HELD or is_flagged):
        return ReviewStatus(SignatureState.CONFIRMED)
    if action is Action.REMOVE and state in {SignatureState.HELD, SignatureState.CONFIRMED}:
        return replace(status, state=SignatureState.REMOVED)
    if action is Action.RESTORE and state is SignatureState.REMOVED:
        # Deciding settles flags: what a moderator brings back does not wait again.
        return ReviewStatus(removed_from, status.flags if removed_from is SignatureState.HELD else ())
    return None


@dataclass(frozen=True, slots=True)
class ActOutcome:
    """The result of an act. It did not apply to the ``missed``, or another act came first."""

    changed: tuple[SignatureId, ...] = ()
    missed: tuple[SignatureId, ...] = ()
    log_id: LogId | None = None  # one of the rows written; None if nothing changed


class Source(StrEnum):
    """Where a signature comes from."""

    WEB = "web"
    IMPORT = "import"
    PARTNER = "partner"  # this site, by a partner's link


class Wait(StrEnum):
    """Why a signature waits for a moderator; each waits for one reason, except where noted."""

    ANY = "any"
    HELD = "held"  # for approval
    REPORTED = "reported"  # by readers, and counted
    FLAGGED = "flagged"  # by a rule, and counted
    ANSWERED = "answered"  # a representative answered; held or counted, so it may wait for another reason, too


class Sort(StrEnum):
    """The order of the queue's rows."""

    WAITING = "waits"  # what waits first, the newest confirmed first within each reason
    CONFIRMED = "confirmed"  # the newest first
    SIGNED = "signed"  # the newest first
    NAME = "name"


ANY = "any"  # flag


@dataclass(frozen=True, slots=True)
class Filter:
    """The conditions of a page of the queue, of a bulk act or an export. Empty fields are no condition."""

    state: SignatureState | None = None
    kind: Kind | None = None
    lang: str = ""
    country: str = ""
    source: Source | None = None
    flag: str = ""  # a flag, or ANY
    group: int | None = None
    partner: str = ""  # the name in the partner's links
    q: str = ""
    wait: Wait | None = None

    def as_fields(self) -> dict[str, str]:
        """Return the query parameters, which are also stored with a bulk act."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: str(value) for name, value in values.items() if value}


@dataclass(frozen=True, slots=True)
class Names:
    """What moderators see of a signatory. All empty if the person is only counted."""

    name: str | None = None
    affiliation: str | None = None
    city: str | None = None
    position: str | None = None
    name_en: str | None = None
    name_ru: str | None = None
    website: str | None = None
    is_unreadable: bool = False  # the key is destroyed
    is_sealed: bool = False  # the person's are shown to no one yet

    @property
    def display_name(self) -> str | None:
        """The organization's names, or the person's."""
        return " // ".join(filter(None, (self.name_en, self.name_ru))) or self.name

    @property
    def ascii_host(self) -> str | None:
        """The website's host in ASCII where it is written in other letters."""
        return look_alikes.ascii_host(self.website) if self.website else None

    @property
    def imitates_website(self) -> bool:
        """Whether the website's letters may be taken for others."""
        return self.website is not None and look_alikes.imitates(self.website)


@dataclass(frozen=True, slots=True)
class QueueItem:
    """One signature in the queue."""

    id: SignatureId
    kind: Kind
    status: ReviewStatus
    visibility: str
    names: Names
    country: str | None
    read_lang: str | None
    imported: bool
    evidence: Evidence | None  # of an organization
    group: int | None
    organization_id: OrganizationId | None
    signed_at: datetime | None
    listed_at: datetime
    removed_for: Reason | None
    last_act: int

    @property
    def state(self) -> SignatureState:
        return self.status.state

    @property
    def flags(self) -> tuple[str, ...]:
        return self.status.flags


@dataclass(frozen=True, slots=True)
class LogLine:
    """One act as the log shows it."""

    id: LogId
    at: datetime
    organizer_id: OrganizerId | None
    organizer_name: str | None
    act: str
    ids: tuple[int, ...] = field(repr=False)
    before: str = ""
    after: str = ""
    reason: str | None = None
    bulk_act_id: BulkActId | None = None
    undoes: LogId | None = None
    command: bool = False
    is_undone: bool = False

    @property
    def can_be_undone(self) -> bool:
        return not self.is_undone and self.act in UNDOABLE


UNDOABLE = frozenset({*(action.logged for action in Action), UNDO, "organization.names", "organization.merge"})


def ordered(flags: Iterable[str]) -> tuple[str, ...]:
    """Return flags in the order of ``Flag``, which is the log's too; unknown ones last."""
    known = [flag.value for flag in Flag]
    return tuple(sorted(set(flags), key=lambda flag: (known.index(flag) if flag in known else len(known), flag)))
