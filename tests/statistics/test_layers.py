"""The sources add up to the count at each end of a period, and their bands to its height."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from petition.core import i18n
from petition.core.resources import folder
from petition.statistics import charts
from petition.statistics.layers import layers
from petition.statistics.model import DAY, Period, running

START = datetime(2022, 3, 4, tzinfo=UTC)
ENGLISH = i18n.load(folder("locales"))["en"]
CHANGES = st.tuples(st.integers(0, 500), st.integers(0, 5000), st.integers(0, 40))  # here, elsewhere, organizations


def periods(changes: list[tuple[int, int, int]]) -> list[Period]:
    return running(
        Period(START + i * DAY, came=here, people=here + elsewhere, organizations=organizations)
        for i, (here, elsewhere, organizations) in enumerate(changes)
    )


@given(
    st.lists(CHANGES, min_size=1, max_size=40),
    st.lists(st.tuples(st.integers(-5, 50), st.integers(1, 9000)), max_size=4),
)
def test_sources_add_up(changes: list[tuple[int, int, int]], tallies: list[tuple[int, int]]) -> None:
    days = periods(changes)
    found = layers(days, [(START.date() + timedelta(days=day), people) for day, people in tallies])
    for index, day in enumerate(days):
        assert sum(values[index] for values in found.values()) == day.total
        assert all(values[index] >= 0 for values in found.values())


def test_paper_stands_on_the_day_it_was_counted() -> None:
    days = periods([(10, 0, 0), (5, 3400, 2), (1, 0, 0)])
    found = layers(days, [(date(2022, 3, 5), 3400)])
    assert found == {"here": [10, 15, 16], "organizations": [0, 2, 2], "paper": [0, 3400, 3400]}


@given(st.lists(CHANGES, min_size=1, max_size=400), st.sampled_from(charts.SIZES))
def test_labels_do_not_touch_and_stay_inside(changes: list[tuple[int, int, int]], size: charts.Size) -> None:
    days = periods([(here + 1, elsewhere, organizations) for here, elsewhere, organizations in changes])
    drawing = charts.bands(size, days, layers(days, [(date(2022, 3, 4), 5)]), DAY, ENGLISH)
    ys = [band.label_y for band in drawing.bands]
    assert all(lower - upper >= charts.LABEL - 0.2 for lower, upper in pairwise(ys))
    assert all(y - 12 >= 0 and y + 14 <= size.height for y in ys)
