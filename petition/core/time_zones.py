"""Time zones by their IANA names, as far as this machine knows them.

Everything is stored in UTC. Organizers type and read the clock of their own zone, which skips an hour in spring and
has one twice in autumn.
"""

import functools
from datetime import UTC as UTC_ZONE
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


def in_zone(moment: datetime, name: str) -> datetime:
    """Return the moment with a zone; in UTC where the zone is unknown."""
    return moment.astimezone(find(name) or UTC_ZONE)


def moments_of(local: datetime, name: str) -> tuple[datetime, ...]:
    """Return the moments (UTC) at which a zone's clock shows ``local``: one, or two on the night it is put back.

    Of an hour that is skipped, the moment as long after the jump. An unknown zone is UTC.
    """
    zone = find(name)
    if zone is None:
        return (local.replace(tzinfo=UTC_ZONE),)
    try:
        first, second = (local.replace(tzinfo=zone, fold=fold).astimezone(UTC_ZONE) for fold in (0, 1))
    except OverflowError:  # the last day of the year 9999, or the first of the year 1
        return (local.replace(tzinfo=UTC_ZONE),)
    return (first, second) if first < second else (first,)
