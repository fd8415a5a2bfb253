"""Lists of signatures for organizers: those that match the queue's filter, with the columns chosen.

A slice at a time is read, written and sent; between two slices neither a connection nor a row is held.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TypeVar

from petition.core.database import Connection, Database, Record
from petition.core.encryption import LetterKeys
from petition.core.i18n import N_
from petition.core.ids import LetterId
from petition.core.reading import DataReader
from petition.core.replicas import Load
from petition.exports import plain_lines, writers
from petition.exports.plain_lines import Lines
from petition.exports.writers import Format
from petition.letters import switch_queries
from petition.moderation import queue, queue_queries
from petition.moderation.model import Filter, Names, QueueItem
from petition.signatures.model import Kind

T = TypeVar("T")

SLICE = 1000  # rows
LINES = 10_000  # rows that PostgreSQL writes at once

# In the order of the file; an import reads the first eight.
COLUMNS: Mapping[str, str] = {
    "kind": N_("person or organization"),
    "name": N_("name"),
    "name_ru": N_("name in Russian"),
    "affiliation": N_("place of work"),
    "city": N_("city"),
    "country": N_("country"),
    "signed_at": N_("signed on (UTC)"),
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
CHOSEN = tuple(COLUMNS)[:12]  # unless an organizer chooses others


@dataclass(frozen=True, slots=True)
class ExportOrder:
    """An organizer's choice."""

    letter_id: LetterId
    filter: Filter
    columns: tuple[str, ...]
    file_format: Format

    def summary(self) -> str:
        """Return the filter for the audit log: of a search only that there was one, never its words."""
        fields = self.filter.as_fields()
        if "q" in fields:
            fields["q"] = "yes"
        return ",".join(f"{key}:{value}".lower() for key, value in {"form": self.file_format.value, **fields}.items())[
            :200
        ]


def _cells(item: QueueItem, *, conceals_names: bool) -> dict[str, str | datetime | None]:
    names, is_person = Names() if conceals_names else item.names, item.kind is Kind.PERSON
    return {
        "kind": item.kind.value,
        "name": names.name if is_person else names.name_en,
        "name_ru": None if is_person else names.name_ru,
        "affiliation": names.affiliation,
        "city": names.city,
        "country": item.country,
        "signed_at": item.signed_at,
        "visibility": item.visibility,
        "website": names.website,
        "representative": None if is_person else names.name,
        "position": names.position,
        "imported": "yes" if item.imported else "no",
        "state": item.state.value,
        "reason": item.removed_for.value if item.removed_for else None,
        "flags": " ".join(item.flags) or None,
        "lang": item.read_lang,
    }


class Export:
    """One list being exported. ``rows`` is how many have been yielded so far."""

    def __init__(
        self,
        database: Database,
        keys: LetterKeys,
        order: ExportOrder,
        titles: Mapping[str, str] | None = None,
        read: DataReader | None = None,
    ) -> None:
        """``titles`` are the columns' names in a workbook; ``read`` reads the rows, by default from ``database``."""
        self._database = database
        self._reader = read
        self._keys = keys
        self._order = order
        self._titles = titles
        self.rows = 0

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Yield the file, without names as soon as the letter's are hidden. Raises ``Unavailable``."""
        writer = writers.writer(self._order.file_format, self._order.columns, bom=True, titles=self._titles)
        try:
            yield writer.begin()
            async for rows in self._slices():
                if isinstance(rows, Lines):
                    self.rows += rows.rows
                    yield rows.content
                    continue
                piece = await asyncio.to_thread(writer.rows, rows)  # the event loop serves other requests meanwhile
                self.rows += len(rows)
                yield piece
        finally:  # also when the client breaks off: an archive left open complains when it is garbage
            end = writer.end()
        yield end

    async def _hides(self) -> bool:
        async with self._database.connection() as conn:
            return (await switch_queries.of_letter(conn, self._order.letter_id)).list_hidden

    async def _lines(self, conn: Connection, before: tuple[datetime, int], words: str) -> Lines:
        order, writer = self._order, writers.writer(Format.CSV, self._order.columns)

        def write(row: Record) -> bytes:
            return writer.rows([_cells(queue.item_in(row, self._keys), conceals_names=False)])

        return await plain_lines.load(conn, order.letter_id, order.filter, order.columns, before, LINES, words, write)

    async def _read(self, load: Load[T]) -> T:
        if self._reader is not None:
            return await self._reader(load)
        async with self._database.connection() as conn:
            return await load(conn)

    async def _slices(self) -> AsyncIterator[list[dict[str, str | datetime | None]] | Lines]:
        position, words = queue.NEWEST, ""
        if query := self._order.filter.q:
            words = await self._read(lambda conn: queue.search_expression(conn, self._order.letter_id, query))
            if not words:
                return
        letter_id, filter = self._order.letter_id, self._order.filter
        as_lines = self._order.file_format is Format.CSV and plain_lines.can_be_written(self._order.columns)
        while True:
            if as_lines and not await self._hides():
                lines = await self._read(partial(self._lines, before=position, words=words))
                if not await self._hides():  # also while the rows were read
                    yield lines
                    if lines.end is None:
                        return
                    position = lines.end
                    continue
            page = partial(queue_queries.page, letter_id=letter_id, filter=filter, before=position)
            rows, end = await self._read(partial(page, limit=SLICE, words=words))
            hides = await self._hides()  # also while the file is sent
            if rows:
                yield [_cells(queue.item_in(row, self._keys), conceals_names=hides) for row in rows]
            last = rows[-1] if len(rows) == SLICE else end
            if last is None:
                return
            position = (last["listed_at"], last["id"])
