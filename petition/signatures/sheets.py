"""The first sheet of a workbook (XLSX, ECMA-376), row by row, in bounded memory and with limits on everything.

A reader of our own: what is uploaded may be made to hurt, and the well-known libraries build a tree of each row however
long it is. Here expat is fed piece by piece; a document type (and with it every entity) is refused; the archive's size,
entries and ratio are looked at before anything is unpacked.
"""

import re
import struct
import zipfile
import zlib
from array import array
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, BinaryIO
from xml.parsers import expat

from petition.errors import ImportRefused
from petition.i18n import N_

MOST_UNPACKED = 256 * 1024 * 1024  # bytes of all that is in the archive
MOST_RATIO = 300  # to 1, of an entry of more than a megabyte; real sheets have up to 60
MOST_ENTRIES = 1000
MOST_SMALL = 8 * 1024 * 1024  # bytes of the parts that describe the book
MOST_CELLS = 200  # of a row; more are not kept
LONGEST_CELL = 32_767  # characters; Microsoft, "Excel specifications and limits"
_MOST_DEPTH = 32  # of elements in one another; a sheet has seven
_MOST_NAMES = 2000  # different ones, of elements and attributes, which the parser keeps; real books have two hundred
_MOST_WAITING = 256 * 1024  # bytes without an end of what began there: each piece has expat look at all of it again
_MOST_STRINGS = 10_000_000  # shared ones; so many cells there can be
_MOST_DIRECTORY = 256 * 1024  # bytes of the archive's own list
_PIECE = 64 * 1024

NOT_A_WORKBOOK = N_("This is not a workbook (XLSX), or it is damaged.")
LOCKED = N_("This workbook is locked with a password.")
TOO_LARGE = N_("What is packed into this workbook is too large to be read.")
HOSTILE = N_("There is something in this workbook that no spreadsheet program writes.")
NO_SHEET = N_("There is no sheet with cells in this workbook.")

_BUILT_IN_DATES = {*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)}  # ECMA-376-1, 18.8.30
_DATE_LETTER = re.compile(r"[ymdhs]", re.IGNORECASE)
_NOT_FORMAT = re.compile(r'"[^"]*"|\[(?![hms]+\])[^\]]*\]|\\.|_.')  # texts, colours, languages, escaped characters

_OLE = b"\xd0\xcf\x11\xe0"  # an old .xls, or a locked .xlsx


def is_workbook(source: BinaryIO) -> bool:
    """Tell whether a file begins as a workbook does, old or new; it is left where it was."""
    if not source.seekable():  # a pipe
        return False
    head = source.read(4)
    source.seek(-len(head), 1)
    return head in {b"PK\x03\x04", b"PK\x05\x06", _OLE}


def rows(source: BinaryIO) -> Iterator[tuple[int, list[str] | str]]:
    """Yield (number, cells) of each row of the first visible sheet; numbers are those the spreadsheet shows.

    Dates come as ISO 8601. Raises ``ImportRefused`` with a message for the catalogues.
    """
    book = _Book(source)
    yield from book.rows()


