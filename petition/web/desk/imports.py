"""Imports at the desk: the upload, the meaning of each column, the dry run, the progress, undoing it."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse

from petition.core.access_journal import JournalKind
from petition.core.encryption import LetterKeys
from petition.core.errors import KeyDestroyed, Refused
from petition.core.form_values import MAX_INTEGER, number_of
from petition.formats import tables
from petition.formats.dates import DateOrder
from petition.formats.encodings import NAMES
from petition.formats.tables import DELIMITERS, EMPTY
from petition.imports import (
    adding,
    column_guessing,
    column_mapping,
    kept_mappings,
    labels,
    problem_rows,
    queries,
    steering,
    worker,
)
from petition.imports.file_info import FileInfo
from petition.imports.header_finding import NO_HEADER
from petition.imports.model import UNDO_DAYS, ImportJob, ImportState, file_name
from petition.imports.steering import FileTooLarge, MailboxRights
from petition.letters.keys import keys_for
from petition.organizers.model import Role
from petition.signatures.model import Visibility
from petition.web import http, multipart
from petition.web.desk import access_page, downloads, imports_page, names_read
from petition.web.desk.forms import NO_FIELDS, Errors, Form, form_view
from petition.web.desk.page import desk_page, download_headers
from petition.web.desk.visit import DeskVisit
from petition.web.multipart import BadForm

UPLOAD_SECONDS = 900.0  # for a whole file, however slow the line
IDLE_SECONDS = 30.0  # between two pieces of it
MAX_DISCARDED = 256 * 1024 * 1024  # bytes read and dropped, so that the browser shows why a file was refused
CHUNK = 1000  # rows of the file of problems read at a time

SHOWING_NAMES = {ImportState.MAPPING, ImportState.CHECKED, ImportState.DONE, ImportState.UNDONE}

# After any other error the worker drops the upload within the hour.
_EXPECTED = (FileTooLarge, Refused, KeyDestroyed, TimeoutError, BadForm, ClientDisconnect)


async def show_all(visit: DeskVisit) -> Response:
    """Show the imports of a letter, and how to begin one."""
    return await imports_page.imports_page(visit)


async def upload(visit: DeskVisit) -> Response:
    """Store a file, encrypted piece by piece as it arrives."""
    request, actor = visit.request, visit.actor
    stream = _stream(request)
    try:
        file = multipart.Upload(request.headers.get("content-type", ""))
        async with visit.database.transaction() as conn:
            keys = await keys_for(conn, actor.letter_id, visit.services.wrapper)
            number = await steering.begin(conn, actor)
    except BadForm:
        raise HTTPException(415) from None
    except Refused as refused:
        return await _refuse_upload(visit, stream, refused.message, refused.field)
    try:
        async with asyncio.timeout(UPLOAD_SECONDS):
            size = await steering.store(visit.database, actor, keys, number, file.content(stream))
        if not size:
            raise Refused(EMPTY, "file")
        async with visit.database.transaction() as conn:
            await steering.finish_upload(conn, actor, keys, number, file.name)
    except _EXPECTED as error:
        async with visit.database.connection() as conn:
            await queries.drop_upload(conn, actor.letter_id, number)
        return await _answer_failure(visit, stream, error)
    return http.redirect(visit.letter_path(f"import/{number}"))


async def _answer_failure(visit: DeskVisit, stream: AsyncIterator[bytes], error: Exception) -> Response:
    """Answer with the page and why the file was refused. Raises a 408 or a 400."""
    if isinstance(error, FileTooLarge):
        return await _refuse_upload(visit, stream, steering.TOO_LARGE, status=413)
    if isinstance(error, Refused):
        return await imports_page.imports_page(visit, errors={error.field: error.message})
    if isinstance(error, KeyDestroyed):
        return await _refuse_upload(visit, stream, worker.NO_KEYS)
    raise HTTPException(408 if isinstance(error, TimeoutError) else 400) from None


async def _refuse_upload(
    visit: DeskVisit, stream: AsyncIterator[bytes], message: str, field: str = "file", status: int | None = None
) -> Response:
    await _discard(stream)
    return await imports_page.imports_page(visit, errors={field: message}, status=status)


async def _stream(request: Request) -> AsyncIterator[bytes]:
    """Yield the body as it arrives. Raises ``TimeoutError`` when nothing arrives for ``IDLE_SECONDS``."""
    body = aiter(request.stream())
    while True:
        try:
            async with asyncio.timeout(IDLE_SECONDS):
                piece = await anext(body)
        except StopAsyncIteration:
            return
        yield piece


async def _discard(stream: AsyncIterator[bytes]) -> None:
    """Read on without storing anything: a browser whose upload is cut off shows no page."""
    size = 0
    try:
        async with asyncio.timeout(UPLOAD_SECONDS):
            async for piece in stream:
                size += len(piece)
                if size > MAX_DISCARDED:
                    return
    except (TimeoutError, ClientDisconnect):
        return


async def show(visit: DeskVisit, form: Form = NO_FIELDS, errors: Errors = NO_FIELDS) -> Response:
    letter_id, number = visit.letter.id, _number(visit)
    async with visit.database.connection() as conn:
        job = await steering.load(conn, letter_id, number)
        keys = await keys_for(conn, letter_id, visit.services.wrapper)
        undone = await queries.count_undone(conn, letter_id, number) if job.state is ImportState.UNDONE else 0
    if job.state in SHOWING_NAMES:
        names_read.check(visit)
    file, trial = FileInfo.decrypt(job.about, keys), await imports_page.trial_of(visit, job, keys)
    return desk_page(
        visit,
        "desk/transfer/import.html",
        errors=errors,
        job=job,
        import_states=labels.STATES,
        file=file,
        name=file.name or file_name(job, keys),
        is_questionable=job.state is ImportState.MAPPING and _is_questionable(job, file),
        values=imports_page.values_of(job, file, form) if job.state is ImportState.MAPPING else (),
        form=form,
        trial=trial,
        redoable=job.report.get("undone", undone) if undone else 0,
        min_mailboxes=adding.MIN_MAILBOXES,
        is_owner=visit.role is Role.OWNER,
        fields=column_mapping.FIELDS,
        kinds=column_mapping.KINDS,
        visibilities=tuple(Visibility),
        orders=(DateOrder.DAY, DateOrder.MONTH),
        encodings=NAMES,
        formats=tables.NAMES,
        delimiters=DELIMITERS,
        days=UNDO_DAYS,
    )


@form_view(show)
async def move(visit: DeskVisit, form: Form) -> Response:
    """Read again, try, start, cancel, undo, bring back."""
    number = _number(visit)
    async with visit.database.transaction() as conn:
        keys = await keys_for(conn, visit.letter.id, visit.services.wrapper)
        await steering.advance(conn, visit.actor, keys, number, form, _mailbox_rights(visit))
    return http.redirect(visit.letter_path(f"import/{number}"))


def _mailbox_rights(visit: DeskVisit) -> MailboxRights:
    is_fresh = not visit.session.has_factor or visit.session.fresh
    return MailboxRights(is_owner=visit.role is Role.OWNER, is_fresh=is_fresh)


def _is_questionable(job: ImportJob, file: FileInfo) -> bool:
    """Return whether the row that is read as the header may be none."""
    return job.plan is not None and job.plan.header != NO_HEADER and column_guessing.is_no_header(file.header)


async def problems(visit: DeskVisit) -> Response:
    """Answer with the rows that cannot be imported, in the file's own columns, and what is wrong with each."""
    names_read.check(visit)
    number = _number(visit)
    async with visit.database.connection() as conn:
        await steering.load(conn, visit.letter.id, number)
        keys = await keys_for(conn, visit.letter.id, visit.services.wrapper)
    await access_page.note(visit, JournalKind.NAMES_EXPORTED)
    headers = download_headers(f"{visit.letter.slug}-import-{number}.csv")
    lines = downloads.while_admitted(visit, Role.EDITOR, _problem_lines(visit, keys, number))
    return StreamingResponse(lines, headers=headers, media_type="text/csv; charset=utf-8")


