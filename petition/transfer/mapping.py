"""Which column of a file is what: guessed from its header, chosen by an organizer, applied to each row."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from petition.i18n import N_
from petition.organizers.model import Refused
from petition.signatures import csv_format
from petition.signatures.csv_format import COLUMNS, Problem, Row, Wrong
from petition.signatures.model import Kind, Visibility
from petition.signatures.names import fold
from petition.transfer import dates
from petition.transfer.dates import Order
from petition.transfer.tables import Line

FIELDS: Mapping[str, str] = {
    "name": N_("name"),
    "first": N_("first name"),
    "last": N_("last name"),
    "organization": N_("signing organization"),
    "name_ru": N_("signing organization, in Russian"),
    "kind": N_("person or organization"),
    "email": N_("e-mail (to see who has signed, then forgotten)"),
    "affiliation": N_("place of work, position"),
    "city": N_("city"),
    "country": N_("country"),
    "signed_at": N_("date of signing"),
    "visibility": N_("who sees the name"),
}
# Words of a header that say what stands below it: the first field with a fitting one is guessed.
_HEADERS: Mapping[str, str] = {
    "email": r"e ?mail|почт\w*|адрес эл\w*",
    "signed_at": r"timestamp|отметка времени|date|signed at|signed|дата\w*|время",
    "first": r"first name|given name|forename|имя",
    "last": r"last name|surname|family name|фамилия",
    "name_ru": r"name ru|название.*рус\w*|organi[sz]ation ru",
    "kind": r"kind|тип|вид|signing as",
    "visibility": r"visibility|who (may )?sees?|(show|publish) your name|видимость|кто (может )?вид\w*|публич\w*|"
    r"показ\w* имя",
    "organization": r"organi[sz]ation( name)?|название.*|организация",
    "affiliation": r"affiliation|company|employer|institution|position|job|occupation|место работы|работа|должность|"
    r"компания|профессия|учреждение|аффилиация",
    "city": r"city|town|place|город|населенный пункт|место жительства",
    "country": r"country|страна",
    "name": r"(full |your )?name|signatory|фио|ф и о|имя.*фамилия|фамилия.*имя|подпис\w*|ваше имя",
}
_WHOLE_NAME = re.compile(r"(имя|first|name).*(фамилия|last|surname)|(фамилия|last|surname).*(имя|first|name)|фио")
_KINDS = {
    Kind.PERSON: "person people individual человек частное лицо физлицо физическое гражданин personal",
    Kind.ORGANIZATION: "organization organisation company org организация юрлицо юридическое компания",
}
_VISIBILITIES = {
    Visibility.PUBLIC: "public everyone yes да публично всем открыто все публичная",
    Visibility.ORGANIZERS: "organizers organisers private no нет организаторам организаторы скрыто закрыто",
    Visibility.COUNTED: "counted anonymous анонимно никому",
}
BY_COLUMN = "column"  # of the kind: an organization where the column has one, else a person
KINDS = (Kind.PERSON.value, Kind.ORGANIZATION.value, BY_COLUMN)

AMBIGUOUS = N_("Say which comes first in the dates, the day or the month: the file does not tell.")
NO_NAME = N_("Say which column has the names.")
TWICE = N_("Two columns are the same field; only names, place of work and city can be put together of several.")
_JOINED = {"name": " ", "affiliation": ", ", "city": ", ", "name_ru": " ", "organization": " "}


@dataclass(frozen=True, slots=True)
class Plan:
    """What an organizer has chosen. ``columns`` has the field of each column, "" for one that is left out."""

    columns: tuple[str, ...]
    kind: str = Kind.PERSON.value
    visibility: Visibility = Visibility.ORGANIZERS
    dates: Order | None = None
    skip: bool = False  # rows that cannot be taken in are left out

    def as_json(self) -> dict[str, Any]:
        """Return it as the database has it."""
        told = {"columns": list(self.columns), "kind": self.kind, "visibility": self.visibility.value}
        return told | {"dates": self.dates and self.dates.value, "skip": self.skip}

    @classmethod
    def of_json(cls, given: Mapping[str, Any]) -> "Plan":
        """Return what ``as_json`` made."""
        order = Order(given["dates"]) if given["dates"] else None
        return cls(tuple(given["columns"]), given["kind"], Visibility(given["visibility"]), order, given["skip"])


def guess(header: Sequence[str]) -> tuple[str, ...]:
    """Return the likely field of each column."""
    found: list[str] = []
    for cell in header:
        guessed = _guess(fold(cell.replace("_", " ")))
        found.append("" if guessed in found else guessed)
    return _sorted_out(found)


def _guess(text: str) -> str:
    if text in FIELDS:
        return text
    if _WHOLE_NAME.search(text):
        return "name"
    for exactly in (True, False):  # "Name of the organization" is no name
        for name, pattern in _HEADERS.items():
            matches = re.fullmatch(pattern, text) if exactly else re.search(rf"\b(?:{pattern})\b", text)
            if matches and (exactly or name not in {"first", "kind"}):
                return name
    return ""


def _sorted_out(found: list[str]) -> tuple[str, ...]:
    """A first name without a last one is all the name there is."""
    if "name" not in found and ("first" in found) != ("last" in found):
        found = ["name" if each in {"first", "last"} else each for each in found]
    return tuple(found)


def plan_of(form: Mapping[str, str], columns: int, orders: Sequence[Order | None]) -> Plan:
    """Return what was chosen for a file of so many columns. Raises ``Refused``.

    ``orders`` has what each column's dates can be (see ``dates.Seen``).
    """
    chosen = tuple(each if (each := form.get(f"c{place}", "")) in FIELDS else "" for place in range(columns))
    kind = form.get("kind", "")
    order = Order(form["dates"]) if form.get("dates") in set(Order) else None
    plan = Plan(
        chosen,
        kind if kind in KINDS else Kind.PERSON.value,
        Visibility(form["visibility"]) if form.get("visibility") in set(Visibility) else Visibility.ORGANIZERS,
        order,
        skip=form.get("skip") == "1",
    )
    for name in FIELDS:
        if chosen.count(name) > 1 and name not in _JOINED:
            raise Refused(TWICE, f"c{len(chosen) - 1 - chosen[::-1].index(name)}")
    if not {"name", "first", "last", "organization", "name_ru"} & set(chosen) and plan.visibility != "counted":
        raise Refused(NO_NAME, "c0")
    if order is None and any(
        orders[place] is Order.UNKNOWN for place, name in enumerate(chosen) if name == "signed_at"
    ):
        raise Refused(AMBIGUOUS, "dates")
    return plan


@dataclass(slots=True)
class Mapper:
    """Turns lines into rows as the import knows them."""

    plan: Plan
    orders: Sequence[Order | None]
    now: datetime
    languages: tuple[str, ...]
    _places: dict[str, list[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for place, name in enumerate(self.plan.columns):
            if name:
                self._places.setdefault(name, []).append(place)

    def rows(self, found: Iterator[Line]) -> Iterator[Row | Problem]:
        """Yield each row after the header, or what is wrong with it; rows without anything for us are passed over."""
        next(found, None)
        for number, line in found:
            try:
                cells = csv_format.cleaned(line, len(self.plan.columns))
                told = {name: self._joined(name, cells) for name in self._places}
                if any(told.values()):
                    yield Row(number, csv_format.entry_of(self._table(told), self.now, self.languages))
            except Wrong as wrong:
                yield Problem(number, wrong.reason, wrong.column)

    def _joined(self, name: str, cells: Sequence[str]) -> str:
        found = (cells[place] for place in self._places[name] if place < len(cells))
        return _JOINED.get(name, " ").join(filter(None, found))

    def _table(self, told: Mapping[str, str]) -> dict[str, str]:
        """Return the cells by the import's own columns."""
        table = dict.fromkeys(COLUMNS, "")
        table |= {name: told[name] for name in ("email", "affiliation", "city", "country") if name in told}
        kind = self._kind(told)
        table["kind"] = kind
        named = " ".join(filter(None, (told.get("first"), told.get("last"))))
        if kind == Kind.ORGANIZATION:
            table["name"] = told.get("organization") or told.get("name") or named
            table["name_ru"] = told.get("name_ru", "")
        else:
            table["name"] = told.get("name") or named
            table["affiliation"] = table["affiliation"] or told.get("organization", "")
        table["visibility"] = self._visibility(told, kind)
        table["signed_at"] = self._moment(told.get("signed_at", ""))
        return table

    def _kind(self, told: Mapping[str, str]) -> str:
        if told.get("kind"):
            return _word(told["kind"], _KINDS) or told["kind"]
        if self.plan.kind != BY_COLUMN:
            return self.plan.kind
        return (Kind.ORGANIZATION if told.get("organization") or told.get("name_ru") else Kind.PERSON).value

    def _visibility(self, told: Mapping[str, str], kind: str) -> str:
        if told.get("visibility"):
            return _word(told["visibility"], _VISIBILITIES) or told["visibility"]
        if kind == Kind.ORGANIZATION:
            return Visibility.PUBLIC.value
        return self.plan.visibility.value

    def _moment(self, cell: str) -> str:
        if not cell:
            return ""
        place = self._places["signed_at"][0]
        found = dates.as_iso(cell, self.plan.dates or self.orders[place] or Order.ISO)
        if found is None:
            raise Wrong(dates.NO_DATE, "signed_at")
        return found


def _word(cell: str, known: Mapping[Any, str]) -> str | None:
    said = set(fold(cell).split())
    return next((value.value for value, words in known.items() if said & set(words.split())), None)
