"""PostgreSQL restarted and killed under load: said clearly, read on from memory, nothing lost."""

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from petition.core.audit_log import Actor
from petition.core.database import Database, opened
from petition.core.ids import SignatureId
from petition.core.settings import Process, load
from petition.imports import undoing
from petition.letters import employer_queries
from petition.letters.model import Letter
from petition.moderation import decisions
from petition.moderation.model import Action
from petition.signatures import self_service
from petition.signatures.model import Reason
from tests import rows
from tests.captcha.installation import solve
from tests.commands import run
from tests.faults.load import POW, Crowd, signing
from tests.faults.processes import BASE_URL, Web, command, web, worker_environ
from tests.faults.server import Server
from tests.mail.post_office import PostOffice
from tests.pages import check_page
from tests.running import SLUG, environment, free_port, on_this_machine, publish

POLL = 0.5  # seconds between two looks of a web process at the database
VERA = "vera@letters.example"


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


async def test_after_any_signature_reading_goes_on_in_every_process(server: Server, tmp_path: Path) -> None:
    environ = environment(tmp_path, server.url, free_port(), BASE_URL=BASE_URL)
    async with opened(server.url, max_size=2) as database, asyncio.timeout(120):
        await publish(load(environ, role=Process.WEB), database)
        async with database.connection() as conn:
            letter = await rows.letter(conn)
            employer_id = await employer_queries.add(conn, letter.id, {"en": "Halden Cloud"}, ["halden.example"])
        async with (
            web(environ, free_port(), tmp_path / "one.log") as one,
            web(environ, free_port(), tmp_path / "two.log") as two,
        ):
            paths = [f"/{lang}/{SLUG}{path}" for lang in ("en", "ru") for path in ("", "/signatories")]
            pages = [(process.client, path) for process in (one, two) for path in paths]
            for client, path in pages:
                assert (await client.get(path)).status_code == 200
            employee = {"visibility": "counted", "employer": str(employer_id)}
            others = [{"visibility": visibility} for visibility in ("public", "organizers", "counted")]
            for number, fields in enumerate([*others, employee], 1):
                async with database.connection() as conn:
                    (signature_id,) = await rows.add_pending(conn, letter, [f"{number}@halden.example"], **fields)
                assert (await one.client.post(f"/en/confirm/{rows.token(letter, signature_id)}")).status_code == 303
                await until_counted(one, number)
                await until_counted(two, number)
                await server.end(signal.SIGKILL)
                answers = [await client.get(path) for client, path in pages * 3]
                assert [answer.status_code for answer in answers] == [200] * 24, fields
                await server.start()
                for process in (one, two):
                    await until_ready(process)


async def by_the_signatory(database: Database, letter: Letter, signature_id: SignatureId, _import: int) -> None:
    await self_service.withdraw(database, letter, signature_id)


async def by_hiding_it(database: Database, letter: Letter, signature_id: SignatureId, _import: int) -> None:
    await self_service.change_visibility(database, letter, signature_id, "organizers", "")


async def by_correcting_it(database: Database, letter: Letter, signature_id: SignatureId, _import: int) -> None:
    await self_service.correct(database, letter, signature_id, "Somebody Else")


async def by_a_moderator(database: Database, letter: Letter, signature_id: SignatureId, _import: int) -> None:
    async with database.transaction() as conn:
        organizer_id = await conn.fetchval(
            "INSERT INTO organizer (name, lang, digest, sealed) VALUES ('', 'en', 'one', '') RETURNING id"
        )
        seen = {signature_id: decisions.ANY_ACT}
        actor = Actor(organizer_id, letter.id)
        await decisions.decide(conn, actor, letter.keys, Action.REMOVE, seen, Reason.FAKE)


async def by_undoing_the_import(database: Database, letter: Letter, _signature_id: SignatureId, number: int) -> None:
    async with database.transaction() as conn:
        assert await undoing.take_back(conn, letter.id, letter.keys, number) == 2


async def by_a_switch(database: Database, _letter: Letter, _signature_id: SignatureId, _import: int) -> None:
    async with database.connection() as conn:
        await conn.execute("INSERT INTO switch (name, value) VALUES ('hide_list', 'on')")


ACTS = (by_the_signatory, by_hiding_it, by_correcting_it, by_a_moderator, by_undoing_the_import, by_a_switch)


async def test_names_that_went_do_not_come_back_while_it_is_away(server: Server, tmp_path: Path) -> None:
    """Nobody has read the Russian pages since; what was kept of them for such a moment has names on it."""
    environ = environment(tmp_path, server.url, free_port(), BASE_URL=BASE_URL)
    async with opened(server.url, max_size=2) as database:
        await publish(load(environ, role=Process.WEB), database)
        async with database.connection() as conn:
            await conn.execute("UPDATE letter SET names_in_search = true")
            letter = await rows.letter(conn)
    async with (
        web(environ, free_port(), tmp_path / "one.log") as one,
        web(environ, free_port(), tmp_path / "two.log") as two,
    ):
        for number, take_back in enumerate(ACTS, 1):
            name = f"Petra Northpier {number}"
            people = tmp_path / f"{number}.csv"
            people.write_text(f"kind,name,visibility\nperson,{name},public\nperson,Other {number},public\n")
            assert (await run(f"signatures import {SLUG} {people}", environ))[0] == 0
            async with asyncio.timeout(120):
                for process in (one, two):
                    for lang in ("en", "ru"):
                        await until_shown(process, lang, name, is_shown=True)
                async with opened(server.url, max_size=2) as database:
                    async with database.connection() as conn:
                        signature_id = await conn.fetchval("SELECT id FROM signature WHERE name = $1", name)
                    await take_back(database, letter, signature_id, number)
                # A page may be rendered again before the process has heard of the act, which drops it once more.
                await asyncio.sleep(2 * POLL)
                for process in (one, two):
                    await until_shown(process, "en", name, is_shown=False)
                await server.end(signal.SIGKILL)
                for process in (one, two):
                    assert not await shows(process, "ru", name), take_back
                    assert (await process.client.get(f"/en/{SLUG}")).status_code == 200, take_back
                await server.start()
                for process in (one, two):
                    await until_ready(process)


async def shows(process: Web, lang: str, name: str) -> bool:
    return name in (await process.client.get(f"/{lang}/{SLUG}")).text


async def until_shown(process: Web, lang: str, name: str, *, is_shown: bool) -> None:
    while await shows(process, lang, name) != is_shown:
        await asyncio.sleep(0.05)


async def until_ready(process: Web) -> None:
    while (await process.client.get("/readyz")).status_code != 200:
        await asyncio.sleep(0.05)


async def until_counted(process: Web, total: int) -> None:
    while (await process.client.get(f"/api/v1/letters/{SLUG}")).json()["counts"]["total"] != total:
        await asyncio.sleep(0.05)


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
    solved = typed | {"altcha": solve(POW.challenge(letter.id))}
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
