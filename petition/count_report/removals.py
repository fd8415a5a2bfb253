"""Removals by reason and week, without a number so small that it could single someone out.

The numbers are of weeks that have ended, so that no one sees one rise in the moment in which a name goes. Weeks are
taken together until enough were removed in them; those parts never change later, so that two readings of the page
have no difference but whole parts.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from petition.signatures.model import Reason

OTHERS = "other"
WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class RemovalPeriod:
    """One week or several: the first day and the last, and numbers by reason, each large enough."""

    first: date
    last: date
    reasons: Mapping[str, int]  # in the order of ``Reason``; smaller ones are in OTHERS

    @property
    def total(self) -> int:
        return sum(self.reasons.values())


@dataclass(frozen=True, slots=True)
class Removals:
    """Removals of counted signatures until a day; what is too small to be shown is in no number."""

    until: date  # a Monday: the first day that is not in it
    minimum: int  # from so many on a number is shown
    periods: Sequence[RemovalPeriod] = field(default_factory=tuple)  # the oldest first
    restored: int | None = None  # of all that were removed; None if there are too few to be shown

    @property
    def total(self) -> int:
        return sum(period.total for period in self.periods)

    @property
    def reasons(self) -> Mapping[str, int]:
        """The numbers by reason of all periods together."""
        return _in_order(sum((Counter(period.reasons) for period in self.periods), Counter()))


def removals(
    rows: Iterable[tuple[datetime, str, int]], restored: int, until: date, minimum: int, *, by_week: bool = True
) -> Removals:
    """Return what may be shown of rows (beginning of a week, reason, number), which are ordered by week.

    Without ``by_week`` all that is shown stands in one period.
    """
    periods, waiting, first = list[RemovalPeriod](), Counter[str](), None
    weeks: dict[date, Counter[str]] = {}
    for week, reason, number in rows:
        weeks.setdefault(week.date(), Counter())[reason if reason in set(Reason) else OTHERS] += number
    for week_begin, numbers in weeks.items():
        first = first or week_begin
        waiting += numbers
        if waiting.total() >= minimum:
            periods.append(RemovalPeriod(first, week_begin + WEEK - timedelta(days=1), large(waiting, minimum)))
            waiting, first = Counter(), None
    if periods and not by_week:
        together = sum((Counter(period.reasons) for period in periods), Counter[str]())
        periods = [RemovalPeriod(periods[0].first, periods[-1].last, _in_order(together))]
    return Removals(until, minimum, tuple(periods), restored if restored >= minimum else None)


def large(numbers: Mapping[str, int], minimum: int) -> Mapping[str, int]:
    """Return the numbers of at least ``minimum``; the others are added up, with the smallest of those if need be."""
    named = {reason: number for reason, number in numbers.items() if reason != OTHERS and number >= minimum}
    others = sum(numbers.values()) - sum(named.values())
    while named and 0 < others < minimum:
        smallest = min(named, key=lambda reason: (named[reason], reason))
        others += named.pop(smallest)
    return _in_order(named | ({OTHERS: others} if others else {}))


def _in_order(numbers: Mapping[str, int]) -> dict[str, int]:
    return {reason.value: numbers[reason.value] for reason in Reason if numbers.get(reason.value)}
