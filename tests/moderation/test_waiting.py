"""What waits: a decision settles flags and reports everywhere they are counted, and undoing it brings them back."""

import pytest

from petition.core.ids import SignatureId
from petition.moderation import queue_queries, reports, waiting
from petition.moderation.model import Action, Filter, Wait
from petition.organizers import overview_queries
from tests.moderation.desk import Bench

FLAG = "UPDATE signature SET flags = $3 WHERE letter = $1 AND id = $2"


async def flag(bench: Bench, signature_id: SignatureId, *flags: str) -> None:
    async with bench.database.connection() as conn:
        await conn.execute(FLAG, bench.letter.id, signature_id, list(flags))


async def report(bench: Bench, signature_id: SignatureId) -> None:
    async with bench.database.connection() as conn:
        await conn.execute(reports.ADD_REPORT, bench.letter.id, signature_id, "fake", None)


async def numbers(bench: Bench) -> tuple[int, int, int]:
    """Return (held, reported, flagged), which every place that counts them says."""
    async with bench.database.connection() as conn:
        what = await waiting.load(conn, bench.letter.id, bench.letter.keys)
        overview = await overview_queries.waiting(conn, bench.letter.id)
        totals = [
            (await queue_queries.total(conn, bench.letter.id, Filter(wait=wait)))[0]
            for wait in (Wait.HELD, Wait.REPORTED, Wait.FLAGGED)
        ]
        whole, _ = await queue_queries.total(conn, bench.letter.id, Filter(wait=Wait.ANY))
        flagged, _ = await queue_queries.total(conn, bench.letter.id, Filter(flag="any"))
    assert overview is not None
    held, reported, other = (what.numbers[wait] for wait in (Wait.HELD, Wait.REPORTED, Wait.FLAGGED))
    assert totals == [held, reported, other]
    assert whole == what.total == held + reported + other
    assert {wait: len(items) for wait, items in what.items.items()} == {w: n for w, n in what.numbers.items() if n}
    assert (overview["held"], overview["reported"], overview["flagged"]) == (held, reported, reported + other)
    assert flagged - held <= reported + other <= flagged
    return held, reported, other


async def open_reports(bench: Bench) -> int:
    return len(await bench.rows("SELECT id FROM report WHERE letter = $1 AND settled_by IS NULL"))


@pytest.mark.parametrize("action", [Action.REMOVE, Action.APPROVE])
async def test_deciding_settles_and_undoing_brings_back(bench: Bench, action: Action) -> None:
    burst, reported, _ = await bench.sign("Vera Novak", "Ada Berg", "Bo Lund")
    await flag(bench, burst, "burst")
    await report(bench, reported)
    await report(bench, reported)
    held = await bench.sign_for("North Pier")
    assert (await numbers(bench), await open_reports(bench)) == ((1, 1, 1), 2)
    decided = await bench.decide(action, burst, reported, held, reason=None)
    assert (await numbers(bench), await open_reports(bench)) == ((0, 0, 0), 0)
    await bench.undo(decided.log_id)
    assert (await numbers(bench), await open_reports(bench)) == ((1, 1, 1), 2)


async def test_what_is_restored_does_not_wait_again(bench: Bench) -> None:
    (vera,) = await bench.sign("Vera Novak")
    await flag(bench, vera, "burst")
    await report(bench, vera)
    await bench.remove(vera)
    restored = await bench.decide(Action.RESTORE, vera)
    assert (await numbers(bench), await open_reports(bench)) == ((0, 0, 0), 0)
    await bench.undo(restored.log_id)
    assert await bench.states(vera) == ["removed"]
    assert (await numbers(bench), await open_reports(bench)) == ((0, 0, 0), 0)


async def test_a_later_report_waits(bench: Bench) -> None:
    (vera,) = await bench.sign("Vera Novak")
    await report(bench, vera)
    await bench.decide(Action.APPROVE, vera)
    assert await numbers(bench) == (0, 0, 0)
    await report(bench, vera)
    assert (await numbers(bench), await open_reports(bench)) == ((0, 1, 0), 1)
