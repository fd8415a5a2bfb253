"""Charts as geometry; the template draws them as SVG. One hue, thin lines, the values at the ends.

Each chart is drawn twice, for a wide page and for a phone: labels that shrink with the picture are unreadable.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from petition.core.i18n import Language
from petition.statistics.model import DAY, HOUR, Period

CHARACTER = 6.7  # pixels, the width at a font size of 12
MAX_BAR = 40.0  # pixels, the width of a bar
TOP, FOOT = 20, 24  # pixels above and below the plot
LABEL = 30.0  # pixels, the height of two lines
MARGIN = {"wide": 120.0, "slim": 95.0}  # pixels for labels behind the plot


@dataclass(frozen=True, slots=True)
class Size:
    """A picture's size in pixels, and how many times may be written below it."""

    name: str
    width: int
    height: int
    max_times: int


SIZES = (Size("wide", 960, 220, 9), Size("slim", 330, 190, 3))


@dataclass(frozen=True, slots=True)
class Tick:
    """A line of the grid, or a time below the plot."""

    at: float
    label: str
    anchor: str = "middle"
    label_x: float = 0.0  # of a time


@dataclass(frozen=True, slots=True)
class ChartDrawing:
    """One chart, ready to be drawn. ``mark`` is the point of the value that is written beside it."""

    size: Size
    left: float
    right: float
    base: float
    path: str
    is_filled: bool
    numbers: Sequence[Tick]
    times: Sequence[Tick]
    mark: tuple[float, float]
    mark_label: Tick


def bars(
    size: Size, periods: Sequence[Period], values: Sequence[int], step: timedelta, language: Language
) -> ChartDrawing:
    plot = _Plot(size, values, len(periods), language)
    width = min(plot.step - (1 if plot.step >= 3 else 0), MAX_BAR)
    rectangles = (
        f"M{_n(plot.x(i))} {_n(plot.base)}V{_n(plot.y(value))}h{_n(width)}V{_n(plot.base)}z"
        for i, value in enumerate(values)
        if value
    )
    highest = max(range(len(values)), key=values.__getitem__)
    return plot.picture("".join(rectangles), periods, step, (plot.x(highest) + width / 2, highest))


def line(
    size: Size, periods: Sequence[Period], values: Sequence[int], step: timedelta, language: Language
) -> ChartDrawing:
    """Draw a line from the count before the first period through the end of each; its end has the value."""
    plot = _Plot(size, values, len(periods), language)
    first = periods[0].total - periods[0].people - periods[0].organizations
    points = (f"L{_n(plot.x(i + 1))} {_n(plot.y(value))}" for i, value in enumerate(values))
    path = f"M{_n(plot.left)} {_n(plot.y(first))}" + "".join(points)
    return plot.picture(path, periods, step, (plot.right, len(values) - 1), is_filled=False)


@dataclass(frozen=True, slots=True)
class Band:
    """One layer of ``bands``: its area, and where its value and name are written behind its end."""

    name: str
    path: str
    value: int
    label_y: float


@dataclass(frozen=True, slots=True)
class BandsDrawing:
    """Layers on top of each other, the first at the bottom; ``axes`` has the numbers and times."""

    axes: ChartDrawing
    bands: Sequence[Band]
    label_x: float


def bands(
    size: Size, periods: Sequence[Period], layers: Mapping[str, Sequence[int]], step: timedelta, language: Language
) -> BandsDrawing:
    """Draw layers as bands that add up to the total; each is as high at its end as its share."""
    totals = [sum(values) for values in zip(*layers.values(), strict=True)]
    plot = _Plot(size, totals, len(periods), language, margin=MARGIN[size.name])
    bottom, areas, middles = [0] * len(totals), [], []
    for values in layers.values():
        top = [low + max(value, 0) for low, value in zip(bottom, values, strict=True)]
        areas.append(_area(plot, bottom, top))
        middles.append((plot.y(bottom[-1]) + plot.y(top[-1])) / 2)
        bottom = top
    return BandsDrawing(
        axes=plot.picture("", periods, step, (plot.right, len(totals) - 1)),
        bands=[
            Band(name, area, values[-1], round(y, 1))
            for (name, values), area, y in zip(layers.items(), areas, _apart(middles, plot.base), strict=True)
        ],
        label_x=plot.right + 10,
    )


def _area(plot: "_Plot", bottom: Sequence[int], top: Sequence[int]) -> str:
    """Return the outline between two lines, each from zero before the first period through the end of each."""
    there = "".join(f"L{_n(plot.x(i + 1))} {_n(plot.y(value))}" for i, value in enumerate(top))
    back = "".join(f"L{_n(plot.x(i + 1))} {_n(plot.y(value))}" for i, value in reversed(list(enumerate(bottom))))
    return f"M{_n(plot.left)} {_n(plot.base)}{there}{back}Z"