class _Book:
    def __init__(self, source: BinaryIO) -> None:
        _check_directory(source)
        try:
            self._zip = zipfile.ZipFile(source)
        except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError, struct.error) as error:
            raise ImportRefused(NOT_A_WORKBOOK) from error
        self._entries = {entry.filename.lstrip("/"): entry for entry in self._zip.infolist()}
        self._check_entries()
        self._sheet, strings, styles = self._parts()
        self._dates = self._date_styles(styles)
        self._strings = _Strings()
        if strings in self._entries:
            self._parse(strings, self._strings)

    def rows(self) -> Iterator[tuple[int, list[str] | str]]:
        sheet = _Sheet(self._strings, self._dates, self._is_1904)
        for _ in self._feed(self._sheet, sheet, MOST_UNPACKED):
            yield from sheet.take()
        yield from sheet.take()

    def _check_entries(self) -> None:
        if len(self._entries) > MOST_ENTRIES or sum(each.file_size for each in self._entries.values()) > MOST_UNPACKED:
            raise ImportRefused(TOO_LARGE)
        for each in self._entries.values():
            if each.file_size > 1024 * 1024 and each.file_size > MOST_RATIO * max(each.compress_size, 1):
                raise ImportRefused(TOO_LARGE)
            if each.flag_bits & 1:
                raise ImportRefused(LOCKED)

    def _parts(self) -> tuple[str, str, str]:
        """Return where the first visible sheet is, the shared strings, the styles."""
        book = _Workbook()
        self._parse(
            _target(self._relations("_rels/.rels", ""), "officeDocument") or "xl/workbook.xml", book, small=True
        )
        self._is_1904 = book.is_1904
        relations = self._relations("xl/_rels/workbook.xml.rels", "xl/")
        by_id = {each["Id"]: each["Target"] for each in relations}
        places = [by_id[each] for each in book.sheets if by_id.get(each) in self._entries]
        if not places:
            raise ImportRefused(NO_SHEET)
        strings = _target(relations, "sharedStrings") or "xl/sharedStrings.xml"
        return places[0], strings, _target(relations, "styles") or "xl/styles.xml"

    def _relations(self, name: str, base: str) -> list[dict[str, str]]:
        found = _Relations(base)
        if name in self._entries:
            self._parse(name, found, small=True)
        return found.found

    def _date_styles(self, name: str) -> set[int]:
        styles = _Styles()
        if name in self._entries:
            self._parse(name, styles, small=True)
        return styles.dates()

    def _parse(self, name: str, handler: "_Handler", *, small: bool = False) -> None:
        for _ in self._feed(name, handler, MOST_SMALL if small else MOST_UNPACKED):
            pass

    def _feed(self, name: str, handler: "_Handler", most: int) -> Iterator[None]:
        """Parse an entry; come back after each piece of it."""
        parser = _parser(handler)
        size = 0
        try:
            with self._zip.open(self._entries[name]) as entry:
                while piece := entry.read(_PIECE):
                    size += len(piece)
                    if size > most:
                        raise ImportRefused(TOO_LARGE)
                    parser.Parse(piece)
                    if size - parser.CurrentByteIndex > _MOST_WAITING or len(parser.intern) > _MOST_NAMES:
                        raise ImportRefused(HOSTILE)
                    yield
                parser.Parse(b"", True)
        except LookupError:  # no such entry; an encoding that nobody knows
            raise ImportRefused(NOT_A_WORKBOOK) from None
        except (expat.ExpatError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError) as error:
            raise ImportRefused(NOT_A_WORKBOOK) from error
        except (RuntimeError, ValueError, UnicodeDecodeError) as error:  # a password; a reference that is none
            raise ImportRefused(NOT_A_WORKBOOK) from error


def _check_directory(source: BinaryIO) -> None:
    """Refuse an archive whose list of entries is itself a bomb, before the list is read.

    The end record is described in PKWARE's APPNOTE.TXT, 4.3.16.
    """
    source.seek(0)
    if source.read(4) == _OLE:
        raise ImportRefused(LOCKED)
    size = source.seek(0, 2)
    source.seek(max(0, size - 65_557))
    tail = source.read()
    place = tail.rfind(b"PK\x05\x06")
    if place < 0 or len(tail) - place < 22:
        raise ImportRefused(NOT_A_WORKBOOK)
    entries, directory = struct.unpack("<HI", tail[place + 10 : place + 16])
    if b"PK\x06\x07" in tail[max(0, place - 20) : place] or entries > MOST_ENTRIES or directory > _MOST_DIRECTORY:
        raise ImportRefused(TOO_LARGE)
    source.seek(0)


