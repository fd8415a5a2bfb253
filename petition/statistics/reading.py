"""Reading a letter's figures from the stored sums."""

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
    MIN_NAMED_IF_SENSITIVE,
    TALLY,
    Figures,
    Period,
    running,
    shares,
    without_gaps,
)

PAGE_HOURS = 72  # on the page
BEGINNING = datetime(1, 1, 1, tzinfo=UTC)


async def read(conn: Connection, letter_id: LetterId, now: datetime | None) -> Figures:
    """Return a letter's figures. Reads no signatures. Opens no transaction.

    Days and hours end at ``now``, or, if it is None, with the last one that has changes.
    """
    totals = _by_kind(await queries.totals(conn, letter_id))
    min_named = MIN_NAMED_IF_SENSITIVE if await queries.is_sensitive(conn, letter_id) else MIN_NAMED
    count, sources = totals["count"], totals["source"]
    # People by a partner's link also signed here, and are counted once.
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
        countries=shares(totals["country"], minimum=min_named),
        sources=shares(sources),
        providers=shares(totals["provider"], minimum=min_named),
        pending=totals["pending"].get("", 0),
        refused=sum(totals["refused"].values()),
        tallies=await queries.tallies(conn, letter_id),
        min_named=min_named,
        delays={int(value): number for value, number in totals["confirmed_in"].items() if value},
    )


async def periods(conn: Connection, letter_id: LetterId, step: str) -> list[Period]:
    """Return each "hour" or "day" that has changes."""
    return running(Period(**row) for row in await queries.periods(conn, letter_id, step, BEGINNING))


def _days(days: list[Period], now: datetime | None) -> list[Period]:
    if not days:
        return []
    last = days[-1].start
    return without_gaps(days, DAY, days[0].start, max(last, _begin_of_day(now)) if now else last)


async def _hours(conn: Connection, letter_id: LetterId, days: list[Period], now: datetime | None) -> list[Period]:
    """Return the last ``PAGE_HOURS`` hours, fewer if the letter is younger."""
    if not days:
        return []
    since = max(days[0].start, (_begin_of_day(now) if now else days[-1].start) - 3 * DAY)
    changes = [Period(**row) for row in await queries.periods(conn, letter_id, "hour", since)]
    before = days[-1].total - sum(hour.people + hour.organizations for hour in changes)
    hours = running(changes, before)
    last = max([hour.start for hour in hours] + ([now.replace(minute=0, second=0, microsecond=0)] if now else []))
    first = max(hours[0].start if hours and since == days[0].start else since, last - (PAGE_HOURS - 1) * HOUR)
    return without_gaps(hours, HOUR, first, last, before)


def _begin_of_day(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def _by_kind(rows: Iterable[Record]) -> Mapping[str, dict[str, int]]:
    totals: dict[str, dict[str, int]] = defaultdict(dict)
    for row in rows:
        totals[row["what"]][row["value"]] = row["number"]
    return totals
