"""The whole way of a mail: from its row to a real SMTP server, and the row's end."""

import asyncio
import json
import os
import re
import signal
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from petition import postgres
from petition.core.database import Connection, connect, migrate
from petition.core.encryption import Sealer, new_contact_pair
from petition.core.errors import Unavailable
from petition.core.relay_urls import parse_relay
from petition.core.settings import Settings
from petition.mail import deliver, queries
from petition.mail.model import pause
from petition.worker import main
from tests.mail.installation import Installation, settings
from tests.mail.post_office import PostOffice
from tests.mail.waiting import until

NEMO = "nemo@example.org"


@asynccontextmanager
async def working(*its: Settings) -> AsyncIterator[None]:
    """Run a worker for each of ``its`` while the block runs."""
    stop = asyncio.Event()
    tasks = [asyncio.create_task(main.run(each, stop)) for each in its]
    try:
        yield
    finally:
        stop.set()
        await asyncio.gather(*tasks)


async def tried(installation: Installation, times: int) -> None:
    """Wait until the first job has failed so many times."""

    async def is_tried() -> bool:
        return bool((await installation.outbox())[0]["attempts"] >= times)

    await until(is_tried)


async def test_mails_go_out_in_the_signers_language(installation: Installation, post: PostOffice) -> None:
    letter = await installation.letter()
    first = await installation.sign_up(letter, NEMO, lang="en")
    second = await installation.sign_up(letter, "ned@example.org", lang="ru")
    async with working(installation.settings):
        await until(installation.is_idle)
    mails = dict(zip(post.recipients, post.mails, strict=True))
    assert mails.keys() == {NEMO, "ned@example.org"}
    for address, lang, pending in ((NEMO, "en", first), ("ned@example.org", "ru", second)):
        assert mails[address]["Content-Language"] == lang
        assert f"/{lang}/confirm/{installation.tokens.for_signature(letter.id, pending)}" in post.text(address)
        assert installation.tokens.code(letter.id, pending) in post.text(address)


async def test_two_workers_send_each_mail_once(installation: Installation, post: PostOffice) -> None:
    letter = await installation.letter()
    addresses = [f"nemo{i}@example.org" for i in range(200)]
    for address in addresses:
        await installation.sign_up(letter, address)
    async with working(installation.settings, installation.settings):
        await until(installation.is_idle)
    assert sorted(post.recipients) == sorted(addresses)
    assert len({mail["Message-ID"] for mail in post.mails}) == 200


async def test_a_job_that_needs_no_mail_is_deleted(installation: Installation, post: PostOffice) -> None:
    await installation.find(await installation.letter(), NEMO)
    async with working(installation.settings):
        await until(installation.is_idle)
    assert not post.mails
    assert not await installation.refused()


async def test_while_smtp_is_down_mail_waits_and_then_goes_out_once(
    installation: Installation, post: PostOffice
) -> None:
    await installation.sign_up(await installation.letter(), NEMO)
    await post.close()
    async with working(installation.settings):
        await tried(installation, 1)
        (job,) = await installation.outbox()
        assert job["due_at"] > job["created_at"]
        assert job["lease"] is None
        await post.open()
        await installation.hurry()
        await until(installation.is_idle)
    assert post.recipients == [NEMO]


def test_pauses_grow_up_to_two_hours() -> None:
    seconds = [int(pause(attempts).total_seconds()) for attempts in range(1, 10)]
    assert seconds == [10, 30, 120, 600, 1800, 3600, 7200, 7200, 7200]


async def test_a_mail_is_given_up_when_the_next_attempt_would_come_too_late(
    installation: Installation, post: PostOffice, logged: Callable[[], str]
) -> None:
    letter = await installation.letter()
    for address in (NEMO, "ned@example.org"):
        await installation.sign_up(letter, address)
    age = "UPDATE outbox SET attempts = 25, created_at = now() - interval '7 days' + $1::interval WHERE id = $2"
    for job, left in zip(await installation.outbox(), (timedelta(hours=1), timedelta(hours=3)), strict=True):
        await installation.conn.execute(age, left, job["id"])
    post.at["MAIL"] = "451 later"
    async with working(installation.settings):

        async def is_decided() -> bool:
            jobs = await installation.outbox()
            return len(jobs) == 1 and jobs[0]["attempts"] == 26

        await until(is_decided)
    assert await installation.refused() == [(letter.id, 0)]
    assert "mail given up" in logged()
    assert not post.mails


