"""Which column of a file is what, as an organizer has chosen, applied to each row."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from petition.core.errors import Refused
from petition.core.i18n import N_
from petition.formats import dates
from petition.formats.dates import DateOrder
from petition.formats.tables import Line
from petition.imports import column_guessing
from petition.signatures import csv_format
from petition.signatures.csv_format import COLUMNS, BadRow, Problem, Row, RowContext
from petition.signatures.model import Kind, Visibility

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
BY_COLUMN = "column"  # of the kind: an organization where the column has one, else a person
KINDS = (Kind.PERSON.value, Kind.ORGANIZATION.value, BY_COLUMN)

AMBIGUOUS = N_("Say which comes first in the dates, the day or the month: the file does not tell.")
NO_KIND = N_("It is not clear who signs here, a person or an organization.")
NO_VISIBILITY = N_(
    "It is not clear here who may see the name. Understood are yes and no, public, organizers, anonymous."
)
HEADER_AGAIN = N_("This row is the header once more.")
NO_NAME = N_("Say which column has the names.")
TWICE = N_("Two columns are the same field; only names, place of work and city can be put together of several.")
_JOINED = {"name": " ", "affiliation": ", ", "city": ", ", "name_ru": " ", "organization": " "}


@dataclass(frozen=True, slots=True)
class Plan:
    """What an organizer has chosen. ``columns`` has the field of each column, "" for one that is left out."""

    columns: tuple[str, ...]
    kind: str = Kind.PERSON.value
    visibility: Visibility = Visibility.ORGANIZERS
    dates: DateOrder | None = None
    skip: bool = False  # rows that cannot be taken in are left out

    def as_json(self) -> dict[str, Any]:
        """Return it as the database has it."""
        told = {"columns": list(self.columns), "kind": self.kind, "visibility": self.visibility.value}
        return told | {"dates": self.dates and self.dates.value, "skip": self.skip}

    @classmethod
    def of_json(cls, given: Mapping[str, Any]) -> "Plan":
        """Return what ``as_json`` made."""
        order = DateOrder(given["dates"]) if given["dates"] else None
        return cls(tuple(given["columns"]), given["kind"], Visibility(given["visibility"]), order, given["skip"])


def plan_of(form: Mapping[str, str], columns: int, orders: Sequence[DateOrder | None]) -> Plan:
    """Return what was chosen for a file of so many columns. Raises ``Refused``.

    ``orders`` has what each column's dates can be (see ``dates.Seen``).
    """
    chosen = tuple(each if (each := form.get(f"c{place}", "")) in FIELDS else "" for place in range(columns))
    kind = form.get("kind", "")
    order = DateOrder(form["dates"]) if form.get("dates") in set(DateOrder) else None
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
        orders[place] is DateOrder.UNKNOWN for place, name in enumerate(chosen) if name == "signed_at"
    ):
        raise Refused(AMBIGUOUS, "dates")
    return plan


@dataclass(slots=True)
class Mapper:
    """Turns lines into rows as the import knows them. One object per file."""

    plan: Plan
    orders: Sequence[DateOrder | None]
    now: datetime
    languages: tuple[str, ...]
    _places: dict[str, list[int]] = field(default_factory=dict)
    _asked: str = ""  # the title above who sees the name: yes below "Do not show it" is no

    def __post_init__(self) -> None:
        for place, name in enumerate(self.plan.columns):
            if name:
                self._places.setdefault(name, []).append(place)

    def rows(self, found: Iterator[Line]) -> Iterator[Row | Problem]:
        """Yield each row after the header, or what is wrong with it; rows without anything for us are passed over."""
        header, reading = next(found, (0, ""))[1], RowContext(self.now, self.languages)
        self._asked = " ".join(header[place] for place in self._places.get("visibility", ()) if place < len(header))
        for number, line in found:
            try:
                if line == header:
                    raise BadRow(HEADER_AGAIN)
                cells = csv_format.clean_cells(line, len(self.plan.columns))
                told = {name: self._joined(name, cells) for name in self._places}
                if any(told.values()):
                    yield Row(number, csv_format.entry_of(self._table(told), reading))
            except BadRow as wrong:
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
            if (said := column_guessing.kind_of(told["kind"])) is None:
                raise BadRow(NO_KIND, "kind")
            return said.value
        if self.plan.kind != BY_COLUMN:
            return self.plan.kind
        return (Kind.ORGANIZATION if told.get("organization") or told.get("name_ru") else Kind.PERSON).value

    def _visibility(self, told: Mapping[str, str], kind: str) -> str:
        if told.get("visibility"):
            if (said := column_guessing.visibility_of(told["visibility"], self._asked)) is None:
                raise BadRow(NO_VISIBILITY, "visibility")
            return said.value
        if kind == Kind.ORGANIZATION:
            return Visibility.PUBLIC.value
        return self.plan.visibility.value

    def _moment(self, cell: str) -> str:
        if not cell:
            return ""
        place = self._places["signed_at"][0]
        found = dates.as_iso(cell, self.plan.dates or self.orders[place] or DateOrder.ISO)
        if found is None:
            raise BadRow(dates.NO_DATE, "signed_at")
        return found
