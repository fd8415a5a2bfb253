"""All names hidden while readers come: two seconds later no answer of any process holds one, and the count is exact."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import pytest

from petition.core import i18n
from petition.core.database import opened
from petition.core.encryption import Wrapper
from petition.core.ids import LetterId
from petition.core.settings import Process, load
from petition.core.tokens import Tokens
from petition.letters import switch_actions
from petition.letters.switches import ON, Switch
from petition.packages.making import PackageMaker
from tests.addresses import filled, patterns
from tests.conftest import fresh_database
from tests.faults.processes import run, web
from tests.running import KEY, SLUG, Installation, environment, free_port, on_this_machine
from tests.signatures import people

if TYPE_CHECKING:
    from tests.conftest import Conn

MARK = re.compile("quill", re.IGNORECASE)
PEOPLE = 700
API = f"/api/v1/letters/{SLUG}"
READ = (
    *(f"/{lang}/{SLUG}{path}" for lang in ("en", "ru") for path in ("", "/signatories", "/signatories?q=zora")),
    f"{API}/signatories",
    f"{API}/signatories?kind=organization",
    f"/en/{SLUG}/signatories/print",
)
COUNT = "UPDATE count SET people = $1, organizations = 1 WHERE letter = $2"
PROCESSES = 2
ROUNDS = 8  # of visits to an address, each on a connection of its own, so that every process answers


@dataclass
class Readers:
    """Readers of the pages with names, each request from a network of its own; ``answers`` are (begun, has a name)."""

    client: httpx2.AsyncClient
    answers: list[tuple[float, str, bool]] = field(default_factory=list)
    networks: int = 0
    are_done: bool = False

    async def get(self, path: str, **headers: str) -> httpx2.Response:
        self.networks += 1
        network = f"198.18.{self.networks // 250 % 250}.{self.networks % 250}"
        return await self.client.get(path, headers={"x-forwarded-for": network, **headers})

    async def read(self, first: int) -> None:
        """Read one page after the other until the test says that it is enough."""
        while not self.are_done:
            path = READ[(first := first + 1) % len(READ)]
            begun = time.monotonic()
            answer = await self.get(path)
            self.answers.append((begun, path, bool(MARK.search(answer.text))))


@dataclass
class Running:
    site: Installation
    letter_id: LetterId
    package: str
    environ: dict[str, str]

    async def switch(self, value: str, revision: int) -> None:
        async with self.site.database.transaction() as conn:
            await switch_actions.set_switch(conn, None, self.letter_id, Switch.HIDE_LIST, revision, value, {})

    async def walk(self, readers: Readers) -> list[tuple[str, httpx2.Response]]:
        """Visit every public address in both languages."""
        addresses = [await filled(pattern, self.site, lang) for pattern in patterns("GET") for lang in ("en", "ru")]
        paths = dict.fromkeys([*addresses, *READ, self.package])
        return [(path, await readers.get(path)) for path in paths]


@pytest.fixture
async def running(cluster: str, admin: "Conn", published: str, tmp_path: Path) -> AsyncIterator[Running]:
    async with fresh_database(cluster, admin, published) as url, opened(url, max_size=4) as database:
        environ = environment(tmp_path, url, free_port(), BASE_URL="http://letters.localhost:8000")
        settings = load(environ, role=Process.WEB)
        async with database.transaction() as conn:
            letter_id = await conn.fetchval("SELECT id FROM letter WHERE slug = $1", SLUG)
            await people.sign(conn, letter_id, *(f"Zora Quill {n}" for n in range(PEOPLE)))
            await people.organization(conn, letter_id, "Quillnet Guild", representatives=(("Ann Quill", "confirmed"),))
            await conn.execute(COUNT, PEOPLE, letter_id)
        maker = PackageMaker(database, Wrapper([KEY]), i18n.load(settings.locales_dir), settings.base_url)
        await maker.make(letter_id, None)
        package = f"/en/{SLUG}/package/{Tokens([KEY]).for_package(letter_id)}"
        port = free_port()
        async with web(environ, port, tmp_path / "web.log", f"--workers {PROCESSES}") as started:
            yield Running(Installation(environ, settings, database, started.client), letter_id, package, environ)


async def test_two_seconds_after_the_switch_no_answer_holds_a_name(running: Running) -> None:
    readers = Readers(running.site.client)
    before = [answer for _, answer in await running.walk(readers) if MARK.search(answer.text)]
    assert len(before) >= len(READ)
    for answer in before:  # no cache in between may hold it for longer than the poll leaves of two seconds
        assert re.fullmatch("no-store|public, max-age=0, s-maxage=1", answer.headers["cache-control"]), answer.url
    etags = {path: (await readers.get(path)).headers.get("etag") for path in READ}
    tasks = [asyncio.create_task(readers.read(number)) for number in range(12)]
    while sum(has_name for _, _, has_name in readers.answers) < 100:
        await asyncio.sleep(0.01)
    await running.switch(ON, 0)
    limit = time.monotonic() + on_this_machine(2.0)
    while sum(begun > limit for begun, _, _ in readers.answers) < 100:
        await asyncio.sleep(0.01)
    try:
        for _ in range(ROUNDS):
            await check_addresses(running, readers, etags)
    finally:
        readers.are_done = True
        await asyncio.gather(*tasks)
    late = [path for begun, path, has_name in readers.answers if has_name and begun > limit]
    assert not late
    await check_counts_and_exports(running, readers)


async def check_addresses(running: Running, readers: Readers, etags: dict[str, str | None]) -> None:
    for path, answer in await running.walk(readers):
        assert not MARK.search(answer.text), path
        assert b"Quill" not in answer.content, path
    for path, etag in etags.items():
        if etag:
            assert (await readers.get(path, **{"if-none-match": etag})).status_code != 304, path


async def check_counts_and_exports(running: Running, readers: Readers) -> None:
    counts = (await readers.get(API)).json()["counts"]
    assert counts == {
        "total": PEOPLE + 1, "people": PEOPLE, "organizations": 1, "hidden": PEOPLE + 1, "imported": 0
    }  # fmt: skip
    for form in ("csv", "json"):
        code, said = await run(f"signatures export {SLUG} --format {form}", running.environ)
        assert (code, said.count("public")) == (0, PEOPLE + 1)
        assert not MARK.search(said)
    code, said = await run(f"switch {SLUG} hide_list off", running.environ)
    assert (code, said) == (0, f"{SLUG}: hide_list off\n")
    async with asyncio.timeout(120):
        while not MARK.search((await readers.get(f"{API}/signatories")).text):
            await asyncio.sleep(0.05)
