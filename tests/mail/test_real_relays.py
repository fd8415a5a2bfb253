"""Workers as processes, a real Postfix, and relays that misbehave: what people are sent arrives, and arrives once."""

import asyncio
import email
import os
import signal
from asyncio import StreamReader, StreamWriter
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session

from petition.core.database import Connection
from tests.mail.installation import Installation
from tests.mail.post_office import PostOffice
from tests.mail.postfix_relay import postfix
from tests.mail.waiting import until
from tests.worker.test_main import running

SPAM = "554 5.7.1 [2] Message rejected under suspicion of SPAM"
NEMO = "nemo@example.org"


@asynccontextmanager
async def silent() -> AsyncIterator[tuple[str, list[int]]]:
    """Give the address of a relay that accepts connections and never says a word, and a list with each of them."""
    connections: list[int] = []
    over = asyncio.Event()

    async def hang(_reader: StreamReader, writer: StreamWriter) -> None:
        connections.append(1)
        await over.wait()
        writer.close()

    async with await asyncio.start_server(hang, "127.0.0.1") as server:
        yield f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}", connections
        over.set()


@asynccontextmanager
async def opened_post(office: PostOffice) -> AsyncIterator[PostOffice]:
    """Run a post office."""
    await office.open()
    try:
        yield office
    finally:
        await office.close()


async def sign_up_many(installation: Installation, *boxes: str) -> None:
    letter = await installation.letter()
    for box in boxes:
        await installation.sign_up(letter, f"{box}@example.org")


async def let_pauses_pass(installation: Installation) -> None:
    """Have every mail and every relay that waits be tried now."""
    await installation.conn.execute("UPDATE outbox SET due_at = now() WHERE lease IS NULL")
    await installation.conn.execute("UPDATE relay SET rests_until = now() WHERE failures > 0")


async def test_with_one_relay_that_says_spam_and_one_that_hangs_mail_arrives_through_the_third(
    installation: Installation, conn: Connection, database_url: str, tmp_path: Path
) -> None:
    boxes = [f"nemo{number}" for number in range(12)]
    async with (
        opened_post(PostOffice(at={"DATA": SPAM})) as spam,
        silent() as (hanging, connections),
        postfix(boxes) as third,
        running(database_url, tmp_path, spam.url, hanging, third.url),
        running(database_url, tmp_path, spam.url, hanging, third.url),
    ):
        await sign_up_many(installation, *boxes[:6])
        await until(lambda: sum(len(third.mails(box)) for box in boxes) == 6)
        await until(installation.is_idle)
        # Both workers know now that the second one hangs: they do not wait for it again.
        await conn.execute("UPDATE relay SET rests_until = now() + interval '10 minutes' WHERE failures > 0")
        for _ in range(2):
            letter = await installation.letter(f"letter-{_}")
            for box in boxes[6:]:
                await installation.sign_up(letter, f"{box}@example.org")
        await until(lambda: sum(len(third.mails(box)) for box in boxes) == 18)
        assert len(connections) <= 6  # one for each worker at first, then one of all workers after each rest
        assert Counter(len(third.mails(box)) for box in boxes) == {1: 6, 2: 6}
    assert not await installation.refused()
    relay = await conn.fetchrow("SELECT failures, trouble FROM relay WHERE position = 1")
    assert relay is not None
    assert relay["failures"] > 0
    assert relay["trouble"] == "silent"
    assert await conn.fetchval("SELECT trouble FROM relay WHERE position = 0") == "rejected_filter"


async def test_postfix_takes_refuses_and_puts_off(
    installation: Installation, conn: Connection, database_url: str, tmp_path: Path
) -> None:
    access = (
        "smtpd_recipient_restrictions = check_recipient_access inline:{"
        " { full@example.org = 452 4.2.2 mailbox full }, { grey@example.org = 450 4.2.0 greylisted for 300 seconds } },"
        " reject_unlisted_recipient"
    )
    async with postfix(["nemo", "full", "grey"], access) as relay:
        letter = await installation.letter()
        for address in (NEMO, "unknown@example.org", "full@example.org", "grey@example.org", "a@other.example"):
            await installation.sign_up(letter, address)
        async with running(database_url, tmp_path, relay.url):

            async def is_decided() -> bool:
                jobs = await installation.outbox()
                return len(jobs) == 3 and all(job["attempts"] for job in jobs)

            await until(is_decided)
            await until(lambda: bool(relay.mails("nemo")))

            async def is_noted() -> bool:
                row = await conn.fetchrow("SELECT tls, tls_verified, tls_until - now() < interval '3 d' FROM relay")
                return row is not None and tuple(row) == ("TLSv1.3", False, True)  # here certificates are self-signed

            await until(is_noted)
        (mail,) = relay.mails("nemo")
    message = email.message_from_bytes(mail)
    assert len(message.get_all("DKIM-Signature", [])) == 2
    assert "using TLSv1.3" in str(message["Received"])
    assert await installation.refused() == [(letter.id, 550)]
    waits = await conn.fetch("SELECT due_at - now() > interval '3 min' AS long, relay FROM outbox ORDER BY id")
    assert [tuple(row) for row in waits] == [(False, None), (True, f"127.0.0.1:{relay.port}"), (False, None)]
    assert "unknown@" not in str([tuple(row) for row in await conn.fetch("SELECT * FROM relay_hour")])


