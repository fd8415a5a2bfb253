"""The short form of ``make chaos``: a few faults under a little load, judged by the same checker; and overload.

How long readers wait is judged by ``make chaos``: here others share the processors.
"""

from pathlib import Path

from tests.chaos import overload
from tests.chaos.faults import SHORT
from tests.chaos.run import Plan, carry_out


async def test_nothing_is_wrong_after_a_few_faults(open_folder: Path) -> None:
    report = await carry_out(open_folder, Plan(SHORT, rate=10, seed=1, calm=1, seconds=2))
    assert not report.wrong, f"{report.wrong}\n{report.table()}"
    assert len([one for one in report.ledger.people.values() if one.confirmed_at is not None]) > 50
    assert report.ledger.sights


async def test_twice_the_load_is_answered_303_or_503_and_each_303_is_stored(open_folder: Path) -> None:
    for kind in await overload.measure(open_folder, forms=600, seconds=2):
        wrong = [sentence for sentence in kind.wrong() if not sentence.endswith((" ms", " ms (p99)"))]
        assert not wrong, f"{wrong}\n{kind.lines()}"
        assert kind.stored
