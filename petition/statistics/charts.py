"""Charts as geometry; the template draws them as SVG. One hue, thin lines, the values at the ends.

Each chart is made twice, for a wide page and for a telephone: letters that shrink with the picture cannot be read.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from petition.core.i18n import Language
from petition.statistics.model import DAY, HOUR, Period

LETTER = 6.7  # pixels that a character of 12 takes
BROADEST = 40.0  # pixels of a bar
TOP, FOOT = 20, 24  # pixels above and below the field


@dataclass(frozen=True, slots=True)
class Size:
    """A picture's size in pixels, and how many times stand below it at most."""

    name: str
    width: int
    height: int
    times: int


SIZES = (Size("wide", 960, 220, 9), Size("slim", 330, 190, 3))


@dataclass(frozen=True, slots=True)
class Tick:
    """A line of the grid, or a time below the field."""

    at: float
    label: str
    anchor: str = "middle"
    written: float = 0.0  # where the label of a time is


@dataclass(frozen=True, slots=True)
class ChartDrawing:
    """One chart, ready to be drawn. ``mark`` is where the value ``marked`` is written."""

    size: Size
    left: float
    right: float
    base: float
    path: str
    filled: bool
    numbers: Sequence[Tick]
    times: Sequence[Tick]
    mark: tuple[float, float]
    marked: Tick


def bars(
    size: Size, periods: Sequence[Period], values: Sequence[int], step: timedelta, tongue: Language
) -> ChartDrawing:
    """Draw one bar a period; the highest has its value above it."""
    field = _Field(size, values, len(periods), tongue)
    width = min(field.each - (1 if field.each >= 3 else 0), BROADEST)
    drawn = (
        f"M{_n(field.x(i))} {_n(field.base)}V{_n(field.y(value))}h{_n(width)}V{_n(field.base)}z"
        for i, value in enumerate(values)
        if value
    )
    highest = max(range(len(values)), key=values.__getitem__)
    return field.picture("".join(drawn), periods, step, (field.x(highest) + width / 2, highest))


def line(
    size: Size, periods: Sequence[Period], values: Sequence[int], step: timedelta, tongue: Language
) -> ChartDrawing:
    """Draw a line from nothing through the end of each period; its end has the value."""
    field = _Field(size, values, len(periods), tongue)
    first = periods[0].total - periods[0].people - periods[0].organizations
    drawn = (f"L{_n(field.x(i + 1))} {_n(field.y(value))}" for i, value in enumerate(values))
    path = f"M{_n(field.left)} {_n(field.y(first))}" + "".join(drawn)
    return field.picture(path, periods, step, (field.right, len(values) - 1), filled=False)


class _Field:
    """Where values and periods lie in a picture."""

    def __init__(self, size: Size, values: Sequence[int], periods: int, tongue: Language) -> None:
        self._size = size
        self._values = values
        self._tongue = tongue
        self._ticks = ticks(max(values))
        self.left = 8 + LETTER * len(tongue.number(self._ticks[-1]))
        self.right = size.width - 4.0
        self.base = float(size.height - FOOT)
        self.each = (self.right - self.left) / periods

    def x(self, period: float) -> float:
        """Return where a period begins."""
        return self.left + period * self.each

    def y(self, value: float) -> float:
        """Return how high a value lies."""
        return self.base - (self.base - TOP) * value / self._ticks[-1]

    def picture(
        self,
        path: str,
        periods: Sequence[Period],
        step: timedelta,
        marked: tuple[float, int],
        *,
        filled: bool = True,
    ) -> ChartDrawing:
        """Return the picture with its axes; the value of period ``marked[1]`` is written at ``marked[0]``."""
        at, period = marked
        label = self._tongue.number(self._values[period])
        return ChartDrawing(
            size=self._size,
            left=self.left,
            right=self.right,
            base=self.base,
            path=path,
            filled=filled,
            numbers=[Tick(round(self.y(value), 1), self._tongue.number(value)) for value in self._ticks],
            times=_apart(
                self._below(self.x(i), label)
                for i, label in times([each.start for each in periods], step, self._size.times, self._tongue)
            ),
            mark=(round(at, 1), round(self.y(self._values[period]), 1)),
            marked=self._anchored(at, label),
        )

    def _below(self, at: float, label: str) -> Tick:
        """Write a time below its place, moved as little as keeps it inside the picture."""
        half = LETTER * len(label) / 2
        return Tick(round(at, 1), label, written=round(min(max(at, half), self._size.width - half), 1))

    def _anchored(self, at: float, label: str) -> Tick:
        """Keep a value inside the field."""
        half = LETTER * len(label) / 2
        if at + half > self._size.width:
            return Tick(round(self.right, 1), label, "end")
        return Tick(round(at, 1), label, "start" if at - half < self.left else "middle")


def _apart(times: Iterable[Tick]) -> list[Tick]:
    """Leave out what would touch the time before it, moved inside from the edge as it may be."""
    kept: list[Tick] = []
    for each in times:
        if not kept or each.written - kept[-1].written > LETTER * (len(each.label) + len(kept[-1].label)) / 2 + 1:
            kept.append(each)
    return kept


def ticks(most: int) -> list[int]:
    """Return 0 and two to five round numbers, the last at or above ``most``."""
    rough = max(most, 2) / 4
    power = 10 ** math.floor(math.log10(rough)) if rough >= 1 else 1
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough and power * factor % 1 == 0)
    return [int(step * i) for i in range(math.ceil(max(most, 2) / step) + 1)]


A_YEAR = 366
_EVERY = {
    HOUR: (1, 2, 3, 6, 12, 24, 48),
    DAY: (1, 2, 5, 7, 14, 28, 56, 92, 123),
}


def times(starts: Sequence[datetime], step: timedelta, most: int, tongue: Language) -> list[tuple[int, str]]:
    """Return (period, label) of at most ``most`` periods, as far from each other as they are; hours at round ones."""
    every = next((each for each in _EVERY[step] if len(starts) <= each * most), _EVERY[step][-1])
    if step == DAY and len(starts) > A_YEAR:
        firsts = [i for i, start in enumerate(starts) if start.day == 1]
        months = next(each for each in (1, 2, 3, 4, 6, 12, 24, 60, 600) if len(firsts) <= each * most)
        return [
            (i, tongue.month(starts[i])) for i in firsts if (starts[i].year * 12 + starts[i].month - 1) % months == 0
        ]
    if step == DAY:
        return [(i, tongue.short_day(starts[i])) for i in range(0, len(starts), every)]
    round_hours = [i for i, start in enumerate(starts) if start.hour % min(every, 24) == 0]
    chosen = [i for i in round_hours if every < 48 or starts[i].toordinal() % 2 == 0] or [0]
    return [(i, tongue.clock(starts[i]) if starts[i].hour else tongue.short_day(starts[i])) for i in chosen]


def _n(number: float) -> str:
    """Write a coordinate to a tenth of a pixel."""
    return f"{number:.1f}".removesuffix(".0")
