"""Dates as people and programs write them, and which comes first in them: the day or the month."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum

from petition.core.i18n import N_

NO_DATE = N_("This date could not be read.")

_DATE = re.compile(
    r"(\d{1,4})([./-])(\d{1,2})\2(\d{1,4})"
    r"(?:[ T,]+(\d{1,2}):(\d{2})(?::(\d{2}))?(?:[.,]\d+)?)?"
    r"(?: ?([ap])\.?m\.?)?"
    r"(?: ?(?:(?:gmt|utc)? ?([+−-]\d{1,2}):?(\d{2})?|z|gmt|utc))?",
    re.IGNORECASE,
)


class DateOrder(StrEnum):
    """How a column's dates are written."""

    ISO = "iso"  # the year comes first
    DAY = "dmy"
    MONTH = "mdy"
    UNKNOWN = "unknown"  # the day or the month comes first, and no date in the file tells which


@dataclass(slots=True)
class DatesSeen:
    """What the cells of one column have told so far."""

    years_first: int = 0
    years_last: int = 0
    dotted: int = 0
    first_above_12: int = 0
    second_above_12: int = 0

    def look(self, cell: str) -> None:
        """Take note of a cell."""
        found = _DATE.fullmatch(cell.strip()) if cell[:1].isdigit() else None
        if found is None:
            return
        if len(found[1]) == 4:
            self.years_first += 1
            return
        self.years_last += 1
        self.dotted += found[2] == "."
        self.first_above_12 += int(found[1]) > 12
        self.second_above_12 += int(found[3]) > 12

    @property
    def order(self) -> DateOrder | None:
        """How they are written; None if there was no date."""
        if not self.years_last:
            return DateOrder.ISO if self.years_first else None
        if self.second_above_12 > self.first_above_12:
            return DateOrder.MONTH
        # With dots it is always the day: nobody writes 3.25.2022.
        return DateOrder.DAY if self.first_above_12 or self.dotted == self.years_last else DateOrder.UNKNOWN


def as_iso(cell: str, order: DateOrder) -> str | None:
    """Return a date, or a date and time, as ISO 8601; None if it is none. A time without a zone is UTC."""
    found = _DATE.fullmatch(cell.strip())
    if found is None:
        return None
    first, second, third = int(found[1]), int(found[3]), int(found[4])
    if len(found[1]) == 4:
        year, month, day = first, second, third
    else:
        year = third + 2000 if len(found[4]) <= 2 else third
        day, month = (second, first) if order is DateOrder.MONTH else (first, second)
    try:
        if found[5] is None:
            return datetime(year, month, day).date().isoformat()  # noqa: DTZ001 - a day
        return datetime(year, month, day, *_clock(found), tzinfo=_zone(found)).isoformat()
    except ValueError:
        return None


def _clock(found: re.Match[str]) -> tuple[int, int, int]:
    hour = int(found[5])
    if found[8]:
        hour = hour % 12 + (12 if found[8].lower() == "p" else 0)
    return hour, int(found[6]), int(found[7] or 0)


def _zone(found: re.Match[str]) -> timezone:
    if not found[9]:
        return UTC
    sign = -1 if found[9][0] in "-−" else 1
    return timezone(sign * timedelta(hours=int(found[9][1:]), minutes=int(found[10] or 0)))
