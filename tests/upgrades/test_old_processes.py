"""Old releases with data are upgraded under load while their processes run, and rolled back: every link goes on.

`make test` does so with the release before; `make upgrades` with every one on record.
"""

import asyncio
import itertools
import os
import re
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import pytest

from petition.core.database import schema_number
from petition.demo.inbox import Inbox, receiving
from tests.conftest import in_database
from tests.faults.processes import command, run, web, worker_environ
from tests.running import SLUG, environment, free_port
from tests.upgrades.releases import RECORD, Release, is_known, is_shallow

if TYPE_CHECKING:
    from tests.conftest import Conn

TESTED = RECORD if os.environ.get("EVERY_RELEASE") else RECORD[:1]
PEOPLE = 6
CONNECTIONS = 10  # to the database, of a web process
VERSION = re.compile(r'name="version" value="([^"]+)"')


def test_the_history_has_every_release() -> None:
    assert is_shallow() or all(is_known(release.commit) for release in RECORD)


@dataclass
class People:
    """Those who sign; ``client`` leads to what runs now, ``links`` are those of their mails that were not used yet."""

    inbox: Inbox
    base: str
    client: httpx2.AsyncClient = field(init=False)
    links: list[str] = field(default_factory=list)
    confirmed: int = 0
    answers: Counter[int] = field(default_factory=Counter)
    are_done: bool = False
    may_refuse: int = 0
    refused: int = 0

    def __post_init__(self) -> None:
        self._numbers = itertools.count(1)

    async def sign(self, number: int = 1) -> None:
        """Have so many people sign and get their mails."""
        page = await self.client.get(f"/en/{SLUG}")
        version = VERSION.search(page.text)
        assert version, page.text
        addresses = [f"vera{next(self._numbers)}@letters.example" for _ in range(number)]
        for address in addresses:
            form = {"version": version[1], "kind": "person", "name": "Vera Novak", "email": address}
            form |= {"visibility": "organizers" if number % 2 else "public", "consent": "yes"}
            answer = await self.client.post(f"/en/{SLUG}/sign", data=form)
            self.answers[answer.status_code] += 1
            assert answer.status_code == 303, answer.text
        for address in addresses:
            self.links.append(await self.link_to(address))

    async def link_to(self, address: str) -> str:
        while True:
            for mail in self.inbox:
                if address in mail.to:
                    link = re.search(rf"{self.base}(/en/confirm/\S+)", mail.body("plain") or "")
                    assert link
                    return link[1]
            await asyncio.sleep(0.02)

    async def confirm(self, number: int) -> list[str]:
        """Use so many links; return them."""
        used = [self.links.pop(0) for _ in range(number)]
        for link in used:
            assert (await self.client.get(link)).status_code == 200
            answer = await self.client.post(link)
            while answer.status_code == 500 and self.refused < self.may_refuse:
                self.refused += 1
                answer = await self.client.post(link)
            assert answer.status_code == 303, answer.text
            assert answer.headers["location"].startswith(f"/en/{SLUG}/signed")
        self.confirmed += number
        await self.are_counted()
        return used

    async def are_counted(self) -> None:
        while (await self.client.get(f"/api/v1/letters/{SLUG}/count")).json()["people"] != self.confirmed:
            await asyncio.sleep(0.02)

    async def live(self) -> None:
        """Sign, confirm and read until the test says that it is enough."""
        while not self.are_done:
            await self.sign()
            await self.confirm(1)
            answer = await self.client.get(f"/en/{SLUG}/signatories")
            self.answers[answer.status_code] += 1


@asynccontextmanager
async def installed(people: People, environ: dict[str, str], smtp_port: int, folder: Path) -> AsyncIterator[None]:
    """Run web and worker of one release."""
    port = int(environ["PORT"])
    worker = worker_environ(environ, smtp_port)
    async with web(environ, port, folder / "web.log") as running, command("worker", worker, folder / "worker.log"):
        people.client = running.client
        yield
    errors = [line for line in (folder / "web.log").read_text().splitlines() if '"level": "error"' in line]
    assert not people.may_refuse or folder.name == "before" or not errors
    assert all("InvalidCachedStatementError" in line for line in errors), errors
    assert bool(errors) <= bool(people.refused)
    assert '"level": "error"' not in (folder / "worker.log").read_text(), (folder / "worker.log").read_text()


@pytest.fixture
async def url(cluster: str, admin: "Conn") -> AsyncIterator[str]:
    await admin.execute("CREATE DATABASE upgraded TEMPLATE template0")
    yield in_database(cluster, "upgraded")
    await admin.execute("DROP DATABASE upgraded WITH (FORCE)")


@pytest.mark.parametrize("release", [release for release in TESTED if is_known(release.commit)], ids=str)
async def test_an_old_release_is_upgraded_under_load_and_rolled_back(
    release: Release, url: str, tmp_path: Path
) -> None:
    code, port = release.unpack(tmp_path / "old"), free_port()
    limits = {"LIMIT_NETWORK": "1000000", "LIMIT_FORMS": "1000000", "LIMIT_READING": "1000000"}
    new = environment(tmp_path, url, port, BASE_URL=f"http://localhost:{port}", CAPTCHA="off", **limits)
    old = new | {"PYTHONPATH": str(code)}
    people = People(Inbox(), new["BASE_URL"])
    people.may_refuse = CONNECTIONS if release.asks_for_whole_rows else 0
    folders = [tmp_path / name for name in ("before", "after", "back")]
    for folder in folders:
        folder.mkdir()
    assert (await run("migrate", old))[0] == 0
    assert (await run(f"letter import {code}/petition/sample --publish", old))[0] == 0
    async with asyncio.timeout(240), receiving(people.inbox) as smtp_port:
        async with installed(people, old, smtp_port, folders[0]):
            await people.sign(2 * PEOPLE)
            used = await people.confirm(PEOPLE)
            async with asyncio.TaskGroup() as group:
                group.create_task(people.live())
                code_, said = await run("migrate", new)
                assert (code_, said.count("applied")) == (0, schema_number() - release.schema), said
                before = people.confirmed
                while people.confirmed < before + 3:  # the old processes, on the new schema
                    await asyncio.sleep(0.02)
                people.are_done = True
        async with installed(people, new, smtp_port, folders[1]):
            await people.are_counted()
            for link in used:  # twice is calm
                assert (await people.client.post(link)).status_code == 303
            await people.confirm(PEOPLE // 2)
            await people.sign(2)
        assert await run("migrate", old) == (0, "nothing to do\n")
        async with installed(people, old, smtp_port, folders[2]):
            await people.confirm(len(people.links))
            await people.sign()
            await people.confirm(1)
    assert not people.links
    assert set(people.answers) == {200, 303}
