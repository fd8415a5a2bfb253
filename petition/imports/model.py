"""Imports as organizers see them: state, file, result."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from petition.core.database import Record
from petition.core.encryption import LetterKeys
from petition.core.errors import KeyDestroyed
from petition.core.ids import OrganizerId
from petition.imports.column_mapping import Plan

MAX_BYTES = 32 * 1024 * 1024  # of a file
FILE_HOURS = 24  # after which the file of an unfinished import is deleted
UNDO_DAYS = 7  # in which what was undone can be restored


class ImportState(StrEnum):
    UPLOADING = "uploading"
    READING = "reading"  # the worker detects format, encoding, columns
    MAPPING = "mapping"  # an organizer chooses the field of each column
    CHECKING = "checking"  # the worker makes a dry run
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
class ImportJob:
    number: int
    organizer_name: str | None
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
    file: bytes | None = field(default=None, repr=False)  # its name, encrypted
    notes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_moving(self) -> bool:
        """True while it waits for the worker or is worked on."""
        return self.state in WORKING

    @property
    def can_be_cancelled(self) -> bool:
        """True while nothing has been added, and something still may be."""
        return self.state in {ImportState.UPLOADING, *HAS_FILE}


def import_job_in(row: Record) -> ImportJob:
    return ImportJob(
        number=row["number"],
        organizer_name=row["organizer_name"],
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
        file=row["file"],
        notes=row["notes"] or {},
    )


def file_name(job: ImportJob, keys: LetterKeys) -> str:
    """Return the name of an import's file; "" if it is not known, or the key is destroyed."""
    if job.file is None:
        return ""
    try:
        return str(keys.reveal(job.file)["name"])
    except KeyDestroyed:
        return ""
