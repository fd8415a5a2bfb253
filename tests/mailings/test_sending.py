"""A mailing from its start to its end, through the real worker and a real SMTP server."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from petition.core.database import Connection, Database, Record
from petition.core.encryption import Wrapper
from petition.core.errors import Unavailable
from petition.core.ids import LetterId, MailingId, SignatureId
from petition.core.settings import Process, load
from petition.letters import lifecycle_queries
from petition.letters.model import Letter
from petition.mail.suppression import Suppression
from petition.mailings import moves, queries, sender, sending_queries
from petition.mailings.bounces import note_bounce
from petition.mailings.model import MIN_JUDGED
from petition.mailings.sender import SENDERS
from petition.signatures import queries as signature_queries
from petition.signatures import self_service_queries
from petition.worker import main
from tests.faults.processes import worker_environ
from tests.mail.post_office import PostOffice
from tests.mailings import subscribers
from tests.running import KEY, environment


@pytest.fixture
async def post() -> AsyncIterator[PostOffice]:
    """Give an open post office."""
    office = PostOffice()
    await office.open()
    yield office
    await office.close()


@asynccontextmanager
async def worker(folder: Path, url: str, post: PostOffice, **more: str) -> AsyncIterator[None]:
    """Run a worker on the test's loop."""
    stop = asyncio.Event()
    environ = worker_environ(environment(folder, url, 8000, **more), post.port)
    task = asyncio.create_task(main.run(load(environ, role=Process.WORKER), stop))
    try:
        yield
    finally:
        stop.set()
        await task


async def until(database: Database, letter: Letter, is_so: Callable[[Record], bool], patience: float = 120) -> Record:
    """Wait until the numbers of the mailing are so; they add up each time."""
    async with asyncio.timeout(patience):
        while not is_so(row := await subscribers.numbers(database, letter)):
            await asyncio.sleep(0.02)
    return row


def is_settled(row: Record, post: PostOffice) -> bool:
    """Return whether all that the relay has answered is stamped."""
    return bool(row["accepted"] == sum("reader" in recipient for recipient in post.recipients))


def is_done(row: Record) -> bool:
    return bool(row["state"] == "done")


