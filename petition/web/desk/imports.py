"""Imports at the desk: the upload, which column is what, what would happen, how far it is, undoing it."""

import asyncio
from collections.abc import AsyncIterator, Mapping

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse

from petition.core.audit_log import Actor
from petition.core.database import Database
from petition.core.errors import KeyDestroyed, NotFound, Refused
from petition.core.form_values import id_of
from petition.core.ids import LetterId
from petition.formats.csv_rows import format_row
from petition.formats.dates import DateOrder
from petition.formats.encodings import NAMES
from petition.formats.tables import DELIMITERS, EMPTY
from petition.imports import column_guessing, column_mapping, queries, steering, worker
from petition.imports.model import FILE_HOURS, UNDO_DAYS, FileInfo, ImportState
from petition.imports.steering import FileTooLarge
from petition.letters.keys import keys_for
from petition.signatures.model import Visibility
from petition.web import http, multipart
from petition.web.desk import imports_page, page
from petition.web.desk.visit import DeskVisit
from petition.web.multipart import BadForm

UPLOAD_SECONDS = 900.0  # for a whole file, however slow the line
IDLE_SECONDS = 30.0  # between two pieces of it
MAX_DISCARDED = 256 * 1024 * 1024  # bytes that are read on, so that the browser shows why a file was refused
SHOWN_PROBLEMS = 100
CHUNK = 1000  # rows of the file of problems that are read at a time


async def show_all(request: Request, who: DeskVisit) -> Response:
    """Show the imports of a letter, and how to begin one."""
    return await imports_page.imports_page(request, who)


async def upload(request: Request, who: DeskVisit) -> Response:
    """Take a file in, piece by piece, encrypted as it comes."""
    services, actor = http.services_of(request), Actor(who.organizer.id, who.this.id)
    stream = _stream(request)
    try:
        file = multipart.Upload(request.headers.get("content-type", ""))
        async with services.database.transaction() as conn:
            keys = await keys_for(conn, actor.letter_id, services.wrapper)
            number = await steering.begin(conn, actor)
    except BadForm:
        raise HTTPException(415) from None
    except Refused as refused:
        await _discard(stream)
        return await imports_page.imports_page(request, who, refused=refused)
    try:
        async with asyncio.timeout(UPLOAD_SECONDS):
            size = await steering.store(services.database, actor, keys, number, file.content(stream))
        if not size:
            raise Refused(EMPTY, "file")
        async with services.database.transaction() as conn:
            await steering.finish_upload(conn, actor, keys, number, file.name)
    except _EXPECTED as error:
        async with services.database.connection() as conn:
            await queries.drop_upload(conn, actor.letter_id, number)
        return await _broken_off(request, who, stream, error)
    return http.redirect(_address(who, number))


# An upload that ends otherwise is forgotten by the worker within the hour.
_EXPECTED = (FileTooLarge, Refused, KeyDestroyed, TimeoutError, BadForm, ClientDisconnect)


async def _broken_off(request: Request, who: DeskVisit, stream: AsyncIterator[bytes], error: Exception) -> Response:
    """Say why a file was not taken. Raises a 408 or a 400."""
    if isinstance(error, FileTooLarge):
        await _discard(stream)
        return await imports_page.imports_page(request, who, refused=Refused(steering.TOO_LARGE, "file"), status=413)
    if isinstance(error, Refused):
        return await imports_page.imports_page(request, who, refused=error)
    if isinstance(error, KeyDestroyed):
        await _discard(stream)
        return await imports_page.imports_page(request, who, refused=Refused(worker.NO_KEYS, "file"))
    if isinstance(error, TimeoutError):
        raise HTTPException(408) from None
    raise HTTPException(400) from None


async def _stream(request: Request) -> AsyncIterator[bytes]:
    """Yield the body as it comes. Raises ``TimeoutError`` when nothing comes for a while."""
    body = aiter(request.stream())
    while True:
        try:
            async with asyncio.timeout(IDLE_SECONDS):
                piece = await anext(body)
        except StopAsyncIteration:
            return
        yield piece


