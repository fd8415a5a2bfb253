"""Removals by week and reason: no number is small, and what was shown once never changes."""

import random
from datetime import UTC, date, datetime, timedelta

import pytest

from petition.count_report.removals import Removals, large, removals
from petition.signatures.model import Reason

MONDAY = datetime(2026, 11, 2, tzinfo=UTC)
UNTIL = date(2026, 11, 30)
REASONS = [reason.value for reason in Reason]

Row = tuple[datetime, str, int]


def week(number: int) -> datetime:
    return MONDAY + timedelta(weeks=number)


def shown(rows: list[Row], minimum: int = 5, *, by_week: bool = True) -> Removals:
    return removals(sorted(rows), 0, UNTIL, minimum, by_week=by_week)


def test_few_removals_are_not_shown_at_all() -> None:
    report = shown([(week(0), "fake", 2), (week(1), "abuse", 2)])
    assert (report.periods, report.total, report.reasons) == ((), 0, {})


def test_a_large_week_stands_alone() -> None:
    (period,) = shown([(week(0), "fake", 7), (week(0), "duplicate", 5)]).periods
    assert (period.first, period.last) == (date(2026, 11, 2), date(2026, 11, 8))
    assert dict(period.reasons) == {"fake": 7, "duplicate": 5}


def test_small_weeks_are_joined_until_there_are_enough() -> None:
    report = shown([(week(0), "fake", 3), (week(1), "fake", 1), (week(2), "fake", 4), (week(3), "fake", 2)])
    (period,) = report.periods
    assert (period.first, period.last, dict(period.reasons)) == (date(2026, 11, 2), date(2026, 11, 22), {"fake": 8})


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ({"fake": 9, "abuse": 6}, {"fake": 9, "abuse": 6}),
        ({"fake": 9, "abuse": 3, "duplicate": 2}, {"fake": 9, "other": 5}),
        ({"fake": 9, "abuse": 1}, {"other": 10}),
        ({"fake": 9, "duplicate": 6, "abuse": 1}, {"fake": 9, "other": 7}),
        ({"fake": 2, "abuse": 3}, {"other": 5}),
        ({"other": 5}, {"other": 5}),
    ],
)
def test_small_reasons_are_added_up_with_one_another(numbers: dict[str, int], expected: dict[str, int]) -> None:
    assert dict(large(numbers, 5)) == expected


def test_a_sensitive_letter_has_no_weeks() -> None:
    rows = [(week(number), "fake", 10) for number in range(3)]
    (period,) = shown(rows, 10, by_week=False).periods
    assert (period.first, period.last, dict(period.reasons)) == (date(2026, 11, 2), date(2026, 11, 22), {"fake": 30})


def test_few_restored_ones_are_not_shown() -> None:
    assert removals([], 4, UNTIL, 5).restored is None
    assert removals([], 5, UNTIL, 5).restored == 5


def test_no_number_is_small_and_none_changes_later() -> None:
    draw = random.Random(12)
    for _ in range(300):
        minimum = draw.choice([5, 10])
        rows = [
            (week(number), reason, draw.randint(1, 7))
            for number in range(8)
            for reason in draw.sample(REASONS, draw.randint(0, 4))
        ]
        before: list[object] = []
        for end in range(9):
            report = shown([row for row in rows if row[0] < week(end)], minimum)
            assert list(report.periods[: len(before)]) == before
            before = list(report.periods)
            numbers = [number for period in report.periods for number in period.reasons.values()]
            assert all(number >= minimum for number in numbers)
            assert report.total == sum(numbers) == sum(report.reasons.values())
        last = report.periods[-1].last if report.periods else date.min
        in_rows = sum(number for begin, _, number in rows if begin.date() <= last)
        assert report.total == in_rows  # each removal of a period that is shown is in it once
