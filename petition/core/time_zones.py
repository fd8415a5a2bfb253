"""Time zones by their IANA names, as far as this machine knows them.

A day and an hour are typed in UTC, which has no gaps and no hour twice; zones are only for reading.
"""

import functools
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from babel.core import get_global

UTC = ""
MAX_NAME = 64


@functools.cache
def names() -> tuple[str, ...]:
    """Return the zones to choose from, in order: one name for each, such as "Europe/Berlin"."""
    return tuple(sorted(name for name in set(get_global("zone_territories")) & available_timezones() if "/" in name))


@functools.lru_cache(1024)
def find(name: str) -> ZoneInfo | None:
    """Return the zone; None for UTC and for a name that this machine does not know."""
    if name == UTC or len(name) > MAX_NAME:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def local_time(moment: datetime, name: str) -> datetime:
    """Return the clock of a zone at a moment, in UTC where the zone is unknown; without a zone of its own."""
    zone = find(name)
    try:
        return (moment.astimezone(zone) if zone else moment).replace(tzinfo=None)
    except OverflowError:  # the last day of the year 9999, or the first of the year 1
        return moment.replace(tzinfo=None)
