"""Signatories as CSV: UTF-8, commas, a header row, one signatory a row (the columns are in ``COLUMNS``).

A file is read row by row and never as a whole. Export, import and export again yield the same file.
"""

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import BytesIO
from typing import BinaryIO

from petition.core import email_addresses
from petition.core.email_addresses import BadAddress
from petition.core.errors import ImportRefused
from petition.core.i18n import N_
from petition.formats.cells import clean_cell, is_placeholder
from petition.formats.csv_rows import rows
from petition.signatures import countries, names
from petition.signatures.model import Kind, Visibility

COLUMNS = ("kind", "name", "name_ru", "email", "affiliation", "city", "country", "signed_at", "visibility")

MAX_COUNTRIES = 10_000  # spellings cached while a file is read

NOT_UTF8 = N_("This contains bytes that are no text.")
NULL = N_("This row contains a null character.")
TOO_MANY_CELLS = N_("This row has more cells than the header.")
MISSING = N_("This is empty.")
NO_KIND = N_("This must be person or organization.")
NO_VISIBILITY = N_("This must be public, organizers or counted.")
COUNTED_ORGANIZATION = N_("An organization cannot be counted without its name.")
FOR_ORGANIZATIONS = N_("Only an organization has this. A person’s name goes in the column name.")
NO_TIME = N_("This must be a date, or a date and time, like 2022-03-05 or 2022-03-05T12:00:00Z.")
FUTURE = N_("This is in the future.")
NOT_A_NAME = N_("This stands for an empty cell and is no name.")
NO_ADDRESS = N_("This is not an e-mail address.")
SEVERAL_ADDRESSES = N_("There are several addresses here; the first one is used.")
NO_COUNTRY = N_("We do not know this country.")


@dataclass(frozen=True, slots=True)
class Entry:
    """One signatory. A person has ``name``, unless only counted; an organization ``name_en`` or ``name_ru`` or both."""

    kind: Kind
    visibility: Visibility
    name: str | None = None
    name_en: str | None = None
    name_ru: str | None = None
    email: str | None = None
    affiliation: str | None = None
    city: str | None = None
    country: str | None = None  # ISO 3166-1 alpha-2
    signed_at: datetime | None = None  # UTC


@dataclass(frozen=True, slots=True)
class CellNote:
    """An optional cell that could not be read, and was left out or put right. ``reason`` is for the catalogues."""

    column: str
    reason: str


@dataclass(frozen=True, slots=True)
class Row:
    """A valid row. ``line`` is the line of the file, from 1 on, where it starts."""

    line: int
    entry: Entry
    notes: tuple[CellNote, ...] = ()


@dataclass(frozen=True, slots=True)
class Problem:
    """An invalid row. ``reason`` is a message for the catalogues, about the whole row if there is no ``column``."""

    line: int
    reason: str
    column: str = ""

    def __str__(self) -> str:
        return f"line {self.line}: {self.column + ': ' if self.column else ''}{self.reason}"


def read(
    source: BinaryIO | bytes, now: datetime, languages: tuple[str, ...] = countries.DEFAULT_LANGUAGES
) -> Iterator[Row | Problem]:
    """Yield each row in order, or its problem; empty rows are skipped.

    ``now`` is an aware time: no row may have been signed later. Country names are known in ``languages``. Raises
    ``ImportRefused`` if the header is invalid.
    """
    yield from parse_rows(rows(BytesIO(source) if isinstance(source, bytes) else source), now, languages)


def parse_rows(
    lines: Iterator[tuple[int, list[str] | str]], now: datetime, languages: tuple[str, ...]
) -> Iterator[Row | Problem]:
    """Do the same with lines that are split into cells, the header first."""
    columns, context = _header(next(lines, None)), RowContext(now, languages)
    for number, cells in lines:
        try:
            table = dict.fromkeys(COLUMNS, "") | dict(zip(columns, clean_cells(cells, len(columns)), strict=False))
            if any(table.values()):
                entry = entry_of(table, context)
                yield Row(number, entry, context.take_notes())
        except BadRow as error:
            context.take_notes()
            yield Problem(number, error.reason, error.column)


