"""A letter's figures: of a period, of the whole, and breakdowns that single out no one person."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MIN_NAMED = 5  # people; a country with fewer is not named
MIN_NAMED_IF_SENSITIVE = 10
OTHERS = "other"
BY_PARTNER = "partner:"  # and the partner's name: people who signed by its link
TALLY = "tally"  # people counted without names: in the count, without rows


@dataclass(frozen=True, slots=True)
class Period:
    """An hour or a day (UTC): its changes, and the count at its end."""

    start: datetime
    signed_up: int = 0
    confirmed: int = 0  # organizations included
    came: int = 0  # people who signed here and started to count
    went: int = 0  # people who signed here and stopped counting
    people: int = 0  # the change of the count of people
    organizations: int = 0
    total: int = 0

    @property
    def imported(self) -> int:
        """People added by imports and tallies, less those removed with them."""
        return self.people - self.came + self.went


@dataclass(frozen=True, slots=True)
class Share:
    """One line of a breakdown: a language, a country, a source; "" is unknown."""

    value: str
    number: int
    of: int

    @property
    def share(self) -> float:
        """Of the whole, 0 to 1."""
        return self.number / self.of if self.of else 0.0


@dataclass(frozen=True, slots=True)
class Figures:
    """A letter's current figures."""

    people: int
    organizations: int
    days: Sequence[Period]
    hours: Sequence[Period]
    langs: Sequence[Share]
    countries: Sequence[Share]
    sources: Sequence[Share]
    providers: Sequence[Share]  # of all confirmations by class of mail provider; no class is stored with a signature
    pending: int
    refused: int
    tallies: Sequence[tuple[date, int]]  # (day, people) counted on paper
    min_named: int  # people; countries and providers with fewer are added up
    delays: dict[int, int] = field(repr=False)  # log2 of the seconds to confirming, in eighths → confirmations

    @property
    def total(self) -> int:
        return self.people + self.organizations

    @property
    def signed_up(self) -> int:
        return sum(day.signed_up for day in self.days)

    @property
    def confirmed(self) -> int:
        return sum(day.confirmed for day in self.days)

    @property
    def share_confirmed(self) -> float | None:
        """The share of forms that were confirmed; None if there were none."""
        return self.confirmed / self.signed_up if self.signed_up else None

    @property
    def median(self) -> timedelta | None:
        """The median time from the form to confirming, to within 5 %."""
        return median(self.delays)


def median(delays: dict[int, int]) -> timedelta | None:
    """Return the median of a histogram of log2 of seconds, in eighths; None if it is empty."""
    half, total = sum(delays.values()) / 2, 0
    for bucket in sorted(delays):
        total += delays[bucket]
        if total >= half and total:
            return timedelta(seconds=2 ** ((bucket + 0.5) / 8))
    return None


def running(periods: Iterable[Period], total: int = 0) -> list[Period]:
    """Return periods with the count at the end of each; ``total`` is the count before the first."""
    result = []
    for period in periods:
        total += period.people + period.organizations
        result.append(replace(period, total=total))
    return result


def without_gaps(
    periods: Sequence[Period], step: timedelta, first: datetime, last: datetime, total: int = 0
) -> list[Period]:
    """Return one period for each step from ``first`` to ``last``, both included; empty ones where none is stored.

    ``total`` is the count before all of ``periods``.
    """
    known = {period.start: period for period in periods}
    total = next((period.total for period in reversed(periods) if period.start < first), total)
    result, start = [], first
    while start <= last:
        period = known.get(start) or Period(start, total=total)
        total = period.total
        result.append(period)
        start += step
    return result


def shares(numbers: dict[str, int], *, minimum: int = 0) -> list[Share]:
    """Return a breakdown, the largest first, unknown values last.

    Values of fewer than ``minimum`` people are merged into ``OTHERS``: a country with one signatory would tell where
    that person lives, to viewers too, who see no names.
    """
    whole = sum(numbers.values())
    small = {value for value, number in numbers.items() if value and number < minimum}
    named = {value: number for value, number in numbers.items() if value not in small}
    if small:
        named[OTHERS] = sum(numbers[value] for value in small)
    order = sorted(named, key=lambda value: (value == "", value == OTHERS, -named[value], value))
    return [Share(value, named[value], whole) for value in order if named[value]]
