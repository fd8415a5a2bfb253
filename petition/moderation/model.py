"""What moderators decide: acts, reasons, where a signature stands, what a filter asks for."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from petition.core.i18n import N_
from petition.core.ids import BulkActId, LogId, OrganizationId, OrganizerId, SignatureId
from petition.signatures.flags import Flag
from petition.signatures.model import Kind, Reason, SignatureState


class Action(StrEnum):
    """What a moderator does to signatures."""

    APPROVE = "approve"  # let in what waits; say of what is flagged that nothing is wrong with it
    REMOVE = "remove"
    RESTORE = "back"  # bring back what was removed

    @property
    def logged(self) -> str:
        """What the log calls it."""
        return f"signature.{self.value}"


UNDO = "signature.undo"


class ReportReason(StrEnum):
    """Why a reader reports an entry of the list."""

    ME = "me"
    FAKE = "fake"
    ABUSE = "abuse"
    NOT_AUTHORIZED = "not_authorized"
    OTHER = "other"


COMPLAINTS: dict[ReportReason, str] = {
    ReportReason.ME: N_("This is my name, and I did not sign"),
    ReportReason.FAKE: N_("There is no such person"),
    ReportReason.ABUSE: N_("The name is abusive or an advertisement"),
    ReportReason.NOT_AUTHORIZED: N_("The organization did not sign"),
    ReportReason.OTHER: N_("Something else"),
}


@dataclass(frozen=True, slots=True)
class ReviewStatus:
    """Where a signature stands for a moderator: its state, and why somebody should still look."""

    state: SignatureState
    flags: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return it as the log has it: ``confirmed:burst,link``."""
        return f"{self.state}:{','.join(self.flags)}" if self.flags else str(self.state)

    @classmethod
    def read(cls, text: str) -> "ReviewStatus":
        """Return what ``str`` made. Raises ``ValueError``."""
        state, _, flags = text.partition(":")
        return cls(SignatureState(state), tuple(flags.split(",")) if flags else ())


def after(act: Action, standing: ReviewStatus, removed_from: SignatureState) -> ReviewStatus | None:
    """Return where ``act`` leads from ``standing``, back to ``removed_from`` if it was removed; None if it does not
    apply."""
    state = standing.state
    if act is Action.APPROVE and (
        state is SignatureState.HELD or (state is SignatureState.CONFIRMED and standing.flags)
    ):
        return ReviewStatus(SignatureState.CONFIRMED)
    if act is Action.REMOVE and state in {SignatureState.HELD, SignatureState.CONFIRMED}:
        return replace(standing, state=SignatureState.REMOVED)
    if act is Action.RESTORE and state is SignatureState.REMOVED:
        return replace(standing, state=removed_from)
    return None


@dataclass(frozen=True, slots=True)
class ActOutcome:
    """What became of an act. ``missed`` are those that somebody else was first with, or to which it does not apply."""

    changed: tuple[SignatureId, ...] = ()
    missed: tuple[SignatureId, ...] = ()
    log_id: LogId | None = None  # one of the rows written, if anything changed


class Source(StrEnum):
    """Where a signature came from."""

    WEB = "web"
    IMPORT = "import"
    PARTNER = "partner"  # this site, by a partner's link


ANY = "any"  # flag


@dataclass(frozen=True, slots=True)
class Filter:
    """What the queue shows, and a campaign works on. Empty fields ask for nothing."""

    state: SignatureState | None = None
    kind: Kind | None = None
    lang: str = ""
    country: str = ""
    source: Source | None = None
    flag: str = ""  # a flag, or ANY
    group: int | None = None
    q: str = ""
    partner: str = ""  # the name in one partner's links

    def as_fields(self) -> dict[str, str]:
        """Return what stands in the address, or is kept with a campaign."""
        told = {
            **{"state": self.state, "kind": self.kind, "lang": self.lang, "country": self.country},
            **{"source": self.source, "flag": self.flag, "group": self.group},
            **{"partner": self.partner, "q": self.q},
        }
        return {key: str(value) for key, value in told.items() if value}


@dataclass(frozen=True, slots=True)
class Names:
    """What moderators see of a signatory. All empty for somebody who is only counted."""

    name: str | None = None
    affiliation: str | None = None
    city: str | None = None
    position: str | None = None
    name_en: str | None = None
    name_ru: str | None = None
    website: str | None = None
    unreadable: bool = False  # the key is destroyed

    @property
    def shown(self) -> str | None:
        """The name a row is known by."""
        return " // ".join(filter(None, (self.name_en, self.name_ru))) or self.name


@dataclass(frozen=True, slots=True)
class QueueItem:
    """One signature in the queue."""

    id: SignatureId
    kind: Kind
    standing: ReviewStatus
    visibility: str
    names: Names
    country: str | None
    read_lang: str | None
    imported: bool
    signals: Collection[str]
    group: int | None
    organization_id: OrganizationId | None
    signed_at: datetime | None
    listed_at: datetime
    removed_for: Reason | None
    last_act: int

    @property
    def state(self) -> SignatureState:
        """Where it stands."""
        return self.standing.state

    @property
    def flags(self) -> tuple[str, ...]:
        """Why somebody should look."""
        return self.standing.flags


@dataclass(frozen=True, slots=True)
class LogLine:
    """One act as the log shows it."""

    id: LogId
    at: datetime
    organizer_id: OrganizerId | None
    who: str | None
    act: str
    ids: tuple[int, ...] = field(repr=False)
    before: str = ""
    after: str = ""
    reason: str | None = None
    bulk_act_id: BulkActId | None = None
    undoes: LogId | None = None
    undone: bool = False
    command: bool = False

    @property
    def can_be_undone(self) -> bool:
        """Tell whether there is a way back that nobody has gone."""
        return not self.undone and self.act in UNDOABLE


UNDOABLE = frozenset({*(act.logged for act in Action), UNDO, "organization.names", "organization.merge"})


def ordered(flags: Iterable[str]) -> tuple[str, ...]:
    """Return flags in the one order in which the log writes them down; unknown ones last."""
    known = [each.value for each in Flag]
    return tuple(sorted(set(flags), key=lambda flag: (known.index(flag) if flag in known else len(known), flag)))
