"""A process that starts while the database is away shows the copies on disk: without names, and none too many."""

import asyncio
import hashlib
import os
import re
import signal
import stat
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from petition.core.database import Database, opened
from petition.core.settings import Process, load
from petition.letters import taking_down
from petition.letters.model import Letter
from petition.signatures import self_service
from tests import rows
from tests.commands import run
from tests.faults.processes import BASE_URL, Web, command, web
from tests.faults.server import Server
from tests.running import SLUG, environment, free_port, publish

READ = (
    *(f"/{lang}/{SLUG}{path}" for lang in ("en", "ru") for path in ("", "/signatories", "/versions", "/updates")),
    f"/en/{SLUG}/signatories?kind=organization",
    f"/api/v1/letters/{SLUG}/count",
    f"/badge/{SLUG}.svg",
    f"/embed/{SLUG}",
    "/en/",
)


@dataclass
class Running:
    server: Server
    database: Database
    letter: Letter
    environ: dict[str, str]
    folder: Path

    @property
    def copies(self) -> list[Path]:
        return [path for path in self.folder.glob("pages/*/*-*") if "." not in path.name]

    async def until_copied(self, process: Web) -> None:
        """Read every page until each has a copy."""
        async with asyncio.timeout(120):
            while len(self.copies) < len(READ):
                for path in READ:
                    assert (await process.client.get(path)).status_code == 200, path
                await asyncio.sleep(0.1)

    async def read(self, path: str) -> httpx2.Response:
        """Read a page from a process that has started without a database."""
        async with command(f"serve --port {(port := free_port())}", self.environ, self.folder / "late.log"):
            headers = {"host": "letters.localhost:8000"}
            async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers) as client:
                return await until_up(client, path)


async def until_up(client: httpx2.AsyncClient, path: str) -> httpx2.Response:
    async with asyncio.timeout(120):
        while True:
            try:
                return await client.get(path)
            except httpx2.TransportError:
                await asyncio.sleep(0.1)


@pytest.fixture
async def running(server: Server, tmp_path: Path) -> AsyncIterator[Running]:
    """Give an installation with a public name on its list."""
    environ = environment(tmp_path, server.url, free_port(), BASE_URL=BASE_URL)
    people = tmp_path / "list.csv"
    people.write_text(
        "kind,name,visibility\nperson,Petra Northpier,public\nperson,Other One,public\n", encoding="utf-8"
    )
    async with opened(server.url, max_size=2) as database:
        await publish(load(environ, role=Process.WEB), database)
        assert (await run(f"signatures import {SLUG} {people}", environ))[0] == 0
        async with database.connection() as conn:
            await conn.execute("UPDATE letter SET names_in_search = true")
            letter = await rows.letter(conn)
        yield Running(server, database, letter, environ, tmp_path)


async def test_a_new_process_reads_without_a_database(running: Running) -> None:
    async with web(running.environ, free_port(), running.folder / "web.log") as process:
        await running.until_copied(process)
        assert "Petra Northpier" in (await process.client.get(f"/en/{SLUG}")).text
        await running.server.end(signal.SIGKILL)
        assert "Petra Northpier" in (await process.client.get(f"/en/{SLUG}/signatories")).text, "it has followed it"
    for copy in running.copies:
        assert stat.S_IMODE(copy.stat().st_mode) == 0o600
        assert stat.S_IMODE(copy.parent.stat().st_mode) == 0o700
        assert b"Northpier" not in copy.read_bytes()
    headers = {"host": "letters.localhost:8000"}
    async with (
        command(f"serve --port {(port := free_port())}", running.environ, running.folder / "late.log"),
        httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers) as client,
    ):
        await until_up(client, "/healthz")
        for path in READ:
            answer = await client.get(path)
            assert answer.status_code == 200, path
            assert "Northpier" not in answer.text
            again = await client.get(path, headers={"if-none-match": answer.headers["etag"]})
            assert again.status_code == 304
        assert re.search(r"2</", (await client.get(f"/en/{SLUG}")).text), "the count stays"
        assert (await client.get(f"/en/{SLUG}/signatories?q=petra")).status_code == 503
        assert (await client.get("/en/another-letter")).status_code == 503


async def test_what_was_taken_back_has_no_copy(running: Running) -> None:
    """The act itself deletes them: copies are made anew afterwards, also of what nobody reads."""
    async with web(running.environ, free_port(), running.folder / "web.log") as process:
        await running.until_copied(process)
        before = {path: path.stat().st_mtime_ns for path in running.copies if path.name.startswith(_of_letter())}
        async with running.database.connection() as conn:
            signature_id = await conn.fetchval("SELECT id FROM signature WHERE name = 'Petra Northpier'")
        await self_service.withdraw(running.database, running.letter, signature_id)
        async with asyncio.timeout(120):
            while any(not path.exists() or path.stat().st_mtime_ns == was for path, was in before.items()):
                await asyncio.sleep(0.1)
        async with running.database.transaction() as conn:
            await taking_down.take_down(conn, None, running.letter.id, SLUG)
        async with asyncio.timeout(120):
            while any(path.exists() for path in before) or any(SLUG in copy.read_text() for copy in running.copies):
                await asyncio.sleep(0.1)
        await running.server.end(signal.SIGKILL)
        assert SLUG not in (await process.client.get("/en/")).text, "the home page of before the act"
    assert (await running.read(f"/en/{SLUG}")).status_code == 503


async def test_copies_that_nobody_has_followed_are_not_shown(running: Running) -> None:
    async with web(running.environ, free_port(), running.folder / "web.log") as process:
        await running.until_copied(process)
    (contact,) = running.folder.glob("pages/*/contact")
    old = contact.stat().st_mtime - 3600
    os.utime(contact, (old, old))
    await running.server.end(signal.SIGKILL)
    assert (await running.read(f"/en/{SLUG}")).status_code == 503
    await running.server.start()
    async with web(running.environ, free_port(), running.folder / "web.log"), asyncio.timeout(120):
        while running.copies:  # another machine may have taken something back meanwhile
            await asyncio.sleep(0.1)


def _of_letter() -> str:
    return hashlib.sha256(SLUG.encode()).hexdigest()[:24]
