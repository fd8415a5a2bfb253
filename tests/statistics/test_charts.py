"""Charts as geometry: round numbers, times that do not touch, nothing outside of the picture."""

import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from petition.core import i18n
from petition.core.i18n import Language
from petition.core.resources import folder
from petition.statistics import charts
from petition.statistics.charts import CHARACTER, SIZES, ChartDrawing, Size
from petition.statistics.model import DAY, HOUR, Period

LANGUAGES = i18n.load(folder("locales"))
START = datetime(2022, 3, 5, 7, tzinfo=UTC)
NUMBER = re.compile(r"[MLVHh ]?(-?[\d.]+)")


@given(st.integers(0, 10**9))
def test_numbers_of_an_axis_are_round_and_cover_everything(most: int) -> None:
    found = charts.ticks(most)
    steps = {later - before for before, later in pairwise(found)}
    assert found[0] == 0
    assert found[-1] >= most
    assert 3 <= len(found) <= 6
    assert len(steps) == 1
    assert re.fullmatch(r"(1|2|25|5)0*", str(steps.pop()))


@given(
    st.lists(st.integers(0, 2_000_000), min_size=1, max_size=900),
    st.sampled_from([HOUR, DAY]),
    st.sampled_from(SIZES),
    st.sampled_from(list(LANGUAGES.values())),
    st.integers(0, 10_000),
)
def test_nothing_lies_outside_or_on_top_of_each_other(
    values: list[int], step: timedelta, size: Size, tongue: Language, begin: int
) -> None:
    values = values[:72] if step == HOUR else values
    first = START.replace(hour=0) + begin * HOUR if step == HOUR else START.replace(hour=0) + begin * DAY
    total, periods = 0, []
    for i, value in enumerate(values):
        total += value
        periods.append(Period(first + i * step, people=value, came=value, total=total))
    for draw, numbers in ((charts.bars, values), (charts.line, [each.total for each in periods])):
        picture = draw(size, periods, numbers, step, tongue)
        check(picture)
        assert len(picture.times) <= size.max_times
        assert picture.mark_label.label == tongue.number(numbers[-1] if draw is charts.line else max(values))


def check(picture: ChartDrawing) -> None:
    """Fail if anything is drawn outside of the picture, or two times lie on each other."""
    ends = [-1.0]
    for tick in picture.times:
        width = CHARACTER * len(tick.label)
        begin = tick.label_x - width / 2
        assert begin > ends[-1], picture.times
        assert abs(tick.label_x - tick.at) <= width / 2
        ends.append(begin + width)
    assert ends[-1] <= picture.size.width + 0.1
    for number in picture.numbers:
        assert CHARACTER * len(number.label) <= picture.left
        assert 12 <= number.at <= picture.base
    for x, y in re.findall(r"[ML]([\d.-]+) ([\d.-]+)", picture.path):
        assert picture.left - 0.1 <= float(x) <= picture.right + 0.1
        assert 0 <= float(y) <= picture.base
    for y in re.findall(r"V([\d.-]+)", picture.path):
        assert 0 <= float(y) <= picture.base


@pytest.mark.parametrize("lang", LANGUAGES)
def test_bars_are_as_high_as_their_values(lang: str) -> None:
    periods = [Period(START + i * DAY) for i in range(4)]
    picture = charts.bars(SIZES[0], periods, [10, 0, 20, 40], DAY, LANGUAGES[lang])
    tops = [float(top) for top, _ in re.findall(r"V([\d.]+)h[\d.]+V([\d.]+)z", picture.path)]
    heights = [picture.base - top for top in tops]
    assert heights == pytest.approx([heights[0], 2 * heights[0], 4 * heights[0]], abs=0.2)
    assert picture.path.count("M") == 3, "an empty day has no bar"


def test_hours_are_written_at_round_ones_and_days_at_their_beginning() -> None:
    starts = [START + i * HOUR for i in range(72)]
    wide = charts.times(starts, HOUR, 9, LANGUAGES["en"])
    assert [label for _, label in wide] == ["12:00", "6 Mar", "12:00", "7 Mar", "12:00", "8 Mar"][: len(wide)]
    slim = charts.times(starts, HOUR, 4, LANGUAGES["ru"])
    assert [label for _, label in slim] == ["6 мар.", "7 мар.", "8 мар."]


def test_long_histories_are_told_in_months() -> None:
    starts = [START.replace(hour=0) + i * DAY for i in range(900)]
    labels = [label for _, label in charts.times(starts, DAY, 9, LANGUAGES["en"])]
    assert labels[:3] == ["May 2022", "Sept 2022", "Jan 2023"]
