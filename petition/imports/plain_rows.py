"""Rows that need no care, straight from their cells to what is staged.

A list of people has thousands of them: a name of letters, a usual address, and cells that other rows have as well. What
comes out is what the careful way makes of the row (``Mapper``, ``csv_format``), in a tenth of the time; a row that is
in any way unusual is left to it.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence

from petition.core.email_addresses import Domains
from petition.formats.cells import PLACEHOLDERS
from petition.formats.tables import Line
from petition.imports.column_mapping import LeftOut, Mapper
from petition.imports.staged_rows import NULL, as_text
from petition.imports.totals import may_be_total
from petition.signatures import csv_format
from petition.signatures.csv_format import BadRow, Problem, Row, RowContext
from petition.signatures.model import Kind, Visibility

MAX_REMEMBERED = 10_000  # cells of one column
MAX_NAME = 100  # characters; words of longer names are cut in the search
_NAME = re.compile("[A-Za-zА-яЁё]+(?:[ -][A-Za-zА-яЁё]+)*")
_TIME = re.compile(r"(.*?\d:\d\d:)([0-5]\d)(\D.*)?")
_SECONDS = slice(17, 19)  # of a time in ISO 8601

Cell = tuple[str | None, str, str]  # the value, as JSON, as COPY reads it
EMPTY: Cell = (None, "null", NULL)
# In this order.
CELLS = ("affiliation", "city", "country", "signed_at", "visibility")
# The line, the name, its search key, the canonical address ("" for none), the ``CELLS``.
PlainRow = tuple[int, str, str, str, Sequence[Cell]]


def mapped(mapper: Mapper, lines: Iterator[Line], rules_version: int) -> Iterator[Row | Problem | LeftOut | PlainRow]:
    """Return what ``mapper`` makes of the lines of a file, or the plain rows."""
    plain = PlainRows(mapper, rules_version)
    return mapper.rows(lines, plain.row if plain.is_possible else None)


class _Column(dict[str, "Cell | None"]):
    """The cells of one column, each read once; None is for one that needs care."""

    def __init__(self, read: Callable[[str], Cell | None]) -> None:
        super().__init__()
        self._read = read

    def __missing__(self, cell: str) -> Cell | None:
        if len(self) >= MAX_REMEMBERED:
            self.clear()
        self[cell] = value = self._read(cell)
        return value


class _Times(_Column):
    """The same for times: those of one minute differ by their seconds, which need not be read with care."""

    def __init__(self, read: Callable[[str], Cell | None]) -> None:
        super().__init__(read)
        self._minutes: dict[tuple[str, str], tuple[str, str] | None] = {}

    def __missing__(self, cell: str) -> Cell | None:
        match = _TIME.fullmatch(cell)
        if match is None:
            return super().__missing__(cell)
        minute = match[1], match[3] or ""
        if minute not in self._minutes:
            if len(self._minutes) >= MAX_REMEMBERED:
                self._minutes.clear()
            self._minutes[minute] = self._around_seconds(*minute)
        if (around := self._minutes[minute]) is None:
            return self._read(cell)
        moment = match[2].join(around)
        return moment, f'"{moment}"', moment

    def _around_seconds(self, before: str, behind: str) -> tuple[str, str] | None:
        """Return what stands around the seconds of each time of a minute, once read; None if the times need care."""
        first, last = self._read(f"{before}00{behind}"), self._read(f"{before}59{behind}")
        if not first or not last or not first[0] or not last[0]:
            return None
        moment = first[0]
        around = moment[: _SECONDS.start], moment[_SECONDS.stop :]
        return around if "00".join(around) == moment and "59".join(around) == last[0] else None


class PlainRows:
    """Reads the plain rows of one file. ``is_possible`` tells whether it can have any."""

    def __init__(self, mapper: Mapper, rules_version: int) -> None:
        self._mapper = mapper
        self._rules_version = rules_version
        self._domains = Domains()
        columns = mapper.plan.columns
        self._width = len(columns)
        at = {name: index for index, name in enumerate(columns) if name}
        used = [name for name in columns if name]
        self._has_others = len(used) < self._width
        self._names = [at[name] for name in ("name", "first", "last") if name in at]
        self._email = at.get("email")
        readers: Sequence[_Column] = (
            _Column(self._detail("affiliation")),
            _Column(self._detail("city")),
            _Column(self._country),
            _Times(self._moment),
            _Column(self._visibility),
        )
        self._columns = [
            (number, at[name], column)
            for number, (name, column) in enumerate(zip(CELLS, readers, strict=True))
            if name in at
        ]
        default = self._visible(mapper.plan.visibility.value)
        self._empty = [EMPTY, EMPTY, EMPTY, EMPTY, default or EMPTY]
        self.is_possible = (
            len(used) == len(at)
            and at.keys() <= {"name", "first", "last", "email", *CELLS}
            and mapper.plan.kind == Kind.PERSON
            and len(self._names) == (1 if "name" in at else 2)
            and (default is not None or "visibility" in at)
        )

    def row(self, line: int, cells: Sequence[str] | str) -> PlainRow | None:
        """Return a row, or None if it needs care."""
        if not isinstance(cells, list) or len(cells) > self._width:
            return None
        if len(cells) < self._width:
            cells = cells + [""] * (self._width - len(cells))
        names = self._names
        name = cells[names[0]] if len(names) == 1 else f"{cells[names[0]]} {cells[names[1]]}"
        if len(name) > MAX_NAME or not _NAME.fullmatch(name):
            return None
        lower = name.lower()
        if lower in PLACEHOLDERS or (self._has_others and "\0" in "".join(cells)):
            return None
        address: str | None = cells[self._email] if self._email is not None else ""
        if address:
            address = self._domains.canonical(address, self._rules_version)
        if address is None or (not address and may_be_total(name)):
            return None
        values = self._empty.copy()
        for number, at, column in self._columns:
            value = column[cells[at]]
            if value is None:
                return None
            values[number] = value
        return line, name, lower.replace("ё", "е").replace("-", " "), address, values

    def _careful(self, cell: str, read: Callable[[str, RowContext], str | None]) -> Cell | None:
        """Return what the careful way makes of a cell; None if it has something to say about it."""
        context = RowContext(self._mapper.now, self._mapper.languages)
        try:
            value = read(csv_format.clean_cells([cell], 1)[0], context)
        except BadRow:
            return None
        return None if context.notes else (value, json.dumps(value, ensure_ascii=False), as_text(value))

    def _detail(self, column: str) -> Callable[[str], Cell | None]:
        return lambda cell: self._careful(cell, lambda text, context: csv_format.detail_of(text, column, context))

    def _country(self, cell: str) -> Cell | None:
        return self._careful(cell, csv_format.country_of)

    def _moment(self, cell: str) -> Cell | None:
        def read(text: str, context: RowContext) -> str | None:
            moment = csv_format.moment_of(self._mapper.moment(text, context), context)
            return moment.isoformat() if moment else None

        return self._careful(cell, read)

    def _visibility(self, cell: str) -> Cell | None:
        read = self._careful(cell, lambda text, _: self._mapper.visibility_of(text))
        return self._visible(read[0]) if read and read[0] else None

    def _visible(self, visibility: str | None) -> Cell | None:
        """Return a visibility; of the rows that are only counted there is more to leave out."""
        return (visibility, "", visibility) if visibility and visibility != Visibility.COUNTED else None