class BadRow(Exception):
    """A row is invalid. ``reason`` is a message for the catalogues."""

    def __init__(self, reason: str, column: str = "") -> None:
        self.reason = reason
        self.column = column


def _header(row: tuple[int, list[str] | str] | None) -> list[str]:
    if row is None:
        raise ImportRefused("the file is empty")
    if isinstance(row[1], str):
        raise ImportRefused(f"the header cannot be read: {row[1]}")
    columns = [cell.strip().casefold() for cell in row[1]]
    while columns and not columns[-1]:
        columns.pop()
    known = f"the columns are {', '.join(COLUMNS)}"
    if len(columns) == 1 and re.search(r"[;\t]", columns[0]):
        raise ImportRefused(f"cells must be separated by commas; {known}")
    for column in columns:
        if column not in COLUMNS:
            raise ImportRefused(f"there is no column {column!a}; {known}")
        if columns.count(column) > 1:
            raise ImportRefused(f"the column {column} appears twice")
    if "kind" not in columns:
        raise ImportRefused(f"the column kind is missing; {known}")
    return columns


def clean_cells(cells: list[str] | str, width: int) -> list[str]:
    """Return a row's cells without line breaks, double spaces and guards. Raises ``BadRow``.

    ``width`` is the maximum number of cells.
    """
    if isinstance(cells, str):
        raise BadRow(cells)
    if "\0" in "".join(cells):
        raise BadRow(NULL)
    if any(cells[width:]):
        raise BadRow(TOO_MANY_CELLS)
    return [names.clean(clean_cell(cell)) if cell else "" for cell in cells]


@dataclass(slots=True)
class RowContext:
    """What the rows of one file have in common, and a cache of domains and countries: most of them recur."""

    now: datetime  # aware; no row may have been signed later
    languages: tuple[str, ...]  # of country names
    domains: email_addresses.Domains = field(default_factory=email_addresses.Domains)
    countries: dict[str, str | None] = field(default_factory=dict)
    notes: list[CellNote] = field(default_factory=list)  # of the row that is being read

    def note(self, column: str, reason: str) -> None:
        self.notes.append(CellNote(column, reason))

    def take_notes(self) -> tuple[CellNote, ...]:
        """Return the notes of the row that was read, and begin the next."""
        if not self.notes:
            return ()
        notes = tuple(self.notes)
        self.notes.clear()
        return notes

    def country(self, cell: str) -> str | None:
        """Return a country's code; None if the name is unknown."""
        if cell not in self.countries:
            if len(self.countries) > MAX_COUNTRIES:
                self.countries.clear()
            self.countries[cell] = countries.match(cell, self.languages)
        return self.countries[cell]


def entry_of(cells: Mapping[str, str], context: RowContext) -> Entry:
    """Return the signatory of one row, its cells by column (all of ``COLUMNS``). Raises ``BadRow``.

    What is optional and cannot be read is left out, with a note in ``context``.
    """
    kind = _kind(cells["kind"])
    visibility = _visibility(cells["visibility"], kind)
    counted = visibility is Visibility.COUNTED
    name, english, russian = _names(cells, kind, counted)
    return Entry(
        kind=kind,
        visibility=visibility,
        name=name,
        name_en=english,
        name_ru=russian,
        email=_email(cells["email"], context),
        # Nothing that identifies the person is stored for "counted".
        affiliation=None if counted else detail_of(cells["affiliation"], "affiliation", context),
        city=None if counted else detail_of(cells["city"], "city", context),
        country=country_of(cells["country"], context),
        signed_at=moment_of(cells["signed_at"], context),
    )


def _kind(cell: str) -> Kind:
    try:
        return Kind(cell.casefold())
    except ValueError:
        raise BadRow(NO_KIND if cell else MISSING, "kind") from None


def _visibility(cell: str, kind: Kind) -> Visibility:
    if not cell:
        # These people were not asked, while an organization signs to be seen.
        return Visibility.ORGANIZERS if kind is Kind.PERSON else Visibility.PUBLIC
    try:
        visibility = Visibility(cell.casefold())
    except ValueError:
        raise BadRow(NO_VISIBILITY, "visibility") from None
    if kind is Kind.ORGANIZATION and visibility is Visibility.COUNTED:
        raise BadRow(COUNTED_ORGANIZATION, "visibility")
    return visibility