async def test_what_postfix_calls_spam_after_the_data_goes_to_the_next(
    installation: Installation, post: PostOffice, database_url: str, tmp_path: Path
) -> None:
    spam = "smtpd_end_of_data_restrictions = check_client_access static:{ 554 5.7.1 suspected spam }"
    async with postfix(["nemo"], spam) as relay, running(database_url, tmp_path, relay.url, post.url):
        await sign_up_many(installation, "nemo")
        await until(installation.is_idle)
        assert relay.mails("nemo") == []
    assert post.recipients == [NEMO]


class Dropping(PostOffice):
    """Drops the connection once the mail's data are in."""

    async def handle_DATA(self, server: SMTP, _session: Session, _envelope: Envelope) -> str:
        if isinstance(server.transport, asyncio.WriteTransport):
            server.transport.abort()
        return "250 never seen"


async def test_relays_with_every_other_trouble(
    installation: Installation, conn: Connection, database_url: str, tmp_path: Path
) -> None:
    """Quota, a drop in the data, TLS lost since yesterday: all go to the last relay at once."""
    async with AsyncExitStack() as stack:
        plain = await stack.enter_async_context(opened_post(PostOffice()))
        bad = [
            await stack.enter_async_context(opened_post(PostOffice(at={"RCPT": "550 5.4.5 daily quota exceeded"}))),
            await stack.enter_async_context(opened_post(Dropping())),
            await stack.enter_async_context(opened_post(PostOffice(at={"MAIL": "550 5.7.1 sender refused"}))),
        ]
        last = await stack.enter_async_context(postfix(["nemo", "ned"]))
        urls = [*(office.url for office in bad), f"{plain.url}?starttls=1", last.url]
        await stack.enter_async_context(running(database_url, tmp_path, *urls))
        await sign_up_many(installation, "nemo", "ned")
        await until(installation.is_idle)
        await until(lambda: (len(last.mails("nemo")), len(last.mails("ned"))) == (1, 1))
        assert not plain.mails

        async def are_noted() -> bool:
            rows = await conn.fetch("SELECT trouble FROM relay ORDER BY position")
            return [row["trouble"] for row in rows] == ["rejected_quota", "closed", "sender", "no_starttls", None]

        await until(are_noted)
    assert not await installation.refused()


async def test_a_relay_that_says_later_for_an_hour_gets_its_mail_then(
    installation: Installation, conn: Connection, post: PostOffice, database_url: str, tmp_path: Path
) -> None:
    boxes = [f"nemo{number}" for number in range(6)]
    post.at["RCPT"] = "451 4.3.0 temporary problem"
    async with running(database_url, tmp_path, post.url):
        await sign_up_many(installation, *boxes)

        async def is_tried() -> bool:
            await let_pauses_pass(installation)
            return all(job["attempts"] >= 4 for job in await installation.outbox())

        await until(is_tried)
        post.at.clear()

        async def is_sent() -> bool:
            await let_pauses_pass(installation)
            return await installation.is_idle()

        await until(is_sent)
    assert sorted(post.recipients) == sorted(f"{box}@example.org" for box in boxes)
    assert not await installation.refused()


async def test_workers_that_are_killed_lose_no_mail(
    installation: Installation, post: PostOffice, database_url: str, tmp_path: Path
) -> None:
    boxes = [f"nemo{number}" for number in range(60)]
    await sign_up_many(installation, *boxes)
    async with running(database_url, tmp_path, post.url) as one, running(database_url, tmp_path, post.url) as two:
        for worker, mails in ((one, 5), (two, 20)):
            await until(lambda mails=mails: len(post.mails) >= mails)  # type: ignore[misc]
            os.kill(worker.process.pid, signal.SIGKILL)
    await installation.hurry()  # their leases end
    async with running(database_url, tmp_path, post.url):
        await until(installation.is_idle)
    counts = Counter(post.recipients)
    assert set(counts) == {f"{box}@example.org" for box in boxes}
    ids = {(mail["To"], mail["Message-ID"]) for mail in post.mails}
    assert len(ids) == len(boxes)  # one that was sent twice has the same id
    assert sum(counts.values()) <= len(boxes) + 2 * 10  # those that were on their way
