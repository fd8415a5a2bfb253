"""What workers agree on about relays, against real SMTP servers and a real database."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from petition.core.database import Connection, Database, opened
from petition.core.relay_urls import parse_relay
from petition.mail import breaker as breaker_module
from petition.mail.breaker import MAX_REFUSED_IN_A_ROW
from petition.mail.compose import OutgoingMail
from petition.mail.relay_errors import RecipientRefused
from petition.mail.relays import NotNow, Relays
from petition.mail.shared_relays import DatabaseStore, SharedRelays
from tests.mail.post_office import PostOffice
from tests.mail.waiting import until

MAIL = OutgoingMail("post@letters.example", "nemo@example.org", b"Subject: x\r\n\r\nHello\r\n", utf8=False)


class Worker:
    """The relays of one worker, and its part of what is shared."""

    def __init__(self, database: Database, *urls: str) -> None:
        self.relays = Relays([parse_relay(url) for url in urls], "letters.example", DatabaseStore(database))
        self.shared = SharedRelays(database, self.relays.lines)

    async def try_to_send(self) -> str | None:
        with contextlib.suppress(NotNow):
            return await self.relays.send(MAIL)
        return None


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with opened(database_url, max_size=6) as made:
        yield made


@pytest.fixture
async def workers(database: Database, post: PostOffice) -> AsyncIterator[Callable[..., Awaitable[Worker]]]:
    """Give a function that makes a worker, by default one that mails through ``post``."""
    made: list[Worker] = []

    async def make(*urls: str) -> Worker:
        worker = Worker(database, *(urls or (post.url,)))
        await worker.shared.step()
        made.append(worker)
        return worker

    yield make
    for worker in made:
        await worker.relays.hang_up()


async def test_all_workers_rest_a_relay_that_failed_one(
    workers: Callable[..., Awaitable[Worker]], post: PostOffice
) -> None:
    one, two = await workers(), await workers()
    post.at["MAIL"] = "451 later"
    assert await one.try_to_send() is None
    asked = post.connections
    await two.shared.step()
    assert two.relays.rest() > 0
    assert await two.try_to_send() is None
    assert post.connections == asked


async def test_one_worker_of_all_tries_after_the_rest(
    workers: Callable[..., Awaitable[Worker]], post: PostOffice, conn: Connection
) -> None:
    all_workers = [await workers() for _ in range(4)]
    post.at["MAIL"] = "451 later"
    await all_workers[0].try_to_send()
    await conn.execute("UPDATE relay SET rests_until = now()")
    for worker in all_workers:
        await worker.shared.step()
    asked = post.connections
    await asyncio.gather(*(worker.try_to_send() for worker in all_workers))
    assert post.connections == asked + 1


async def test_all_workers_know_when_it_is_back(
    workers: Callable[..., Awaitable[Worker]], post: PostOffice, conn: Connection
) -> None:
    one, two = await workers(), await workers()
    post.at["MAIL"] = "451 later"
    await one.try_to_send()
    await two.shared.step()
    post.at.clear()
    await conn.execute("UPDATE relay SET rests_until = now()")
    await one.shared.step()
    assert await one.try_to_send()
    assert two.relays.rest() > 0
    await two.shared.step()
    assert two.relays.rest() == 0


async def test_the_try_of_a_worker_that_was_killed_goes_to_another(
    workers: Callable[..., Awaitable[Worker]], post: PostOffice, conn: Connection
) -> None:
    two = await workers()
    await conn.execute("UPDATE relay SET failures = 3, rests_until = now(), trying_until = now() + interval '1 minute'")
    await two.shared.step()
    assert await two.try_to_send() is None
    await conn.execute("UPDATE relay SET trying_until = now()")  # the lease has ended
    assert await two.try_to_send()
    assert await conn.fetchval("SELECT failures FROM relay") == 0


async def test_refusals_in_a_row_are_counted_together(
    workers: Callable[..., Awaitable[Worker]], post: PostOffice
) -> None:
    one, two = await workers(), await workers()
    post.at["RCPT"] = "550 5.1.1 unknown"
    for worker in (one, two):
        for _ in range(MAX_REFUSED_IN_A_ROW // 2):
            with pytest.raises(RecipientRefused):
                await worker.relays.send(MAIL)
        await worker.shared.step()
    with pytest.raises(NotNow):  # its word is doubted
        await two.relays.send(MAIL)


async def test_a_relay_that_works_costs_no_statement_per_mail(
    workers: Callable[..., Awaitable[Worker]], database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = await workers()
    statements = 0
    lend = database.connection

    def counting() -> contextlib.AbstractAsyncContextManager[object]:
        nonlocal statements
        statements += 1
        return lend()

    monkeypatch.setattr(database, "connection", counting)
    for _ in range(20):
        assert await one.try_to_send()
    assert statements == 0


async def test_counts_say_what_a_relay_did_and_no_address(
    workers: Callable[..., Awaitable[Worker]], post: PostOffice, conn: Connection
) -> None:
    one, two = await workers(), await workers()
    await one.try_to_send()
    await two.try_to_send()
    for answer in ("554 5.7.1 spam", "452 4.5.3 too many", "554 5.3.0 no"):
        post.at["DATA"] = answer
        await one.try_to_send()
    post.at = {"RCPT": "550 5.1.1 unknown"}
    with pytest.raises(RecipientRefused):
        await one.relays.send(MAIL)
    for worker in (one, two, one):
        await worker.shared.step()
    rows = await conn.fetch("SELECT outcome, reason, mails FROM relay_hour ORDER BY outcome, reason")
    assert [tuple(row) for row in rows] == [
        ("accepted", "", 2),
        ("deferred", "filter", 1),
        ("deferred", "other", 1),
        ("deferred", "quota", 1),
        ("refused", "mailbox", 1),
    ]
    relay = await conn.fetchrow("SELECT * FROM relay")
    assert relay is not None
    assert (relay["trouble"], relay["trouble_step"], relay["trouble_code"]) == ("rejected_other", "DATA", 554)
    assert (relay["tls"], relay["tls_verified"]) == ("", False)
    assert "example.org" not in str(dict(relay))


async def test_what_could_not_be_reported_is_reported_later(
    workers: Callable[..., Awaitable[Worker]], database: Database, conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = await workers()
    await one.try_to_send()
    with monkeypatch.context() as patch:
        patch.setattr("petition.mail.relay_queries.COUNT", "SELECT 1 / 0, $1, $2, $3, $4")
        with pytest.raises(Exception, match=r"."):
            await one.shared.step()
    await one.try_to_send()
    await one.shared.step()
    assert await conn.fetchval("SELECT sum(mails) FROM relay_hour") == 2


async def test_workers_share_a_relays_connections_while_they_run(
    workers: Callable[..., Awaitable[Worker]], post: PostOffice, conn: Connection
) -> None:
    one, two = await workers(f"{post.url}?connections=5"), await workers(f"{post.url}?connections=5")
    one.shared._beat_at = float("-inf")  # as if five seconds had passed
    await one.shared.step()
    shares = [worker.relays.lines[0].quota.connections for worker in (one, two)]
    assert sorted(shares) == [2, 3]
    await one.shared.leave()
    two.shared._beat_at = float("-inf")
    await two.shared.step()
    assert two.relays.lines[0].quota.connections == 5
    await conn.execute("UPDATE mail_worker SET seen_at = now() - interval '2 hours'")
    await workers(f"{post.url}?connections=5")
    assert await conn.fetchval("SELECT count(*) FROM mail_worker") == 1


async def test_a_relay_that_left_the_settings_goes_after_a_day(
    workers: Callable[..., Awaitable[Worker]], post: PostOffice, conn: Connection
) -> None:
    await workers(post.url, "smtp://127.0.0.1:1")
    await conn.execute("UPDATE relay SET seen_at = now() - interval '23 hours'")
    await workers(post.url)
    assert await conn.fetchval("SELECT count(*) FROM relay") == 2
    await conn.execute("UPDATE relay SET seen_at = now() - interval '25 hours'")
    await workers(post.url)
    assert [row["name"] for row in await conn.fetch("SELECT name FROM relay")] == [f"127.0.0.1:{post.port}"]


async def test_a_relay_that_takes_nothing_rests_and_is_tried_by_one_mail(
    workers: Callable[..., Awaitable[Worker]], post: PostOffice, conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(breaker_module, "MAX_REJECTED_IN_A_ROW", 3)
    one = await workers()
    post.at["DATA"] = "554 5.7.1 spam"
    for _ in range(4):
        await one.try_to_send()
    assert await conn.fetchval("SELECT trouble FROM relay") == "takes_nothing"
    asked = post.connections
    assert await one.try_to_send() is None
    assert post.connections == asked
    post.at.clear()
    await until(lambda: not one.relays.rest())
    assert await one.try_to_send()
