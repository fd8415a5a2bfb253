"""The values of a column that says who signs, or who sees the name: what they mean, by how many rows have them."""

from collections import Counter
from collections.abc import Mapping, Sequence

from petition.formats.cells import clean_cell, encodable, is_placeholder
from petition.imports.column_guessing import kind_of, visibility_of
from petition.signatures.model import Kind, Visibility
from petition.signatures.names import clean

MAX_VALUES = 40  # different cells of one column; with more it has no values but texts
MAX_VALUE = 120  # characters
LEAVE_OUT = "out"
AS_CHOSEN = ""  # of empty cells: what is chosen for the whole file

# The answers by field. An empty one: not yet answered.
ANSWERS: Mapping[str, Sequence[str]] = {
    "kind": (Kind.PERSON.value, Kind.ORGANIZATION.value, LEAVE_OUT),
    "visibility": (*(visibility.value for visibility in Visibility), LEAVE_OUT),
}


def value_of(cell: str) -> str:
    """Return a cell as its column's values are compared: spaces and case aside; "" for a placeholder."""
    text = clean(clean_cell(cell)).casefold()[:MAX_VALUE] if cell else ""
    return "" if is_placeholder(text) and text not in {"нет", "no", "none"} else text


class ValueCounter:
    """Counts the values of each column while a file is read, and forgets columns with too many."""

    def __init__(self, width: int) -> None:
        self._values: dict[int, Counter[str]] = {index: Counter() for index in range(width)}

    def add(self, columns: Sequence[Sequence[str]], rows: int) -> None:
        """Count the cells of so many rows; a column that is missing is empty in all of them."""
        for index in list(self._values):
            values = self._values[index]
            cells = Counter(columns[index]) if index < len(columns) else {"": rows}
            for cell, number in cells.items():
                values[cell.strip()[:MAX_VALUE]] += number
                if len(values) > MAX_VALUES:
                    del self._values[index]
                    break

    def values(self) -> dict[str, list[tuple[str, int]]]:
        """Return the cells of each column, the most frequent spelling first, with the number of rows."""
        return {str(index): _merged(values) for index, values in self._values.items()}


def _merged(values: Counter[str]) -> list[tuple[str, int]]:
    counts: Counter[str] = Counter()
    spelled: dict[str, str] = {}
    for cell, rows in values.most_common():
        value = value_of(cell)
        spelled.setdefault(value, encodable(cell) if value else "")
        counts[value] += rows
    return [(spelled[value], rows) for value, rows in counts.most_common()]


def understood(field: str, cell: str, title: str) -> str | None:
    """Return the answer that a cell gives by itself; None if it is to be asked for."""
    if not value_of(cell):
        return AS_CHOSEN
    meaning: Kind | Visibility | None = kind_of(cell) if field == "kind" else visibility_of(cell, title)
    return meaning and meaning.value
