"""Dates as people and programs write them; whether the day or the month comes first in a column of them."""

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
    UNKNOWN = "unknown"  # day or month first, and no date of the file decides which


@dataclass(slots=True)
class DateStatistics:
    """Counts, over the cells of one column, that show how its dates are written."""

    years_first: int = 0
    years_last: int = 0
    dotted: int = 0
    first_above_12: int = 0
    second_above_12: int = 0

    def add(self, cell: str) -> None:
        match = _DATE.fullmatch(cell.strip()) if cell[:1].isdigit() else None
        if match is None:
            return
        if len(match[1]) == 4:
            self.years_first += 1
            return
        self.years_last += 1
        self.dotted += match[2] == "."
        self.first_above_12 += int(match[1]) > 12
        self.second_above_12 += int(match[3]) > 12

    @property
    def order(self) -> DateOrder | None:
        """The order that the dates show; None if there was no date."""
        if not self.years_last:
            return DateOrder.ISO if self.years_first else None
        if self.second_above_12 > self.first_above_12:
            return DateOrder.MONTH
        # With dots the day always comes first: 3.25.2022 is not in use.
        return DateOrder.DAY if self.first_above_12 or self.dotted == self.years_last else DateOrder.UNKNOWN


def to_iso(cell: str, order: DateOrder) -> str | None:
    """Return a date, or a date and time, in ISO 8601; None if ``cell`` is neither. A time without a zone is UTC."""
    match = _DATE.fullmatch(cell.strip())
    if match is None:
        return None
    first, second, third = int(match[1]), int(match[3]), int(match[4])
    if len(match[1]) == 4:
        year, month, day = first, second, third
    else:
        year = third + 2000 if len(match[4]) <= 2 else third
        day, month = (second, first) if order is DateOrder.MONTH else (first, second)
    try:
        if match[5] is None:
            return datetime(year, month, day).date().isoformat()  # noqa: DTZ001 - a day
        return datetime(year, month, day, *_clock(match), tzinfo=_zone(match)).isoformat()
    except ValueError:
        return None


def _clock(match: re.Match[str]) -> tuple[int, int, int]:
    hour = int(match[5])
    if match[8]:
        hour = hour % 12 + (12 if match[8].lower() == "p" else 0)
    return hour, int(match[6]), int(match[7] or 0)


def _zone(match: re.Match[str]) -> timezone:
    if not match[9]:
        return UTC
    sign = -1 if match[9][0] in "-−" else 1
    return timezone(sign * timedelta(hours=int(match[9][1:]), minutes=int(match[10] or 0)))
