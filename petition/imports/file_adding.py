"""A whole file at once, as the command imports it: read, mapped by what is understood, checked, added.

What the desk would ask about is refused here, or answered by an option.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import BinaryIO

from petition.core.database import Connection
from petition.core.errors import ImportRefused
from petition.core.keeper import NO_KEEPER, KeeperClient
from petition.formats import tables
from petition.formats.dates import DateOrder
from petition.formats.tables import CSV, Pieces
from petition.imports import adding_queries as queries
from petition.imports import inspecting
from petition.imports.adding import ImportReport, add_staged
from petition.imports.column_mapping import AMBIGUOUS, FIELDS, HIDDEN_ROWS, NO_NAME, LeftOut, Mapper, Plan
from petition.imports.header_finding import NO_HEADER
from petition.imports.inspecting import Choice, Inspection
from petition.imports.notes import NoteGroup
from petition.imports.plain_rows import PlainRow, mapped
from petition.imports.row_reading import Progress, RowReader, Target
from petition.imports.same_names import NameComparison, SameNames, compares
from petition.imports.staged_rows import blocks
from petition.signatures import csv_format, organization_queries
from petition.signatures.csv_format import COLUMNS, Problem, Row

CHUNK = 256 * 1024  # bytes read at once
_NAMES = {"name", "first", "last", "organization", "name_ru"}


@dataclass(frozen=True, slots=True)
class Answers:
    """What the desk would ask."""

    dates: DateOrder | None = None
    hidden: bool | None = None  # read the rows that a workbook hides
    same_names: bool = False  # add rows whose names were imported before


NO_ANSWERS = Answers()


@dataclass(frozen=True, slots=True)
class FileResult:
    """What importing a file did, or would do."""

    report: ImportReport
    columns: Sequence[tuple[str, str]] = ()  # the title and the field of each column, if they were guessed
    notes: Sequence[NoteGroup] = ()
    left_out: Sequence[LeftOut] = ()
    repeated: Sequence[tuple[int, int]] = ()  # lines, with that of an earlier row of the mailbox
    same_names: SameNames = field(default_factory=SameNames)


async def add_rows(
    conn: Connection,
    target: Target,
    source: BinaryIO,
    *,
    dry_run: bool = False,
    progress: Progress = lambda _: None,
    answers: Answers = NO_ANSWERS,
    keeper: KeeperClient = NO_KEEPER,
) -> FileResult:
    """Import every row of ``source`` in this transaction; with ``dry_run`` only report what that would do.

    Raises ``ImportRefused`` with a line for each row with a problem; then no row is imported. Raises ``KeyDestroyed``
    if the letter's keys are destroyed.
    """
    now = await organization_queries.now(conn)
    pieces = tables.unwrapped(_pieces_of(source))
    inspection = inspecting.inspect(pieces, "", Choice(), target.keys)
    plan, is_ours = inspection.plan, _is_ours(inspection)
    if not is_ours:
        plan = _answered(inspection, answers)
    names = NameComparison(target.keys, add=answers.same_names) if await compares(conn, target.letter_id) else None
    reader = RowReader(target, now, progress, names=names, dry_run=dry_run)
    lines = partial(tables.read_lines, pieces, inspection.format, inspection.encoding or "", inspection.delimiter or "")
    of_sheet = lines(plan.sheet, hidden=bool(plan.hidden))
    rows: Iterator[Row | Problem | LeftOut | PlainRow]
    if is_ours:
        below = (line for line in of_sheet if line[0] >= (plan.header or 0))
        rows = csv_format.parse_rows(below, now, target.languages)
    else:
        orders, values = inspection.file.orders, inspection.file.values
        is_csv = inspection.format == CSV
        rows = mapped(Mapper(plan, orders, now, target.languages, values, is_csv), of_sheet, target.rules_version)
    await queries.stage(conn, blocks(reader.rows(rows)))
    if reader.problems:
        raise ImportRefused(
            f"nothing was imported: {len(reader.problems)} of {reader.read} rows cannot be imported",
            tuple(map(str, reader.problems)),
        )
    result = await add_staged(conn, target.letter_id, reader.entries, None, dry_run=dry_run, names=names, keeper=keeper)
    columns = () if is_ours else tuple(zip(inspection.file.header, plan.columns, strict=False))
    report = result.report(reader.staged, len(reader.left_out))
    return FileResult(report, columns, reader.notes.groups, reader.left_out, result.repeated, result.same_names)


def _pieces_of(source: BinaryIO) -> Pieces:
    if not source.seekable():  # a pipe
        content = source.read()
        return lambda: (content,)

    def pieces() -> Iterator[bytes]:
        # Two readings of one file may take turns.
        position = 0
        while True:
            source.seek(position)
            piece = source.read(CHUNK)
            if not piece:
                return
            position += len(piece)
            yield piece

    return pieces


def _is_ours(inspection: Inspection) -> bool:
    """Return whether the columns are those of an export, so that nothing is to be guessed."""
    titles = [title.strip().casefold() for title in inspection.file.header if title.strip()]
    return inspection.plan.header != NO_HEADER and "kind" in titles and set(titles) <= set(COLUMNS)


def _answered(inspection: Inspection, answers: Answers) -> Plan:
    """Return the guessed plan with the answers. Raises ``ImportRefused`` where one is missing."""
    plan, file = inspection.plan, inspection.file
    if not _NAMES & set(plan.columns):
        raise ImportRefused(f"{NO_NAME} The columns may be {', '.join(COLUMNS)}; found: {', '.join(file.header)}")
    for index, name in enumerate(plan.columns):
        if name == "signed_at" and file.orders[index] is DateOrder.UNKNOWN and answers.dates is None:
            raise ImportRefused(f"{AMBIGUOUS} (--dates day, --dates month)")
    if file.hidden_rows and answers.hidden is None:
        raise ImportRefused(f"{HIDDEN_ROWS} (--hidden read, --hidden leave-out; there are {file.hidden_rows})")
    return replace(plan, dates=answers.dates, hidden=answers.hidden, same_names=answers.same_names)


def field_name(name: str) -> str:
    return FIELDS.get(name, "left out")
