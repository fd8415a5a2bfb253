"""The page of a letter's imports and paper tallies, and parts of the page of one import."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from petition.core.encryption import LetterKeys
from petition.imports import adding, kept_mappings, labels, problem_rows, queries
from petition.imports.column_values import ANSWERS, understood
from petition.imports.file_info import FileInfo
from petition.imports.model import FILE_HOURS, MAX_BYTES, ImportJob, ImportState, file_name, import_job_in
from petition.imports.notes import NoteGroup, groups_in
from petition.imports.problem_rows import ProblemRow
from petition.letters.keys import keys_for
from petition.signatures import paper_tallies
from petition.web.desk.forms import NO_FIELDS, Errors, Form
from petition.web.desk.page import desk_page
from petition.web.desk.visit import DeskVisit

MAX_PROBLEMS = 20  # on the page; the file has all


async def imports_page(
    visit: DeskVisit, form: Form = NO_FIELDS, errors: Errors = NO_FIELDS, *, status: int | None = None
) -> Response:
    """Answer with the page; ``form`` is a tally's form as it was sent."""
    async with visit.database.connection() as conn:
        rows = await queries.load_newest_jobs(conn, visit.letter.id, visit.organizer.id)
        tallies = await paper_tallies.load_newest(conn, visit.letter.id)
        keys = await keys_for(conn, visit.letter.id, visit.services.wrapper)
        mappings = await kept_mappings.load(conn, visit.letter.id, keys)
    jobs = [import_job_in(row) for row in rows]
    return desk_page(
        visit,
        "desk/transfer/imports.html",
        status=status,
        errors=errors,
        jobs=[(job, file_name(job, keys)) for job in jobs],
        mappings=mappings,
        import_states=labels.STATES,
        tallies=tallies,
        letter_languages=visit.languages,
        form=form,
        min_mailboxes=adding.MIN_MAILBOXES,
        max_megabytes=MAX_BYTES // 1024 // 1024,
        hours=FILE_HOURS,
    )


@dataclass(frozen=True, slots=True)
class Trial:
    """What a dry run found, as its page shows it."""

    groups: Sequence[Mapping[str, Any]] = ()  # of problems: field, reason, rows
    problems: Sequence[tuple[ProblemRow, str]] = ()  # the first rows, with the cell that is wrong
    left_out: Sequence[ProblemRow] = ()
    notes: Sequence[NoteGroup] = ()
    same_names: Sequence[tuple[int, int, str]] = ()  # import, rows, name of its file
    lines: Sequence[int] = ()  # of the first rows with such names

    @property
    def named(self) -> int:
        """The number of rows with names that were imported before."""
        return sum(rows for _, rows, _ in self.same_names)


async def trial_of(visit: DeskVisit, job: ImportJob, keys: LetterKeys) -> Trial:
    """Return what is shown of a dry run; nothing in other states."""
    if job.state not in {ImportState.CHECKED, ImportState.DONE, ImportState.UNDONE} or not job.notes:
        return Trial()
    letter_id = visit.letter.id
    async with visit.database.connection() as conn:
        problems = await queries.load_problems(conn, letter_id, job.number, 0, MAX_PROBLEMS) if job.problems else []
        groups = await queries.load_problem_groups(conn, letter_id, job.number) if job.problems else []
        left_out = await queries.load_rows_left_out(conn, letter_id, job.number)
        earlier = [
            (int(number), rows, file_name(import_job_in(row), keys))
            for number, rows in job.notes.get("imports", {}).items()
            if (row := await queries.load_job(conn, letter_id, int(number)))
        ]
    rows = [problem_rows.unseal(row, keys) for row in problems]
    return Trial(
        groups=[dict(group) for group in groups],
        problems=[(row, row.cell(job.plan)) for row in rows],
        left_out=[problem_rows.unseal(row, keys) for row in left_out],
        notes=groups_in(job.notes.get("groups")),
        same_names=earlier,
        lines=job.notes.get("lines", ()),
    )


@dataclass(frozen=True, slots=True)
class ValueChoice:
    """One value of a column, what it means, and whether that has to be chosen."""

    name: str  # of the form's field
    cell: str
    rows: int
    answer: str


@dataclass(frozen=True, slots=True)
class ColumnValues:
    title: str
    field: str  # whose values these are
    answers: Sequence[str]
    choices: Sequence[ValueChoice]


def values_of(job: ImportJob, file: FileInfo, form: Form) -> Sequence[ColumnValues]:
    """Return the values of the columns whose cells choose something: by the form as it was sent, or by the plan."""
    if job.plan is None:
        return ()
    columns = [form.get(f"c{index}", name) for index, name in enumerate(job.plan.columns)]
    return [
        _values(job, file, form, columns.index(name), name)
        for name in ANSWERS
        if name in columns and str(columns.index(name)) in file.values
    ]


def _values(job: ImportJob, file: FileInfo, form: Form, index: int, name: str) -> ColumnValues:
    planned = job.plan.values.get(str(index), ()) if job.plan else ()
    choices = []
    for number, (cell, rows) in enumerate(file.values[str(index)]):
        key = f"v{index}-{number}"
        known = planned[number] if number < len(planned) else understood(name, cell, file.header[index])
        choices.append(ValueChoice(key, cell, rows, form.get(key, known or "")))
    return ColumnValues(file.header[index], name, ANSWERS[name], choices)
