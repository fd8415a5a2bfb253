"""Where a list begins: the sheet that looks like one, and the row with the names of its columns."""

from collections import Counter
from collections.abc import Sequence

from petition.formats.xlsx_reader import SheetOutline
from petition.imports.column_guessing import guess, is_no_header, title_score

NO_HEADER = 0  # in place of the header's line: each row is a signatory
_NAMES = frozenset(("name", "first", "last", "organization", "name_ru"))


def find_sheet(sheets: Sequence[SheetOutline]) -> int:
    """Return the index of the first visible sheet that looks most like a list; of any, if all are hidden."""
    visible = [index for index, sheet in enumerate(sheets) if not sheet.is_hidden] or list(range(len(sheets)))
    return max(visible, key=lambda index: _likeness(sheets[index]))


def _likeness(sheet: SheetOutline) -> tuple[bool, int, int]:
    line = find_header(sheet.head)
    cells = next((cells for number, cells in sheet.head if number == line), [])
    score, is_list = _score(cells), sheet.rows > 1
    return is_list and bool(_NAMES & set(guess(cells))), score if is_list else 0, sheet.rows if score < 2 else 0


def find_header(head: Sequence[tuple[int, Sequence[str]]]) -> int:
    """Return the line of the header among the first rows (line, cells), or ``NO_HEADER``.

    A title above it is one cell, or a sentence; what is below has e-mail addresses, dates, numbers.
    """
    if not head:
        return 1
    widths = Counter(_filled(cells) for _, cells in head)
    usual = max(widths, key=lambda width: (widths[width], width))
    likely = [
        (line, cells) for line, cells in head if _filled(cells) * 2 >= usual and (_filled(cells) > 1 or usual == 1)
    ]
    first_line, first = (likely or list(head))[0]
    line, best = max(likely or head, key=lambda row: _score(row[1]))
    if _score(best) >= 2 and _score(best) > _score(first):
        return line
    return NO_HEADER if _score(first) < 0 and is_no_header(first) else first_line


def _filled(cells: Sequence[str]) -> int:
    return sum(bool(cell.strip()) for cell in cells)


def _score(cells: Sequence[str]) -> int:
    return sum(title_score(cell) for cell in cells if cell.strip())


def width(header: Sequence[str], head: Sequence[tuple[int, Sequence[str]]], *, is_csv: bool) -> int:
    """Return the number of columns: the header may name fewer than the rows have, or be missing.

    In a CSV file with a header it is that of most rows: a row with more has a comma too many.
    """
    widths = Counter(len(cells) for _, cells in head)
    if not widths:
        return len(header)
    usual = max(widths, key=lambda size: (widths[size], -size))
    return max(len(header), usual if is_csv and header else max(widths))
