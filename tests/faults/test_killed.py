"""Processes killed in the middle of their work: what was promised is kept."""

import asyncio
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from petition.core.database import Database, opened
from petition.core.settings import Process, load
from tests import rows
from tests.faults.load import Crowd, signing
from tests.faults.processes import BASE_URL, command, web, worker_environ
from tests.mail.post_office import PostOffice
from tests.running import environment, free_port, publish

STORED = """
SELECT p.digest, EXISTS (SELECT FROM outbox o WHERE o.pending = p.id AND o.letter = p.letter) AS mailed FROM pending p
"""


@pytest.mark.parametrize("way", ["killed", "stopped"])
async def test_every_303_of_a_web_process_that_ends_is_a_row_and_a_mail_job(
    database_url: str, tmp_path: Path, way: str
) -> None:
    environ = environment(tmp_path, database_url, free_port(), BASE_URL=BASE_URL)
    async with opened(database_url, max_size=2) as database:
        await publish(load(environ, role=Process.WEB), database)
        async with database.connection() as conn:
            letter = await rows.letter(conn)
        async with web(environ, free_port(), tmp_path / "web.log") as process:
            crowd = Crowd(process.client, letter)
            async with signing(crowd, at_once=32):
                await crowd.until_taken(200)
                if way == "killed":
                    await process.kill()
                else:
                    assert await process.stop() == 0
        assert not crowd.refused
        assert crowd.broken
        stored = await rows.rows_of(database, STORED)
        digests = {row["digest"] for row in stored}
        assert {rows.digest_of(letter, each) for each in crowd.taken} <= digests
        assert all(row["mailed"] for row in stored)
        # Another process goes on where the first one ended; nothing has to be cleaned up.
        async with web(environ, free_port(), tmp_path / "web.log") as process:
            assert (await Crowd(process.client, letter, first=10_000).sign()).status_code == 303


async def test_what_a_killed_worker_left_is_delivered(database_url: str, tmp_path: Path) -> None:
    environ = environment(tmp_path, database_url, free_port(), BASE_URL=BASE_URL)
    addresses = [f"voice{n}@letters.example" for n in range(60)]
    post = PostOffice()
    accepted = asyncio.Semaphore(10)
    post.accepting = accepted.acquire  # the relay is slow: it takes ten mails and keeps the next ones waiting
    await post.open()
    async with opened(database_url, max_size=2) as database:
        await publish(load(environ, role=Process.WEB), database)
        await add_jobs(database, addresses)
        settings = worker_environ(environ, post.port)
        async with command("worker", settings, tmp_path / "worker.log") as worker:
            await until(lambda: len(post.recipients) == 10)
            await worker.kill()
        # The leases of what was under way lapse after some minutes; here at once.
        async with database.connection() as conn:
            left = await conn.fetchval("SELECT count(*) FROM outbox")
            await conn.execute("UPDATE outbox SET due_at = now()")
        assert 50 <= left < 60
        for _ in range(200):
            accepted.release()
        async with command("worker", settings, tmp_path / "worker.log"):
            await until_empty(database)
    await post.close()
    times = Counter(post.recipients)
    assert set(times) == set(addresses)
    # Only what was being accepted when the worker died may have come twice: four connections at most.
    assert sum(count - 1 for count in times.values()) <= 4


async def test_mail_waits_while_smtp_is_down_and_then_comes_once(database_url: str, tmp_path: Path) -> None:
    environ = environment(tmp_path, database_url, free_port(), BASE_URL=BASE_URL)
    addresses = [f"voice{n}@letters.example" for n in range(20)]
    post = PostOffice()
    await post.open()
    await post.close()  # the port is known, and nobody listens
    async with opened(database_url, max_size=2) as database:
        await publish(load(environ, role=Process.WEB), database)
        async with command("worker", worker_environ(environ, post.port), tmp_path / "worker.log"):
            await add_jobs(database, addresses)
            async with database.connection() as conn:
                while not await conn.fetchval("SELECT max(attempts) FROM outbox"):
                    await asyncio.sleep(0.05)
                assert await conn.fetchval("SELECT count(*) FROM outbox") == len(addresses)
            await post.open()
            await until_empty(database)
    await post.close()
    assert sorted(post.recipients) == sorted(addresses)


async def until(it_is_so: Callable[[], bool]) -> None:
    """Wait, with patience, until it is so."""
    async with asyncio.timeout(120):
        while not it_is_so():
            await asyncio.sleep(0.02)


async def until_empty(database: Database) -> None:
    """Wait until the outbox is empty."""
    async with asyncio.timeout(120), database.connection() as conn:
        while await conn.fetchval("SELECT EXISTS (SELECT FROM outbox)"):
            await asyncio.sleep(0.05)


async def add_jobs(database: Database, addresses: list[str]) -> None:
    """Add a pending signature and its mail job for each address."""
    async with database.transaction() as conn:
        letter = await rows.letter(conn)
        await rows.add_pending(conn, letter, addresses)
        await conn.execute(
            "INSERT INTO outbox (letter, purpose, kind, pending, digest, lang)"
            " SELECT letter, 'sign', kind, id, digest, 'en' FROM pending"
        )
