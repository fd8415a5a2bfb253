"""The fields that an organizer has chosen for the columns of a file, applied to each row."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from petition.core.errors import Refused
from petition.core.i18n import N_
from petition.formats import dates
from petition.formats.cells import is_mark, is_placeholder
from petition.formats.dates import DateOrder
from petition.formats.tables import Line
from petition.formats.workbook_limits import MAX_CELLS
from petition.imports.column_values import ANSWERS, LEAVE_OUT, understood, value_of
from petition.imports.file_info import FileInfo, Values
from petition.imports.header_finding import NO_HEADER
from petition.imports.totals import is_total
from petition.signatures import csv_format
from petition.signatures.csv_format import COLUMNS, BadRow, Problem, Row, RowContext
from petition.signatures.model import Kind, Visibility

Plain = TypeVar("Plain")

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
LEFT_OUT = N_("You chose to leave these rows out.")
TOTAL = N_("This looks like a total and not like a signatory.")
UNKNOWN_VALUES = N_("Choose what these values mean.")
HIDDEN_ROWS = N_("Choose what to do with the rows that are hidden in the workbook.")
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
    sheet: int = 0  # index
    header: int | None = None  # its line, ``NO_HEADER``, or None: the first line
    values: Mapping[str, Sequence[str]] = field(default_factory=dict)  # index of a column → answers to its values
    hidden: bool | None = None  # read the rows that the workbook hides; None: not yet chosen
    same_names: bool = False  # add rows whose names were imported before
    use_mapping: bool = True  # that was kept for this header
    mailboxes: bool = False  # may rows with mailboxes be added? An owner who proved the second factor started it

    def as_json(self) -> dict[str, Any]:
        return {
            "columns": list(self.columns),
            "kind": self.kind,
            "visibility": self.visibility.value,
            "dates": self.dates and self.dates.value,
            "skip": self.skip,
            "sheet": self.sheet,
            "header": self.header,
            "values": {column: list(answers) for column, answers in self.values.items()},
            "hidden": self.hidden,
            "same_names": self.same_names,
            "use_mapping": self.use_mapping,
            "mailboxes": self.mailboxes,
        }

    @classmethod
    def of_json(cls, fields: Mapping[str, Any]) -> "Plan":
        order = DateOrder(fields["dates"]) if fields["dates"] else None
        return cls(
            columns=tuple(fields["columns"]),
            kind=fields["kind"],
            visibility=Visibility(fields["visibility"]),
            dates=order,
            skip=fields["skip"],
            # Plans of an earlier version have no more.
            sheet=fields.get("sheet", 0),
            header=fields.get("header"),
            values=fields.get("values", {}),
            hidden=fields.get("hidden"),
            same_names=fields.get("same_names", False),
            use_mapping=fields.get("use_mapping", True),
            mailboxes=fields.get("mailboxes", False),
        )


def parse_plan(form: Mapping[str, str], file: FileInfo, before: Plan) -> Plan:
    """Return the choice in a form for a file that was read as ``before`` says. Raises ``Refused``."""
    width, orders = len(file.header), file.orders
    columns = tuple(name if (name := form.get(f"c{index}", "")) in FIELDS else "" for index in range(width))
    kind = form.get("kind", "")
    order = DateOrder(form["dates"]) if form.get("dates") in set(DateOrder) else None
    plan = Plan(
        columns,
        kind if kind in KINDS else Kind.PERSON.value,
        Visibility(form["visibility"]) if form.get("visibility") in set(Visibility) else Visibility.ORGANIZERS,
        order,
        skip=form.get("skip") == "1",
        sheet=before.sheet,
        header=before.header,
        values=_answers(form, columns, file),
        hidden={"in": True, "out": False}.get(form.get("hidden", "")) if file.hidden_rows else None,
    )
    for name in FIELDS:
        if columns.count(name) > 1 and name not in _SEPARATORS:
            raise Refused(TWICE, f"c{width - 1 - columns[::-1].index(name)}")
    if not {"name", "first", "last", "organization", "name_ru"} & set(columns) and plan.visibility != "counted":
        raise Refused(NO_NAME, "c0")
    if order is None and "signed_at" in columns and orders[columns.index("signed_at")] is DateOrder.UNKNOWN:
        raise Refused(AMBIGUOUS, "dates")
    if file.hidden_rows and plan.hidden is None:
        raise Refused(HIDDEN_ROWS, "hidden")
    return plan


def _answers(form: Mapping[str, str], columns: Sequence[str], file: FileInfo) -> dict[str, list[str]]:
    """Return what the values of the columns with answers mean. Raises ``Refused`` for one that is not chosen."""
    answers = {}
    for name, allowed in ANSWERS.items():
        if name not in columns:
            continue
        index = columns.index(name)
        column = answers[str(index)] = list[str]()
        for number, (cell, _) in enumerate(file.values.get(str(index), ())):
            chosen = form.get(f"v{index}-{number}", "")
            answer = chosen if chosen in allowed else understood(name, cell, file.header[index])
            if answer is None:
                raise Refused(UNKNOWN_VALUES, f"v{index}-{number}")
            column.append(answer)
    return answers


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A row that is no signatory, or that the organizer leaves out. ``reason`` is a message for the catalogues."""

    line: int
    reason: str


class _LeaveOut(Exception):
    """The row is left out by a choice."""