def _names(cells: Mapping[str, str], kind: Kind, counted: bool) -> tuple[str | None, str | None, str | None]:
    """Return (a person's name, an organization's English one, its Russian one)."""
    if kind is Kind.ORGANIZATION:
        return None, *_organizations_names(cells)
    if cells["name_ru"]:
        raise BadRow(FOR_ORGANIZATIONS, "name_ru")
    if counted:
        return None, None, None
    if not cells["name"]:
        raise BadRow(MISSING, "name")
    _check_name(cells["name"], "name")
    _check(names.problem_of_person(cells["name"]), "name")
    return cells["name"], None, None


def _organizations_names(cells: Mapping[str, str]) -> tuple[str | None, str | None]:
    english: str | None = cells["name"]
    russian: str | None = cells["name_ru"]
    if english and russian:
        columns = "name", "name_ru"
    elif english or russian:
        columns = ("name", "name") if english else ("name_ru", "name_ru")
        english, russian = names.split_names(english or russian or "")
    else:
        raise BadRow(MISSING, "name")
    for name, column in zip((english, russian), columns, strict=True):
        if name is not None:
            _check_name(name, column)
            _check(names.problem_of_organization(name), column)
    return english, russian


def _check(problem: str | None, column: str) -> None:
    if problem is not None:
        raise BadRow(problem, column)


def _check_name(name: str, column: str) -> None:
    """Refuse what no name is: a mark in place of one, and bytes that are no text."""
    if "\ufffd" in name:
        raise BadRow(NOT_UTF8, column)
    if is_placeholder(name, is_code=True):
        raise BadRow(NOT_A_NAME, column)


def detail_of(text: str, column: str, context: RowContext) -> str | None:
    """Return a clean affiliation or city; None, with a note, if it is none."""
    if not text or is_placeholder(text):
        return None
    problem = NOT_UTF8 if "\ufffd" in text else names.problem_of_detail(text)
    if problem is None:
        return text
    context.note(column, problem)
    return None


# Of "Name <a@b>", "mailto:a@b?subject=…", "a@b; c@d".
_ADDRESS = re.compile(r"[^\s<>()\[\]\"'«»,;:|/\\@]+@[^\s<>()\[\]\"'«»,;:|/\\@?]+")


def _email(cell: str, context: RowContext) -> str | None:
    if not cell:
        return None
    try:
        return context.domains.parse(cell).address
    except BadAddress:
        return None if is_placeholder(cell) else _email_among(cell, context)


def _email_among(cell: str, context: RowContext) -> str | None:
    """Return the first address in a cell with other text."""
    usable = []
    for match in _ADDRESS.finditer(cell) if "@@" not in cell else ():
        with contextlib.suppress(BadAddress):
            usable.append(context.domains.parse(match[0].strip(".!*")).address)
    if len(usable) != 1:
        context.note("email", SEVERAL_ADDRESSES if usable else NO_ADDRESS)
    return usable[0] if usable else None


def country_of(cell: str, context: RowContext) -> str | None:
    """Return the code of the country in a clean cell; None, with a note, if it is unknown."""
    if not cell or (code := context.country(cell)):
        return code if cell else None
    if not is_placeholder(cell, is_code=True):
        context.note("country", NO_COUNTRY)
    return None


def moment_of(cell: str, context: RowContext) -> datetime | None:
    """Return a time in ISO 8601, in UTC; None, with a note, if it is none or not yet."""
    if not cell or is_placeholder(cell):
        return None
    try:
        moment = datetime.fromisoformat(cell)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        context.note("signed_at", NO_TIME)
        return None
    if moment > context.now:
        context.note("signed_at", FUTURE)
        return None
    return moment


def name_cells(name_en: str | None, name_ru: str | None) -> tuple[str | None, str | None]:
    """Return the cells ``name`` and ``name_ru``; a single name goes where reading it back would put it."""
    if name_en and name_ru:
        return name_en, name_ru
    return names.split_names(name_en or name_ru or "")
