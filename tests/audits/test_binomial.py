"""The exact bound, against published values and against the binomial distribution computed with fractions."""

from datetime import UTC, datetime
from fractions import Fraction
from math import comb

import pytest

from petition.audits.binomial import upper_bound
from petition.audits.model import AuditResult, rounded_up


@pytest.mark.parametrize(
    ("hits", "trials", "bound"),
    [
        (0, 300, 0.0099360),  # 1 - 0.05 ** (1 / 300)
        (0, 10, 0.2588656),
        (0, 30, 0.0950337),
        (0, 1, 0.95),
        (1, 10, 0.3941633),
        (1, 100, 0.0465598),
        (2, 300, 0.0208362),
        (5, 100, 0.1022534),
        (10, 10, 1.0),
        (0, 0, 1.0),
    ],
)
def test_known_values(hits: int, trials: int, bound: float) -> None:
    assert upper_bound(hits, trials) == pytest.approx(bound, abs=5e-7)


def at_most(hits: int, trials: int, share: Fraction) -> Fraction:
    """Return the exact probability of so many or fewer."""
    return sum((comb(trials, hit) * share**hit * (1 - share) ** (trials - hit) for hit in range(hits + 1)), Fraction(0))


@pytest.mark.parametrize(("hits", "trials"), [(0, 300), (1, 20), (3, 50), (7, 250), (19, 20), (40, 300)])
def test_it_is_where_so_few_would_come_with_five_percent(hits: int, trials: int) -> None:
    bound, step = Fraction(upper_bound(hits, trials)), Fraction(1, 10**9)
    assert at_most(hits, trials, bound - step) > Fraction(1, 20) > at_most(hits, trials, bound + step)


def test_more_confidence_and_fewer_answers_bound_less() -> None:
    assert upper_bound(0, 300, 0.99) > upper_bound(0, 300) > upper_bound(0, 3000)
    for hits, trials in ((2, 1), (-1, 5)):
        with pytest.raises(ValueError, match="part"):
            upper_bound(hits, trials)


def test_a_percentage_is_never_said_too_low() -> None:
    assert [rounded_up(share) for share in (0.0099360, 0.01, 0.010001, 1.0)] == [1.0, 1.0, 1.1, 100.0]


def test_silence_is_a_class_of_its_own() -> None:
    result = AuditResult(sample=300, unreached=10, signed=240, denied=0, ended_at=datetime(2026, 12, 1, tzinfo=UTC))
    assert (result.asked, result.answered, result.silent) == (290, 240, 50)
    assert result.bound == upper_bound(0, 240)
    assert result.worst_bound == upper_bound(50, 290)
