"""The whole way of a mail: from its row to a real SMTP server, and the row's end."""

import asyncio
import os
import re
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from petition import postgres
from petition.core.database import Connection, connect, migrate
from petition.core.encryption import Sealer, new_contact_pair
from petition.core.errors import Unavailable
from tests.mail.installation import Installation, settings
from tests.mail.post_office import PostOffice
from tests.mail.waiting import until
from tests.mail.working import NEMO, tried, working


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
