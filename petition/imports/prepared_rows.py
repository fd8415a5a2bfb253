"""The rows of a file as its trial has read and checked them, kept encrypted beside the file until they are imported.

So the import adds what was tried, and nothing is read twice. Rows prepared by another version of the program, or before
there was an import whose names are to be compared, are not used: the file is read again.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from petition.core.database import Connection
from petition.core.encryption import LetterKeys
from petition.core.ids import LetterId
from petition.imports import queries
from petition.imports.row_reading import Entries, RowReader
from petition.signatures.organizations import OrganizationNames

FORMAT = 1  # of the lines; to be raised with each change of what a row is read as
SUMMARY = -1  # the part that has the numbers; the rows are in those below


@dataclass(frozen=True, slots=True)
class StagedFile:
    """What is known of the rows that are staged."""

    rows: int
    left_out: int
    problems: int
    entries: Entries

    @classmethod
    def of(cls, reader: RowReader) -> "StagedFile":
        return cls(reader.staged, len(reader.left_out), len(reader.problems), reader.entries)


@dataclass(slots=True)
class PreparedRows:
    """The prepared rows of one import, in the transaction that prepares or imports them."""

    conn: Connection
    letter_id: LetterId
    number: int
    keys: LetterKeys
    _part: int = field(default=SUMMARY)

    async def begin(self) -> None:
        """Drop what an earlier trial prepared."""
        await queries.drop_prepared(self.conn, self.letter_id, self.number)

    async def keep(self, lines: bytes) -> None:
        """Store lines as they are staged."""
        self._part -= 1
        await queries.add_part(self.conn, self.letter_id, self.number, self._part, self.keys.encrypt(lines))

    async def finish(self, file: StagedFile, now: datetime, *, with_names: bool) -> None:
        """Store the numbers; ``now`` is when an organization without a date was listed."""
        summary = {
            "format": FORMAT,
            "names": with_names,
            "parts": SUMMARY - self._part,
            "rows": file.rows,
            "left_out": file.left_out,
            "problems": file.problems,
            "entries": [
                (names.name_en, names.name_ru, number, _date(number, listed_at, now))
                for names, (number, listed_at) in file.entries.items()
            ],
        }
        await queries.add_part(self.conn, self.letter_id, self.number, SUMMARY, self.keys.hide(summary))

    async def load(self, now: datetime, *, with_names: bool) -> StagedFile | None:
        """Return what is known of the rows; None if the file has to be read again."""
        hidden = await queries.load_part(self.conn, self.letter_id, self.number, SUMMARY)
        summary: dict[str, Any] = dict(self.keys.reveal(hidden)) if hidden else {}
        if summary.get("format") != FORMAT or (with_names and not summary["names"]):
            return None
        self._part = SUMMARY - summary["parts"]
        entries = {
            OrganizationNames(english, russian): (number, _listed_at(number, date, now))
            for english, russian, number, date in summary["entries"]
        }
        return StagedFile(summary["rows"], summary["left_out"], summary["problems"], entries)

    async def blocks(self) -> AsyncIterator[bytes]:
        """Yield the lines, as they are staged."""
        for part in range(SUMMARY - 1, self._part - 1, -1):
            content = await queries.load_part(self.conn, self.letter_id, self.number, part)
            if content is None:
                raise LookupError(f"part {part} of the prepared rows is missing")
            yield self.keys.decrypt(content)


def _date(number: int, listed_at: datetime, now: datetime) -> str | None:
    """Return the date in the file; None if there was none."""
    moment = listed_at + number * timedelta(microseconds=1)
    return None if moment == now else moment.isoformat()


def _listed_at(number: int, date: str | None, now: datetime) -> datetime:
    return (datetime.fromisoformat(date) if date else now) - number * timedelta(microseconds=1)
