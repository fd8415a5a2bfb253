"""Imports as organizers see them: where one stands, what was found in the file, what became of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from petition.core.database import Record
from petition.core.encryption import LetterKeys
from petition.core.errors import KeyDestroyed
from petition.core.ids import OrganizerId
from petition.formats.dates import DateOrder
from petition.imports.column_mapping import Plan

MAX_BYTES = 32 * 1024 * 1024  # of a file
HOURS_KEPT = 24  # a file whose import nobody finishes
DAYS_UNDONE = 7  # what undoing took away can be brought back


class ImportState(StrEnum):
    """Where an import stands."""

    UPLOADING = "uploading"
    READING = "reading"  # the worker looks what the file is
    MAPPING = "mapping"  # an organizer says which column is what
    CHECKING = "checking"  # the worker tries it without changing anything
    CHECKED = "checked"
    IMPORTING = "importing"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"
    UNDOING = "undoing"
    UNDONE = "undone"
    REDOING = "redoing"


WORKING = (ImportState.READING, ImportState.CHECKING, ImportState.IMPORTING, ImportState.UNDOING, ImportState.REDOING)
HAS_FILE = (ImportState.READING, ImportState.MAPPING, ImportState.CHECKING, ImportState.CHECKED, ImportState.IMPORTING)


@dataclass(frozen=True, slots=True)
class FileInfo:
    """What stands in the file: personal data, encrypted in the database until the import has ended."""

    name: str = ""
    header: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()  # the first few
    orders: Sequence[DateOrder | None] = ()  # how the dates of each column are written
    sheets: int = 1  # in the workbook, of which the first one is read

    def hidden(self, keys: LetterKeys) -> bytes:
        """Return it encrypted."""
        orders = [each and each.value for each in self.orders]
        told = {"name": self.name, "header": self.header, "rows": self.rows, "orders": orders, "sheets": self.sheets}
        return keys.hide(told)

    @classmethod
    def revealed(cls, stored: bytes | None, keys: LetterKeys) -> "FileInfo":
        """Return what ``hidden`` made; nothing if it is gone or cannot be read any more."""
        if stored is None:
            return cls()
        try:
            told: Mapping[str, Any] = keys.reveal(stored)
        except KeyDestroyed:
            return cls()
        orders = [each and DateOrder(each) for each in told["orders"]]
        return cls(told["name"], told["header"], told["rows"], orders, told.get("sheets", 1))


@dataclass(frozen=True, slots=True)
class ImportJob:
    """One import."""

    number: int
    who: str | None
    organizer_id: OrganizerId | None
    state: ImportState
    format: str | None
    encoding: str | None
    delimiter: str | None
    plan: Plan | None
    progress: int
    total: int | None
    problems: int
    report: Mapping[str, int]
    failure: str | None
    changed: int
    created_at: datetime
    ended_at: datetime | None
    about: bytes | None = field(repr=False)

    @property
    def is_moving(self) -> bool:
        """Tell whether the worker is at it, or soon will be."""
        return self.state in WORKING

    @property
    def can_be_cancelled(self) -> bool:
        """Tell whether nothing has been added yet, and something still may be."""
        return self.state in {ImportState.UPLOADING, *HAS_FILE}


def import_job_in(row: Record) -> ImportJob:
    """Read an import out of a row."""
    return ImportJob(
        number=row["number"],
        who=row["who"],
        organizer_id=row["organizer"],
        state=ImportState(row["state"]),
        format=row["format"],
        encoding=row["encoding"],
        delimiter=row["delimiter"],
        plan=Plan.of_json(row["plan"]) if row["plan"] else None,
        progress=row["progress"],
        total=row["total"],
        problems=row["problems"],
        report=row["report"] or {},
        failure=row["failure"],
        changed=row["changed"],
        created_at=row["created_at"],
        ended_at=row["ended_at"],
        about=row["about"],
    )
