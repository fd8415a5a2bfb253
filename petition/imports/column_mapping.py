"""The fields that an organizer has chosen for the columns of a file, applied to each row."""

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
    "email": N_("e-mail (only to see who has already signed; not stored)"),
    "affiliation": N_("place of work, position"),
    "city": N_("city"),
    "country": N_("country"),
    "signed_at": N_("date of signing"),
    "visibility": N_("who sees the name"),
}
BY_COLUMN = "column"  # of the kind: an organization where the column has one, else a person
KINDS = (Kind.PERSON.value, Kind.ORGANIZATION.value, BY_COLUMN)

AMBIGUOUS = N_("Choose which comes first in dates, the day or the month: the file does not show it.")
NO_KIND = N_("It is not clear whether a person or an organization signs here.")
NO_VISIBILITY = N_("It is not clear who may see the name. You can use yes, no, public, organizers or anonymous.")
HEADER_AGAIN = N_("This row repeats the header.")
NO_NAME = N_("Choose the column with the names.")
TWICE = N_("Two columns have the same field. Only names, place of work and city can be combined from several columns.")
# Of fields that can be joined from several columns.
_SEPARATORS = {"name": " ", "affiliation": ", ", "city": ", ", "name_ru": " ", "organization": " "}


@dataclass(frozen=True, slots=True)
class Plan:
    """An organizer's choice. ``columns`` has the field of each column, "" for one that is left out."""

    columns: tuple[str, ...]
    kind: str = Kind.PERSON.value
    visibility: Visibility = Visibility.ORGANIZERS
    dates: DateOrder | None = None
    skip: bool = False  # leave out rows with problems

    def as_json(self) -> dict[str, Any]:
        return {
            "columns": list(self.columns),
            "kind": self.kind,
            "visibility": self.visibility.value,
            "dates": self.dates and self.dates.value,
            "skip": self.skip,
        }

    @classmethod
    def of_json(cls, fields: Mapping[str, Any]) -> "Plan":
        order = DateOrder(fields["dates"]) if fields["dates"] else None
        return cls(tuple(fields["columns"]), fields["kind"], Visibility(fields["visibility"]), order, fields["skip"])


def parse_plan(form: Mapping[str, str], width: int, orders: Sequence[DateOrder | None]) -> Plan:
    """Return the choice in a form for a file of ``width`` columns. Raises ``Refused``.

    ``orders`` has what each column's dates can be (see ``dates.DateStatistics``).
    """
    columns = tuple(name if (name := form.get(f"c{index}", "")) in FIELDS else "" for index in range(width))
    kind = form.get("kind", "")
    order = DateOrder(form["dates"]) if form.get("dates") in set(DateOrder) else None
    plan = Plan(
        columns,
        kind if kind in KINDS else Kind.PERSON.value,
        Visibility(form["visibility"]) if form.get("visibility") in set(Visibility) else Visibility.ORGANIZERS,
        order,
        skip=form.get("skip") == "1",
    )
    for name in FIELDS:
        if columns.count(name) > 1 and name not in _SEPARATORS:
            raise Refused(TWICE, f"c{width - 1 - columns[::-1].index(name)}")
    if not {"name", "first", "last", "organization", "name_ru"} & set(columns) and plan.visibility != "counted":
        raise Refused(NO_NAME, "c0")
    if order is None and "signed_at" in columns and orders[columns.index("signed_at")] is DateOrder.UNKNOWN:
        raise Refused(AMBIGUOUS, "dates")
    return plan


@dataclass(slots=True)
class Mapper:
    """Turns the lines of one file into rows of an import."""

    plan: Plan
    orders: Sequence[DateOrder | None]
    now: datetime
    languages: tuple[str, ...]
    _indexes: dict[str, list[int]] = field(default_factory=dict)  # of the columns of each field
    _visibility_title: str = ""  # yes below "Do not show it" is no

    def __post_init__(self) -> None:
        for index, name in enumerate(self.plan.columns):
            if name:
                self._indexes.setdefault(name, []).append(index)

    def rows(self, lines: Iterator[Line]) -> Iterator[Row | Problem]:
        """Yield each row after the header, or its problem; rows with all chosen columns empty are skipped."""
        header, reading = next(lines, (0, ""))[1], RowContext(self.now, self.languages)
        titles = (header[index] for index in self._indexes.get("visibility", ()) if index < len(header))
        self._visibility_title = " ".join(titles)
        for number, line in lines:
            try:
                if line == header:
                    raise BadRow(HEADER_AGAIN)
                cells = csv_format.clean_cells(line, len(self.plan.columns))
                fields = {name: self._join(name, cells) for name in self._indexes}
                if any(fields.values()):
                    yield Row(number, csv_format.entry_of(self._table(fields), reading))
            except BadRow as error:
                yield Problem(number, error.reason, error.column)

    def _join(self, name: str, cells: Sequence[str]) -> str:
        parts = (cells[index] for index in self._indexes[name] if index < len(cells))
        return _SEPARATORS.get(name, " ").join(filter(None, parts))

    def _table(self, fields: Mapping[str, str]) -> dict[str, str]:
        """Return the cells by column of ``csv_format``."""
        table = dict.fromkeys(COLUMNS, "")
        table |= {name: fields[name] for name in ("email", "affiliation", "city", "country") if name in fields}
        kind = table["kind"] = self._kind(fields)
        name = fields.get("name") or " ".join(filter(None, (fields.get("first"), fields.get("last"))))
        if kind == Kind.ORGANIZATION:
            table["name"] = fields.get("organization") or name
            table["name_ru"] = fields.get("name_ru", "")
        else:
            table["name"] = name
            table["affiliation"] = table["affiliation"] or fields.get("organization", "")
        table["visibility"] = self._visibility(fields, kind)
        table["signed_at"] = self._moment(fields.get("signed_at", ""))
        return table

    def _kind(self, fields: Mapping[str, str]) -> str:
        if fields.get("kind"):
            if (kind := column_guessing.kind_of(fields["kind"])) is None:
                raise BadRow(NO_KIND, "kind")
            return kind.value
        if self.plan.kind != BY_COLUMN:
            return self.plan.kind
        return (Kind.ORGANIZATION if fields.get("organization") or fields.get("name_ru") else Kind.PERSON).value

    def _visibility(self, fields: Mapping[str, str], kind: str) -> str:
        if fields.get("visibility"):
            visibility = column_guessing.visibility_of(fields["visibility"], self._visibility_title)
            if visibility is None:
                raise BadRow(NO_VISIBILITY, "visibility")
            return visibility.value
        return (Visibility.PUBLIC if kind == Kind.ORGANIZATION else self.plan.visibility).value

    def _moment(self, cell: str) -> str:
        if not cell:
            return ""
        order = self.plan.dates or self.orders[self._indexes["signed_at"][0]] or DateOrder.ISO
        moment = dates.to_iso(cell, order)
        if moment is None:
            raise BadRow(dates.NO_DATE, "signed_at")
        return moment
