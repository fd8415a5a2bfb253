"""The worker's part of imports: reading a file, the dry run, the import, undoing it.

A job is one transaction which holds the import's lock: if the worker dies, it is rolled back, the lock is free, and the
next worker starts the job anew. Progress and cancelling use a connection of their own. Files are parsed in a thread, so
that mail is delivered meanwhile.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Any, TypeVar

from petition.core import audit_log
from petition.core.database import Connection, Database, Record
from petition.core.encryption import LetterKeys, Wrapper
from petition.core.errors import Gone, ImportRefused, KeyDestroyed, Unavailable
from petition.core.i18n import N_
from petition.core.ids import LetterId
from petition.formats import encodings, tables
from petition.formats.dates import DateStatistics
from petition.formats.tables import CSV, Pieces
from petition.imports import adding, adding_queries, queries, undoing
from petition.imports.adding import RowReader, Target
from petition.imports.column_guessing import guess
from petition.imports.column_mapping import Mapper, Plan
from petition.imports.model import FileInfo, ImportState
from petition.letters.keys import keys_of
from petition.signatures import organization_queries

POLL = 1.0  # seconds
TICK = 0.5  # seconds between two reports of progress
BATCH = 500  # rows a thread reads at once
SAMPLE_ROWS = 8  # that the mapping page shows
MAX_SAMPLE_CELL = 120  # characters of a cell there

NO_KEYS = N_("This letter’s keys have been destroyed, so nothing more can be imported.")
BROKEN = N_("Something went wrong, and nothing was changed. Tell the person who runs this site.")
EXPIRED = N_("This import was not finished within a day, so its file was deleted.")

log = logging.getLogger(__name__)
Item = TypeVar("Item")


class Stopped(Exception):
    """The import was cancelled, or the worker is shutting down."""


@dataclass(slots=True)
class RunningImport:
    """An import that the worker has locked."""

    database: Database
    conn: Connection
    row: Record
    keys: LetterKeys
    languages: tuple[str, ...]
    stop: asyncio.Event
    done: int = 0
    is_stopped: bool = False
    _ticker: "asyncio.Task[None] | None" = field(default=None)

    @property
    def key(self) -> tuple[LetterId, int]:
        return self.row["letter"], self.row["number"]

    @contextlib.asynccontextmanager
    async def report_progress(self) -> AsyncIterator[None]:
        """Store the progress every ``TICK`` and notice when the import is cancelled."""
        ticker = asyncio.create_task(self._tick())
        try:
            yield
        finally:
            ticker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await ticker

    async def _tick(self) -> None:
        while not self.is_stopped:
            await asyncio.sleep(TICK)
            with contextlib.suppress(Unavailable):
                async with self.database.connection() as conn:
                    is_open = await queries.store_progress(conn, *self.key, self.row["state"], self.done)
                self.is_stopped = not is_open or self.stop.is_set()

    def count(self, rows: Iterable[Item]) -> Iterator[Item]:
        """Pass rows on and count them. Raises ``Stopped`` once the import is cancelled."""
        for row in rows:
            if self.is_stopped:
                raise Stopped
            yield row
            self.done += 1

    async def pieces(self) -> Pieces:
        """Return the file; only one piece of it is decrypted at a time."""
        parts = await queries.load_parts(self.conn, *self.key)
        return lambda: (self.keys.decrypt(part) for part in parts)


async def step(
    database: Database, wrapper: Wrapper, languages: tuple[str, ...], stop: asyncio.Event | None = None
) -> bool:
    """Take the next step of some import; return whether there was one. Raises ``Unavailable``, ``Gone``."""
    row: Record | None = None
    try:
        async with database.transaction() as conn:
            row = await queries.lock_next_job(conn)
            if row is None:
                return False
            job = RunningImport(database, conn, row, keys_of(row, wrapper), languages, stop or asyncio.Event())
            await _STEPS[ImportState(row["state"])](job)
    except Stopped:
        return True
    except ImportRefused as refused:
        await _fail(database, row, str(refused))
    except KeyDestroyed:
        await _fail(database, row, NO_KEYS)
    except (Unavailable, Gone):
        raise
    except Exception:
        if row is None:  # nothing was taken, so that the next step would fail at once in the same way
            raise
        log.exception("import failed")
        await _fail(database, row, BROKEN)
    return True


async def _fail(database: Database, row: Record | None, reason: str) -> None:
    if row is not None:
        async with database.transaction() as conn:
            await queries.fail(conn, row["letter"], row["number"], row["state"], reason)


async def _read(job: RunningImport) -> None:
    pieces = await job.pieces()
    async with job.report_progress():
        file_info = await asyncio.to_thread(_inspect, job, pieces)
    await queries.finish_reading(job.conn, *job.key, file_info)


def _inspect(job: RunningImport, pieces: Pieces) -> tuple[object, ...]:
    """Return format, encoding, delimiter, file info, plan, number of rows. Reads all of the file, a row at a time."""
    file_format, encoding, delimiter = tables.detect_format(pieces), job.row["encoding"], job.row["delimiter"]
    if file_format == CSV:
        encoding = encoding or encodings.detect(pieces())
        delimiter = delimiter or tables.detect_delimiter(pieces, encoding)
    lines = tables.read_lines(pieces, file_format, encoding or "", delimiter or "")
    header = tables.parse_header(next(lines, None))
    statistics = [DateStatistics() for _ in header]
    sample: list[list[str]] = []
    for _, cells in job.count(lines):
        if isinstance(cells, str):
            continue
        for column, cell in zip(statistics, cells, strict=False):
            column.add(cell)
        if len(sample) < SAMPLE_ROWS:
            texts = (" ".join(cell.replace("\0", "").split()) for cell in cells[: len(header)])
            sample.append([text[:MAX_SAMPLE_CELL] for text in texts])
    if not job.done:
        raise ImportRefused(tables.ONLY_HEADER)
    name = FileInfo.decrypt(job.row["about"], job.keys).name
    sheets = 1 if file_format == CSV else tables.count_sheets(pieces)
    file = FileInfo(name, header, sample, [column.order for column in statistics], sheets)
    return file_format, encoding, delimiter, file.encrypt(job.keys), Plan(guess(header)).as_json(), job.done


async def _stage(job: RunningImport, *, skip: bool) -> RowReader:
    """Read all rows into a temporary table of this transaction."""
    pieces, now, row = await job.pieces(), await organization_queries.now(job.conn), job.row
    lines = tables.read_lines(pieces, row["format"], row["encoding"] or "", row["delimiter"] or "")
    orders = FileInfo.decrypt(row["about"], job.keys).orders
    rows = Mapper(Plan.of_json(row["plan"]), orders, now, job.languages).rows(lines)
    reader = RowReader(Target(row["letter"], job.keys, row["rules_version"], job.languages), now, skip=skip)
    async with job.report_progress():
        await adding_queries.stage(job.conn, in_batches(reader.rows(job.count(rows))))
    return reader


async def in_batches(rows: Iterator[Item]) -> AsyncIterator[Item]:
    """Yield rows, read in a thread, some at a time."""
    while batch := await asyncio.to_thread(lambda: list(islice(rows, BATCH))):
        for row in batch:
            yield row


async def _check(job: RunningImport) -> None:
    reader = await _stage(job, skip=True)
    result = await adding.add_staged(job.conn, job.row["letter"], reader.entries, None, dry_run=True)
    report = asdict(result.report(reader.read - len(reader.problems)))
    problems = [(problem.line, problem.column, problem.reason) for problem in reader.problems]
    await queries.finish_checking(job.conn, *job.key, report, problems)


async def _import(job: RunningImport) -> None:
    skip = Plan.of_json(job.row["plan"]).skip
    reader = await _stage(job, skip=skip)
    if reader.problems and not skip:
        raise ImportRefused(BROKEN)  # the dry run had none
    result = await adding.add_staged(job.conn, job.row["letter"], reader.entries, job.row["number"], dry_run=False)
    report = asdict(result.report(reader.read - len(reader.problems)))
    await _finish(job, ImportState.DONE, report | {"skipped": len(reader.problems)}, "import.done")
    await queries.drop_parts(job.conn, *job.key)


async def _undo(job: RunningImport) -> None:
    """Undo one batch of an import; the last one ends it."""
    if await undoing.take_back(job.conn, *job.key, actor_id=job.row["organizer"]):
        return
    left = await undoing.count_imported(job.conn, *job.key)
    report = {"undone": await queries.count_undone(job.conn, *job.key), "left": left}
    await _finish(job, ImportState.UNDONE, report, "import.undone")


async def _redo(job: RunningImport) -> None:
    report = await undoing.bring_back(job.conn, *job.key)
    await _finish(job, ImportState.DONE, asdict(report), "import.redone")


async def _finish(job: RunningImport, state: ImportState, report: Mapping[str, int], act: str) -> None:
    if not await queries.finish(job.conn, *job.key, job.row["state"], state.value, report):
        raise Stopped  # cancelled at the last moment: all of it is rolled back
    counts = ".".join(f"{name}:{report[name]}" for name in ("people", "organizations", "undone") if name in report)
    letter_id, number = job.key
    await audit_log.record(job.conn, job.row["organizer"], letter_id, act, ids=[number], after=counts)


_STEPS: Mapping[ImportState, Callable[[RunningImport], Awaitable[Any]]] = {
    ImportState.READING: _read,
    ImportState.CHECKING: _check,
    ImportState.IMPORTING: _import,
    ImportState.UNDOING: _undo,
    ImportState.REDOING: _redo,
}


async def drop_expired_files(database: Database) -> int:
    """Delete the files of imports that ended or were not finished in a day, and what can no longer be restored."""
    async with database.transaction() as conn:
        return await queries.drop_expired(conn, EXPIRED)
