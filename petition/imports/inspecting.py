"""Reading an uploaded file for the first time: its format, its sheets, its header, what its columns may be."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, zip_longest

from petition.core.encryption import LetterKeys
from petition.core.errors import ImportRefused
from petition.formats import encodings, tables
from petition.formats.cells import encodable
from petition.formats.dates import DateStatistics
from petition.formats.tables import CSV, EMPTY, Line, Pieces
from petition.formats.xlsx_reader import SheetOutline
from petition.imports import header_finding, kept_mappings
from petition.imports.column_guessing import guess
from petition.imports.column_mapping import Plan
from petition.imports.column_values import ValueCounter
from petition.imports.file_info import FileInfo, SheetInfo
from petition.imports.header_finding import NO_HEADER
from petition.imports.kept_mappings import KeptMapping

SAMPLE_ROWS = 8  # that the mapping page shows below the header
MAX_SAMPLE_CELL = 120  # characters of a cell there
BLOCK = 1000  # rows counted at once
HEAD_ROWS = 8  # that the header can be chosen from, at least
_ADDRESS = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+")
_NAME = re.compile(r"[^\W\d_][^\d@]*")


@dataclass(frozen=True, slots=True)
class Choice:
    """What an organizer has chosen for reading the file again; all empty at first."""

    encoding: str | None = None
    delimiter: str | None = None
    sheet: int | None = None
    header: int | None = None
    use_mapping: bool = True


@dataclass(frozen=True, slots=True)
class Inspection:
    format: str
    encoding: str | None
    delimiter: str | None
    file: FileInfo
    plan: Plan
    rows: int


def inspect(
    pieces: Pieces,
    name: str,
    choice: Choice,
    keys: LetterKeys,
    mappings: Sequence[KeptMapping] = (),
    count: Callable[[Iterator[Line]], Iterator[Line]] = iter,
) -> Inspection:
    """Read all of a file, a row at a time; ``count`` is called with its lines. Raises ``ImportRefused``."""
    file_format, encoding, delimiter = tables.detect_format(pieces), choice.encoding, choice.delimiter
    if file_format == CSV:
        encoding = encoding or encodings.detect(pieces())
        delimiter = delimiter or tables.detect_delimiter(pieces, encoding)
    sheets = tables.outline(pieces, file_format, encoding or "", delimiter or "")
    index = header_finding.find_sheet(sheets) if choice.sheet is None else min(choice.sheet, len(sheets) - 1)
    sheet = sheets[index]
    if not sheet.head:
        raise ImportRefused(EMPTY)
    mapping = _mapping_for(sheet, choice, mappings, keys)
    line = _header_line(sheet, choice.header, mapping, keys)
    cells = next((row for number, row in sheet.head if number == line), []) if line else []
    header = tables.column_names(cells, header_finding.width(cells, sheet.head, is_csv=file_format == CSV))
    lines = tables.read_lines(pieces, file_format, encoding or "", delimiter or "", index)
    statistics = _Statistics(len(header))
    rows = statistics.read(count(line_and_cells for line_and_cells in lines if line_and_cells[0] > line))
    last = max((position for position, (number, _) in enumerate(sheet.head) if number <= line), default=0)
    file = FileInfo(
        name=name,
        header=header,
        rows=statistics.sample,
        orders=[column.order for column in statistics.dates],
        sheets=[SheetInfo(one.name, one.rows, one.is_hidden) for one in sheets] if file_format != CSV else (),
        head=sheet.head[: max(HEAD_ROWS, last + 4)],
        values=statistics.values.values(),
        hidden_rows=sheet.hidden_rows,
        hidden_columns=[column for column in sheet.hidden_columns if column < len(header)],
        mapping=mapping.name if mapping else "",
    )
    plan = (
        mapping.plan(header, file.values, sheet=index, line=line)
        if mapping
        else Plan(guess_columns(file, line), sheet=index, header=line)
    )
    return Inspection(file_format, encoding, delimiter, file, plan, rows)


def _header_line(sheet: SheetOutline, chosen: int | None, mapping: KeptMapping | None, keys: LetterKeys) -> int:
    lines = {number for number, _ in sheet.head}
    if mapping and chosen is None:
        digest = mapping.header_digest
        return next(line for line, cells in sheet.head if kept_mappings.header_digest(keys, cells) == digest)
    if chosen is not None and (chosen == NO_HEADER or chosen in lines):
        return chosen
    return header_finding.find_header(sheet.head)


def _mapping_for(
    sheet: SheetOutline, choice: Choice, mappings: Sequence[KeptMapping], keys: LetterKeys
) -> KeptMapping | None:
    """Return the newest mapping kept for a header that is among the first rows, or for the one that was chosen."""
    if not mappings or not choice.use_mapping:
        return None
    rows = [cells for line, cells in sheet.head if choice.header in {None, line}]
    digests = {kept_mappings.header_digest(keys, cells) for cells in rows}
    return next((mapping for mapping in mappings if mapping.header_digest in digests), None)


def guess_columns(file: FileInfo, header_line: int) -> tuple[str, ...]:
    """Return the likely field of each column, by its title or else by what is in it; hidden columns are left out."""
    fields = ["" if index in file.hidden_columns else name for index, name in enumerate(guess(file.header))]
    for index in range(len(fields)):
        if fields[index] or index in file.hidden_columns:
            continue
        cells = [row[index] for row in file.rows if index < len(row) and row[index]]
        if "email" not in fields and _are(cells, _ADDRESS):
            fields[index] = "email"
        elif header_line == NO_HEADER and "signed_at" not in fields and file.orders[index]:
            fields[index] = "signed_at"
        elif header_line == NO_HEADER and "name" not in fields and _are(cells, _NAME):
            fields[index] = "name"
    return tuple(fields)


def _are(cells: Sequence[str], pattern: re.Pattern[str]) -> bool:
    return 2 * sum(pattern.search(cell) is not None for cell in cells) > len(cells)


class _Statistics:
    """What is counted in all rows below the header."""

    def __init__(self, width: int) -> None:
        self.dates = [DateStatistics() for _ in range(width)]
        self.values = ValueCounter(width)
        self.sample: list[list[str]] = []

    def read(self, lines: Iterable[Line]) -> int:
        """Read all lines and return their number."""
        rows, lines = 0, iter(lines)
        while block := [cells for _, cells in islice(lines, BLOCK)]:
            rows += len(block)
            self._add([cells for cells in block if not isinstance(cells, str)])
        return rows

    def _add(self, rows: Sequence[Sequence[str]]) -> None:
        if not rows:
            return
        for cells in rows[: SAMPLE_ROWS - len(self.sample)]:
            texts = (" ".join(cell.replace("\0", "").split()) for cell in cells[: len(self.dates)])
            self.sample.append([encodable(text[:MAX_SAMPLE_CELL]) for text in texts])
        columns = list(zip_longest(*rows, fillvalue=""))
        for dates, column in zip(self.dates, columns, strict=False):
            for cell in column:
                if cell[:1].isdigit():
                    dates.add(cell)
        self.values.add(columns, len(rows))