@pytest.mark.parametrize(("step", "answer"), [("RCPT", "451 4.7.1 try later"), ("DATA", "554 5.7.1 spam")])
async def test_mail_put_off_waits_and_is_summed_up_in_the_log(
    installation: Installation, post: PostOffice, logged: Callable[[], str], step: str, answer: str
) -> None:
    letter = await installation.letter()
    for i in range(12):
        await installation.sign_up(letter, f"nemo{i}@example.org")
    post.at[step] = answer
    async with working(installation.settings):

        async def is_tried() -> bool:
            return all(job["attempts"] for job in await installation.outbox())

        await until(is_tried)
        lines = [json.loads(line) for line in logged().splitlines()]
        assert not await installation.refused()
        post.at.clear()
        await installation.hurry()
        await until(installation.is_idle)
    (rejected,) = [line for line in lines if line["message"] == "a relay did not take mail"]
    code, status = answer.split()[:2]
    assert (rejected["level"], rejected["step"], rejected["code"]) == ("warning", step, int(code))
    assert (rejected["status"], rejected["count"]) == (status, 1)
    assert len([line for line in lines if line["message"].startswith("mail put off")]) == 1
    assert len(post.mails) == 12


async def test_a_paused_relay_is_named_with_its_trouble(
    installation: Installation, post: PostOffice, logged: Callable[[], str]
) -> None:
    await installation.sign_up(await installation.letter(), NEMO)
    await post.close()
    async with working(installation.settings):
        await tried(installation, 1)
    assert '"trouble": "it refuses connections"' in logged()


async def test_a_refusal_for_good_is_recorded_and_never_retried(installation: Installation, post: PostOffice) -> None:
    letter = await installation.letter()
    await installation.sign_up(letter, NEMO)
    await installation.sign_up(letter, "ned@example.org")
    post.refused_recipients[NEMO] = "550 5.1.1 <nemo@example.org> unknown"
    async with working(installation.settings):
        await until(installation.is_idle)
    assert await installation.refused() == [(letter.id, 550)]
    assert post.recipients == ["ned@example.org"]


async def test_what_is_no_address_is_refused_here(installation: Installation, post: PostOffice) -> None:
    letter = await installation.letter()
    await installation.find(letter, NEMO)
    sealed = Sealer(installation.settings.contact_public_key).seal("nemo@example.org\r\nRCPT TO:<all@example.org>")
    await installation.conn.execute("UPDATE outbox SET sealed = $1", sealed)
    async with working(installation.settings):
        await until(installation.is_idle)
    assert await installation.refused() == [(letter.id, 553)]
    assert not post.mails


async def test_an_unknown_sender_costs_nobody_their_mail(installation: Installation, post: PostOffice) -> None:
    await installation.sign_up(await installation.letter(), NEMO)
    post.at["MAIL"] = "550 sender unknown"
    async with working(installation.settings):
        await tried(installation, 1)
    assert not await installation.refused()


async def test_the_second_relay_is_used_when_the_first_is_dead(installation: Installation, post: PostOffice) -> None:
    letter = await installation.letter()
    for i in range(20):
        await installation.sign_up(letter, f"nemo{i}@example.org")
    its = replace(installation.settings, relays=(parse_relay("smtp://127.0.0.1:1"), parse_relay(post.url)))
    async with working(its):
        await until(installation.is_idle)
    assert len(post.mails) == 20


async def test_what_the_first_relay_says_after_data_goes_to_the_second(
    installation: Installation, post: PostOffice, logged: Callable[[], str]
) -> None:
    letter = await installation.letter()
    for i in range(20):
        await installation.sign_up(letter, f"nemo{i}@example.org")
    first = PostOffice(at={"DATA": "554 5.7.1 [2] Message rejected under suspicion of SPAM"})
    await first.open()
    its = replace(installation.settings, relays=(parse_relay(first.url), parse_relay(post.url)))
    async with working(its):
        await until(installation.is_idle)
    await first.close()
    assert (len(first.mails), len(post.mails)) == (0, 20)
    assert not await installation.refused()
    assert "a relay did not take mail" in logged()


