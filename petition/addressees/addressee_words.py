"""The state of each addressee in the words of one language: on pages, in frames, pictures and feeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from petition.addressees.model import DeliveryWay
from petition.core.i18n import N_, Language
from petition.letters.addressees import Addressee, AddresseeState, Response
from petition.letters.model import Letter

MAX_QUOTE = 160  # characters of an answer where it stands beside its addressee

# Never a subject: an addressee may be he, she or they, and in Russian the verb would have to know.
STATES: Mapping[AddresseeState, str] = {
    AddresseeState.NOT_SENT: N_("not delivered yet"),
    AddresseeState.DELIVERED: N_("delivered today"),
    AddresseeState.ACKNOWLEDGED: N_("receipt confirmed"),
    AddresseeState.ANSWERED: N_("answered"),
    AddresseeState.REFUSED: N_("refused"),
    AddresseeState.CHANGED_COURSE: N_("changed course"),
}
EVENTS: Mapping[AddresseeState, str] = {
    AddresseeState.DELIVERED: N_("%(name)s: the letter was delivered"),
    AddresseeState.ACKNOWLEDGED: N_("%(name)s: receipt confirmed"),
    AddresseeState.ANSWERED: N_("%(name)s: answered"),
    AddresseeState.REFUSED: N_("%(name)s: refused"),
    AddresseeState.CHANGED_COURSE: N_("%(name)s: changed course"),
}
REMINDED = N_("reminded by mail")
DELIVERED_BY: Mapping[DeliveryWay, str] = {
    DeliveryWay.UNKNOWN: N_("delivered"),
    DeliveryWay.MAIL: N_("delivered by e-mail"),
    DeliveryWay.HAND: N_("handed over"),
    DeliveryWay.POST: N_("delivered by post"),
    DeliveryWay.FORM: N_("sent through their form"),
}
WAYS: Mapping[DeliveryWay, str] = {
    DeliveryWay.UNKNOWN: N_("not decided yet"),
    DeliveryWay.MAIL: N_("by e-mail"),
    DeliveryWay.HAND: N_("by hand"),
    DeliveryWay.POST: N_("by post"),
    DeliveryWay.FORM: N_("through their form"),
}
MARKS: Mapping[AddresseeState, str] = {
    AddresseeState.NOT_SENT: "◌",
    AddresseeState.DELIVERED: "○",
    AddresseeState.ACKNOWLEDGED: "◔",
    AddresseeState.ANSWERED: "◐",
    AddresseeState.REFUSED: "✕",
    AddresseeState.CHANGED_COURSE: "●",
}


@dataclass(frozen=True, slots=True)
class AddresseeLine:
    """An addressee with its state in words, and the newest answer in its own; ``url`` leads to that answer."""

    name: str
    name_lang: str
    state: AddresseeState
    words: str
    at: datetime | None
    url: str | None
    quote: str
    quote_lang: str

    @property
    def mark(self) -> str:
        return MARKS[self.state]


@dataclass(frozen=True, slots=True)
class EventLine:
    """A delivery or an answer with its day; ``id`` is the anchor on the page of all answers."""

    id: int
    title: str
    name_lang: str
    state: AddresseeState
    at: datetime
    summary: str
    summary_lang: str
    url: str | None


def state_words(language: Language, addressee: Addressee, today: date) -> str:
    """Return the state in words, of a silent one with its days: "silent for 61 days"."""
    days = addressee.days_silent(today)
    if not days:
        return language.gettext(STATES[addressee.state])
    words = language.ngettext("silent for %(shown)s day", "silent for %(shown)s days", days)
    return words % {"shown": language.number(days)}


def lines(language: Language, letter: Letter, today: date, base_url: str) -> list[AddresseeLine]:
    """Return what is known of each addressee, as the letter names them; none while nothing is known of any."""
    if not any(addressee.responses for addressee in letter.addressees):
        return []
    return [_line(language, letter, addressee, today, base_url) for addressee in letter.addressees]


def _line(language: Language, letter: Letter, addressee: Addressee, today: date, base_url: str) -> AddresseeLine:
    newest = addressee.answers[-1] if addressee.answers else None
    quote_lang = newest.lang(language.code) if newest else language.code
    quote = newest.summary.get(quote_lang, "") if newest else ""
    return AddresseeLine(
        name=addressee.name(language.code),
        name_lang=addressee.lang(language.code),
        state=addressee.state,
        words=state_words(language, addressee, today),
        at=addressee.responses[-1].at if addressee.responses else None,
        url=newest.url(base_url, language.code, letter.slug) if newest else None,
        quote=quote if len(quote) <= MAX_QUOTE else quote[: MAX_QUOTE - 1].rstrip() + "…",
        quote_lang=quote_lang,
    )


def brief(language: Language, addressees: Sequence[Addressee], today: date, limit: int) -> list[str]:
    """Return "Halden Cloud: changed course" of at most ``limit`` addressees, those with most to say first."""
    known = [addressee for addressee in addressees if addressee.responses]
    known.sort(key=lambda addressee: -list(AddresseeState).index(addressee.state))
    return [f"{row.name(language.code)}: {state_words(language, row, today)}" for row in known[:limit]]


def event_line(
    language: Language, letter: Letter, addressee: Addressee, response: Response, base_url: str
) -> EventLine:
    summary_lang = response.lang(language.code)
    return EventLine(
        id=response.id,
        title=language.gettext(EVENTS[response.state]) % {"name": addressee.name(language.code)},
        name_lang=addressee.lang(language.code),
        state=response.state,
        at=response.at,
        summary=response.summary.get(summary_lang, ""),
        summary_lang=summary_lang,
        url=response.url(base_url, language.code, letter.slug),
    )
