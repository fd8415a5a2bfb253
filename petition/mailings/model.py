"""A mailing: its state, its numbers, and what an organizer may do with it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from petition.core.database import Record
from petition.core.ids import LetterId, MailingId, OrganizerId, UpdateId

UNDO_TIME = timedelta(seconds=30)  # between the organizer's button and the first mail
# Mails that relays have answered, and refused, before refusals can pause a mailing: few must not stop a large one.
MIN_JUDGED, MIN_REFUSED = 20, 5
MAX_REFUSED = 0.05  # of them
STAMP_DAYS = 30  # after its end a mailing is only numbers


class MailingState(StrEnum):
    """The state of a mailing."""

    WAITING = "waiting"  # for its time; until then it can be undone
    SENDING = "sending"
    PAUSED = "paused"
    CANCELLED = "cancelled"
    DONE = "done"


class PauseReason(StrEnum):
    """Why a mailing is paused."""

    ORGANIZER = "organizer"
    REFUSALS = "refusals"
    REMOVED = "removed"  # the update was


# What an organizer may do: from which states, and to which.
TRANSITIONS: Mapping[str, tuple[tuple[MailingState, ...], MailingState]] = {
    "undo": ((MailingState.WAITING,), MailingState.CANCELLED),
    "pause": ((MailingState.SENDING,), MailingState.PAUSED),
    "resume": ((MailingState.PAUSED,), MailingState.SENDING),
    "cancel": ((MailingState.SENDING, MailingState.PAUSED), MailingState.CANCELLED),
    "resend": ((MailingState.DONE,), MailingState.SENDING),
}


@dataclass(frozen=True, slots=True)
class Mailing:
    """A mailing as organizers see it. ``recipients`` is None before the start; it is always the sum of the others."""

    letter_id: LetterId
    id: MailingId
    update_id: UpdateId
    organizer_id: OrganizerId | None
    organizer_name: str | None
    state: MailingState
    reason: PauseReason | None
    created_at: datetime
    starts_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    recipients: int | None
    unreached: int
    in_flight: int
    accepted: int
    refused: int
    bounced: int
    suppressed: int
    cancelled: int  # of the suppressed
    repeated: int
    can_resend: bool  # its stamps are still there

    @property
    def transitions(self) -> tuple[str, ...]:
        """What an organizer may do now."""
        useless = set() if self.refused and self.can_resend else {"resend"}
        return tuple(name for name, (before, _) in TRANSITIONS.items() if self.state in before and name not in useless)

    @property
    def is_moving(self) -> bool:
        """True while the worker changes its numbers."""
        return self.state in {MailingState.WAITING, MailingState.SENDING} or bool(self.in_flight)

    @property
    def settled(self) -> int:
        """Return how many have reached their final state."""
        return self.accepted + self.refused + self.bounced + self.suppressed


def mailing_in(row: Record) -> Mailing:
    return Mailing(
        letter_id=row["letter"],
        id=row["id"],
        update_id=row["news"],
        organizer_id=row["organizer"],
        organizer_name=row["organizer_name"],
        state=MailingState(row["state"]),
        reason=PauseReason(row["reason"]) if row["reason"] else None,
        can_resend=row["can_resend"],
        **{name: row[name] for name in NUMBERS},
        **{name: row[name] for name in ("created_at", "starts_at", "started_at", "ended_at")},
    )


NUMBERS = (
    "recipients",
    "unreached",
    "in_flight",
    "accepted",
    "refused",
    "bounced",
    "suppressed",
    "cancelled",
    "repeated",
)


def by_text_language(subscribers: Mapping[str, int], languages: tuple[str, ...]) -> dict[str, int]:
    """Return how many get which of an update's ``languages``, by the language in which they signed."""
    numbers = dict.fromkeys(languages, 0)
    for lang, number in subscribers.items():
        numbers[text_language(lang, languages)] += number
    return {lang: number for lang, number in numbers.items() if number}


def text_language(lang: str, languages: tuple[str, ...]) -> str:
    """Return the language of the text that a subscriber gets: their own if the update has it, or the first it has."""
    return lang if lang in languages else languages[0]