async def _problem_lines(visit: DeskVisit, keys: LetterKeys, number: int) -> AsyncGenerator[str, None]:
    async with visit.database.connection() as conn:
        row = await queries.load_problem_header(conn, visit.letter.id, number)
    header = problem_rows.unseal(row, keys).cells if row else ()
    yield "\ufeff" + problem_rows.csv_header(header, visit.gettext)
    after = 0
    while True:
        async with visit.database.connection() as conn:
            rows = await queries.load_problems(conn, visit.letter.id, number, after, CHUNK)
        sealed = (problem_rows.unseal(row, keys) for row in rows)
        yield "".join(problem_rows.csv_line(row, len(header), visit.gettext) for row in sealed)
        if len(rows) < CHUNK:
            return
        after = rows[-1]["line"]


async def delete_mapping(visit: DeskVisit) -> Response:
    """Delete a mapping that was kept under a name."""
    form = await visit.form()
    mapping_id = number_of(form.get("mapping", ""))
    async with visit.database.transaction() as conn:
        if mapping_id is not None and mapping_id <= MAX_INTEGER:
            await kept_mappings.drop(conn, visit.actor, mapping_id)
    return http.redirect(visit.letter_path("import#mappings"))


def _number(visit: DeskVisit) -> int:
    return visit.path_id("number", int, MAX_INTEGER)
