"""Reading a letter's statistics: rollups into figures."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from petition.core.database import Connection, Record
from petition.core.ids import LetterId
from petition.statistics import queries
from petition.statistics.model import (
    BY_PARTNER,
    DAY,
    HOUR,
    MIN_NAMED,
    TALLY,
    Figures,
    Period,
    running,
    shares,
    without_gaps,
)

SHOWN = 72  # hours on the page
EVER = datetime(1, 1, 1, tzinfo=UTC)


async def read(conn: Connection, letter_id: LetterId, now: datetime | None) -> Figures:
    """Return everything that is known of a letter. Reads no signatures. Opens no transaction.

    ``now`` is where days and hours end, or None if they end with the last one in which anything happened.
    """
    totals = _by_kind(await queries.totals(conn, letter_id))
    count, sources = totals["count"], totals["source"]
    # Who came by a partner's link signed here as well, and is told once.
    for name, number in totals["partner"].items():
        sources[BY_PARTNER + name] = number
        sources["web"] = sources.get("web", 0) - number
    sources[TALLY] = max(0, count.get("people", 0) - sum(sources.values()))
    days = await periods(conn, letter_id, "day")
    return Figures(
        people=count.get("people", 0),
        organizations=count.get("organizations", 0),
        days=_days(days, now),
        hours=await _hours(conn, letter_id, days, now),
        langs=shares(totals["lang"]),
        countries=shares(totals["country"], least=MIN_NAMED),
        sources=shares(sources),
        pending=totals["pending"].get("", 0),
        refused=sum(totals["refused"].values()),
        held=sum(number for value, number in totals["state"].items() if value.endswith(":held")),
        took={int(value): number for value, number in totals["confirmed_in"].items() if value},
    )


async def periods(conn: Connection, letter_id: LetterId, step: str) -> list[Period]:
    """Return each "hour" or "day" in which anything happened."""
    return running(Period(**row) for row in await queries.periods(conn, letter_id, step, EVER))


def _days(days: list[Period], now: datetime | None) -> list[Period]:
    if not days:
        return []
    last = days[-1].start
    return without_gaps(days, DAY, days[0].start, max(last, _begin_of_day(now)) if now else last)


async def _hours(conn: Connection, letter_id: LetterId, days: list[Period], now: datetime | None) -> list[Period]:
    """Return the last ``SHOWN`` hours, less if the letter is younger."""
    if not days:
        return []
    since = max(days[0].start, (_begin_of_day(now) if now else days[-1].start) - 3 * DAY)
    found = [Period(**row) for row in await queries.periods(conn, letter_id, "hour", since)]
    before = days[-1].total - sum(each.people + each.organizations for each in found)
    hours = running(found, before)
    last = max([each.start for each in hours] + ([now.replace(minute=0, second=0, microsecond=0)] if now else []))
    first = max(hours[0].start if hours and since == days[0].start else since, last - (SHOWN - 1) * HOUR)
    return without_gaps(hours, HOUR, first, last, before)


def _begin_of_day(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def _by_kind(rows: Iterable[Record]) -> Mapping[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for row in rows:
        found[row["what"]][row["value"]] = row["number"]
    return found
