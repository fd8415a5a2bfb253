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


_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "jan янв",
            "feb фев",
            "mar мар",
            "apr апр",
            "may май мая",
            "jun июн",
            "jul июл",
            "aug авг",
            "sep сен",
            "oct окт",
            "nov ноя",
            "dec дек",
        ),
        1,
    )
    for name in names.split()
}
_MONTH = rf"(?P<month>(?:{'|'.join(_MONTHS)})\w*)"
# "5 March 2022", "Sat, 05 Mar 2022 14:23:11 +0300", "5 марта 2022 г., 14:23"; then "March 5, 2022", "Sat Mar 05 2022
# 14:23:11 GMT+0300".
_WEEKDAY = r"(?:[^\W\d]{2,11}\.?,? +)?"
_YEAR_AND_TIME = (
    r"(?P<year>\d{4}|\d{2})(?: ?г(?:од|ода|\.)?)?"
    r"(?:[ T,в@]+(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2}))?(?:[.,]\d+)?)?(?: ?(?P<half>[ap])\.?m\.?)?"
    r"(?: ?(?:(?:gmt|utc|msk)? ?(?P<zone>[+−-]\d{1,2}):?(?P<minutes>\d{2})?|z|gmt|utc))?(?: \(.*\))?"
)
_DAY_AND_MONTH = re.compile(
    rf"{_WEEKDAY}(?P<day>\d{{1,2}})(?:st|nd|rd|th)?[ .-]+{_MONTH}\.?,?[ .-]+{_YEAR_AND_TIME}", re.I
)
_MONTH_AND_DAY = re.compile(rf"{_WEEKDAY}{_MONTH}\.? +(?P<day>\d{{1,2}})(?:st|nd|rd|th)?,? +{_YEAR_AND_TIME}", re.I)
_NUMBER = re.compile(r"(\d{5})(?:[.,](\d+))?|(\d{10})(?:[.,]\d+)?|(\d{13})|(\d{4})(\d{2})(\d{2})")
_EXCEL_EPOCH = datetime(1899, 12, 30, tzinfo=UTC)
_SERIALS = range(25_569, 73_051)  # days from 1970 to 2099, as spreadsheets count them
_TIME_FIRST = re.compile(r"(\d{1,2}:\d{2}(?::\d{2})?),? +(\d{1,4}[./-]\d{1,2}[./-]\d{1,4})")


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
    text = cell.strip()
    match = _DATE.fullmatch(text)
    if match is None:
        text = _TIME_FIRST.sub(r"\2 \1", text.removesuffix("г.").rstrip())
        match = _DATE.fullmatch(text)
    if match is None:
        return _with_month(text) or _of_number(text)
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


def _with_month(text: str) -> str | None:
    """Return a date whose month is a word, in ISO 8601; None if ``text`` is none."""
    match = _DAY_AND_MONTH.fullmatch(text) or _MONTH_AND_DAY.fullmatch(text)
    if match is None:
        return None
    year, month, day = int(match["year"]), _MONTHS[match["month"][:3].lower()], int(match["day"])
    numbers = f"{year + 2000 if year < 100 else year}-{month}-{day}"
    if match["hour"]:
        half, second = match["half"], match["second"] or "00"
        numbers += f" {match['hour']}:{match['minute']}:{second}{f' {half}m' if half else ''}"
        numbers += f" {match['zone']}:{match['minutes'] or '00'}" if match["zone"] else ""
    return to_iso(numbers, DateOrder.ISO)


def _of_number(text: str) -> str | None:
    """Return the day or time that a spreadsheet's serial number, seconds or milliseconds since 1970, or 20220305 means;
    None if ``text`` is none of them."""
    match = _NUMBER.fullmatch(text)
    if match is None:
        return None
    if match[5]:
        return to_iso(f"{match[5]}-{match[6]}-{match[7]}", DateOrder.ISO)
    if match[1] is None:
        seconds = int(match[3] or match[4][:-3])
        return datetime.fromtimestamp(seconds, UTC).isoformat()
    if int(match[1]) not in _SERIALS:
        return None
    moment = _EXCEL_EPOCH + timedelta(seconds=round(float(f"{match[1]}.{match[2] or 0}") * 86_400))
    return moment.isoformat() if match[2] else moment.date().isoformat()
