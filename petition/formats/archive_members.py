"""What a ZIP archive is: a workbook, another program's document, or a wrapper around one table.

Runs in the confined process of ``xlsx_process`` only.
"""

import io
import re
import zipfile

from petition.formats.workbook_limits import (
    BINARY_BOOK,
    DOCUMENT,
    LOCKED,
    MAX_ENTRIES,
    MAX_MEMBER,
    MAX_RATIO,
    MAX_UNPACKED,
    NO_TABLE,
    NUMBERS,
    SEVERAL,
    TOO_LARGE,
    WorkbookRefused,
)

XLSX, ODS = "xlsx", "ods"
_BOOK = re.compile(r"(?:.*/)?workbook[^/]*\.xml", re.IGNORECASE)
_TABLE = re.compile(r".*\.(?:csv|tsv|txt|xlsx|xlsm|xls|ods|html?)", re.IGNORECASE)
# What macOS and Windows add to archives.
_CLUTTER = re.compile(r"__MACOSX/.*|(?:.*/)?(?:\._[^/]*|\.DS_Store|Thumbs\.db|desktop\.ini)|.*/", re.IGNORECASE)
_DOCUMENTS = {"word/document.xml": DOCUMENT, "ppt/presentation.xml": DOCUMENT, "Index/Document.iwa": NUMBERS}
_SHEETS = "application/vnd.oasis.opendocument.spreadsheet"


def entries_of(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """Return the entries by name, with plain slashes. Raises ``WorkbookRefused`` for a bomb."""
    entries = {entry.filename.replace("\\", "/").lstrip("/"): entry for entry in archive.infolist()}
    if len(entries) > MAX_ENTRIES or sum(entry.file_size for entry in entries.values()) > MAX_UNPACKED:
        raise WorkbookRefused(TOO_LARGE)
    for entry in entries.values():
        if entry.file_size > 1024 * 1024 and entry.file_size > MAX_RATIO * max(entry.compress_size, 1):
            raise WorkbookRefused(TOO_LARGE)
    return entries


def workbook_format(archive: zipfile.ZipFile, entries: dict[str, zipfile.ZipInfo]) -> str:
    """Return the format of a workbook, "" for an archive that is none. Raises ``WorkbookRefused`` for a document."""
    if any(map(_BOOK.fullmatch, entries)):
        return XLSX
    if any(name.endswith("workbook.bin") for name in entries):
        raise WorkbookRefused(BINARY_BOOK)
    for name, reason in _DOCUMENTS.items():
        if name in entries:
            raise WorkbookRefused(reason)
    if "mimetype" in entries and entries["mimetype"].file_size < 200:
        kind = archive.read(entries["mimetype"]).decode(errors="replace").strip()
        if kind.startswith(_SHEETS):
            return ODS
        if kind.startswith("application/"):
            raise WorkbookRefused(DOCUMENT)
    return ""


def member(data: bytes) -> bytes | None:
    """Return the one table in an archive, None if the archive is a workbook itself. Raises ``WorkbookRefused``."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = entries_of(archive)
        if workbook_format(archive, entries):
            return None
        files = {name: entry for name, entry in entries.items() if not _CLUTTER.fullmatch(name)}
        tables = [entry for name, entry in files.items() if _TABLE.fullmatch(name)]
        if len(tables) != 1:
            raise WorkbookRefused(SEVERAL if tables else NO_TABLE)
        if tables[0].flag_bits & 1:
            raise WorkbookRefused(LOCKED)
        with archive.open(tables[0]) as content:
            unpacked = content.read(MAX_MEMBER + 1)
    if len(unpacked) > MAX_MEMBER:
        raise WorkbookRefused(TOO_LARGE)
    return unpacked
