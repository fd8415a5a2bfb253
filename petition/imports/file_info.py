"""What is known of an uploaded file: personal data, encrypted in the database until the import has ended."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from petition.core.encryption import LetterKeys
from petition.core.errors import KeyDestroyed
from petition.formats.dates import DateOrder

Values = Mapping[str, Sequence[tuple[str, int]]]  # index of a column → its cells and how many rows have them


@dataclass(frozen=True, slots=True)
class SheetInfo:
    name: str
    rows: int
    is_hidden: bool = False


@dataclass(frozen=True, slots=True)
class FileInfo:
    """Name, sheets, header and first rows of a file."""

    name: str = ""
    header: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()  # the first few below the header
    orders: Sequence[DateOrder | None] = ()  # how the dates of each column are written
    sheets: Sequence[SheetInfo] = ()
    head: Sequence[tuple[int, Sequence[str]]] = ()  # (line, cells) of the first rows, among which the header is
    values: Values = field(default_factory=dict)  # of columns with few different cells
    hidden_rows: int = 0
    hidden_columns: Sequence[int] = ()
    mapping: str = ""  # the name of the kept mapping that was used

    @property
    def visible_sheets(self) -> int:
        return sum(not sheet.is_hidden for sheet in self.sheets)

    def encrypt(self, keys: LetterKeys) -> bytes:
        return keys.hide(
            {
                "name": self.name,
                "header": self.header,
                "rows": self.rows,
                "orders": [order and order.value for order in self.orders],
                "sheets": [(sheet.name, sheet.rows, sheet.is_hidden) for sheet in self.sheets],
                "head": self.head,
                "values": self.values,
                "hidden_rows": self.hidden_rows,
                "hidden_columns": self.hidden_columns,
                "mapping": self.mapping,
            }
        )

    @classmethod
    def decrypt(cls, stored: bytes | None, keys: LetterKeys) -> "FileInfo":
        """Return what ``encrypt`` stored; an empty one if it was deleted, or encrypted with a key since destroyed."""
        if stored is None:
            return cls()
        try:
            fields: Mapping[str, Any] = keys.reveal(stored)
        except KeyDestroyed:
            return cls()
        sheets = fields.get("sheets", ())
        return cls(
            name=fields["name"],
            header=fields["header"],
            rows=fields["rows"],
            orders=[order and DateOrder(order) for order in fields["orders"]],
            # Files read by an earlier version have only the number of sheets.
            sheets=[SheetInfo(*sheet) for sheet in sheets] if isinstance(sheets, list) else (),
            head=[(line, cells) for line, cells in fields.get("head", ())],
            values={key: [(cell, rows) for cell, rows in cells] for key, cells in fields.get("values", {}).items()},
            hidden_rows=fields.get("hidden_rows", 0),
            hidden_columns=fields.get("hidden_columns", ()),
            mapping=fields.get("mapping", ""),
        )
