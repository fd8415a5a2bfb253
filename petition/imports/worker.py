"""The worker's part of imports: reading a file, trying it, taking it in, taking it back.

A job is one transaction which holds the import's lock: if the worker dies, all of it is undone and the lock is free,
and whoever comes next begins the job anew. How far it is, and whether it is still wanted, goes through a connection of
its own. Files are parsed in a thread, so that mail goes on meanwhile.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeVar

from petition.core import audit_log
from petition.core.database import Connection, Database, Record
from petition.core.encryption import LetterKeys, Wrapper
from petition.core.errors import Gone, ImportRefused, KeyDestroyed, Unavailable
from petition.core.i18n import N_
from petition.core.ids import LetterId
from petition.formats import encodings, tables
from petition.formats.dates import DatesSeen
from petition.formats.tables import CSV, Pieces
from petition.imports import adding, adding_queries, queries, undoing
from petition.imports.adding import ImportReport, RowReader, Target
from petition.imports.column_guessing import guess
from petition.imports.column_mapping import Mapper, Plan
from petition.imports.model import FileInfo, ImportState
from petition.letters.keys import keys_of
from petition.signatures import organization_queries

POLL = 1.0  # seconds between two looks when there is nothing to do
TICK = 0.5  # seconds between two signs of progress
BATCH = 500  # rows a thread reads at once
SHOWN = 8  # rows of the file that the mapping page shows
MAX_SHOWN = 120  # characters of a cell there

NO_KEYS = N_("This letter’s keys have been destroyed, so nothing more can be imported.")
BROKEN = N_("Something went wrong, and nothing was changed. Tell the person who runs this site.")
EXPIRED = N_("This import was not finished within a day, so its file was deleted.")

log = logging.getLogger(__name__)
Item = TypeVar("Item")


class Stopped(Exception):
    """The import was cancelled, or the worker is to end."""


@dataclass(slots=True)
class RunningImport:
    """One import at work."""

    database: Database
    conn: Connection
    row: Record
    keys: LetterKeys
    languages: tuple[str, ...]
    stop: asyncio.Event
    done: int = 0
    unwanted: bool = False
    _ticker: "asyncio.Task[None] | None" = field(default=None)

    @property
    def place(self) -> tuple[LetterId, int]:
        """Letter and number."""
        return self.row["letter"], self.row["number"]

    @contextlib.asynccontextmanager
    async def report_progress(self) -> AsyncIterator[None]:
        """Say again and again how far it is, and find out whether somebody has cancelled it."""
        ticker = asyncio.create_task(self._tick())
        try:
            yield
        finally:
            ticker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await ticker

    async def _tick(self) -> None:
        while not self.unwanted:
            await asyncio.sleep(TICK)
            with contextlib.suppress(Unavailable):
                async with self.database.connection() as conn:
                    wanted = await queries.progress(conn, *self.place, self.row["state"], self.done)
                self.unwanted = not wanted or self.stop.is_set()

    def counted(self, rows: Iterable[Item]) -> Iterator[Item]:
        """Pass rows on and count them. Raises ``Stopped`` once nobody wants them any more."""
        for row in rows:
            if self.unwanted:
                raise Stopped
            yield row
            self.done += 1

    async def pieces(self) -> Pieces:
        """Return what gives the file from its beginning; only one piece of it is decrypted at a time."""
        parts = await queries.parts(self.conn, *self.place)
        return lambda: (self.keys.decrypt(part) for part in parts)


async def run(database: Database, wrapper: Wrapper, languages: tuple[str, ...], stop: asyncio.Event) -> None:
    """Work on imports until ``stop`` is set. Raises nothing."""
    while not stop.is_set():
        try:
            busy = await step(database, wrapper, languages, stop)
        except Unavailable:
            busy = False
        except Exception:
            log.exception("a step of an import failed")
            busy = False
        if not busy:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), POLL)


async def step(
    database: Database, wrapper: Wrapper, languages: tuple[str, ...], stop: asyncio.Event | None = None
) -> bool:
    """Do the next step of some import; tell whether there was one."""
    taken: Record | None = None
    try:
        async with database.transaction() as conn:
            taken = await queries.take(conn)
            if taken is None:
                return False
            job = RunningImport(database, conn, taken, keys_of(taken, wrapper), languages, stop or asyncio.Event())
            await _STEPS[ImportState(taken["state"])](job)
    except Stopped:
        return True
    except ImportRefused as refused:
        await _failed(database, taken, str(refused))
    except KeyDestroyed:
        await _failed(database, taken, NO_KEYS)
    except Unavailable:
        raise
    except Gone:  # what is left of a letter that was taken down is deleted in a moment
        return False
    except Exception:
        log.exception("an import failed")
        await _failed(database, taken, BROKEN)
    return True


async def _failed(database: Database, row: Record | None, why: str) -> None:
    if row is not None:
        async with database.transaction() as conn:
            await queries.failed(conn, row["letter"], row["number"], row["state"], why)


async def _read(job: RunningImport) -> None:
    """Find out what a file is, and guess which column is what."""
    pieces = await job.pieces()
    async with job.report_progress():
        found = await asyncio.to_thread(_inspect, job, pieces)
    await queries.found(job.conn, *job.place, found)


def _inspect(job: RunningImport, pieces: Pieces) -> tuple[object, ...]:
    """Return format, encoding, delimiter, about, plan, number of rows. Reads all of the file, a row at a time."""
    form, encoding, delimiter = tables.form_of(pieces), job.row["encoding"], job.row["delimiter"]
    if form == CSV:
        encoding = encoding or encodings.detect(pieces())
        delimiter = delimiter or tables.delimiter_of(pieces, encoding)
    lines = tables.lines(pieces, form, encoding or "", delimiter or "")
    header = tables.header_of(next(lines, None))
    seen = [DatesSeen() for _ in header]
    shown: list[list[str]] = []
    for _, cells in job.counted(lines):
        if isinstance(cells, str):
            continue
        for place, cell in enumerate(cells[: len(header)]):
            seen[place].look(cell)
        if len(shown) < SHOWN:
            shown.append([" ".join(cell.replace("\0", "").split())[:MAX_SHOWN] for cell in cells[: len(header)]])
    if not job.done:
        raise ImportRefused(tables.ONLY_HEADER)
    name = FileInfo.revealed(job.row["about"], job.keys).name
    sheets = 1 if form == CSV else tables.sheets_of(pieces)
    about = FileInfo(name, header, shown, [each.order for each in seen], sheets)
    return form, encoding, delimiter, about.hidden(job.keys), Plan(guess(header)).as_json(), job.done


async def _staged(job: RunningImport, *, skip: bool) -> RowReader:
    """Read all rows into the table that only this transaction sees."""
    pieces, now = await job.pieces(), await organization_queries.now(job.conn)
    about, plan = FileInfo.revealed(job.row["about"], job.keys), Plan.of_json(job.row["plan"])
    row = job.row
    lines = tables.lines(pieces, row["format"], row["encoding"] or "", row["delimiter"] or "")
    found = Mapper(plan, about.orders, now, job.languages).rows(lines)
    target = Target(row["letter"], job.keys, row["rules_version"], job.languages)
    reader = RowReader(target, now, skip=skip)
    async with job.report_progress():
        await adding_queries.stage(job.conn, in_batches(reader.rows(job.counted(found))))
    return reader


async def in_batches(rows: Iterator[Item]) -> AsyncIterator[Item]:
    """Yield rows that a thread makes, some at a time."""
    while batch := await asyncio.to_thread(lambda: list(islice(rows, BATCH))):
        for row in batch:
            yield row


async def _check(job: RunningImport) -> None:
    """Find out what an import would do, without changing anything."""
    reader = await _staged(job, skip=True)
    settled = await adding.settle(job.conn, job.row["letter"], reader.entries, None, dry_run=True)
    report = _told(adding.reported(reader.read - len(reader.problems), *settled))
    problems = [(each.line, each.column, each.reason) for each in reader.problems]
    await queries.checked(job.conn, *job.place, report, problems)


async def _take_in(job: RunningImport) -> None:
    """Take everything in, in one transaction which is short but for the reading."""
    skip = Plan.of_json(job.row["plan"]).skip
    reader = await _staged(job, skip=skip)
    if reader.problems and not skip:
        raise ImportRefused(BROKEN)  # none were found when it was tried
    settled = await adding.settle(job.conn, job.row["letter"], reader.entries, job.row["number"], dry_run=False)
    report = adding.reported(reader.read - len(reader.problems), *settled)
    await _end(job, ImportState.DONE, _told(report) | {"skipped": len(reader.problems)}, "import.done")
    await queries.drop_parts(job.conn, *job.place)


async def _undo(job: RunningImport) -> None:
    """Take back one batch of an import; the last one ends it."""
    if await undoing.take_back(job.conn, *job.place, actor_id=job.row["organizer"]):
        return
    left = await queries.left(job.conn, *job.place)
    report = {"undone": await queries.undone(job.conn, *job.place), "left": left}
    await _end(job, ImportState.UNDONE, report, "import.undone")


async def _redo(job: RunningImport) -> None:
    """Bring back what undoing took away, by the rules of any import."""
    report = await undoing.bring_back(job.conn, *job.place)
    await _end(job, ImportState.DONE, _told(report), "import.redone")


async def _end(job: RunningImport, state: ImportState, report: Mapping[str, int], act: str) -> None:
    if not await queries.ended(job.conn, *job.place, job.row["state"], state.value, report):
        raise Stopped  # cancelled at the last moment: all of it is rolled back
    counts = ".".join(f"{name}:{report[name]}" for name in ("people", "organizations", "undone") if name in report)
    letter, number = job.place
    await audit_log.record(job.conn, job.row["organizer"], letter, act, ids=[number], after=counts)


def _told(report: ImportReport) -> dict[str, int]:
    names = ("rows", "people", "organizations", "representatives", "hidden", "known", "barred")
    return {name: getattr(report, name) for name in names}


_STEPS: Mapping[ImportState, Callable[[RunningImport], Awaitable[Any]]] = {
    ImportState.READING: _read,
    ImportState.CHECKING: _check,
    ImportState.IMPORTING: _take_in,
    ImportState.UNDOING: _undo,
    ImportState.REDOING: _redo,
}


async def forget_files(database: Database) -> int:
    """Delete the files of imports that ended or that nobody finished in a day, and what can be undone no more."""
    async with database.transaction() as conn:
        return await queries.forget(conn, EXPIRED)
