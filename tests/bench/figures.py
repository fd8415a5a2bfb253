"""How much is measured, and what came of it."""

import statistics
from collections import defaultdict
from dataclasses import dataclass, field

from tests.bench.load import Tally


@dataclass(frozen=True)
class Size:
    """How much of everything."""

    rounds: int = 3
    rows: int = 1_000_000
    seconds: int = 4  # of each page, and of pgbench
    forms: int = 4000  # to sign, and as many to confirm, in each round and for each letter
    searches: int = 200
    # By aiosmtplib, by the worker, and in bulk. A worker that has just started does much else in its first second.
    mails: int = 6000
    readers: int = 100_000  # of a mailed update
    people: int = 1_000_000  # who sign and confirm, end to end
    mixed: float = 1200.0  # seconds of all that people do
    letters: int = 20_000  # of the installation that is idle
    idle: float = 30.0  # seconds for which it is watched
    listeners: int = 50_000  # if the machine allows one process as many files
    looks: int = 15  # at each page of the desk, for each letter, in each round


@dataclass
class Figures:
    """What was measured, by name, a value a round: rates a second, processor time in µs, times in ms."""

    values: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def note(self, name: str, tally: Tally, cpu: float) -> None:
        """Add one measurement."""
        answers = sum(tally.statuses.values())
        self.values[f"{name} rate"].append(tally.rate)
        self.values[f"{name} p95"].append(tally.p95)
        self.values[f"{name} cpu"].append(cpu / answers * 1e6)
        self.values[f"{name} generator"].append(tally.busy)

    def ratio(self, name: str, over: str) -> float | None:
        """Return the median over the rounds of one rate divided by another's of the same round."""
        one, other = self.values.get(f"{name} rate"), self.values.get(f"{over} rate")
        if not one or not other:
            return None
        return statistics.median(a / b for a, b in zip(one, other, strict=True))

    def cpu_ratio(self, name: str, over: str) -> float | None:
        """Return the median of one processor time for an answer divided by another's of the same round."""
        one, other = self.values.get(f"{name} cpu"), self.values.get(f"{over} cpu")
        if not one or not other:
            return None
        return statistics.median(a / b for a, b in zip(one, other, strict=True))

    def taken(self) -> list[tuple[str, list[float]]]:
        """Return what there are values of."""
        return [(name, values) for name, values in self.values.items() if values]

    def median(self, name: str) -> float | None:
        """Return the median over the rounds."""
        values = self.values.get(name)
        return statistics.median(values) if values else None
