"""Statistics at the desk: a page with charts, and the same figures as files."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import Response

from petition.core.database import Connection
from petition.core.i18n import Language
from petition.formats.csv_rows import format_row
from petition.moderation import queue_queries, waiting
from petition.statistics import charts, reading
from petition.statistics.layers import layers as layers_of
from petition.statistics.model import DAY, HOUR, Figures, Period, Share
from petition.web.desk.page import desk_page, download_headers
from petition.web.desk.visit import DeskVisit

MAX_HOURLY_DAYS = 3  # a younger letter's growth is drawn by hours
MAX_ROWS = 366  # of the table; the file has all

COLUMNS = (
    "start",
    "forms_sent",
    "confirmed",
    "people_signed_here",
    "people_gone",
    "people_imported",
    "people",
    "organizations",
    "count_at_end",
)


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart of the page in each size, and the values of its description for screen readers."""

    name: str
    first: datetime
    last: datetime
    peak: Period  # with the highest value
    value: int  # the peak's, or of a line the one at its end
    drawings: Sequence[charts.ChartDrawing]


async def show(visit: DeskVisit) -> Response:
    """Show a letter's figures."""
    figures, waits = await visit.read(lambda conn: _figures_and_waits(conn, visit))
    return desk_page(
        visit,
        "desk/statistics/show.html",
        figures=figures,
        waits=waits,
        max_counted=queue_queries.MAX_COUNTED,
        charts=_charts(figures, visit.language) if figures.days else {},
        by_source=_sources(figures, visit.language) if figures.days else None,
        change=change_of_a_day(figures),
        tables={"day": figures.days[::-1][:MAX_ROWS], "hour": figures.hours[::-1]},
        min_named=figures.min_named,
    )


async def export(visit: DeskVisit) -> Response:
    """Answer with the figures of every hour or day with any event, or the breakdowns, as CSV."""
    name = visit.request.path_params["what"]
    lines_of = FILES.get(name)
    if lines_of is None:
        raise HTTPException(404)
    lines = await visit.read(lambda conn: lines_of(conn, visit))
    headers = download_headers(f"{visit.letter.slug}-{name}.csv")
    return Response("".join(map(format_row, lines)), headers=headers, media_type="text/csv; charset=utf-8")


async def _figures_and_waits(conn: Connection, visit: DeskVisit) -> tuple[Figures, int]:
    return await _figures(conn, visit), await waiting.count(conn, visit.letter.id)


async def _figures(conn: Connection, visit: DeskVisit) -> Figures:
    """Return the figures; a closed letter's charts end with the last hour with any event."""
    now = datetime.now(UTC) if visit.letter.state == "open" else None
    return await reading.read(conn, visit.letter.id, now)


def _charts(figures: Figures, language: Language) -> Mapping[str, Chart]:
    is_young = len(figures.days) <= MAX_HOURLY_DAYS
    periods, step = (figures.hours, HOUR) if is_young else (figures.days, DAY)
    return {
        "growth": _chart("growth", periods, [period.total for period in periods], step, language),
        "days": _chart("days", figures.days, [period.came for period in figures.days], DAY, language),
        "hours": _chart("hours", figures.hours, [period.came for period in figures.hours], HOUR, language),
    }


def _sources(figures: Figures, language: Language) -> Mapping[str, Any]:
    """Return the count by source: the numbers of now, and drawings if there is more than one source."""
    is_young = len(figures.days) <= MAX_HOURLY_DAYS
    periods, step = (figures.hours, HOUR) if is_young else (figures.days, DAY)
    layers = layers_of(periods, figures.tallies)
    drawings = [charts.bands(size, periods, layers, step, language) for size in charts.SIZES] if len(layers) > 1 else []
    return {"now": {name: values[-1] for name, values in layers.items()}, "drawings": drawings}


def change_of_a_day(figures: Figures) -> Mapping[str, int]:
    """Return the growth of the last 24 hours by source; "total" is their sum."""
    since = datetime.now(UTC) - DAY
    hours = [hour for hour in figures.hours if hour.start > since]
    change = {
        "here": sum(hour.came - hour.went for hour in hours),
        "elsewhere": sum(hour.imported for hour in hours),
        "organizations": sum(hour.organizations for hour in hours),
    }
    return change | {"total": sum(change.values())}


def _chart(name: str, periods: Sequence[Period], values: Sequence[int], step: timedelta, language: Language) -> Chart:
    draw = charts.line if name == "growth" else charts.bars
    peak = max(range(len(values)), key=values.__getitem__)
    return Chart(
        name=name,
        first=periods[0].start,
        last=periods[-1].start,
        peak=periods[peak],
        value=values[-1] if name == "growth" else values[peak],
        drawings=[draw(size, periods, values, step, language) for size in charts.SIZES],
    )


async def _hours(conn: Connection, visit: DeskVisit) -> Iterator[Sequence[str]]:
    return _lines(await reading.periods(conn, visit.letter.id, "hour"))


async def _days(conn: Connection, visit: DeskVisit) -> Iterator[Sequence[str]]:
    return _lines(await reading.periods(conn, visit.letter.id, "day"))


def _lines(periods: Sequence[Period]) -> Iterator[Sequence[str]]:
    yield COLUMNS
    for period in periods:
        yield (
            period.start.isoformat().replace("+00:00", "Z"),
            str(period.signed_up),
            str(period.confirmed),
            str(period.came),
            str(period.went),
            str(period.imported),
            str(period.people),
            str(period.organizations),
            str(period.total),
        )


async def _breakdowns(conn: Connection, visit: DeskVisit) -> Iterator[Sequence[str]]:
    figures = await _figures(conn, visit)
    return _shares(
        {
            "language": figures.langs,
            "country": figures.countries,
            "source": figures.sources,
            "provider": figures.providers,
        }
    )


def _shares(breakdowns: Mapping[str, Sequence[Share]]) -> Iterator[Sequence[str]]:
    yield "of", "value", "people"
    for name, shares in breakdowns.items():
        yield from ((name, share.value, str(share.number)) for share in shares)


FILES = {"hours": _hours, "days": _days, "people": _breakdowns}
