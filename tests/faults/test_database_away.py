"""PostgreSQL restarted and killed under load: said clearly, read on from memory, nothing lost."""

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from petition.core import database as databases
from petition.core.database import Database, opened
from petition.core.ids import SignatureId
from petition.core.settings import Process, load
from petition.letters.model import Letter
from tests import rows
from tests.captcha.installation import solve
from tests.commands import run
from tests.faults.conftest import BASE_URL
from tests.faults.load import POW, Crowd, signing
from tests.faults.processes import command, web, worker_environ
from tests.faults.server import Server
from tests.mail.post_office import PostOffice
from tests.pages import check_page
from tests.running import SLUG, environment, free_port, on_this_machine, publish


@pytest.fixture
async def server(open_folder: Path) -> AsyncIterator[Server]:
    """Give a running PostgreSQL of this test's own, migrated."""
    own = Server(open_folder / "data")
    await own.start()
    await databases.migrate(own.url)
    yield own
    await own.end(signal.SIGINT)


@pytest.fixture
async def post() -> AsyncIterator[PostOffice]:
    """Give an open post office."""
    office = PostOffice()
    await office.open()
    yield office
    await office.close()


@pytest.mark.parametrize("way", [signal.SIGINT, signal.SIGKILL], ids=["restarted", "killed"])
async def test_nothing_is_lost_while_the_database_is_away(
    server: Server, post: PostOffice, tmp_path: Path, way: signal.Signals
) -> None:
    environ = environment(tmp_path, server.url, free_port(), BASE_URL=BASE_URL)
    async with opened(server.url, max_size=2) as database:
        await publish(load(environ, role=Process.WEB), database)
        async with database.connection() as conn:
            letter = await rows.letter(conn)
        async with (
            web(environ, free_port(), tmp_path / "web.log") as process,
            command("worker", worker_environ(environ, post.port), tmp_path / "worker.log"),
        ):
            crowd = Crowd(process.client, letter)
            assert (await process.client.get(f"/en/{SLUG}")).status_code == 200
            async with signing(crowd):
                await crowd.until_taken(50)
                await server.end(way)
                await see_that_it_is_away(process.client, crowd, letter)
                await server.start()
                async with asyncio.timeout(on_this_machine(5)):  # seconds, as promised
                    await crowd.until_taken(1)
                await crowd.until_taken(50)
            await see_that_nothing_is_lost(database, letter, crowd)
            await see_that_all_is_mailed(database, post, crowd)


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO switch (name, value) VALUES ('hide_list', 'on')",
        "WITH gone AS (UPDATE signature SET state = 'removed', removed_from = 'confirmed', removed_for = 'fake') "
        "UPDATE count SET organizations = 0, changed_at = now()",
    ],
    ids=["by a switch", "as somebody was removed"],
)
async def test_names_that_went_do_not_come_back_while_it_is_away(
    server: Server, tmp_path: Path, statement: str
) -> None:
    """Nobody has read the Russian page since; what was kept of it for such a moment has names on it."""
    environ = environment(tmp_path, server.url, free_port(), BASE_URL=BASE_URL)
    people = tmp_path / "list.csv"
    people.write_text("kind,name\norganization,North Pier Network\n", encoding="utf-8")
    async with opened(server.url, max_size=2) as database, asyncio.timeout(120):
        await publish(load(environ, role=Process.WEB), database)
        assert (await run(f"signatures import {SLUG} {people}", environ))[0] == 0
        async with web(environ, free_port(), tmp_path / "web.log") as process:

            async def shows_it(lang: str) -> bool:
                return "North Pier Network" in (await process.client.get(f"/{lang}/{SLUG}")).text

            while not (await shows_it("en") and await shows_it("ru")):
                await asyncio.sleep(0.05)
            async with database.connection() as conn:
                await conn.execute(statement)
            while await shows_it("en"):
                await asyncio.sleep(0.05)
            await server.end(signal.SIGINT)
            assert not await shows_it("ru")
            assert (await process.client.get(f"/en/{SLUG}")).status_code == 200
            await server.start()


async def see_that_it_is_away(client: httpx2.AsyncClient, crowd: Crowd, letter: Letter) -> None:
    """Look at every kind of page while there is no database."""
    async with asyncio.timeout(120):
        while (await crowd.sign()).status_code != 503:
            await asyncio.sleep(0.01)
    address, answer = crowd.refused[-1]
    assert int(answer.headers["retry-after"]) > 0
    check_page(answer, 503)
    assert f'value="{address}"' in answer.text, "what was typed is lost"
    for path in (f"/en/{SLUG}", "/healthz"):
        assert (await client.get(path)).status_code == 200, "reading does not go on"
    assert (await client.get("/readyz")).status_code == 503
    link = f"/en/confirm/{rows.token(letter, SignatureId(1))}"
    typed = {"email": "vera@letters.example", "code": "123456"}
    solved = typed | {"altcha": solve(POW.challenge(letter.id, hard=False))}
    for answer, keeps in (
        (await client.get(link), False),
        (await client.post(link), False),
        (await client.get(link.replace("confirm", "signature")), False),
        (await client.post(f"/ru/{SLUG}/confirm", data=typed), True),
        (await client.post(f"/ru/{SLUG}/find", data=solved), True),
    ):
        check_page(answer, 503, "ru" if keeps else "en")
        assert int(answer.headers["retry-after"]) > 0
        assert ('value="vera@letters.example"' in answer.text) == keeps


async def see_that_nothing_is_lost(database: Database, letter: Letter, crowd: Crowd) -> None:
    """Compare what the visitors were told with the rows."""
    assert set(crowd.statuses()) <= {503}
    assert crowd.broken == 0, "a visitor was left without an answer"
    digests = {row["digest"] for row in await rows.rows_of(database, "SELECT digest FROM pending")}
    assert {rows.digest_of(letter, each) for each in crowd.taken} <= digests


async def see_that_all_is_mailed(database: Database, post: PostOffice, crowd: Crowd) -> None:
    """Wait for the worker, which has to come back by itself, too."""
    async with asyncio.timeout(120), database.connection() as conn:
        while await conn.fetchval("SELECT EXISTS (SELECT FROM outbox)"):
            await asyncio.sleep(0.05)
    times = Counter(post.recipients)
    assert set(times.values()) == {1}, "a mail came twice"
    assert set(crowd.taken) <= set(times)
