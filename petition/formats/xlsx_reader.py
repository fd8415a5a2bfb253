"""The first sheet of a workbook (XLSX, ECMA-376), row by row, in bounded memory and with limits on everything.

A reader of our own: what is uploaded may be made to hurt, and the well-known libraries build a tree of each row however
long it is. Here expat is fed piece by piece; a document type (and with it every entity) is refused; the archive's size,
entries and ratio are looked at before anything is unpacked.
"""

import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import BinaryIO
from xml.parsers import expat

from petition.core.errors import ImportRefused
from petition.core.i18n import N_
from petition.formats.xlsx_parser import (
    HOSTILE,
    MAX_CELL,
    MAX_CELLS,
    NOT_A_WORKBOOK,
    TOO_LARGE,
    BookPart,
    Handler,
    Relations,
    Sheet,
    Strings,
    Styles,
    local,
)

__all__ = ["HOSTILE", "MAX_CELL", "MAX_CELLS", "NOT_A_WORKBOOK", "TOO_LARGE", "count", "is_workbook", "rows"]

MAX_UNPACKED = 256 * 1024 * 1024  # bytes of all that is in the archive
MAX_RATIO = 300  # to 1, of an entry of more than a megabyte; real sheets have up to 60
MAX_ENTRIES = 1000
MAX_SMALL = 8 * 1024 * 1024  # bytes of the parts that describe the book
_MAX_DEPTH = 32  # of elements in one another; a sheet has seven
_MAX_NAMES = 2000  # different ones, of elements and attributes, which the parser keeps; real books have two hundred
_MAX_WAITING = 256 * 1024  # bytes without an end of what began there: each piece has expat look at all of it again
_MAX_DIRECTORY = 256 * 1024  # bytes of the archive's own list
_PIECE = 64 * 1024

LOCKED = N_("This workbook is protected by a password.")
OLD = N_("This is an old XLS file. Open it in a spreadsheet program and save it as XLSX or CSV.")
NO_SHEET = N_("This workbook has no sheet with data.")


_OLE = b"\xd0\xcf\x11\xe0"  # an old .xls, or a locked .xlsx
_IS_LOCKED = "EncryptedPackage".encode("utf-16-le")  # MS-OFFCRYPTO, 2.3.4.4


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


def count(source: BinaryIO) -> int:
    """Return how many sheets can be seen in a workbook. Raises ``ImportRefused``."""
    return len(_Book(source).sheets)


class _Book:
    def __init__(self, source: BinaryIO) -> None:
        _check_directory(source)
        try:
            self._zip = zipfile.ZipFile(source)
        except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError, struct.error) as error:
            raise ImportRefused(NOT_A_WORKBOOK) from error
        # Some programs write the names as they are on Windows.
        self._entries = {each.filename.replace("\\", "/").lstrip("/"): each for each in self._zip.infolist()}
        self._check_entries()
        self.sheets, self._strings_at, self._styles_at = self._parts()

    def rows(self) -> Iterator[tuple[int, list[str] | str]]:
        strings = Strings()
        if self._strings_at in self._entries:
            self._parse(self._strings_at, strings)
        sheet = Sheet(strings, self._date_styles(self._styles_at), self._is_1904)
        for _ in self._feed(self.sheets[0], sheet, MAX_UNPACKED):
            yield from sheet.take()
        yield from sheet.take()

    def _check_entries(self) -> None:
        if len(self._entries) > MAX_ENTRIES or sum(each.file_size for each in self._entries.values()) > MAX_UNPACKED:
            raise ImportRefused(TOO_LARGE)
        for each in self._entries.values():
            if each.file_size > 1024 * 1024 and each.file_size > MAX_RATIO * max(each.compress_size, 1):
                raise ImportRefused(TOO_LARGE)
            if each.flag_bits & 1:
                raise ImportRefused(LOCKED)

    def _parts(self) -> tuple[list[str], str, str]:
        """Return where the visible sheets are, the shared strings, the styles."""
        book = BookPart()
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
        return places, strings, _target(relations, "styles") or "xl/styles.xml"

    def _relations(self, name: str, base: str) -> list[dict[str, str]]:
        found = Relations(base)
        if name in self._entries:
            self._parse(name, found, small=True)
        return found.found

    def _date_styles(self, name: str) -> set[int]:
        styles = Styles()
        if name in self._entries:
            self._parse(name, styles, small=True)
        return styles.dates()

    def _parse(self, name: str, handler: "Handler", *, small: bool = False) -> None:
        for _ in self._feed(name, handler, MAX_SMALL if small else MAX_UNPACKED):
            pass

    def _feed(self, name: str, handler: "Handler", most: int) -> Iterator[None]:
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
                    if size - parser.CurrentByteIndex > _MAX_WAITING or len(parser.intern) > _MAX_NAMES:
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
        raise ImportRefused(LOCKED if _has(source, _IS_LOCKED) else OLD)
    size = source.seek(0, 2)
    source.seek(max(0, size - 65_557))
    tail = source.read()
    place = tail.rfind(b"PK\x05\x06")
    if place < 0 or len(tail) - place < 22:
        raise ImportRefused(NOT_A_WORKBOOK)
    entries, directory = struct.unpack("<HI", tail[place + 10 : place + 16])
    if b"PK\x06\x07" in tail[max(0, place - 20) : place] or entries > MAX_ENTRIES or directory > _MAX_DIRECTORY:
        raise ImportRefused(TOO_LARGE)
    source.seek(0)


def _has(source: BinaryIO, mark: bytes) -> bool:
    before = b""
    while piece := source.read(_PIECE):
        if mark in before + piece:
            return True
        before = piece[-len(mark) :]
    return False


def _parser(handler: "Handler") -> expat.XMLParserType:
    """Return a parser that tells ``handler`` what is there, and refuses what only costs memory."""
    parser = expat.ParserCreate(namespace_separator=" ")
    depth = 0

    def start(tag: str, given: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _MAX_DEPTH:
            raise ImportRefused(HOSTILE)
        handler.start(local(tag), given)

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        handler.end(local(tag))

    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = handler.text
    parser.StartDoctypeDeclHandler = _refuse
    return parser


def _refuse(*_: object) -> None:
    raise ImportRefused(HOSTILE)


def _target(relations: list[dict[str, str]], kind: str) -> str | None:
    return next((each["Target"] for each in relations if each["Type"].endswith("/" + kind)), None)