async def test_each_subscriber_gets_one_mail_in_their_language(
    database: Database, letter: Letter, database_url: str, tmp_path: Path, post: PostOffice
) -> None:
    await subscribers.add(database, letter, range(1, 151))
    await subscribers.add(database, letter, range(151, 201), lang="ru")
    update_id = await subscribers.publish(database, letter)
    await subscribers.mail(database, letter, update_id)
    async with worker(tmp_path, database_url, post, BASE_URL="https://letters.example", CONTROLLER="Pier"):
        row = await until(database, letter, is_done)
    assert (row["recipients"], row["accepted"], row["repeated"]) == (200, 200, 0)
    counted = "SELECT letter, purpose, content, uses::integer FROM decryption"
    async with database.connection() as conn:
        assert [tuple(one) for one in await conn.fetch(counted)] == [(letter.id, "update", "address", 200)]
    assert sorted(post.recipients) == sorted(map(subscribers.address, range(1, 201)))
    english = post.mails[post.recipients.index(subscribers.address(7))]
    russian = post.mails[post.recipients.index(subscribers.address(170))]
    assert (english["Subject"], russian["Subject"]) == ("They have answered", "Нам ответили")
    assert (english["Content-Language"], russian["Content-Language"]) == ("en", "ru")
    assert "/unsubscribe/" in english["List-Unsubscribe"]
    assert english["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    text = post.text(subscribers.address(7))
    assert "It is a yes. All of it (https://letters.example/en/keep-the-channels-open)" in " ".join(text.split())
    html = english.get_body(("html",))
    assert html is not None
    assert "<strong>yes</strong>" in html.get_content()
    assert "<img" not in html.get_content()


async def test_a_chunk_whose_addresses_could_not_be_read_is_taken_again(
    database: Database,
    letter: Letter,
    database_url: str,
    tmp_path: Path,
    post: PostOffice,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The database went away after the chunk was leased: the lease must end, and not be renewed for ever."""
    monkeypatch.setattr(sender, "LEASE", timedelta(seconds=2))
    monkeypatch.setattr(sender, "RENEWAL", 0.2)
    facts, failures = sending_queries.facts, [Unavailable("gone"), RuntimeError("a fault of ours")]

    async def failing(conn: Connection, key: tuple[LetterId, MailingId], ids: Sequence[SignatureId]) -> list[Record]:
        if failures:
            raise failures.pop()
        return await facts(conn, key, ids)

    monkeypatch.setattr(sending_queries, "facts", failing)
    await subscribers.add(database, letter, range(1, 41))
    await subscribers.mail(database, letter, await subscribers.publish(database, letter))
    async with worker(tmp_path, database_url, post):
        row = await until(database, letter, is_done, 60)
    assert (row["recipients"], row["accepted"]) == (40, 40)


async def test_the_refused_are_mailed_again_and_only_they(
    database: Database, letter: Letter, database_url: str, tmp_path: Path, post: PostOffice
) -> None:
    await subscribers.add(database, letter, range(1, 61))
    update_id = await subscribers.publish(database, letter)
    post.refused_recipients = {subscribers.address(number): "550 5.1.1 gone" for number in (3, 4)}
    await subscribers.mail(database, letter, update_id)
    async with worker(tmp_path, database_url, post):
        row = await until(database, letter, is_done)
        assert (row["accepted"], row["refused"]) == (58, 2)
        post.refused_recipients = {subscribers.address(4): "550 5.1.1 gone"}
        await subscribers.act(database, letter, update_id, "resend")
        row = await until(database, letter, is_done)
    assert (row["recipients"], row["accepted"], row["refused"]) == (60, 59, 1)
    assert sorted(post.recipients) == sorted(map(subscribers.address, [*range(1, 4), *range(5, 61)]))


async def test_it_pauses_itself_and_tells_the_editors(
    database: Database, letter: Letter, database_url: str, tmp_path: Path, post: PostOffice
) -> None:
    await subscribers.add(database, letter, range(1, 401))
    await subscribers.add_editor(database, letter, "editor@letters.example")
    post.refused_recipients = {subscribers.address(number): "550 5.1.1 gone" for number in range(1, 401, 10)}
    update_id = await subscribers.publish(database, letter)
    await subscribers.mail(database, letter, update_id)
    async with worker(tmp_path, database_url, post):
        row = await until(database, letter, lambda row: row["state"] == "paused" and is_settled(row, post))
        assert row["reason"] == "refusals"
        settled = row["accepted"] + row["refused"]
        assert MIN_JUDGED <= settled < 400
        assert row["refused"] > 0.05 * settled
        await subscribers.until(lambda: "editor@letters.example" in post.recipients)
        # What is known is not judged again: it goes on until there is as much anew.
        await subscribers.act(database, letter, update_id, "resume")
        row = await until(database, letter, lambda row: row["accepted"] + row["refused"] > settled)
        await until(database, letter, lambda row: row["state"] in {"paused", "done"})
    note = post.mails[post.recipients.index("editor@letters.example")]
    assert note["Subject"] == "The mailing of an update is paused"
    assert "reader" not in note.as_string()


async def test_a_small_mailing_pauses_too(
    database: Database, letter: Letter, database_url: str, tmp_path: Path, post: PostOffice
) -> None:
    await subscribers.add(database, letter, range(1, 61))
    post.refused_recipients = {subscribers.address(number): "550 5.1.1 gone" for number in range(1, 13)}
    update_id = await subscribers.publish(database, letter)
    await subscribers.mail(database, letter, update_id)
    async with worker(tmp_path, database_url, post, LIMIT_MAILING="900"):
        row = await until(database, letter, lambda row: row["state"] == "paused" and is_settled(row, post))
    assert row["reason"] == "refusals"
    assert row["unreached"] > 0


async def test_four_refused_of_many_pause_nothing(
    database: Database, letter: Letter, database_url: str, tmp_path: Path, post: PostOffice
) -> None:
    await subscribers.add(database, letter, range(1, 61))
    post.refused_recipients = {subscribers.address(number): "550 5.1.1 gone" for number in range(1, 5)}
    update_id = await subscribers.publish(database, letter)
    await subscribers.mail(database, letter, update_id)
    async with worker(tmp_path, database_url, post):
        row = await until(database, letter, is_done)
    assert (row["accepted"], row["refused"]) == (56, 4)


@pytest.mark.parametrize("limit", ["100000", "60"])  # both in one chunk; each in a chunk of its own
async def test_a_mailbox_that_signed_twice_gets_one_mail(
    database: Database, letter: Letter, database_url: str, tmp_path: Path, post: PostOffice, limit: str
) -> None:
    await subscribers.add(database, letter, range(1, 7))
    async with database.connection() as conn:
        await conn.execute(
            "UPDATE signature s SET kind = 'organization', visibility = 'organizers', digest = o.digest"
            " FROM signature o WHERE (s.id, o.id) IN ((2, 1), (5, 4))"
        )
        await conn.execute("DELETE FROM contact WHERE signature = 4")  # this one asked for news only once
    update_id = await subscribers.publish(database, letter)
    await subscribers.mail(database, letter, update_id)
    async with worker(tmp_path, database_url, post, LIMIT_MAILING=limit):
        row = await until(database, letter, is_done)
    assert sorted(post.recipients) == [subscribers.address(number) for number in (1, 3, 5, 6)]
    assert (row["recipients"], row["accepted"], row["suppressed"]) == (5, 4, 1)


async def test_paused_it_stands_still_and_cancelled_the_rest_is_suppressed(
    database: Database, letter: Letter, database_url: str, tmp_path: Path, post: PostOffice
) -> None:
    await subscribers.add(database, letter, range(1, 301))
    update_id = await subscribers.publish(database, letter)
    tickets = asyncio.Semaphore(20)
    post.accepting = tickets.acquire  # the relay takes twenty mails and lets the next ones wait
    await subscribers.mail(database, letter, update_id)
    async with worker(tmp_path, database_url, post):
        await until(database, letter, lambda row: row["accepted"] == 20)
        await subscribers.act(database, letter, update_id, "pause")
        for _ in range(300):
            tickets.release()
        row = await until(database, letter, lambda row: row["accepted"] == len(post.recipients))
        assert row["state"] == "paused"
        assert row["accepted"] <= 20 + SENDERS
        sent = len(post.recipients)
        await subscribers.act(database, letter, update_id, "resume")
        await until(database, letter, lambda row: row["accepted"] > sent)
        await subscribers.act(database, letter, update_id, "cancel")
        row = await until(database, letter, lambda row: row["state"] == "cancelled" and not row["in_flight"])
    assert (row["recipients"], row["unreached"]) == (300, 0)
    assert row["accepted"] == len(set(post.recipients)) == len(post.recipients)
    assert row["suppressed"] == row["cancelled"] == 300 - row["accepted"]


async def test_taken_down_its_mail_stops_at_once(
    database: Database, letter: Letter, database_url: str, tmp_path: Path, post: PostOffice
) -> None:
    """Not only when the chores have deleted its rows."""
    await subscribers.add(database, letter, range(1, 301))
    update_id = await subscribers.publish(database, letter)
    tickets = asyncio.Semaphore(20)
    post.accepting = tickets.acquire
    await subscribers.mail(database, letter, update_id)
    async with worker(tmp_path, database_url, post):
        await until(database, letter, lambda row: row["accepted"] == 20)
        async with database.transaction() as conn:
            await lifecycle_queries.take_down(conn, letter.id)
        for _ in range(300):
            tickets.release()
        async with asyncio.timeout(120), database.connection() as conn:
            while await conn.fetchval("SELECT count(*) FROM mailing_stamp WHERE lease IS NOT NULL"):
                await asyncio.sleep(0.02)
    assert 20 <= len(post.recipients) <= 20 + SENDERS


async def test_who_leaves_or_comes_meanwhile(
    database: Database, letter: Letter, database_url: str, tmp_path: Path, post: PostOffice
) -> None:
    readers = await subscribers.add(database, letter, range(1, 301))
    update_id = await subscribers.publish(database, letter)
    tickets = asyncio.Semaphore(20)
    post.accepting = tickets.acquire
    await subscribers.mail(database, letter, update_id)
    async with worker(tmp_path, database_url, post, LIMIT_MAILING="3000"):
        await until(database, letter, lambda row: row["accepted"] == 20)
        await subscribers.add(database, letter, range(1001, 1011))  # too late for this one
        async with database.transaction() as conn:
            await self_service_queries.stop_updates(conn, letter.id, readers[-1])
            await conn.execute("UPDATE signature SET state = 'removed' WHERE id = 299")
            await conn.execute("DELETE FROM signature WHERE id = 298")
        await subscribers.numbers(database, letter)
        async with database.transaction() as conn:  # restored: a subscriber again, of the next update
            await conn.execute("UPDATE signature SET state = 'confirmed' WHERE id = 299")
        for _ in range(300):
            tickets.release()
        row = await until(database, letter, is_done)
    assert (row["recipients"], row["accepted"], row["suppressed"]) == (300, 297, 3)
    assert sorted(post.recipients) == sorted(map(subscribers.address, range(1, 298)))
    async with database.connection() as conn:
        assert sum((await queries.subscribers(conn, letter.id)).values()) == 297 + 1 + 10


async def test_a_bounce_counts_once(
    database: Database, letter: Letter, database_url: str, tmp_path: Path, post: PostOffice
) -> None:
    await subscribers.add(database, letter, range(1, 6))
    update_id = await subscribers.publish(database, letter)
    await subscribers.mail(database, letter, update_id)
    async with worker(tmp_path, database_url, post):
        await until(database, letter, is_done)
    async with database.connection() as conn:
        mailing_id = await conn.fetchval("SELECT id FROM mailing")
        results = [await note_bounce(conn, letter.id, mailing_id, SignatureId(2)) for _ in range(2)]
        results.append(await note_bounce(conn, letter.id, mailing_id, SignatureId(77)))
    assert results == [True, False, False]
    row = await subscribers.numbers(database, letter)
    assert (row["accepted"], row["bounced"]) == (4, 1)
    assert await moves.drop_stamps(database) == 0
    async with database.connection() as conn:
        await conn.execute("UPDATE mailing SET ended_at = now() - interval '40 days'")
    assert await moves.drop_stamps(database) == 5  # the numbers stay
    async with database.connection() as conn:
        (mailing,) = await queries.of_letter(conn, letter.id)
    assert (mailing.recipients, mailing.accepted, mailing.bounced) == (5, 4, 1)
    assert not mailing.can_resend


async def test_never_again_and_the_first_sweep(
    database: Database, letter: Letter, database_url: str, tmp_path: Path, post: PostOffice
) -> None:
    await subscribers.add(database, letter, range(1, 6))
    update_id = await subscribers.publish(database, letter)
    suppression = Suppression(Wrapper([KEY]))
    async with database.connection() as conn:
        digest = await suppression.digest(conn, subscribers.address(2))
        await signature_queries.suppress_mailbox(conn, digest)
        await conn.execute("UPDATE suppressed SET swept_at = now()")  # the address is still there
    await subscribers.mail(database, letter, update_id)
    async with worker(tmp_path, database_url, post):
        row = await until(database, letter, is_done)
    assert (row["accepted"], row["suppressed"]) == (4, 1)
    assert subscribers.address(2) not in post.recipients


async def test_a_sensitive_letter_is_not_named(
    database: Database, letter: Letter, database_url: str, tmp_path: Path, post: PostOffice
) -> None:
    await subscribers.add(database, letter, range(1, 2))
    update_id = await subscribers.publish(database, letter)
    async with database.connection() as conn:
        await conn.execute("UPDATE letter SET sensitive = true")
    await subscribers.mail(database, letter, update_id)
    async with worker(tmp_path, database_url, post):
        await until(database, letter, is_done)
    (mail,) = post.mails
    assert mail["Subject"] == "News about a letter that you follow"
    for part in ("plain", "html"):
        body = mail.get_body((part,))
        assert body is not None
        assert "answered" not in body.get_content()
        assert "Keep the channels" not in body.get_content()


async def test_a_mailbox_is_looked_up_by_index(database: Database, letter: Letter) -> None:
    """A chunk costs the same however many have signed."""
    readers = await subscribers.add(database, letter, range(1, 20_001))
    update_id = await subscribers.publish(database, letter)
    await subscribers.mail(database, letter, update_id)
    await moves.start_due(database, "http://localhost")
    async with database.connection() as conn:
        await conn.execute("ANALYZE signature, contact, mailing, mailing_stamp")
        mailing_id = await conn.fetchval("SELECT id FROM mailing")
        chunk = letter.id, mailing_id, readers[5000:5100]
        for query, values in ((sending_queries.SECONDS, chunk), (self_service_queries.STOP_UPDATES, (letter.id, 7))):
            plan = "\n".join(row[0] for row in await conn.fetch(f"EXPLAIN ANALYZE {query}", *values))
            rows = [int(number) for number in re.findall(r"actual time=\S+ rows=(\d+)", plan)]
            assert rows, plan
            assert max(rows) <= 100, plan
            assert "Seq Scan on signature" not in plan, plan


async def test_the_database_refuses_what_does_not_add_up(database: Database, letter: Letter) -> None:
    await subscribers.add(database, letter, range(1, 6))
    update_id = await subscribers.publish(database, letter)
    await subscribers.mail(database, letter, update_id)
    assert await moves.start_due(database, "http://localhost") == 1
    for change in ("accepted = 1", "recipients = 4", "walked = true", "state = 'done'", "unreached = -1"):
        with pytest.raises(Exception, match="violates check constraint"):
            async with database.connection() as conn:
                await conn.execute(f"UPDATE mailing SET {change}")