@dataclass(slots=True)
class Mapper:
    """Turns the lines of one file into rows of an import."""

    plan: Plan
    orders: Sequence[DateOrder | None]
    now: datetime
    languages: tuple[str, ...]
    values: Values = field(default_factory=dict)
    is_csv: bool = True  # a row with more cells than columns has a delimiter too many
    _indexes: dict[str, list[int]] = field(default_factory=dict)  # of the columns of each field
    _answers: dict[str, dict[str, str]] = field(default_factory=dict)  # by field and value
    _visibility_title: str = ""  # yes below "Do not show it" is no
    _reading: RowContext = field(init=False)

    def __post_init__(self) -> None:
        self._reading = RowContext(self.now, self.languages)
        for index, name in enumerate(self.plan.columns):
            if name:
                self._indexes.setdefault(name, []).append(index)
            if name in ANSWERS:
                cells = (value_of(cell) for cell, _ in self.values.get(str(index), ()))
                self._answers[name] = dict(zip(cells, self.plan.values.get(str(index), ()), strict=False))

    def rows(
        self, lines: Iterator[Line], plain: Callable[[int, Sequence[str] | str], Plain | None] | None = None
    ) -> Iterator[Row | Problem | LeftOut | Plain]:
        """Yield each row below the header, its problem, or that it is left out; rows with all chosen columns empty are
        skipped. What ``plain`` returns of a row, if it does, is yielded in its place."""
        header = self._skip_to_header(lines)
        titles = (header[index] for index in self._indexes.get("visibility", ()) if index < len(header))
        self._visibility_title = " ".join(titles)
        for number, line in lines:
            try:
                if header and line == header:
                    yield LeftOut(number, HEADER_AGAIN)
                    continue
                if plain is not None and (read := plain(number, line)) is not None:
                    yield read
                    continue
                cells = csv_format.clean_cells(line, len(self.plan.columns) if self.is_csv else MAX_CELLS)
                if is_total(cells):
                    yield LeftOut(number, TOTAL)
                    continue
                fields = {name: self._join(name, cells) for name in self._indexes}
                if any(fields.values()):
                    self._reading.take_notes()
                    entry = csv_format.entry_of(self._table(fields), self._reading)
                    yield Row(number, entry, self._reading.take_notes())
            except _LeaveOut:
                yield LeftOut(number, LEFT_OUT)
            except BadRow as error:
                yield Problem(number, error.reason, error.column)

    def _skip_to_header(self, lines: Iterator[Line]) -> Sequence[str]:
        """Read up to the header and return it; nothing is read if there is none."""
        if self.plan.header == NO_HEADER:
            return ()
        for number, line in lines:
            if self.plan.header is None or number >= self.plan.header:
                return line
        return ()

    def _join(self, name: str, cells: Sequence[str]) -> str:
        indexes = self._indexes[name]
        if len(indexes) == 1:
            return cells[indexes[0]] if indexes[0] < len(cells) else ""
        parts = (cells[index] for index in indexes if index < len(cells))
        return _SEPARATORS.get(name, " ").join(
            part for part in parts if part and not is_placeholder(part, is_code=True)
        )

    def _table(self, fields: Mapping[str, str]) -> dict[str, str]:
        """Return the cells by column of ``csv_format``."""
        table = dict.fromkeys(COLUMNS, "")
        table |= {name: fields[name] for name in ("email", "affiliation", "city", "country") if name in fields}
        kind = table["kind"] = self._kind(fields)
        name = fields.get("name") or _full_name(fields.get("first", ""), fields.get("last", ""))
        if kind == Kind.ORGANIZATION:
            table["name"] = fields.get("organization") or name
            table["name_ru"] = fields.get("name_ru", "")
        else:
            table["name"] = name
            table["affiliation"] = table["affiliation"] or fields.get("organization", "")
        table["visibility"] = self._visibility(fields, kind)
        table["signed_at"] = self.moment(fields.get("signed_at", ""), self._reading)
        return table

    def _kind(self, fields: Mapping[str, str]) -> str:
        if fields.get("kind") and (answer := self._answer("kind", fields["kind"], NO_KIND)):
            return answer
        if self.plan.kind != BY_COLUMN:
            return self.plan.kind
        names = (fields.get("organization", ""), fields.get("name_ru", ""))
        is_named = any(name and not is_placeholder(name, is_code=True) for name in names)
        return (Kind.ORGANIZATION if is_named else Kind.PERSON).value

    def _visibility(self, fields: Mapping[str, str], kind: str) -> str:
        if fields.get("visibility") and (answer := self._answer("visibility", fields["visibility"], NO_VISIBILITY)):
            return answer
        return (Visibility.PUBLIC if kind == Kind.ORGANIZATION else self.plan.visibility).value

    def _answer(self, name: str, cell: str, reason: str) -> str:
        """Return what a cell means; "" if it is empty. Raises ``BadRow``, ``_LeaveOut``."""
        value = value_of(cell)
        answer = self._answers.get(name, {}).get(value)
        if answer is None:
            answer = understood(name, cell, self._visibility_title)
        if answer is None:
            raise BadRow(reason, name)
        if answer == LEAVE_OUT:
            raise _LeaveOut
        return answer

    def visibility_of(self, cell: str) -> str | None:
        """Return who sees the name of a person with this clean cell; None if the row is none, or left out."""
        try:
            return self._visibility({"visibility": cell}, Kind.PERSON)
        except (BadRow, _LeaveOut):
            return None

    def moment(self, cell: str, context: RowContext) -> str:
        """Return the time in a clean cell in ISO 8601; "", with a note, if it is none."""
        if not cell or is_placeholder(cell):
            return ""
        order = self.plan.dates or self.orders[self._indexes["signed_at"][0]] or DateOrder.ISO
        moment = dates.to_iso(cell, order)
        if moment is None:
            context.note("signed_at", dates.NO_DATE)
        return moment or ""


def _full_name(first: str, last: str) -> str:
    """Join a name; a mark in place of one of its parts is none, while Null is a surname."""
    parts = [part for part in (first, last) if part and not is_mark(part)]
    return " ".join(parts) or first or last