async def test_an_address_sealed_to_another_key_stops_nobody_else(installation: Installation, post: PostOffice) -> None:
    letter = await installation.letter()
    await installation.sign_up(letter, NEMO)
    await installation.conn.execute("UPDATE pending SET sealed = $1", Sealer(new_contact_pair()[0]).seal(NEMO))
    await installation.sign_up(letter, "ned@example.org")
    async with working(installation.settings):
        await tried(installation, 1)

        async def is_alone() -> bool:
            return len(await installation.outbox()) == 1

        await until(is_alone)
    assert post.recipients == ["ned@example.org"]


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


async def test_a_mail_that_failed_goes_behind_the_others(installation: Installation) -> None:
    letter = await installation.letter()
    for address in (NEMO, "ned@example.org", "nell@example.org"):
        await installation.sign_up(letter, address)
    await installation.conn.execute("UPDATE outbox SET attempts = 3 WHERE id = (SELECT min(id) FROM outbox)")
    jobs = await queries.lease(installation.conn, 10, 1, timedelta(minutes=5))
    assert [job.attempts for job in jobs] == [0, 0, 3]


@pytest.fixture
def own_cluster() -> Iterator[tuple[Path, str]]:
    """Give a PostgreSQL that only this test uses: its folder and URL."""
    with tempfile.TemporaryDirectory(prefix="petition-test-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        with postgres.running(folder, fast=True) as url:
            yield folder, url


async def test_a_database_that_restarts_while_a_mail_is_accepted_has_it_sent_once(
    own_cluster: tuple[Path, str], tmp_path: Path, post: PostOffice
) -> None:
    folder, url = own_cluster
    await migrate(url)
    conn = await connect(url)
    installation = Installation(conn, settings(tmp_path, url, post.url))
    letter = await installation.letter()
    await installation.sign_up(letter, NEMO)
    await installation.sign_up(letter, "ned@example.org")
    await conn.close()
    (pid_file,) = folder.rglob("postmaster.pid")
    restarted = asyncio.Event()

    async def restart() -> None:
        if not restarted.is_set():
            restarted.set()
            pid = pid_file.read_text().split()[0]
            os.kill(int(pid), signal.SIGINT)
            await until(lambda: not Path(f"/proc/{pid}").exists())

    post.accepting = restart
    async with working(installation.settings, installation.settings):
        await restarted.wait()

        async def is_back_and_empty() -> bool:
            try:
                installation.conn = await connect(url)
            except Unavailable:
                return False
            try:
                return await installation.is_idle()
            finally:
                await installation.conn.close()

        await until(is_back_and_empty)
    assert sorted(post.recipients) == ["ned@example.org", NEMO]


TABLES = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"


async def written(conn: Connection) -> str:
    """Return every row of every table as text."""
    tables = [row["relname"] for row in await conn.fetch(TABLES)]
    rows = [await conn.fetch(f'SELECT t::text FROM "{table}" t') for table in tables]
    return "\n".join(row["t"] for each in rows for row in each)


async def test_no_address_is_left_in_tables_or_logs(
    installation: Installation, post: PostOffice, logged: Callable[[], str]
) -> None:
    letter = await installation.letter()
    for name in ("sent", "refused", "put-off", "broken"):
        await installation.sign_up(letter, f"{name}@secret.example.org")
    await installation.find(letter, "lost@secret.example.org")
    post.refused_recipients["refused@secret.example.org"] = "550 5.1.1 <refused@secret.example.org> unknown"
    post.refused_recipients["put-off@secret.example.org"] = "450 <put-off@secret.example.org> later"
    post.refused_recipients["broken@secret.example.org"] = "nonsense about broken@secret.example.org"
    async with working(installation.settings):

        async def is_done() -> bool:
            jobs = await installation.outbox()
            return len(jobs) == 2 and all(job["attempts"] for job in jobs)

        await until(is_done)
    left = await written(installation.conn) + logged()
    assert "accepted" in left
    assert "refused" in left
    assert not re.search("secret|put-off|broken@|sent@|lost@", left)
