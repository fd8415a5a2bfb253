"""The worker's part of imports: reading a file, the dry run, the import, undoing it.

A job is one transaction which holds the import's lock: if the worker dies, it is rolled back, the lock is free, and the
next worker starts the job anew. Progress and cancelling use a connection of their own. Files are parsed in a thread, so
that mail is delivered meanwhile.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from typing import Any, TypeVar

from petition.core import audit_log
from petition.core.database import Connection, Database, Record
from petition.core.decryptions import DecryptionPurpose, decrypts_for
from petition.core.encryption import LetterKeys, Wrapper
from petition.core.errors import Gone, ImportRefused, KeyDestroyed, Unavailable
from petition.core.i18n import N_
from petition.core.ids import LetterId
from petition.core.keeper import NO_KEEPER, KeeperClient
from petition.formats import tables
from petition.formats.tables import CSV, Line, Pieces
from petition.imports import adding, adding_queries, inspecting, kept_mappings, problem_rows, queries, undoing
from petition.imports.adding import MailboxesRefused
from petition.imports.column_mapping import Mapper, Plan
from petition.imports.file_info import FileInfo
from petition.imports.inspecting import Choice, Inspection
from petition.imports.model import ImportState
from petition.imports.plain_rows import mapped
from petition.imports.prepared_rows import PreparedRows, StagedFile
from petition.imports.row_reading import RowReader, Target
from petition.imports.same_names import NameComparison, compares
from petition.imports.staged_rows import Block, blocks
from petition.letters.keys import keys_of
from petition.signatures import organization_queries

POLL = 1.0  # seconds
TICK = 0.5  # seconds between two reports of progress
BATCH = 500  # rows a thread reads at once
MAX_LEFT_OUT = 1000  # rows that are stored, to be shown

NO_KEYS = N_("This letter’s keys have been destroyed, so nothing more can be imported.")
BROKEN = N_("Something went wrong, and nothing was changed. Tell the person who runs this site.")
NO_AUTHOR = N_("The organizer who started this no longer works on the letter, so nothing was changed.")
REPEATED = N_("An earlier row of this file has the same mailbox.")
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
    keeper: KeeperClient
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


@decrypts_for(DecryptionPurpose.IMPORT)
async def step(
    database: Database,
    wrapper: Wrapper,
    languages: tuple[str, ...],
    stop: asyncio.Event | None = None,
    keeper: KeeperClient = NO_KEEPER,
) -> bool:
    """Take the next step of some import; return whether there was one. Raises ``Unavailable``, ``Gone``."""
    row: Record | None = None
    try:
        async with database.transaction() as conn:
            row = await queries.lock_next_job(conn)
            if row is None:
                return False
            job = RunningImport(
                database, conn, row, keys_of(row, wrapper, row["letter"]), languages, stop or asyncio.Event(), keeper
            )
            await _STEPS[ImportState(row["state"])](job)
    except Stopped:
        return True
    except ImportRefused as refused:
        await _fail(database, row, str(refused))
    except MailboxesRefused:
        await _fail(database, row, adding.TOO_FEW_MAILBOXES if row and _may_add_mailboxes(row) else adding.OWNERS_ONLY)
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
    letter_id, _ = job.key
    mappings = await kept_mappings.load(job.conn, letter_id, job.keys)
    row = job.row
    before = Plan.of_json(row["plan"]) if row["plan"] else None
    choice = Choice(row["encoding"], row["delimiter"])
    if before:
        choice = replace(choice, sheet=before.sheet, header=before.header, use_mapping=before.use_mapping)
    name = FileInfo.decrypt(row["about"], job.keys).name

    def inspect() -> Inspection:
        return inspecting.inspect(tables.unwrapped(pieces), name, choice, job.keys, mappings, job.count)

    async with job.report_progress():
        inspection = await asyncio.to_thread(inspect)
    if not inspection.rows:
        raise ImportRefused(tables.ONLY_HEADER)
    about, plan = inspection.file.encrypt(job.keys), inspection.plan.as_json()
    await queries.finish_reading(
        job.conn, *job.key, (inspection.format, inspection.encoding, inspection.delimiter, about, plan, inspection.rows)
    )


def _lines(job: RunningImport, pieces: Pieces, plan: Plan) -> Iterator[Line]:
    """Return the lines of the file as they were read for the mapping."""
    row = job.row
    file_format, encoding, delimiter = row["format"], row["encoding"] or "", row["delimiter"] or ""
    return tables.read_lines(
        tables.unwrapped(pieces), file_format, encoding, delimiter, plan.sheet, hidden=bool(plan.hidden)
    )


async def _stage(job: RunningImport, *, skip: bool, dry_run: bool = False) -> tuple[RowReader, NameComparison | None]:
    """Read all rows into a temporary table of this transaction; a dry run keeps them for the import."""
    pieces, now, row = await job.pieces(), await organization_queries.now(job.conn), job.row
    plan, file = Plan.of_json(row["plan"]), FileInfo.decrypt(row["about"], job.keys)
    names = await _names(job, plan)
    mapper = Mapper(plan, file.orders, now, job.languages, file.values, row["format"] == CSV)
    target = Target(row["letter"], job.keys, row["rules_version"], job.languages)
    reader = RowReader(target, now, skip=skip, names=names, dry_run=dry_run, keep=dry_run)
    prepared = PreparedRows(job.conn, *job.key, job.keys)
    lines = mapped(mapper, _lines(job, pieces, plan), target.rules_version)
    await prepared.begin()
    async with job.report_progress():
        read = blocks(reader.rows(job.count(lines)))
        await adding_queries.stage(job.conn, read, prepared.keep if dry_run else None)
    if dry_run:
        await prepared.finish(StagedFile.of(reader), now, with_names=names is not None)
    return reader, names


async def _names(job: RunningImport, plan: Plan) -> NameComparison | None:
    return NameComparison(job.keys, add=plan.same_names) if await compares(job.conn, job.row["letter"]) else None


async def _stage_again(job: RunningImport, plan: Plan) -> tuple[StagedFile, NameComparison | None]:
    """Stage the rows that the dry run has read, or read them again if it cannot be helped."""
    names, now = await _names(job, plan), await organization_queries.now(job.conn)
    prepared = PreparedRows(job.conn, *job.key, job.keys)
    file = await prepared.load(now, with_names=names is not None)
    if file is None:
        reader, names = await _stage(job, skip=plan.skip)
        return StagedFile.of(reader), names

    async def read() -> AsyncIterator[Block]:
        async for lines in prepared.blocks():
            if job.is_stopped:
                raise Stopped
            yield lines, b""
            job.done += lines.count(b"\n")

    async with job.report_progress():
        await adding_queries.stage(job.conn, read())
    if names:
        names.know(await adding_queries.load_full_names(job.conn))
    return file, names


async def in_batches(rows: Iterator[Item]) -> AsyncIterator[Item]:
    """Yield rows, read in a thread, some at a time."""
    while batch := await asyncio.to_thread(lambda: list(islice(rows, BATCH))):
        for row in batch:
            yield row


async def _check(job: RunningImport) -> None:
    reader, names = await _stage(job, skip=True, dry_run=True)
    letter_id, _ = job.key
    result = await adding.add_staged(
        job.conn, letter_id, reader.entries, None, dry_run=True, names=names, keeper=job.keeper
    )
    for line, first in result.repeated:
        reader.notes.add("email", REPEATED, f"{line} = {first}")
    report = asdict(result.report(reader.staged, len(reader.left_out)))
    by_import = {str(number): rows for number, rows in result.same_names.by_import.items()}
    notes = {"groups": reader.notes.as_json(), "imports": by_import, "lines": list(result.same_names.lines)}
    await queries.drop_problems(job.conn, *job.key)
    problems = await _store_problems(job, reader)
    if not await queries.finish_checking(job.conn, *job.key, report, notes, problems):
        raise Stopped


async def _store_problems(job: RunningImport, reader: RowReader) -> int:
    """Store the rows with problems, and the first of those left out, with their cells.

    Return how many have problems.
    """
    reasons = {problem.line: (problem.column, problem.reason) for problem in reader.problems}
    reasons |= {row.line: (queries.LEFT_OUT, row.reason) for row in reader.left_out[:MAX_LEFT_OUT]}
    if not reasons:
        return 0
    pieces, plan = await job.pieces(), Plan.of_json(job.row["plan"])
    header = FileInfo.decrypt(job.row["about"], job.keys).header

    def rows() -> Iterator[tuple[object, ...]]:
        yield (*job.key, 0, queries.HEADER, "", problem_rows.seal(job.keys, header))
        for line, cells in _lines(job, pieces, plan):
            if line in reasons:
                column, reason = reasons.pop(line)
                yield (*job.key, line, column, reason, problem_rows.seal(job.keys, cells))

    await queries.add_problems(job.conn, in_batches(rows()))
    return len({problem.line for problem in reader.problems})


async def _check_author(job: RunningImport) -> None:
    """Raise ``ImportRefused`` if the organizer who started this was removed from the letter before it was done."""
    if not await queries.may_add(job.conn, *job.key):
        raise ImportRefused(NO_AUTHOR)


async def _import(job: RunningImport) -> None:
    await _check_author(job)
    plan = Plan.of_json(job.row["plan"])
    file, names = await _stage_again(job, plan)
    if file.problems and not plan.skip:
        raise ImportRefused(BROKEN)  # the dry run had none
    letter_id, number = job.key
    result = await adding.add_staged(
        job.conn,
        letter_id,
        file.entries,
        number,
        dry_run=False,
        names=names,
        keeper=job.keeper,
        min_mailboxes=adding.MIN_MAILBOXES if _may_add_mailboxes(job.row) else None,
    )
    report = asdict(result.report(file.rows, file.left_out))
    await _finish(job, ImportState.DONE, report | {"skipped": file.problems}, "import.done")
    await queries.drop_parts(job.conn, *job.key)


def _may_add_mailboxes(row: Record) -> bool:
    return bool(row["plan"]) and Plan.of_json(row["plan"]).mailboxes


async def _undo(job: RunningImport) -> None:
    """Undo one batch of an import; the last one ends it."""
    letter_id, number = job.key
    if await undoing.take_back(job.conn, letter_id, job.keys, number, actor_id=job.row["organizer"]):
        return
    left = await undoing.count_imported(job.conn, *job.key)
    report = {"undone": await undoing.count_undone_rows(job.conn, *job.key, job.row["report"] or {}), "left": left}
    await _finish(job, ImportState.UNDONE, report, "import.undone")


async def _redo(job: RunningImport) -> None:
    await _check_author(job)
    letter_id, number = job.key
    # Imports of an earlier version, and those of the command, had no least number.
    few = adding.MIN_MAILBOXES if "mailboxes" in (job.row["report"] or {}) else 0
    limit = few if _may_add_mailboxes(job.row) else None
    report = await undoing.bring_back(job.conn, letter_id, job.keys, number, limit)
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
