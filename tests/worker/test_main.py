"""The worker as a process: stopped politely, and killed."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from petition.core.database import Connection
from petition.core.errors import SettingsError
from petition.core.resources import PACKAGE
from petition.mail.deliver import SENDERS
from petition.worker import main
from tests.mail.installation import Installation, environ, settings
from tests.mail.post_office import PostOffice
from tests.mail.waiting import until

NEMO = "nemo@example.org"


@pytest.fixture
async def post() -> AsyncIterator[PostOffice]:
    """Give an open post office."""
    office = PostOffice()
    await office.open()
    yield office
    await office.close()


@pytest.fixture
def installation(conn: Connection, database_url: str, tmp_path: Path, post: PostOffice) -> Installation:
    """Give an installation that mails through ``post``."""
    return Installation(conn, settings(tmp_path, database_url, post.url))


class Worker:
    """``petition worker``, running."""

    def __init__(self, process: Process) -> None:
        self.process = process

    async def ended(self) -> tuple[int, list[dict[str, object]]]:
        """Wait for its end; return the exit code and what it logged."""
        _, lines = await self.process.communicate()
        assert self.process.returncode is not None
        return self.process.returncode, [json.loads(line) for line in lines.splitlines()]


@asynccontextmanager
async def running(database_url: str, folder: Path, *relays: str) -> AsyncIterator[Worker]:
    """Run ``petition worker`` while the block runs; kill it afterwards if it has not ended."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "petition",
        "worker",
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(PACKAGE.parent)} | environ(folder, database_url, *relays),
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield Worker(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_worker_asked_to_stop_finishes_the_mail_in_progress(
    installation: Installation, post: PostOffice, database_url: str, tmp_path: Path, number: signal.Signals
) -> None:
    await installation.sign_up(await installation.letter(), NEMO)
    async with running(database_url, tmp_path, post.url) as its:

        async def accept_slowly() -> None:
            its.process.send_signal(number)
            await asyncio.sleep(0.5)

        post.accepting = accept_slowly
        code, lines = await its.ended()
    assert code == 0
    assert post.recipients == [NEMO]
    assert not await installation.outbox()
    assert [line["message"] for line in lines] == ["worker started", "accepted", "worker stopped"]


async def test_after_a_worker_was_killed_the_next_delivers_the_rest(
    installation: Installation, post: PostOffice, database_url: str, tmp_path: Path
) -> None:
    letter = await installation.letter()
    addresses = [f"nemo{i}@example.org" for i in range(60)]
    for address in addresses:
        await installation.sign_up(letter, address)
    async with running(database_url, tmp_path, post.url) as its:
        await until(lambda: len(post.mails) >= 20)
        its.process.send_signal(signal.SIGKILL)
        await its.process.wait()
    assert len(await installation.outbox()) > 0
    await installation.hurry()  # the dead one's leases end
    async with running(database_url, tmp_path, post.url) as its:
        await until(installation.is_idle)
        its.process.terminate()
        code, _ = await its.ended()
    assert code == 0
    assert set(post.recipients) == set(addresses)
    # What was accepted in the very moment of the kill had to be sent again: one mail a connection at most.
    assert len(post.recipients) <= len(addresses) + SENDERS


async def test_a_worker_without_a_database_waits_for_it(tmp_path: Path) -> None:
    async with running("postgresql://petition@127.0.0.1:1/petition", tmp_path) as its:
        assert its.process.stderr is not None
        first = json.loads(await its.process.stderr.readline())
        second = json.loads(await its.process.stderr.readline())
        its.process.terminate()
        code, _ = await its.ended()
    assert {str(line["message"]) for line in (first, second)} <= {
        "worker started",
        "starting without the database",
        "database unavailable",
        "retention is waiting for the database",
    }
    assert code == 0


async def test_a_worker_needs_a_worker_s_settings(tmp_path: Path) -> None:
    its = settings(tmp_path, "postgresql://nowhere")
    for missing in (replace(its, database_url=None), replace(its, contact_private_key=None), replace(its, relays=())):
        with pytest.raises(SettingsError):
            await main.run(missing, asyncio.Event())


def test_a_chore_that_fails_for_an_hour_is_said_once_an_hour(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(main, "LATE", {})
    monkeypatch.setattr("petition.worker.main.time.monotonic", iter([0.0, 60.0, 3600.0, 3660.0, 7200.0]).__next__)
    for _ in range(5):
        main.note_late("vacuum")
    lines = [record for record in caplog.records if record.message == "retention is late"]
    assert [vars(line)["seconds"] for line in lines] == [3600, 7200]
