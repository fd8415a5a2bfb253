"""The log of a letter, on pages and as a file."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from functools import partial
from typing import Any

from starlette.responses import Response, StreamingResponse

from petition.core import time_zones
from petition.core.database import Connection
from petition.core.form_values import MAX_BIGINT, MAX_INTEGER, id_of
from petition.core.ids import BulkActId, LetterId, OrganizerId
from petition.formats.csv_rows import format_row
from petition.moderation import filters, labels, log_queries
from petition.moderation.log_queries import LogFilter
from petition.moderation.model import LogLine
from petition.organizers.model import Role
from petition.web.desk import downloads, names_read, queue_links
from petition.web.desk.page import desk_page, download_headers
from petition.web.desk.visit import DeskVisit

PAGE_SIZE = 50
FILTERS = ("person", "act", "day", "bulk")
OTHERS = ("before", "done", "missed", "other")
CHUNK = 1000  # rows read at a time for the file
COLUMNS = ("id", "at", "organizer", "name", "act", "ids", "before", "after", "reason", "campaign", "undoes")


async def show(visit: DeskVisit) -> Response:
    """Show acts, newest first, of a person, of a kind, of a day, or all steps of a bulk act."""
    params = filters.single_values(visit.query.multi_items())
    filter, before = _filter(params, visit.organizer.zone), id_of(params.get("before", ""), int) or MAX_BIGINT

    async def load(conn: Connection) -> tuple[Sequence[LogLine], dict[str, Any]]:
        lines = await log_queries.filtered(conn, visit.letter.id, filter, before, PAGE_SIZE + 1)
        return lines, {
            "authors": await log_queries.authors(conn, visit.letter.id),
            **await queue_links.objects_of(visit, conn, lines[:PAGE_SIZE]),
            **await queue_links.act_notice(visit, conn, params),
        }

    lines, context = await visit.read(load)
    if visit.conceals_names:
        context |= {"items": {}, "entries": {}, "named": {}}
    else:
        await names_read.note(visit, context["items"].values(), context["named"].values())
    return desk_page(
        visit,
        "desk/moderation/log.html",
        lines=lines[:PAGE_SIZE],
        next_id=lines[PAGE_SIZE - 1].id if len(lines) > PAGE_SIZE else None,
        first_page=before == MAX_BIGINT,
        fields={name: value for name, value in params.items() if name in FILTERS and value},
        words=labels.WORDS,
        **context,
    )


def _filter(params: Mapping[str, str], zone: str) -> LogFilter:
    """Raises ``UnknownFilter``."""
    person, act, bulk_act = params.get("person", ""), params.get("act", ""), params.get("bulk", "")
    filter = LogFilter(
        organizer_id=id_of(person, OrganizerId, MAX_INTEGER),
        act=act if act in labels.ACTS else None,
        day=_day(params.get("day", ""), zone),
        bulk_act_id=id_of(bulk_act, BulkActId, MAX_INTEGER),
    )
    values = filter.organizer_id, filter.act, filter.day, filter.bulk_act_id
    unknown = [
        (name, params[name])
        for name, value in zip(FILTERS, values, strict=True)
        if params.get(name, "").strip() and value is None
    ]
    if unknown := unknown + [(name, value) for name, value in params.items() if name not in {*FILTERS, *OTHERS}]:
        raise filters.UnknownFilter(unknown)
    return filter


def _day(text: str, zone: str) -> tuple[datetime, datetime] | None:
    """Return the beginning of a day in a zone, and of the next; None if it is no date, or the calendar's last."""
    try:
        day = date.fromisoformat(text)
        first, after = (datetime.combine(midnight, time()) for midnight in (day, day + timedelta(days=1)))
        return time_zones.moments_of(first, zone)[0], time_zones.moments_of(after, zone)[0]
    except (ValueError, OverflowError):
        return None


async def export(visit: DeskVisit) -> Response:
    """Answer with the whole log as a file, newest first."""
    lines = downloads.while_admitted(visit, Role.MODERATOR, _lines(visit, visit.letter.id))
    headers = download_headers(f"{visit.letter.slug}-log.csv")
    return StreamingResponse(lines, headers=headers, media_type="text/csv; charset=utf-8")


async def _lines(visit: DeskVisit, letter_id: LetterId) -> AsyncGenerator[str, None]:
    """Yield the file in pieces; no connection is held between two of them, so a slow client blocks none."""
    yield format_row(COLUMNS)
    before = MAX_BIGINT
    while True:
        lines = await visit.read_file(partial(log_queries.page, letter_id=letter_id, before=before, limit=CHUNK))
        yield "".join(format_row(_cells(line)) for line in lines)
        if len(lines) < CHUNK:
            return
        before = lines[-1].id


def _cells(line: LogLine) -> list[str]:
    return [
        str(line.id),
        line.at.isoformat().replace("+00:00", "Z"),
        _number(line.organizer_id),
        line.organizer_name or ("command line" if line.command else ""),
        line.act,
        " ".join(map(str, line.ids)),
        line.before,
        line.after,
        line.reason or "",
        _number(line.bulk_act_id),
        _number(line.undoes),
    ]


def _number(number: int | None) -> str:
    return "" if number is None else str(number)
