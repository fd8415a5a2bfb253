"""Statistics at the desk: a page with charts, and the same figures as files."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from petition.core.database import Connection
from petition.core.i18n import Language
from petition.formats.csv_rows import format_row
from petition.statistics import charts, reading
from petition.statistics.model import DAY, HOUR, MIN_NAMED, Figures, Period, Share
from petition.web import http
from petition.web.desk import page
from petition.web.desk.visit import DeskVisit

LINE_BY_HOUR = 3  # days; a younger letter's growth is drawn by hours
MAX_TABLE = 366  # rows; the file has all

COLUMNS = (
    *("start", "forms_sent", "confirmed", "people_signed_here", "people_gone", "people_imported"),
    *("people", "organizations", "count_at_end"),
)


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart of the page in each size, with what a screen reader says instead."""

    name: str
    first: datetime
    last: datetime
    most: Period  # with the highest value
    value: int  # that one, or of a line the one at its end
    pictures: Sequence[charts.ChartDrawing]


async def show(request: Request, who: DeskVisit) -> Response:
    """Show a letter's figures."""
    async with http.services_of(request).database.connection() as conn:
        figures = await _figures(conn, who)
    tongue = http.language_of(request)
    drawn = _charts(figures, tongue) if figures.days else {}
    tables = {"day": figures.days[::-1][:MAX_TABLE], "hour": figures.hours[::-1]}
    return page.desk_page(
        request, who, "desk/statistics/show.html", figures=figures, charts=drawn, tables=tables, least=MIN_NAMED
    )


async def export(request: Request, who: DeskVisit) -> Response:
    """Hand out the figures of every hour or day in which anything happened, or the breakdowns, as CSV."""
    make = FILES.get(request.path_params["what"])
    if make is None:
        raise HTTPException(404)
    async with http.services_of(request).database.connection() as conn:
        lines = await make(conn, who)
    name = f"{who.this.slug}-{request.path_params['what']}.csv"
    headers = {"cache-control": "no-store", "content-disposition": f'attachment; filename="{name}"'}
    return Response("".join(map(format_row, lines)), headers=headers, media_type="text/csv; charset=utf-8")


async def _figures(conn: Connection, who: DeskVisit) -> Figures:
    """A closed letter's charts end with the last hour in which anything happened."""
    return await reading.read(conn, who.this.id, datetime.now(UTC) if who.this.state == "open" else None)


def _charts(figures: Figures, tongue: Language) -> Mapping[str, Chart]:
    young = len(figures.days) <= LINE_BY_HOUR
    grown, step = (figures.hours, HOUR) if young else (figures.days, DAY)
    return {
        "growth": _chart("growth", grown, [each.total for each in grown], step, tongue),
        "days": _chart("days", figures.days, [each.came for each in figures.days], DAY, tongue),
        "hours": _chart("hours", figures.hours, [each.came for each in figures.hours], HOUR, tongue),
    }


def _chart(name: str, periods: Sequence[Period], values: Sequence[int], step: timedelta, tongue: Language) -> Chart:
    draw = charts.line if name == "growth" else charts.bars
    most = max(range(len(values)), key=values.__getitem__)
    return Chart(
        name=name,
        first=periods[0].start,
        last=periods[-1].start,
        most=periods[most],
        value=values[-1] if name == "growth" else values[most],
        pictures=[draw(size, periods, values, step, tongue) for size in charts.SIZES],
    )


async def _hours(conn: Connection, who: DeskVisit) -> Iterator[Sequence[str]]:
    return _lines(await reading.periods(conn, who.this.id, "hour"))


async def _days(conn: Connection, who: DeskVisit) -> Iterator[Sequence[str]]:
    return _lines(await reading.periods(conn, who.this.id, "day"))


def _lines(periods: Sequence[Period]) -> Iterator[Sequence[str]]:
    yield COLUMNS
    for each in periods:
        numbers = (each.signed_up, each.confirmed, each.came, each.went, each.imported, each.people)
        start = each.start.isoformat().replace("+00:00", "Z")
        yield (start, *map(str, (*numbers, each.organizations, each.total)))


async def _breakdowns(conn: Connection, who: DeskVisit) -> Iterator[Sequence[str]]:
    figures = await _figures(conn, who)
    shares = (("language", figures.langs), ("country", figures.countries), ("source", figures.sources))
    return _shares(shares)


def _shares(shares: Sequence[tuple[str, Sequence[Share]]]) -> Iterator[Sequence[str]]:
    yield "of", "value", "people"
    for what, lines in shares:
        yield from ((what, line.value, str(line.number)) for line in lines)


FILES = {"hours": _hours, "days": _days, "people": _breakdowns}
