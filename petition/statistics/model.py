"""What a letter's statistics say: figures of a period, of the whole, and what must not single anybody out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MIN_NAMED = 5  # people; a country with fewer is not named
OTHERS = "other"
BY_PARTNER = "partner:"  # and the partner's name: came by its link
TALLY = "tally"  # counted without names: in the count, and no row


@dataclass(frozen=True, slots=True)
class Period:
    """An hour or a day (UTC): what happened in it, and the count at its end."""

    start: datetime
    signed_up: int = 0
    confirmed: int = 0  # organizations too
    came: int = 0  # people who signed here and began to count
    went: int = 0  # those of them who ceased to
    people: int = 0  # by how many the count of people moved
    organizations: int = 0
    total: int = 0

    @property
    def imported(self) -> int:
        """Return how many people came by imports and tallies, less those who were taken back."""
        return self.people - self.came + self.went


@dataclass(frozen=True, slots=True)
class Share:
    """One line of a breakdown: a language, a country, a source; "" is unknown."""

    value: str
    number: int
    of: int

    @property
    def share(self) -> float:
        """Return the share of the whole, 0 to 1."""
        return self.number / self.of if self.of else 0.0


@dataclass(frozen=True, slots=True)
class Figures:
    """A letter's figures as they stand now."""

    people: int
    organizations: int
    days: Sequence[Period]
    hours: Sequence[Period]
    langs: Sequence[Share]
    countries: Sequence[Share]
    sources: Sequence[Share]
    pending: int
    refused: int
    held: int
    took: dict[int, int] = field(repr=False)  # eighths of a power of two of seconds → confirmations

    @property
    def total(self) -> int:
        """Return the count."""
        return self.people + self.organizations

    @property
    def signed_up(self) -> int:
        """Return how many forms were sent."""
        return sum(day.signed_up for day in self.days)

    @property
    def confirmed(self) -> int:
        """Return how many of them were confirmed."""
        return sum(day.confirmed for day in self.days)

    @property
    def share_confirmed(self) -> float | None:
        """Return the share of sign-ups that have been confirmed; None if there were none."""
        return self.confirmed / self.signed_up if self.signed_up else None

    @property
    def median(self) -> timedelta | None:
        """Return the time in which half of those who confirmed had done so, to within 5 %."""
        return median(self.took)


def median(took: dict[int, int]) -> timedelta | None:
    """Return the median of a histogram over eighths of powers of two of seconds; None of an empty one."""
    half, seen = sum(took.values()) / 2, 0
    for bucket in sorted(took):
        seen += took[bucket]
        if seen >= half and seen:
            return timedelta(seconds=2 ** ((bucket + 0.5) / 8))
    return None


def running(periods: Iterable[Period], total: int = 0) -> list[Period]:
    """Return periods with the count at the end of each; ``total`` is the count before the first."""
    found = []
    for each in periods:
        total += each.people + each.organizations
        found.append(replace(each, total=total))
    return found


def without_gaps(
    periods: Sequence[Period], step: timedelta, first: datetime, last: datetime, total: int = 0
) -> list[Period]:
    """Return one period for each step from ``first`` to ``last``, both included; where nothing happened, empty ones.

    ``total`` is the count before all of ``periods``.
    """
    known = {each.start: each for each in periods}
    total = next((each.total for each in reversed(periods) if each.start < first), total)
    found, start = [], first
    while start <= last:
        each = known.get(start) or Period(start, total=total)
        total = each.total
        found.append(each)
        start += step
    return found


def shares(numbers: dict[str, int], *, least: int = 0) -> list[Share]:
    """Return a breakdown, the largest first, what is unknown last.

    Values of fewer than ``least`` people come together as ``OTHERS``: a country with one signatory would say where that
    one person lives, to viewers too, who see no names.
    """
    whole = sum(numbers.values())
    small = {value for value, number in numbers.items() if value and number < least}
    named = {value: number for value, number in numbers.items() if value not in small}
    if small:
        named[OTHERS] = sum(numbers[value] for value in small)
    order = sorted(named, key=lambda value: (value == "", value == OTHERS, -named[value], value))
    return [Share(value, named[value], whole) for value in order if named[value]]
