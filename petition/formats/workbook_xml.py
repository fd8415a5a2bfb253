"""What is looked for in a workbook's XML before it is parsed: harm, and what a spreadsheet program does not show.

Runs in the confined process of ``xlsx_process`` only. calamine ignores entities, rows out of order and hidden rows,
while an import identifies rows by their numbers and asks about what a person does not see.
"""

import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from xml.parsers import expat

from petition.formats.workbook_limits import HOSTILE, MAX_CELLS, MAX_ROWS, WorkbookRefused

MAX_HIDDEN = 200_000  # rows that are remembered
_PART = re.compile(r"(?:.*/)?(?:worksheets/[^/]+|(?:workbook|styles|sharedStrings))\.xml(?:\.rels)?", re.IGNORECASE)


@dataclass
class HiddenParts:
    """The rows (numbers) and columns (indexes) of a sheet that are not shown."""

    rows: set[int] = field(default_factory=set)
    columns: set[int] = field(default_factory=set)


def check_xlsx(archive: zipfile.ZipFile, entries: Mapping[str, zipfile.ZipInfo]) -> dict[str, HiddenParts]:
    """Return what is hidden, by the sheet's name. Raises ``WorkbookRefused`` for entities and rows out of order."""
    by_part = {
        name: _check_sheet(archive.read(entry))
        for name, entry in entries.items()
        if entry.file_size and _PART.fullmatch(name)
    }
    book = next((name for name in entries if re.fullmatch(r"(?:.*/)?workbook\.xml", name, re.IGNORECASE)), "")
    if not book:
        return {}
    folder, _, last = book.rpartition("/")
    links = f"{folder}/_rels/{last}.rels".lstrip("/")
    targets = _attributes(archive, entries, links, "Relationship", "Id", "Target")
    hidden = {}
    for name, link in _attributes(archive, entries, book, "sheet", "name", "id").items():
        target = targets.get(link, "").replace("../", "").lstrip("/")
        path = target if target in by_part else f"{folder}/{target}".lstrip("/")
        hidden[name] = by_part.get(path, HiddenParts())
    return hidden


def _attributes(
    archive: zipfile.ZipFile, entries: Mapping[str, zipfile.ZipInfo], part: str, tag: str, key: str, value: str
) -> dict[str, str]:
    """Return two attributes of each element ``tag`` of a part, by their names without namespaces."""
    pairs: dict[str, str] = {}

    def start(name: str, attributes: dict[str, str]) -> None:
        if name.rpartition(":")[2] == tag:
            plain = {attribute.rpartition(":")[2]: text for attribute, text in attributes.items()}
            pairs[plain.get(key, "")] = plain.get(value, "")

    if part in entries:
        parser = expat.ParserCreate()
        parser.StartElementHandler = start
        parser.Parse(archive.read(entries[part]), True)
    return pairs


def _refuse(*_: object) -> None:
    raise WorkbookRefused(HOSTILE)


def _check_sheet(content: bytes) -> HiddenParts:
    parser = expat.ParserCreate()
    hidden, row = HiddenParts(), 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal row
        if tag == "row" or tag.endswith(":row"):
            number = int(attributes.get("r", row + 1))
            if not row < number <= MAX_ROWS:
                raise WorkbookRefused(HOSTILE)
            row = number
            if _is_true(attributes.get("hidden")) and len(hidden.rows) < MAX_HIDDEN:
                hidden.rows.add(row)
        elif (tag == "col" or tag.endswith(":col")) and _is_true(attributes.get("hidden")):
            first, last = int(attributes.get("min", 1)), int(attributes.get("max", 1))
            hidden.columns |= set(range(first - 1, min(last, MAX_CELLS)))

    parser.StartElementHandler, parser.StartDoctypeDeclHandler = start, _refuse
    parser.Parse(content, True)
    return hidden


def _is_true(text: str | None) -> bool:
    return text in {"1", "true"}


def check_ods(content: bytes) -> dict[str, HiddenParts]:
    """Do the same with the ``content.xml`` of an OpenDocument workbook."""
    parser = expat.ParserCreate()
    hidden: dict[str, HiddenParts] = {}
    sheet, row, column = HiddenParts(), 0, 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal sheet, row, column
        is_hidden = attributes.get("table:visibility") in {"collapse", "filter"}
        if tag == "table:table":
            sheet, row, column = hidden.setdefault(attributes.get("table:name", ""), HiddenParts()), 0, 0
        elif tag == "table:table-row":
            times = int(attributes.get("table:number-rows-repeated", 1))
            if is_hidden and len(sheet.rows) < MAX_HIDDEN:
                sheet.rows |= set(range(row + 1, row + 1 + min(times, MAX_HIDDEN)))
            row += times
        elif tag == "table:table-column":
            times = int(attributes.get("table:number-columns-repeated", 1))
            if is_hidden:
                sheet.columns |= set(range(column, min(column + times, MAX_CELLS)))
            column += times

    parser.StartElementHandler, parser.StartDoctypeDeclHandler = start, _refuse
    parser.Parse(content, True)
    return hidden
