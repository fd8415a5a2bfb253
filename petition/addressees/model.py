"""An addressee as organizers see it, and what may be typed about one."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from enum import StrEnum

from petition.core.errors import Refused
from petition.core.i18n import N_
from petition.core.ids import AddresseeId, AnswerId, ResponseId
from petition.core.text_cleaning import has_direction_mark, has_hidden
from petition.drafts.letter_toml import is_web_address
from petition.letters.addressees import Addressee, AddresseeState, Response
from petition.letters.parties import Party

MAX_SUMMARY = 1000  # characters in one language
MAX_NOTE = 2000
EARLIEST = date(1990, 1, 1)

BAD_DAY = N_("Choose the day it happened: today or earlier.")
LONG_SUMMARY = N_("Too long: use at most 1,000 characters.")
HIDDEN = N_("There is a hidden character here. Type the text instead of pasting it.")
NO_SUMMARY = N_("Say in one sentence what they answered, or add a link or a file.")
BAD_LINK = N_("A web address starts with https://.")
LONG_NOTE = N_("Too long: use at most 2,000 characters.")
NO_STATE = N_("Choose what they did.")
NO_WAY = N_("Choose how the letter reaches them.")

REMINDED = "reminded"  # an event that changes no state: readers do not see it


class DeliveryWay(StrEnum):
    """How the letter reaches an addressee."""

    UNKNOWN = ""
    MAIL = "mail"
    HAND = "hand"
    POST = "post"
    FORM = "form"  # on the addressee's own site


BY_HAND = (DeliveryWay.HAND, DeliveryWay.POST, DeliveryWay.FORM)


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """A delivery, a reminder or an answer with everything organizers may know of it."""

    id: ResponseId
    state: str  # an ``AddresseeState``, or REMINDED
    way: DeliveryWay
    at: datetime
    summary: Mapping[str, str]
    url: str | None
    file_id: int | None
    organizer: str | None
    is_sent: bool
    failed: int | None
    undone_at: datetime | None
    note: str = field(default="", repr=False)

    @property
    def is_public(self) -> bool:
        return self.is_sent and self.failed is None and self.undone_at is None and self.state != REMINDED


@dataclass(frozen=True, slots=True)
class WaitingAnswer:
    """What an addressee has sent by its link; the texts are empty once the letter's key is destroyed."""

    id: AnswerId
    addressee_id: AddresseeId
    at: datetime
    state: str  # waiting, published, declined
    lang: str
    file_id: int | None
    name: str = field(repr=False)
    role: str = field(repr=False)
    text: str = field(repr=False)
    url: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class DeskAddressee:
    """An addressee at the desk."""

    id: AddresseeId
    party: Party
    is_named: bool  # by the letter as it is now
    way: DeliveryWay
    lang: str
    has_address: bool
    objected_at: datetime | None
    link: int
    link_until: datetime | None
    revision: int
    events: tuple[RecordedEvent, ...]

    @property
    def as_readers_see(self) -> Addressee:
        public_events = [event for event in self.events if event.is_public]
        responses = [
            Response(event.id, AddresseeState(event.state), event.at, event.summary, event.url, bool(event.file_id))
            for event in public_events
        ]
        return Addressee(self.party.names, self.party.url, self.id, tuple(responses))

    @property
    def has_objected(self) -> bool:
        return self.objected_at is not None

    @property
    def mail_on_its_way(self) -> RecordedEvent | None:
        """A mail that no relay has taken yet."""
        waiting = (event for event in self.events if not (event.is_sent or event.undone_at) and event.failed is None)
        return next(waiting, None)

    @property
    def was_mailed(self) -> bool:
        """Whether the letter has gone to it by mail, or is going."""
        return any(
            event.state == AddresseeState.DELIVERED
            and event.way is DeliveryWay.MAIL
            and event.failed is None
            and event.undone_at is None
            for event in self.events
        )

    @property
    def last_event(self) -> RecordedEvent | None:
        """The newest event that counts, reminders too."""
        counting = [event for event in self.events if event.is_sent and event.failed is None and not event.undone_at]
        return counting[-1] if counting else None


@dataclass(frozen=True, slots=True)
class TypedEvent:
    """What was typed about a delivery by hand, or about what the addressee did."""

    state: AddresseeState
    at: datetime
    way: DeliveryWay = DeliveryWay.UNKNOWN
    note: str = field(default="", repr=False)
    summary: Mapping[str, str] = field(default_factory=dict)
    url: str | None = None


def delivery_in(form: Mapping[str, str], now: datetime) -> TypedEvent:
    """Return a delivery by hand. Raises ``Refused``."""
    way = form.get("way", "")
    if way not in BY_HAND:
        raise Refused(NO_WAY, "way")
    return TypedEvent(AddresseeState.DELIVERED, day_in(form, now), DeliveryWay(way), _note(form))


def response_in(form: Mapping[str, str], languages: Collection[str], now: datetime, *, has_file: bool) -> TypedEvent:
    """Return what the addressee did. Raises ``Refused``."""
    state = form.get("state", "")
    if state not in set(AddresseeState) - {AddresseeState.NOT_SENT, AddresseeState.DELIVERED}:
        raise Refused(NO_STATE, "state")
    summary, url = summary_in(form, languages), link_in(form.get("url", ""))
    if not (summary or url or has_file) and state != AddresseeState.ACKNOWLEDGED:
        raise Refused(NO_SUMMARY, f"summary_{next(iter(languages))}")
    return TypedEvent(AddresseeState(state), day_in(form, now), note=_note(form), summary=summary, url=url)


def day_in(form: Mapping[str, str], now: datetime) -> datetime:
    """Return the beginning (UTC) of the typed day; of today, this moment. Raises ``Refused``.

    ``now`` is in the organizer's zone, where another day may have begun, or may not have ended.
    """
    try:
        day = date.fromisoformat(form.get("on", "").strip())
    except ValueError:
        raise Refused(BAD_DAY, "on") from None
    today = now.astimezone(UTC).date()
    if not EARLIEST <= day <= max(today, now.date()):
        raise Refused(BAD_DAY, "on")
    return now if day >= today else datetime.combine(day, time(), UTC)


def summary_in(form: Mapping[str, str], languages: Collection[str]) -> dict[str, str]:
    """Return the summary in each language it was typed in. Raises ``Refused``."""
    return {
        lang: text for lang in languages if (text := plain_text(form, f"summary_{lang}", MAX_SUMMARY, LONG_SUMMARY))
    }


def plain_text(form: Mapping[str, str], name: str, limit: int, too_long: str) -> str:
    """Return a field of several lines; spaces are tidied. Raises ``Refused``."""
    lines = (" ".join(line.split()) for line in form.get(name, "").replace("\r", "\n").split("\n"))
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
    if len(text) > limit:
        raise Refused(too_long, name)
    if has_hidden(text.replace("\n", "")) or has_direction_mark(text):
        raise Refused(HIDDEN, name)
    return text


def link_in(typed: str, field_name: str = "url") -> str | None:
    """Return an address on the web, None for an empty field. Raises ``Refused`` for any other scheme."""
    url = typed.strip()
    if not url:
        return None
    if not re.match(r"[a-z][a-z0-9+.-]*:", url, re.IGNORECASE):
        url = f"https://{url}"
    if not is_web_address(url):
        raise Refused(BAD_LINK, field_name)
    return url


def _note(form: Mapping[str, str]) -> str:
    return plain_text(form, "note", MAX_NOTE, LONG_NOTE)
