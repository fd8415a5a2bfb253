"""What expat tells of the parts of a workbook (XLSX, ECMA-376), and what is kept of it."""

import posixpath
import re
from array import array
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from petition.core.errors import ImportRefused
from petition.core.i18n import N_

MAX_CELLS = 200  # of a row; more are not kept
MAX_ROWS = 1_048_576  # as below; that many of them can be numbered
MAX_CELL = 32_767  # characters; Microsoft, "Excel specifications and limits"
_MAX_STRINGS = 10_000_000  # shared ones; so many cells there can be

NOT_A_WORKBOOK = N_("This is not an XLSX workbook, or it is damaged.")
TOO_LARGE = N_("This workbook is too large once unpacked.")
HOSTILE = N_("This workbook contains something that no spreadsheet program writes.")

_BUILT_IN_DATES = {*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)}  # ECMA-376-1, 18.8.30
_DATE_LETTER = re.compile(r"[ymdhs]", re.IGNORECASE)
_NOT_FORMAT = re.compile(r'"[^"]*"|\[(?![hms]+\])[^\]]*\]|\\.|_.')  # texts, colours, languages, escaped characters


def local(tag: str) -> str:
    """Return a name without its namespace, as expat parts them."""
    return tag.rpartition(" ")[2]


class Handler:
    """What expat tells of one part."""

    def start(self, tag: str, given: dict[str, str]) -> None:
        """An element begins."""

    def end(self, tag: str) -> None:
        """An element ends."""

    def text(self, data: str) -> None:
        """There is text."""


class Relations(Handler):
    """Which parts belong to a part."""

    def __init__(self, base: str) -> None:
        self._base = base
        self.found: list[dict[str, str]] = []

    def start(self, tag: str, given: dict[str, str]) -> None:
        if tag == "Relationship" and {"Id", "Type", "Target"} <= given.keys():
            target = given["Target"]
            place = target.lstrip("/") if target.startswith("/") else posixpath.normpath(self._base + target)
            self.found.append({"Id": given["Id"], "Type": given["Type"], "Target": place})


class BookPart(Handler):
    """The visible sheets of a workbook, and from when on it counts days."""

    def __init__(self) -> None:
        self.sheets: list[str] = []
        self.is_1904 = False

    def start(self, tag: str, given: dict[str, str]) -> None:
        if tag == "workbookPr":
            self.is_1904 = given.get("date1904") in {"1", "true"}
        elif tag == "sheet" and given.get("state", "visible") == "visible":
            self.sheets += [value for key, value in given.items() if local(key) == "id" and key != "id"]


class Styles(Handler):
    """How numbers are shown."""

    def __init__(self) -> None:
        self._formats: dict[int, str] = {}
        self._of_cells: list[int] = []
        self._inside = False

    def start(self, tag: str, given: dict[str, str]) -> None:
        if tag == "numFmt":
            self._formats[int(given.get("numFmtId", "0"))] = given.get("formatCode", "")
        elif tag == "cellXfs":
            self._inside = True
        elif tag == "xf" and self._inside:
            self._of_cells.append(int(given.get("numFmtId", "0")))

    def end(self, tag: str) -> None:
        if tag == "cellXfs":
            self._inside = False

    def dates(self) -> set[int]:
        """Return the styles that show a number as a date or a time."""
        own = {number for number, code in self._formats.items() if _DATE_LETTER.search(_NOT_FORMAT.sub("", code[:255]))}
        return {place for place, number in enumerate(self._of_cells) if number in own | _BUILT_IN_DATES}


