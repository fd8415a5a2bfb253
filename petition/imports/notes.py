"""What an import leaves out or puts right besides whole rows with problems: how often, and in which lines first."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

MAX_LINES = 20  # that are named


@dataclass(slots=True)
class NoteGroup:
    """Rows with one note. ``column`` is empty for a note on the whole row, ``reason`` is for the catalogues."""

    column: str
    reason: str
    rows: int = 0
    lines: list[str] = field(default_factory=list)

    def add(self, line: str) -> None:
        self.rows += 1
        if len(self.lines) < MAX_LINES:
            self.lines.append(line)


class Notes:
    """The groups of one import."""

    def __init__(self) -> None:
        self._groups: dict[tuple[str, str], NoteGroup] = {}

    def add(self, column: str, reason: str, line: str) -> None:
        key = column, reason
        if key not in self._groups:
            self._groups[key] = NoteGroup(column, reason)
        self._groups[key].add(line)

    def as_json(self) -> list[dict[str, Any]]:
        return [
            {"column": group.column, "reason": group.reason, "rows": group.rows, "lines": group.lines}
            for group in self.groups
        ]

    @property
    def groups(self) -> Sequence[NoteGroup]:
        return sorted(self._groups.values(), key=lambda group: -group.rows)


def groups_in(stored: Sequence[dict[str, Any]] | None) -> list[NoteGroup]:
    """Return what ``Notes.as_json`` stored."""
    return [NoteGroup(group["column"], group["reason"], group["rows"], group["lines"]) for group in stored or ()]
