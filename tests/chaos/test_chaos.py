"""The short form of ``make chaos``: a few faults under a little load, judged by the same checker."""

from pathlib import Path

from tests.chaos.faults import SHORT
from tests.chaos.run import Plan, carry_out


async def test_nothing_is_wrong_after_a_few_faults(open_folder: Path) -> None:
    report = await carry_out(open_folder, Plan(SHORT, rate=10, seed=1, calm=1, seconds=2))
    assert not report.wrong, f"{report.wrong}\n{report.table()}"
    assert len([one for one in report.ledger.people.values() if one.confirmed_at is not None]) > 50
    assert report.ledger.sights
