"""Lists of signatures for organizers: what the queue's filter leaves, in columns of one's choice, as it is read.

A slice at a time is read, written and sent; between two of them nothing is held, neither a connection nor a row.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from petition.core.database import Database
from petition.core.encryption import LetterKeys
from petition.core.i18n import N_
from petition.core.ids import LetterId
from petition.exports import writers
from petition.exports.writers import Format
from petition.moderation import queue, queue_queries
from petition.moderation.model import Filter, QueueItem
from petition.signatures.model import Kind

SLICE = 1000  # rows

# In the order in which they stand in a file; the first eight are those that an import knows.
COLUMNS: Mapping[str, str] = {
    "kind": N_("person or organization"),
    "name": N_("name"),
    "name_ru": N_("name in Russian"),
    "affiliation": N_("place of work"),
    "city": N_("city"),
    "country": N_("country"),
    "signed_at": N_("signed on"),
    "visibility": N_("who sees the name"),
    "website": N_("website"),
    "representative": N_("representative"),
    "position": N_("position"),
    "imported": N_("imported"),
    "state": N_("state"),
    "reason": N_("reason for removal"),
    "flags": N_("flags"),
    "lang": N_("language"),
}
CHOSEN = tuple(COLUMNS)[:12]


@dataclass(frozen=True, slots=True)
class ExportOrder:
    """What somebody wants to take out."""

    letter_id: LetterId
    wanted: Filter
    columns: tuple[str, ...]
    form: Format

    def summary(self) -> str:
        """Return the filter as the log has it: never what was typed, only that something was."""
        fields = self.wanted.as_fields()
        if "q" in fields:
            fields["q"] = "yes"
        return ",".join(f"{key}:{value}".lower() for key, value in {"form": self.form.value, **fields}.items())[:200]


def cells(line: QueueItem) -> dict[str, str | None]:
    """Return every column of one signature."""
    names, person = line.names, line.kind is Kind.PERSON
    return {
        "kind": line.kind.value,
        "name": names.name if person else names.name_en,
        "name_ru": None if person else names.name_ru,
        "affiliation": names.affiliation,
        "city": names.city,
        "country": line.country,
        "signed_at": writers.timestamp(line.signed_at),
        "visibility": line.visibility,
        "website": names.website,
        "representative": None if person else names.name,
        "position": names.position,
        "imported": "yes" if line.imported else "no",
        "state": line.state.value,
        "reason": line.removed_for.value if line.removed_for else None,
        "flags": " ".join(line.flags) or None,
        "lang": line.read_lang,
    }


class Export:
    """One list on its way out. ``rows`` tells how many have been handed out so far."""

    def __init__(self, database: Database, keys: LetterKeys, order: ExportOrder) -> None:
        self._database = database
        self._keys = keys
        self._order = order
        self.rows = 0

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the file. Raises ``Unavailable``."""
        writer = writers.writer(self._order.form, self._order.columns, bom=True)
        yield writer.begin()
        async for lines in self._slices():
            piece = await asyncio.to_thread(writer.rows, lines)  # the loop goes on answering others
            self.rows += len(lines)
            yield piece
        yield writer.end()

    async def _slices(self) -> AsyncIterator[list[dict[str, str | None]]]:
        place, words = queue.NEWEST, ""
        if typed := self._order.wanted.q:
            async with self._database.connection() as conn:
                words = await queue.search_expression(conn, self._order.letter_id, typed)
            if not words:
                return
        while True:
            async with self._database.connection() as conn:
                rows, end = await queue_queries.page(
                    conn, self._order.letter_id, self._order.wanted, place, SLICE, words
                )
            if rows:
                yield [cells(queue.item_in(row, self._keys)) for row in rows]
            last = rows[-1] if len(rows) == SLICE else end
            if last is None:
                return
            place = (last["listed_at"], last["id"])
