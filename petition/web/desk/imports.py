"""Imports at the desk: the upload, the meaning of each column, the dry run, the progress, undoing it."""

import asyncio
from collections.abc import AsyncIterator

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse

from petition.core.errors import KeyDestroyed, Refused
from petition.core.form_values import MAX_INTEGER
from petition.formats.csv_rows import format_row
from petition.formats.dates import DateOrder
from petition.formats.encodings import NAMES
from petition.formats.tables import DELIMITERS, EMPTY
from petition.imports import column_guessing, column_mapping, labels, queries, steering, worker
from petition.imports.model import UNDO_DAYS, FileInfo, ImportState
from petition.imports.steering import FileTooLarge
from petition.letters.keys import keys_for
from petition.signatures.model import Visibility
from petition.web import http, multipart
from petition.web.desk import imports_page
from petition.web.desk.forms import NO_FIELDS, Errors, Form, form_view
from petition.web.desk.page import desk_page, download_headers
from petition.web.desk.visit import DeskVisit
from petition.web.multipart import BadForm

UPLOAD_SECONDS = 900.0  # for a whole file, however slow the line
IDLE_SECONDS = 30.0  # between two pieces of it
MAX_DISCARDED = 256 * 1024 * 1024  # bytes read and dropped, so that the browser shows why a file was refused
MAX_PROBLEMS = 100  # on the page; the file has all
CHUNK = 1000  # rows of the file of problems read at a time

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
        first_problems = await queries.load_problems(conn, letter_id, number, 0, MAX_PROBLEMS) if job.problems else []
        undone = await queries.count_undone(conn, letter_id, number) if job.state is ImportState.UNDONE else 0
    file = FileInfo.decrypt(job.about, keys)
    return desk_page(
        visit,
        "desk/transfer/import.html",
        errors=errors,
        job=job,
        import_states=labels.STATES,
        file=file,
        no_header=job.state is ImportState.MAPPING and column_guessing.is_no_header(file.header),
        form=form,
        first_problems=first_problems,
        redoable=undone,
        fields=column_mapping.FIELDS,
        kinds=column_mapping.KINDS,
        visibilities=tuple(Visibility),
        orders=(DateOrder.DAY, DateOrder.MONTH),
        encodings=NAMES,
        delimiters=DELIMITERS,
        days=UNDO_DAYS,
    )


@form_view(show)
async def move(visit: DeskVisit, form: Form) -> Response:
    """Read again, try, start, cancel, undo, bring back."""
    number = _number(visit)
    async with visit.database.transaction() as conn:
        keys = await keys_for(conn, visit.letter.id, visit.services.wrapper)
        await steering.advance(conn, visit.actor, keys, number, form)
    return http.redirect(visit.letter_path(f"import/{number}"))


async def problems(visit: DeskVisit) -> Response:
    """Answer with a file of all rows that cannot be imported: line, column, reason."""
    number = _number(visit)
    async with visit.database.connection() as conn:
        await steering.load(conn, visit.letter.id, number)
    headers = download_headers(f"{visit.letter.slug}-import-{number}.csv")
    return StreamingResponse(_problem_lines(visit, number), headers=headers, media_type="text/csv; charset=utf-8")


async def _problem_lines(visit: DeskVisit, number: int) -> AsyncIterator[str]:
    yield "\ufeff" + format_row(("line", "column", "reason"))
    after = 0
    while True:
        async with visit.database.connection() as conn:
            rows = await queries.load_problems(conn, visit.letter.id, number, after, CHUNK)
        yield "".join(format_row((str(row["line"]), row["field"], visit.gettext(row["reason"]))) for row in rows)
        if len(rows) < CHUNK:
            return
        after = rows[-1]["line"]


def _number(visit: DeskVisit) -> int:
    return visit.path_id("number", int, MAX_INTEGER)