def _apart(middles: Sequence[float], base: float) -> list[float]:
    """Move labels, given from the bottom up, as little as keeps two lines of text between them."""
    placed: list[float] = []
    for middle in middles:
        placed.append(min(middle, placed[-1] - LABEL if placed else base - LABEL / 2))
    limit = LABEL / 2
    for index in reversed(range(len(placed))):  # what came out of the picture above pushes the ones below
        placed[index] = max(placed[index], limit)
        limit = placed[index] + LABEL
    return placed


class _Plot:
    """The coordinates of values and periods in a picture."""

    def __init__(
        self, size: Size, values: Sequence[int], periods: int, language: Language, margin: float = 4.0
    ) -> None:
        self._size = size
        self._values = values
        self._language = language
        self._ticks = ticks(max(values))
        self.left = 8 + CHARACTER * len(language.number(self._ticks[-1]))
        self.right = size.width - margin
        self.base = float(size.height - FOOT)
        self.step = (self.right - self.left) / periods

    def x(self, period: float) -> float:
        return self.left + period * self.step

    def y(self, value: float) -> float:
        return self.base - (self.base - TOP) * value / self._ticks[-1]

    def picture(
        self,
        path: str,
        periods: Sequence[Period],
        step: timedelta,
        mark: tuple[float, int],
        *,
        is_filled: bool = True,
    ) -> ChartDrawing:
        """Return the picture with its axes; the value of period ``mark[1]`` is written at ``mark[0]``."""
        at, period = mark
        label = self._language.number(self._values[period])
        return ChartDrawing(
            size=self._size,
            left=self.left,
            right=self.right,
            base=self.base,
            path=path,
            is_filled=is_filled,
            numbers=[Tick(round(self.y(value), 1), self._language.number(value)) for value in self._ticks],
            times=_spaced(
                self._below(self.x(i), label)
                for i, label in times([period.start for period in periods], step, self._size.max_times, self._language)
            ),
            mark=(round(at, 1), round(self.y(self._values[period]), 1)),
            mark_label=self._anchored(at, label),
        )

    def _below(self, at: float, label: str) -> Tick:
        """Center a time below its period, moved as little as keeps it inside the picture."""
        half = CHARACTER * len(label) / 2
        return Tick(round(at, 1), label, label_x=round(min(max(at, half), self._size.width - half), 1))

    def _anchored(self, at: float, label: str) -> Tick:
        """Anchor a value so that it stays inside the plot."""
        half = CHARACTER * len(label) / 2
        if at + half > self._size.width:
            return Tick(round(self.right, 1), label, "end")
        return Tick(round(at, 1), label, "start" if at - half < self.left else "middle")


def _spaced(times: Iterable[Tick]) -> list[Tick]:
    """Leave out times that would touch the one before, as one moved inside from the edge may."""
    spaced: list[Tick] = []
    for tick in times:
        if spaced:
            characters = len(tick.label) + len(spaced[-1].label)
            if tick.label_x - spaced[-1].label_x <= CHARACTER * characters / 2 + 1:
                continue
        spaced.append(tick)
    return spaced


def ticks(max_value: int) -> list[int]:
    """Return 0 and two to five round numbers, the last at or above ``max_value``."""
    rough = max(max_value, 2) / 4
    power = 10 ** math.floor(math.log10(rough)) if rough >= 1 else 1
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough and power * factor % 1 == 0)
    return [int(step * i) for i in range(math.ceil(max(max_value, 2) / step) + 1)]


A_YEAR = 366
_EVERY = {
    HOUR: (1, 2, 3, 6, 12, 24, 48),
    DAY: (1, 2, 5, 7, 14, 28, 56, 92, 123),
}


def times(starts: Sequence[datetime], step: timedelta, limit: int, language: Language) -> list[tuple[int, str]]:
    """Return (period, label) of at most ``limit`` periods at equal distances; hours are round ones."""
    every = next((every for every in _EVERY[step] if len(starts) <= every * limit), _EVERY[step][-1])
    if step == DAY and len(starts) > A_YEAR:
        firsts = [i for i, start in enumerate(starts) if start.day == 1]
        months = next(months for months in (1, 2, 3, 4, 6, 12, 24, 60, 600) if len(firsts) <= months * limit)
        return [
            (i, language.month(starts[i])) for i in firsts if (starts[i].year * 12 + starts[i].month - 1) % months == 0
        ]
    if step == DAY:
        return [(i, language.short_day(starts[i])) for i in range(0, len(starts), every)]
    round_hours = [i for i, start in enumerate(starts) if start.hour % min(every, 24) == 0]
    chosen = [i for i in round_hours if every < 48 or starts[i].toordinal() % 2 == 0] or [0]
    return [(i, language.clock(starts[i]) if starts[i].hour else language.short_day(starts[i])) for i in chosen]


def _n(number: float) -> str:
    """Format a coordinate to a tenth of a pixel."""
    return f"{number:.1f}".removesuffix(".0")
