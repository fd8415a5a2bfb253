"""The log of a letter, on pages and as a file."""

from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from petition.core.database import Database
from petition.core.form_values import id_of
from petition.core.ids import LetterId
from petition.formats.csv_rows import format_row
from petition.moderation import labels, log_queries
from petition.moderation.model import LogLine
from petition.web import http
from petition.web.desk import page, queue_links
from petition.web.desk.visit import DeskVisit

PAGE = 50
CHUNK = 1000  # rows read at a time for the file
TOP = 2**63 - 1
COLUMNS = ("id", "at", "organizer", "name", "act", "ids", "before", "after", "reason", "campaign", "undoes")


async def show(request: Request, who: DeskVisit) -> Response:
    """Show acts, newest first."""
    given = request.query_params
    before = id_of(given.get("before", ""), int) or TOP
    async with http.services_of(request).database.connection() as conn:
        lines = await log_queries.page(conn, who.this.id, before, PAGE + 1)
        news = await queue_links.act_notice(conn, who.this.id, given)
    context = {"lines": lines[:PAGE], "next": lines[PAGE - 1].id if len(lines) > PAGE else None}
    first = before == TOP
    return page.desk_page(
        request, who, "desk/moderation/log.html", words=labels.WORDS, first_page=first, **context, **news
    )


async def export(request: Request, who: DeskVisit) -> Response:
    """Hand the whole log out as a file, newest first."""
    headers = {
        "cache-control": "no-store",
        "content-disposition": f'attachment; filename="{who.this.slug}-log.csv"',
    }
    lines = _lines(http.services_of(request).database, who.this.id)
    return StreamingResponse(lines, headers=headers, media_type="text/csv; charset=utf-8")


async def _lines(database: Database, letter_id: LetterId) -> AsyncIterator[str]:
    """Yield the file in pieces; between two of them nothing is held, so a slow reader keeps nobody waiting."""
    yield format_row(COLUMNS)
    before = TOP
    while True:
        async with database.connection() as conn:
            lines = await log_queries.page(conn, letter_id, before, CHUNK)
        yield "".join(format_row(_cells(line)) for line in lines)
        if len(lines) < CHUNK:
            return
        before = lines[-1].id


def _cells(line: LogLine) -> list[str]:
    at = line.at.isoformat().replace("+00:00", "Z")
    numbers = (line.bulk_act_id, line.undoes)
    return [
        *(str(line.id), at, "" if line.organizer_id is None else str(line.organizer_id), _name(line), line.act),
        *(" ".join(map(str, line.ids)), line.before, line.after, line.reason or ""),
        *("" if number is None else str(number) for number in numbers),
    ]


def _name(line: LogLine) -> str:
    return line.organizer_name or ("command line" if line.command else "")