async def _discard(stream: AsyncIterator[bytes]) -> None:
    """Read on without keeping anything: a browser whose upload is cut off shows no page."""
    size = 0
    try:
        async with asyncio.timeout(UPLOAD_SECONDS):
            async for piece in stream:
                size += len(piece)
                if size > MAX_DISCARDED:
                    return
    except (TimeoutError, ClientDisconnect):
        return


async def show(request: Request, who: DeskVisit) -> Response:
    """Show one import where it stands."""
    return await _page(request, who, _number(request))


async def move(request: Request, who: DeskVisit) -> Response:
    """Read again, try, start, cancel, undo, bring back."""
    form = await http.form_of(request)
    services, number, actor = http.services_of(request), _number(request), Actor(who.organizer.id, who.this.id)
    try:
        async with services.database.transaction() as conn:
            keys = await keys_for(conn, who.this.id, services.wrapper)
            await steering.advance(conn, actor, keys, number, form)
    except Refused as refused:
        return await _page(request, who, number, form=form, refused=refused)
    return http.redirect(_address(who, number))


async def problems(request: Request, who: DeskVisit) -> Response:
    """Hand out all rows that cannot be taken in, as a file: line, column, reason."""
    number = _number(request)
    async with http.services_of(request).database.connection() as conn:
        await steering.load(conn, who.this.id, number)
    name = f"{who.this.slug}-import-{number}.csv"
    headers = {"cache-control": "no-store", "content-disposition": f'attachment; filename="{name}"'}
    lines = _problem_lines(request, http.services_of(request).database, who.this.id, number)
    return StreamingResponse(lines, headers=headers, media_type="text/csv; charset=utf-8")


async def _problem_lines(request: Request, database: Database, letter_id: LetterId, number: int) -> AsyncIterator[str]:
    language = http.language_of(request)
    yield "\ufeff" + format_row(("line", "column", "reason"))
    after = 0
    while True:
        async with database.connection() as conn:
            rows = await queries.load_problems(conn, letter_id, number, after, CHUNK)
        yield "".join(format_row((str(row["line"]), row["field"], language.gettext(row["reason"]))) for row in rows)
        if len(rows) < CHUNK:
            return
        after = rows[-1]["line"]


def _number(request: Request) -> int:
    number = id_of(request.path_params["number"], int)
    if number is None or number >= 2**31:
        raise NotFound("there is no such import")
    return number


def _address(who: DeskVisit, number: int) -> str:
    return f"/organizer/{who.this.slug}/import/{number}"


async def _page(
    request: Request, who: DeskVisit, number: int, *, form: Mapping[str, str] = {}, refused: Refused | None = None
) -> Response:
    services, letter = http.services_of(request), who.this.id
    async with services.database.connection() as conn:
        intake = await steering.load(conn, letter, number)
        keys = await keys_for(conn, letter, services.wrapper)
        some = await queries.load_problems(conn, letter, number, 0, SHOWN_PROBLEMS) if intake.problems else []
        redo = await queries.count_undone(conn, letter, number) if intake.state is ImportState.UNDONE else 0
    about = FileInfo.decrypt(intake.about, keys)
    return page.desk_page(
        request,
        who,
        "desk/transfer/import.html",
        422 if refused else 200,
        intake=intake,
        about=about,
        no_header=intake.state is ImportState.MAPPING and column_guessing.is_no_header(about.header),
        form=form,
        some_problems=some,
        can_be_redone=redo,
        fields=column_mapping.FIELDS,
        kinds=column_mapping.KINDS,
        visibilities=tuple(Visibility),
        orders=(DateOrder.DAY, DateOrder.MONTH),
        encodings=NAMES,
        delimiters=DELIMITERS,
        days=UNDO_DAYS,
        hours=FILE_HOURS,
        problem=http.language_of(request).gettext(refused.message) if refused else None,
        problem_at=refused.field if refused else None,
    )
