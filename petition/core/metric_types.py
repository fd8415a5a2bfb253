"""Counters, histograms and gauges that cost little to count and are right for several processes (``metric_cells``).

What is exposed is Prometheus' text format, written by prometheus_client. Series are bounded: labels beyond
``MAX_SERIES`` are counted as "other".
"""

import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence

from prometheus_client import Metric

from petition.core.metric_cells import Cells, Figures, Key, ProcessFigures, add_up

MAX_SERIES = 1000  # of a metric
OTHER = "other"

Labels = tuple[str, ...]


class Total:
    """One series of a counter."""

    __slots__ = ("_at", "_cells")

    def __init__(self, cells: Cells, at: int) -> None:
        self._cells, self._at = cells, at

    def inc(self, amount: float = 1.0) -> None:
        self._cells.values[self._at] += amount


class Level:
    """One series of a process's gauge."""

    __slots__ = ("_at", "_cells")

    def __init__(self, cells: Cells, at: int) -> None:
        self._cells, self._at = cells, at

    def set(self, value: float) -> None:
        self._cells.values[self._at] = value


class Distribution:
    """One series of a histogram: a cell for the sum, and one for each bucket."""

    __slots__ = ("_at", "_bounds", "_cells")

    def __init__(self, cells: Cells, at: int, bounds: Sequence[float]) -> None:
        self._cells, self._at, self._bounds = cells, at, bounds

    def observe(self, value: float) -> None:
        values = self._cells.values
        values[self._at] += value
        values[self._at + 1 + bisect_left(self._bounds, value)] += 1.0


class Family:
    """What all kinds have in common: a name, what it says, and the names of its labels."""

    type = "gauge"
    is_total = False
    size = 1  # cells of a series

    def __init__(self, name: str, says: str, label_names: Sequence[str] = ()) -> None:
        self.name, self.says, self.label_names = name, says, tuple(label_names)

    def metric(self, sums: Figures, own: Sequence[Figures]) -> Metric:
        """Return what is exposed; ``sums`` are of all processes, ``own`` those of each that lives."""
        metric = Metric(self.name.removesuffix("_total") if self.is_total else self.name, self.says, self.type)
        for labels, values in self._values(sums, own):
            for suffix, more, value in self._samples(values):
                metric.add_sample(self.name + suffix, dict(zip(self.label_names, labels, strict=True)) | more, value)
        return metric

    def _values(self, sums: Figures, _own: Sequence[Figures]) -> Iterator[tuple[Labels, list[float]]]:
        for key in sorted(key for key in sums if key.name == self.name and len(key.labels) == len(self.label_names)):
            yield key.labels, sums[key]

    def _samples(self, values: list[float]) -> Iterator[tuple[str, dict[str, str], float]]:
        yield "", {}, values[0]


class CellFamily(Family):
    """A metric whose series are cells."""

    def __init__(self, cells: Cells, name: str, says: str, label_names: Sequence[str] = ()) -> None:
        super().__init__(name, says, label_names)
        self._cells = cells
        self._count = 0

    def _allocate(self, labels: Labels) -> int:
        self._count += 1
        return self._cells.allocate(Key(self.name, labels, self.is_total), self.size)

    def _bounded(self, labels: Labels) -> Labels:
        return labels if self._count < MAX_SERIES else (OTHER,) * len(labels)


class Counter(CellFamily):
    """A number that only grows; its name ends in ``_total``."""

    type = "counter"
    is_total = True

    def __init__(self, cells: Cells, name: str, says: str, label_names: Sequence[str] = ()) -> None:
        super().__init__(cells, name, says, label_names)
        self._series: dict[Labels, Total] = {}
        if not label_names:
            self.labels()

    def labels(self, *labels: str) -> Total:
        series = self._series.get(labels)
        if series is None:
            labels = self._bounded(labels)
            series = self._series.get(labels) or self._series.setdefault(
                labels, Total(self._cells, self._allocate(labels))
            )
        return series

    def inc(self, amount: float = 1.0) -> None:
        self.labels().inc(amount)


class Histogram(CellFamily):
    """How many observations were at most so large, and their sum."""

    type = "histogram"
    is_total = True

    def __init__(
        self, cells: Cells, name: str, says: str, label_names: Sequence[str] = (), *, buckets: Sequence[float]
    ) -> None:
        super().__init__(cells, name, says, label_names)
        self._bounds = tuple(buckets)
        self.size = len(buckets) + 2
        self._series: dict[Labels, Distribution] = {}
        if not label_names:
            self.labels()

    def labels(self, *labels: str) -> Distribution:
        series = self._series.get(labels)
        if series is None:
            labels = self._bounded(labels)
            series = self._series.get(labels) or self._series.setdefault(
                labels, Distribution(self._cells, self._allocate(labels), self._bounds)
            )
        return series

    def observe(self, value: float) -> None:
        self.labels().observe(value)

    def _samples(self, values: list[float]) -> Iterator[tuple[str, dict[str, str], float]]:
        total, count = values[0], 0.0
        for bound, number in zip((*map(str, self._bounds), "+Inf"), values[1:], strict=False):
            count += number
            yield "_bucket", {"le": bound}, count
        yield "_count", {}, count
        yield "_sum", {}, total


class ProcessGauge(CellFamily):
    """A number that each process has; ``across`` makes one of those of all that live."""

    def __init__(self, cells: Cells, name: str, says: str, *, across: Callable[[Sequence[float]], float] = sum) -> None:
        super().__init__(cells, name, says)
        self._across = across
        self._level = Level(cells, self._allocate(()))

    def set(self, value: float) -> None:
        self._level.set(value)

    def _values(self, _sums: Figures, own: Sequence[Figures]) -> Iterator[tuple[Labels, list[float]]]:
        values = [values[0] for figures in own for key, values in figures.items() if key.name == self.name]
        if values:
            yield (), [self._across(values)]


class Gauge(Family):
    """A number that is the same for all processes, in the database for one: the process that is scraped says it.

    With ``max_series`` those are forgotten that were set the longest time ago.
    """

    def __init__(self, name: str, says: str, label_names: Sequence[str] = (), *, max_series: int = MAX_SERIES) -> None:
        super().__init__(name, says, label_names)
        self._numbers: dict[Labels, float] = {}
        self._max_series = max_series

    def set(self, value: float, *labels: str) -> None:
        self._numbers.pop(labels, None)  # the newest is the last
        self._numbers[labels] = float(value)
        if len(self._numbers) > self._max_series:
            del self._numbers[next(iter(self._numbers))]

    def set_now(self, *labels: str) -> None:
        """Set it to the time, in seconds since 1970."""
        self.set(time.time(), *labels)

    def remove(self, *labels: str) -> None:
        self._numbers.pop(labels, None)

    def clear(self) -> None:
        self._numbers.clear()

    def _values(self, _sums: Figures, _own: Sequence[Figures]) -> Iterator[tuple[Labels, list[float]]]:
        for labels, value in sorted(self._numbers.items()):
            yield labels, [value]


def exposed(families: Sequence[Family], processes: Sequence[ProcessFigures]) -> Iterator[Metric]:
    """Yield each metric that has a value."""
    sums: Figures = {}
    add_up(sums, (process.figures for process in processes))
    own = [process.figures for process in processes if process.pid is not None]
    for family in families:
        metric = family.metric(sums, own)
        if metric.samples:
            yield metric
