"""Taking a list of signatures out: which, in which columns and form, and the file itself."""

import asyncio
import weakref
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from petition.core import audit_log
from petition.core.errors import Refused
from petition.core.i18n import N_
from petition.core.ids import LetterId, LogId, OrganizerId
from petition.exports.filtered import CHOSEN, COLUMNS, Export, ExportOrder
from petition.exports.writers import Format
from petition.letters.keys import keys_for
from petition.moderation import filters, labels
from petition.moderation.model import Filter
from petition.signatures.model import SignatureState
from petition.web import http
from petition.web.desk import page, queue_links
from petition.web.desk.visit import DeskVisit
from petition.web.services import Services

MAX_AT_ONCE = 3  # lists on their way to one organizer, from one process: each is work for a thread as long as it goes

MANY = N_("Three lists are on their way to you. Wait until one of them has come, or break it off.")
NO_COLUMN = N_("Please choose at least one column.")
NO_FORM = N_("Please choose a form.")
FILE_NAME = N_("signatures")

TYPES: Mapping[Format, str] = {
    Format.CSV: "text/csv; charset=utf-8",
    Format.JSON: "application/json",
    Format.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
_under_way: Counter[int] = Counter()  # by organizer
_ends: "set[asyncio.Task[None]]" = set()  # a task that nobody holds may be forgotten before it has run


async def show(request: Request, who: DeskVisit) -> Response:
    """Show what would be taken out. Without a filter in the address that is what counts."""
    wanted = filters.filter_of(request.query_params)
    return _page(request, who, wanted if request.query_params else Filter(state=SignatureState.CONFIRMED))


async def take(request: Request, who: DeskVisit) -> Response:
    """Hand the file out, noted in the log when it begins and when it ends."""
    form = await http.form_of(request)
    wanted = filters.filter_of(dict(parse_qsl(queue_links.return_query(form))))
    try:
        order = _order(form, who.this.id, wanted)
    except Refused as refused:
        return _page(request, who, wanted, form=form, refused=refused)
    if _under_way[who.organizer.id] >= MAX_AT_ONCE:
        return _page(request, who, wanted, form=form, refused=Refused(MANY), status=429)
    _under_way[who.organizer.id] += 1
    try:
        return await _begun(request, who, order)
    except BaseException:
        _has_ended(who.organizer.id)
        raise


async def _begun(request: Request, who: DeskVisit, order: ExportOrder) -> Response:
    services = http.services_of(request)
    async with services.database.transaction() as conn:
        keys = await keys_for(conn, order.letter_id, services.wrapper)
        log = await audit_log.record(conn, who.organizer.id, order.letter_id, "export.list", before=order.summary())
    export = Export(services.database, keys, order)
    headers = {"cache-control": "no-store", "content-disposition": _disposition(request, who, order.file_format)}
    content = _sent(services, who, export, log)
    return _Counted(content, headers=headers, media_type=TYPES[order.file_format], organizer_id=who.organizer.id)


class _Counted(StreamingResponse):
    """One of an organizer's lists, until the last of it has been sent or nobody takes it any more."""

    def __init__(self, *given: Any, organizer_id: OrganizerId, **more: Any) -> None:
        super().__init__(*given, **more)
        self._end = weakref.finalize(self, _has_ended, organizer_id)  # also where nobody ever sends it

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._end()


def _has_ended(organizer_id: OrganizerId) -> None:
    _under_way[organizer_id] -= 1
    if not _under_way[organizer_id]:
        del _under_way[organizer_id]


def _order(form: Mapping[str, str], letter_id: LetterId, wanted: Filter) -> ExportOrder:
    columns = tuple(name for name in COLUMNS if form.get(f"c_{name}") == "1")
    if not columns:
        raise Refused(NO_COLUMN, "columns")
    if form.get("form") not in set(Format):
        raise Refused(NO_FORM, "form")
    return ExportOrder(letter_id, wanted, columns, Format(form["form"]))


async def _sent(services: Services, who: DeskVisit, export: Export, log_id: LogId) -> AsyncIterator[bytes]:
    """Yield the file; in the end, however it came, note how many went out."""
    whole = False
    try:
        async for piece in export.pieces():
            yield piece
        whole = True
    finally:
        # Of its own, since whoever broke off has this one cancelled.
        end = asyncio.create_task(_note_end(services, who, export.rows, log_id, whole=whole))
        _ends.add(end)
        end.add_done_callback(_ends.discard)
        with suppress(asyncio.CancelledError):
            await asyncio.shield(end)


async def _note_end(services: Services, who: DeskVisit, rows: int, log_id: LogId, *, whole: bool) -> None:
    async with services.database.transaction() as conn:
        await audit_log.record(
            *(conn, who.organizer.id, who.this.id, "export.end"),
            ids=[log_id],
            after=f"rows:{rows}",
            reason=None if whole else "broken_off",
        )


def _disposition(request: Request, who: DeskVisit, form: Format) -> str:
    """Return the file's name, in ASCII for old programs and in the organizer's language for others (RFC 6266)."""
    day = datetime.now(UTC).date().isoformat()
    own = f"{http.language_of(request).gettext(FILE_NAME)}-{who.this.slug}-{day}.{form.value}"
    return f"attachment; filename=\"{who.this.slug}-{day}.{form.value}\"; filename*=UTF-8''{quote(own, safe='')}"


def _page(
    request: Request,
    who: DeskVisit,
    wanted: Filter,
    *,
    form: Mapping[str, str] = {},
    refused: Refused | None = None,
    status: int = 422,
) -> Response:
    fields = wanted.as_fields()
    chosen = {name for name in COLUMNS if form.get(f"c_{name}") == "1"} if form else set(CHOSEN)
    return page.desk_page(
        request,
        who,
        "desk/transfer/export.html",
        status if refused else 200,
        fields=fields,
        back=urlencode(fields),
        columns=COLUMNS,
        chosen=chosen,
        formats=tuple(Format),
        form_chosen=form.get("form", Format.CSV.value),
        words=labels.WORDS,
        problem=http.language_of(request).gettext(refused.message) if refused else None,
    )
