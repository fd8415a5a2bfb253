"""A worker's claim on mail: kept while it lives, another worker's when it is dead or has been stopped."""

import asyncio
from datetime import datetime, timedelta

import pytest

from petition.core.database import connect
from petition.mail import deliver, queries
from petition.worker import main
from tests.mail.installation import Installation
from tests.mail.post_office import PostOffice
from tests.mail.waiting import until
from tests.mail.working import NEMO, working


async def test_a_job_that_another_worker_took_over_is_not_sent(
    installation: Installation, post: PostOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliver, "RENEW_AFTER", -1.0)  # as if the lease were old
    await installation.sign_up(await installation.letter(), NEMO)

    async def take_over() -> None:  # on a connection of its own: what is waited for below uses the other
        conn = await connect(str(installation.settings.database_url))
        await conn.execute("UPDATE outbox SET lease = 1, due_at = now() + interval '1 hour'")
        await conn.close()

    post.receiving = take_over
    async with working(installation.settings):

        async def is_taken() -> bool:
            return bool((await installation.outbox())[0]["lease"] == 1)

        await until(is_taken)
    assert not post.mails
    assert len(await installation.outbox()) == 1


async def test_a_worker_that_lives_keeps_its_leases(
    installation: Installation, post: PostOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliver, "LEASE", timedelta(seconds=2))
    monkeypatch.setattr(deliver, "RENEW_EVERY", 0.1)
    await installation.sign_up(await installation.letter(), NEMO)
    ends: list[datetime] = []

    async def accept_when_it_was_renewed() -> None:
        conn = await connect(str(installation.settings.database_url))
        while len(ends) < 3:
            end = await conn.fetchval("SELECT due_at FROM outbox")
            ends.extend([end] if not ends or end > ends[-1] else [])
            await asyncio.sleep(0.02)
        await conn.close()

    post.accepting = accept_when_it_was_renewed
    async with working(installation.settings, installation.settings):

        async def is_gone() -> bool:
            return not await installation.outbox()

        await until(is_gone)
    assert post.recipients == [NEMO]


async def test_what_a_dead_worker_had_taken_is_another_ones_soon(
    installation: Installation, post: PostOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert timedelta(seconds=20) >= deliver.LEASE
    await installation.sign_up(await installation.letter(), NEMO)
    assert await queries.lease(installation.conn, 10, 1, timedelta(seconds=0.5))  # and dies
    async with working(installation.settings):
        await until(lambda: post.recipients == [NEMO])


async def test_a_mail_under_way_is_finished_when_the_worker_is_stopped(
    installation: Installation, post: PostOffice
) -> None:
    await installation.sign_up(await installation.letter(), NEMO)
    stop = asyncio.Event()

    async def accept_slowly() -> None:
        stop.set()
        await asyncio.sleep(0.5)

    post.accepting = accept_slowly
    await main.run(installation.settings, stop)
    assert post.recipients == [NEMO]
    assert not await installation.outbox()


async def test_what_has_not_begun_is_given_back_when_the_worker_is_stopped(
    installation: Installation, post: PostOffice
) -> None:
    letter = await installation.letter()
    for i in range(30):
        await installation.sign_up(letter, f"nemo{i}@example.org")
    stop, goes_on = asyncio.Event(), asyncio.Event()

    async def accept_late() -> None:
        stop.set()
        await goes_on.wait()

    post.accepting = accept_late
    task = asyncio.create_task(main.run(installation.settings, stop))
    await stop.wait()

    async def are_free() -> bool:
        return sum(job["lease"] is None for job in await installation.outbox()) >= 30 - deliver.SENDERS

    await until(are_free)
    goes_on.set()
    await task
    assert 0 < len(post.recipients) <= deliver.SENDERS
    assert [job["lease"] for job in await installation.outbox()] == [None] * (30 - len(post.recipients))