def _parser(handler: "_Handler") -> expat.XMLParserType:
    """Return a parser that tells ``handler`` what is there, and refuses what only costs memory."""
    parser = expat.ParserCreate(namespace_separator=" ")
    depth = 0

    def start(tag: str, given: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _MOST_DEPTH:
            raise ImportRefused(HOSTILE)
        handler.start(_local(tag), given)

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        handler.end(_local(tag))

    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = handler.text
    parser.StartDoctypeDeclHandler = _refuse
    return parser


def _refuse(*_: object) -> None:
    raise ImportRefused(HOSTILE)


def _local(tag: str) -> str:
    return tag.rpartition(" ")[2]


def _target(relations: list[dict[str, str]], kind: str) -> str | None:
    return next((each["Target"] for each in relations if each["Type"].endswith("/" + kind)), None)


class _Handler:
    """What expat tells of one part."""

    def start(self, tag: str, given: dict[str, str]) -> None:
        """An element begins."""

    def end(self, tag: str) -> None:
        """An element ends."""

    def text(self, data: str) -> None:
        """There is text."""


class _Relations(_Handler):
    def __init__(self, base: str) -> None:
        self._base = base
        self.found: list[dict[str, str]] = []

    def start(self, tag: str, given: dict[str, str]) -> None:
        if tag == "Relationship" and {"Id", "Type", "Target"} <= given.keys():
            target = given["Target"]
            place = target.lstrip("/") if target.startswith("/") else self._base + target
            self.found.append({"Id": given["Id"], "Type": given["Type"], "Target": place})


class _Workbook(_Handler):
    def __init__(self) -> None:
        self.sheets: list[str] = []
        self.is_1904 = False

    def start(self, tag: str, given: dict[str, str]) -> None:
        if tag == "workbookPr":
            self.is_1904 = given.get("date1904") in {"1", "true"}
        elif tag == "sheet" and given.get("state", "visible") == "visible":
            self.sheets += [value for key, value in given.items() if _local(key) == "id" and key != "id"]


class _Styles(_Handler):
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


class _Strings(_Handler):
    """The shared strings, end to end in one piece of memory: as objects they would take three times as much."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._ends = array("L", [0])
        self._parts: list[str] = []
        self._size = 0
        self._inside = self._phonetic = False

    def start(self, tag: str, given: dict[str, str]) -> None:
        self._inside = tag == "t" and not self._phonetic
        self._phonetic = self._phonetic or tag == "rPh"

    def end(self, tag: str) -> None:
        self._inside = False
        if tag == "rPh":
            self._phonetic = False
        elif tag == "si":
            self._bytes += "".join(self._parts)[:LONGEST_CELL].encode()
            self._ends.append(len(self._bytes))
            self._parts.clear()
            self._size = 0
            if len(self._ends) > _MOST_STRINGS:
                raise ImportRefused(TOO_LARGE)

    def text(self, data: str) -> None:
        if self._inside:
            self._size += len(data)
            if self._size > 4 * LONGEST_CELL:
                raise ImportRefused(HOSTILE)
            self._parts.append(data)

    def get(self, place: int) -> str:
        """Return one. Raises ``ImportRefused`` if there is none."""
        if not 0 <= place < len(self._ends) - 1:
            raise ImportRefused(NOT_A_WORKBOOK)
        return self._bytes[self._ends[place] : self._ends[place + 1]].decode()


class _Sheet(_Handler):
    def __init__(self, strings: _Strings, dates: set[int], is_1904: bool) -> None:
        self._strings = strings
        self._dates = dates
        self._epoch = datetime(1904, 1, 1) if is_1904 else datetime(1899, 12, 30)  # noqa: DTZ001 - a cell has no zone
        self._ready: list[tuple[int, list[str] | str]] = []
        self._number = 0
        self._row: list[str] = []
        self._place = -1  # of the cell, from 0 on
        self._cell: dict[str, Any] = {}
        self._parts: list[str] = []
        self._size = 0
        self._inside = self._phonetic = False

    def take(self) -> Iterator[tuple[int, list[str] | str]]:
        """Yield the rows that came since the last time."""
        ready, self._ready = self._ready, []
        yield from ready

    def start(self, tag: str, given: dict[str, str]) -> None:
        self._inside = tag in {"v", "t"} and not self._phonetic
        if tag == "row":
            self._number = int(given.get("r", self._number + 1))
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

    def text(self, data: str) -> None:
        if self._inside:
            self._size += len(data)
            if self._size > 4 * LONGEST_CELL:
                raise ImportRefused(HOSTILE)
            self._parts.append(data)

    def _keep(self) -> None:
        place = self._place
        if self._parts and len(self._row) <= place < MOST_CELLS:
            self._row += [""] * (place - len(self._row))
            self._row.append(self._value("".join(self._parts)))

    def _value(self, raw: str) -> str:
        kind = self._cell.get("t", "n")
        if kind == "s":
            return self._strings.get(int(raw))
        if kind == "b":
            return "TRUE" if raw.strip() == "1" else "FALSE"
        if kind != "n":
            return raw[:LONGEST_CELL]
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