class Texts(Handler):
    """What is written in cells: gathered piece by piece, never more of it than a cell may hold."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._size = 0
        self._inside = self._phonetic = False

    def text(self, data: str) -> None:
        if self._inside:
            self._size += len(data)
            if self._size > 4 * MAX_CELL:
                raise ImportRefused(HOSTILE)
            self._parts.append(data)


class Strings(Texts):
    """The shared strings, end to end in one piece of memory: as objects they would take three times as much."""

    def __init__(self) -> None:
        super().__init__()
        self._bytes = bytearray()
        self._ends = array("L", [0])

    def start(self, tag: str, given: dict[str, str]) -> None:
        self._inside = tag == "t" and not self._phonetic
        self._phonetic = self._phonetic or tag == "rPh"

    def end(self, tag: str) -> None:
        self._inside = False
        if tag == "rPh":
            self._phonetic = False
        elif tag == "si":
            self._bytes += "".join(self._parts)[:MAX_CELL].encode()
            self._ends.append(len(self._bytes))
            self._parts.clear()
            self._size = 0
            if len(self._ends) > _MAX_STRINGS:
                raise ImportRefused(TOO_LARGE)

    def get(self, place: int) -> str:
        """Return one. Raises ``ImportRefused`` if there is none."""
        if not 0 <= place < len(self._ends) - 1:
            raise ImportRefused(NOT_A_WORKBOOK)
        return self._bytes[self._ends[place] : self._ends[place + 1]].decode()


class Sheet(Texts):
    """One sheet, a row at a time."""

    def __init__(self, strings: Strings, dates: set[int], is_1904: bool) -> None:
        super().__init__()
        self._strings = strings
        self._dates = dates
        self._epoch = datetime(1904, 1, 1) if is_1904 else datetime(1899, 12, 30)  # noqa: DTZ001 - a cell has no zone
        self._ready: list[tuple[int, list[str] | str]] = []
        self._number = 0
        self._row: list[str] = []
        self._place = -1  # of the cell, from 0 on
        self._cell: dict[str, Any] = {}

    def take(self) -> Iterator[tuple[int, list[str] | str]]:
        """Yield the rows that came since the last time."""
        ready, self._ready = self._ready, []
        yield from ready

    def start(self, tag: str, given: dict[str, str]) -> None:
        self._inside = tag in {"v", "t"} and not self._phonetic
        if tag == "row":
            self._number = self._next_number(int(given.get("r", self._number + 1)))
            self._row, self._place = [], -1
        elif tag == "c":
            self._cell = given
            self._place = _column(given["r"]) if "r" in given else self._place + 1
            self._parts, self._size = [], 0
        elif tag == "rPh":
            self._phonetic = True

    def end(self, tag: str) -> None:
        self._inside = False
        if tag == "rPh":
            self._phonetic = False
        elif tag == "c":
            self._keep()
        elif tag == "row":
            self._ready.append((self._number, self._row))

    def _next_number(self, number: int) -> int:
        """Return a row's number; by it the row is named, and told from all others."""
        if not self._number < number <= MAX_ROWS:
            raise ImportRefused(HOSTILE)
        return number

    def _keep(self) -> None:
        place = self._place
        if self._parts and len(self._row) <= place < MAX_CELLS:
            self._row += [""] * (place - len(self._row))
            self._row.append(self._value("".join(self._parts)))

    def _value(self, raw: str) -> str:
        kind = self._cell.get("t", "n")
        if kind == "s":
            return self._strings.get(int(raw))
        if kind == "e":  # "#REF!" is nobody's name
            return ""
        if kind == "b":
            return "TRUE" if raw.strip() == "1" else "FALSE"
        if kind != "n":
            return raw[:MAX_CELL]
        return self._number_as_text(raw.strip())

    def _number_as_text(self, raw: str) -> str:
        if int(self._cell.get("s", "0")) in self._dates:
            return self._date(float(raw))
        if not re.search("[.eE]", raw):
            return raw
        number = float(raw)
        return str(int(number)) if number.is_integer() and abs(number) < 1e15 else f"{number:.15g}"

    def _date(self, days: float) -> str:
        try:
            moment = self._epoch + timedelta(seconds=round(days * 86_400))
        except OverflowError:
            return f"{days:.15g}"
        return moment.date().isoformat() if days.is_integer() else moment.isoformat()


def _column(reference: str) -> int:
    """Return 0 for "A7", 27 for "AB1"."""
    found = 0
    for letter in reference[:4]:
        if not letter.isalpha():
            break
        found = found * 26 + ord(letter.upper()) - 64
    return found - 1
