"""A mailing from its start to its end, through the real worker and a real SMTP server."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from petition.core.database import Database, Record
from petition.core.settings import Process, load
from petition.letters.model import Letter
from petition.worker import main
from tests.faults.processes import worker_environ
from tests.mail.post_office import PostOffice
from tests.mailings import subscribers
from tests.running import environment


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
