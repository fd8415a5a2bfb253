"""Rows that cannot be imported, whole, so that they can be repaired in a spreadsheet and sent in again."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from petition.core.database import Record
from petition.core.encryption import LetterKeys, padded_json
from petition.core.errors import KeyDestroyed
from petition.core.i18n import N_
from petition.formats.cells import encodable
from petition.formats.csv_rows import format_row
from petition.imports.column_mapping import FIELDS, Plan

PROBLEM = N_("problem")  # the title of the column that is added; ``column_guessing`` knows it in each language


@dataclass(frozen=True, slots=True)
class ProblemRow:
    line: int
    column: str  # the field with the problem; "" for the whole row
    reason: str
    cells: Sequence[str]  # empty if they could not be read

    def cell(self, plan: Plan | None) -> str:
        """Return the cells of the field with the problem; of the whole row, if it is none."""
        columns = plan.columns if plan else ()
        parts = {"name": ("name", "first", "last", "organization"), "": ()}.get(self.column, (self.column,))
        cells = [cell for cell, name in zip(self.cells, columns, strict=False) if name in parts]
        return " ".join(filter(None, cells or ([] if self.column else self.cells)))


def seal(keys: LetterKeys, cells: Sequence[str] | str) -> bytes:
    """Return the cells of a row, or none if it could not be read, encrypted under the letter's name key."""
    texts = [] if isinstance(cells, str) else [encodable(cell) for cell in cells]
    return keys.encrypt(padded_json(texts))


def unseal(row: Record, keys: LetterKeys) -> ProblemRow:
    """Return a stored row; without its cells if they were deleted, or the key was destroyed."""
    cells: list[str] = []
    if row["cells"] is not None:
        try:
            cells = json.loads(keys.decrypt(row["cells"]))
        except KeyDestroyed:
            cells = []
    return ProblemRow(row["line"], row["field"], row["reason"], cells)


def csv_header(header: Sequence[str], gettext: Callable[[str], str]) -> str:
    return format_row((*header, gettext(PROBLEM)))


def csv_line(row: ProblemRow, width: int, gettext: Callable[[str], str]) -> str:
    """Return a row in the file's own columns, and what is wrong with it."""
    cells = [*row.cells[:width], *[""] * (width - len(row.cells))]
    field = f", {gettext(FIELDS[row.column])}" if row.column in FIELDS else ""
    return format_row((*cells, f"{row.line}{field}: {gettext(row.reason)}"))
