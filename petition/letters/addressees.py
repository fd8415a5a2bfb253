"""What became of a letter with each of its addressees: dated events, out of which its state follows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

from petition.core.ids import AddresseeId, ResponseId
from petition.letters.parties import Party


class AddresseeState(StrEnum):
    """Where an addressee stands. Silent is one to which the letter is delivered, and nothing more."""

    NOT_SENT = "not_sent"
    DELIVERED = "delivered"
    ACKNOWLEDGED = "acknowledged"
    ANSWERED = "answered"
    REFUSED = "refused"
    CHANGED_COURSE = "changed_course"


ANSWERS = frozenset({AddresseeState.ANSWERED, AddresseeState.REFUSED, AddresseeState.CHANGED_COURSE})

UNSAVED = AddresseeId(0)  # of an addressee of a draft that readers do not see


@dataclass(frozen=True, slots=True)
class Response:
    """A delivery, or what the addressee did, as readers see it."""

    id: ResponseId
    state: AddresseeState
    at: datetime
    summary: Mapping[str, str] = field(default_factory=dict)
    link: str | None = None
    has_file: bool = False

    def url(self, base_url: str, lang: str, slug: str) -> str | None:
        """Return the address of the answer itself: the link, or else the document that is stored here."""
        if self.link is None and self.has_file:
            return f"{base_url}/{lang}/{slug}/documents/{self.id}"
        return self.link

    def lang(self, lang: str) -> str:
        """Return the language of the summary that a reader of ``lang`` is shown."""
        return lang if lang in self.summary else next(iter(self.summary), lang)


@dataclass(frozen=True, slots=True)
class Addressee(Party):
    """An addressee of a letter, with everything readers may know of its deliveries and answers, the oldest first."""

    id: AddresseeId = UNSAVED
    responses: tuple[Response, ...] = ()

    @property
    def state(self) -> AddresseeState:
        """The newest thing it did; a later delivery takes no answer back."""
        done = [response.state for response in self.responses if response.state is not AddresseeState.DELIVERED]
        if done:
            return done[-1]
        return AddresseeState.DELIVERED if self.responses else AddresseeState.NOT_SENT

    @property
    def delivered_at(self) -> datetime | None:
        """The first delivery."""
        moments = (response.at for response in self.responses if response.state is AddresseeState.DELIVERED)
        return next(moments, None)

    @property
    def answers(self) -> tuple[Response, ...]:
        return tuple(response for response in self.responses if response.state in ANSWERS)

    def days_silent(self, today: date) -> int | None:
        """Return the whole days (UTC) since the delivery of a letter to which it has said nothing; else None."""
        if self.state is not AddresseeState.DELIVERED or self.delivered_at is None:
            return None
        return max((today - self.delivered_at.date()).days, 0)


def is_anything_known(addressees: tuple[Addressee, ...]) -> bool:
    """Return whether the letter has reached one of them, or one has answered."""
    return any(addressee.responses for addressee in addressees)


def timeline(addressees: tuple[Addressee, ...]) -> list[tuple[Addressee, Response]]:
    """Return all that happened, the oldest first."""
    events = [(addressee, response) for addressee in addressees for response in addressee.responses]
    return sorted(events, key=lambda event: (event[1].at, event[1].id))
