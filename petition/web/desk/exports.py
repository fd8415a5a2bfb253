"""Exporting signatures: which, in which columns and format, and the file itself."""

import asyncio
import weakref
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from petition.core import audit_log
from petition.core.access_journal import JournalKind
from petition.core.errors import Refused
from petition.core.i18n import N_
from petition.core.ids import LetterId, LogId, OrganizerId
from petition.exports.filtered import CHOSEN, COLUMNS, Export, ExportOrder
from petition.exports.writers import Format
from petition.letters.keys import keys_for
from petition.moderation import filters, labels, queue
from petition.moderation.model import Filter
from petition.organizers import act_notices
from petition.organizers.act_notices import NoticedAct
from petition.organizers.model import Role
from petition.signatures.model import SignatureState
from petition.web.desk import access_page, downloads, queue_links
from petition.web.desk.forms import NO_FIELDS, Errors, Form, OverLimit, form_view
from petition.web.desk.page import desk_page
from petition.web.desk.visit import DeskVisit

MAX_AT_ONCE = 3  # running exports of one organizer in one process: each occupies a thread until its end

MANY = N_("You are already downloading three lists. Wait for one to finish, or stop one.")
NO_COLUMN = N_("Choose at least one column.")
NO_FORM = N_("Choose a format.")
FILE_NAME = N_("signatures")

TYPES: Mapping[Format, str] = {
    Format.CSV: "text/csv; charset=utf-8",
    Format.JSON: "application/json",
    Format.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
_running: Counter[OrganizerId] = Counter()
_end_records: "set[asyncio.Task[None]]" = set()  # the event loop alone holds tasks weakly


async def show(visit: DeskVisit) -> Response:
    """Show what would be exported. Without a filter in the address that is what counts."""
    params = filters.single_values(visit.query.multi_items())
    if not params:
        return await _page(visit, Filter(state=SignatureState.CONFIRMED))
    is_all = params.get("wait") == queue_links.ALL
    return await _page(visit, filters.filter_of(params if not is_all else {**params, "wait": ""}, {"all"}))


async def _show_refusal(visit: DeskVisit, form: Form, errors: Errors) -> Response:
    return await _page(visit, _filter(form), form, errors)


async def _page(visit: DeskVisit, filter: Filter, form: Form = NO_FIELDS, errors: Errors = NO_FIELDS) -> Response:
    fields = filter.as_fields()
    total, is_exact = await visit.read(lambda conn: queue.total(conn, visit.letter.id, filter))
    return desk_page(
        visit,
        "desk/transfer/export.html",
        errors=errors,
        fields=fields,
        total=total,
        is_exact=is_exact,
        back=urlencode(fields),
        columns=COLUMNS,
        selected_columns=_columns(form) if form else CHOSEN,
        formats=(Format.XLSX, Format.CSV, Format.JSON),
        # A spreadsheet runs nothing of a workbook's texts, and splits no cell.
        selected_format=form.get("form", Format.XLSX.value),
        words=labels.WORDS,
    )


@form_view(_show_refusal)
async def download(visit: DeskVisit, form: Form) -> Response:
    """Answer with the file; its beginning and its end are recorded in the log."""
    order = _order(form, visit.letter.id)
    if _running[visit.organizer.id] >= MAX_AT_ONCE:
        raise OverLimit(MANY)
    _running[visit.organizer.id] += 1
    try:
        return await _start(visit, order)
    except BaseException:
        _count_end(visit.organizer.id)
        raise


async def _start(visit: DeskVisit, order: ExportOrder) -> Response:
    async with visit.database.transaction() as conn:
        keys = await keys_for(conn, order.letter_id, visit.services.wrapper)
        log_id = await audit_log.record(
            conn, visit.organizer.id, order.letter_id, "export.list", before=order.summary()
        )
        await act_notices.notify(conn, NoticedAct.EXPORT, visit.organizer.id, order.letter_id)
    titles = {name: _capitalized(visit.gettext(title)) for name, title in COLUMNS.items()}
    content = _stream(visit, Export(visit.database, keys, order, titles, visit.read_file), log_id)
    headers = {"cache-control": "no-store", "content-disposition": _disposition(visit, order.file_format)}
    return _CountedResponse(
        content, headers=headers, media_type=TYPES[order.file_format], organizer_id=visit.organizer.id
    )


class _CountedResponse(StreamingResponse):
    """Counts as one of an organizer's running exports until it is sent, broken off or garbage."""

    def __init__(self, *args: Any, organizer_id: OrganizerId, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._end = weakref.finalize(self, _count_end, organizer_id)  # also if the response is never sent

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._end()


def _capitalized(title: str) -> str:
    return title[:1].upper() + title[1:]


def _count_end(organizer_id: OrganizerId) -> None:
    _running[organizer_id] -= 1
    if not _running[organizer_id]:
        del _running[organizer_id]


def _filter(form: Form) -> Filter:
    return queue_links.bulk_filter(form)


def _columns(form: Form) -> tuple[str, ...]:
    return tuple(name for name in COLUMNS if form.get(f"c_{name}") == "1")


def _order(form: Form, letter_id: LetterId) -> ExportOrder:
    if not (columns := _columns(form)):
        raise Refused(NO_COLUMN, "columns")
    if form.get("form") not in set(Format):
        raise Refused(NO_FORM, "form")
    return ExportOrder(letter_id, _filter(form), columns, Format(form["form"]))


async def _stream(visit: DeskVisit, export: Export, log_id: LogId) -> AsyncIterator[bytes]:
    """Yield the file; at its end, complete or not, record how many rows were sent."""
    complete = False
    try:
        async for piece in downloads.while_admitted(visit, Role.MODERATOR, export.pieces()):
            yield piece
        complete = True
    finally:
        # A task of its own: when the client breaks off, this one is cancelled.
        record = asyncio.create_task(_record_end(visit, export.rows, log_id, complete=complete))
        _end_records.add(record)
        record.add_done_callback(_end_records.discard)
        with suppress(asyncio.CancelledError):
            await asyncio.shield(record)


async def _record_end(visit: DeskVisit, rows: int, log_id: LogId, *, complete: bool) -> None:
    await access_page.note(visit, JournalKind.NAMES_EXPORTED, rows)
    async with visit.database.transaction() as conn:
        await audit_log.record(
            conn,
            visit.organizer.id,
            visit.letter.id,
            "export.end",
            ids=[log_id],
            after=f"rows:{rows}",
            reason=None if complete else "broken_off",
        )


def _disposition(visit: DeskVisit, format: Format) -> str:
    """Return the file's name, in ASCII for old programs and in the organizer's language for others (RFC 6266)."""
    name = f"{visit.letter.slug}-{datetime.now(UTC).date().isoformat()}.{format.value}"
    translated = quote(f"{visit.gettext(FILE_NAME)}-{name}", safe="")
    return f"attachment; filename=\"{name}\"; filename*=UTF-8''{translated}"
