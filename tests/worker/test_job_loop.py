"""A job that fails waits longer each time and says so once a pause, whatever fails: also taking the job itself."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from petition.core.backoff import Backoff
from petition.core.database import Database, opened
from petition.core.decryptions import DecryptionCounts
from petition.core.encryption import Opener, Wrapper
from petition.core.errors import Unavailable
from petition.exports import address_list_worker
from petition.imports import worker as import_worker
from petition.mail.suppression import Suppression
from petition.moderation import bulk_acts
from petition.worker import job_loop
from tests.faults.processes import command, worker_environ
from tests.running import KEY, PRIVATE_KEY, environment, free_port

POLL = 0.001
Step = Callable[[Database], Awaitable[bool]]


async def failures_of(step: Callable[[], Awaitable[bool]], caplog: pytest.LogCaptureFixture, count: int) -> list[float]:
    """Run ``step`` until it has failed ``count`` times; return the pauses that the log names."""
    stop, failed = asyncio.Event(), 0

    async def counting() -> bool:
        nonlocal failed
        try:
            return await step()
        except BaseException:
            failed += 1
            if failed == count:
                stop.set()
            raise

    caplog.clear()
    await asyncio.wait_for(job_loop.run(counting, stop, name="job", poll=POLL), 60)
    return [vars(record)["seconds"] for record in caplog.records if record.message == "step failed"]


async def break_table(database: Database, table: str) -> None:
    """Have every statement fail that reads ``table``, with an error that is no outage."""
    async with database.transaction() as conn:
        await conn.execute(f"ALTER TABLE {table} RENAME TO {table}_behind")
        await conn.execute(
            f"CREATE VIEW {table} AS SELECT * FROM {table}_behind WHERE 1 / (length(current_user) * 0) = 1"
        )


def wrapper() -> Wrapper:
    return Wrapper([KEY])


STEPS: dict[str, tuple[str, Step]] = {
    "address list": (
        "address_job",
        lambda database: address_list_worker.step(
            database, Opener(PRIVATE_KEY, DecryptionCounts()), Suppression(wrapper())
        ),
    ),
    "import": ("intake", lambda database: import_worker.step(database, wrapper(), ("en",))),
    "bulk act": ("campaign", lambda database: bulk_acts.step(database, wrapper())),
}


@pytest.mark.parametrize("name", STEPS)
async def test_a_job_that_cannot_be_taken_backs_off(
    database_url: str, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    table, step = STEPS[name]
    async with opened(database_url) as database:
        await break_table(database, table)
        pauses = await failures_of(lambda: step(database), caplog, 5)
    assert pauses == [POLL * 2**attempt for attempt in range(1, 6)]


async def test_pauses_grow_to_a_minute_and_no_further() -> None:
    backoff = Backoff(1.0)
    assert [backoff.pause, *(backoff.failed() for _ in range(7))] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert (backoff.worked(), backoff.pause) == (7, 1)
    assert Backoff(120.0).failed() == 120.0  # of a job that polls less often than that
    for _ in range(5000):  # of days
        assert backoff.failed() <= 60


async def test_an_outage_is_one_line_and_its_end_another(caplog: pytest.LogCaptureFixture) -> None:
    stop, steps = asyncio.Event(), 0

    async def step() -> bool:
        nonlocal steps
        steps += 1
        if steps <= 4:
            raise Unavailable("the database's disk is full")
        stop.set()
        return False

    caplog.set_level("INFO")
    await job_loop.run(step, stop, name="import", poll=POLL)
    assert [record.message for record in caplog.records] == ["job is waiting for the database", "job goes on"]


async def test_the_worker_does_not_spin(database_url: str, tmp_path: Path) -> None:
    async with opened(database_url) as database:
        await break_table(database, "address_job")
    environ = worker_environ(environment(tmp_path, database_url, free_port()), 9)
    log = tmp_path / "worker.log"
    async with command("worker", environ, log), asyncio.timeout(60):
        while log.read_text().count('"task": "address list"') < 2:
            await asyncio.sleep(0.1)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert len([line for line in lines if line.get("task") == "address list"]) < 10
