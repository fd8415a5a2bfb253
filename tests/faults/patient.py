"""A web process as patient as a shipped one, and what it answers while its database is stuck."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from html import unescape
from pathlib import Path

import httpx2

from petition.core.database import Database, opened
from petition.core.ids import SignatureId
from petition.core.settings import Process, load
from petition.letters.model import Letter
from tests import rows
from tests.captcha.installation import solve
from tests.faults.load import POW
from tests.faults.processes import BASE_URL, PATIENCE, Web, web
from tests.faults.server import Server
from tests.organizers import people
from tests.pages import check_page
from tests.running import SLUG, Installation, environment, free_port, on_this_machine, publish

BOUND = 2.0  # seconds
READ = (
    *(f"/{lang}/{SLUG}{path}" for lang in ("en", "ru") for path in ("", "/versions", "/updates")),
    f"/en/{SLUG}/text",
    f"/api/v1/letters/{SLUG}/count",
    f"/badge/{SLUG}.svg",
    f"/embed/{SLUG}",
    "/en/",
)


@dataclass
class Running:
    """A web process on a PostgreSQL of its own; ``form`` is of a visitor who signs."""

    server: Server
    database: Database
    letter: Letter
    web: Web
    signature_id: SignatureId
    session: str  # of an owner of the letter, who is at the desk

    @property
    def client(self) -> httpx2.AsyncClient:
        return self.web.client

    def form(self, **changes: str) -> dict[str, str]:
        """Return a form with everything right."""
        solved = {"altcha": solve(POW.challenge(self.letter.id))}
        typed = {"name": "Vera Novak", "email": "vera@letters.example", "city": "Нови Сад"}
        chosen = {"version": self.letter.version.digest, "kind": "person", "visibility": "public", "consent": "yes"}
        return chosen | typed | solved | changes

    async def sign(self, form: dict[str, str], lang: str = "en") -> httpx2.Response:
        """Send it; the answer comes within two seconds."""
        return await in_time(self.client.post(f"/{lang}/{SLUG}/sign", data=form))

    async def ready(self) -> str:
        """Return what /readyz says, in time."""
        answer = await in_time(self.client.get("/readyz"))
        said = answer.text.splitlines()[0]
        assert answer.status_code == (200 if said == "ready" else 503)
        return said

    async def until_ready(self) -> None:
        async with asyncio.timeout(120):
            while await self.ready() != "ready":
                await asyncio.sleep(0.05)


@asynccontextmanager
async def running_at(url: str, server: Server, folder: Path) -> AsyncIterator[Running]:
    """Run a web process that has its database at ``url``, and ask every page of ``READ`` of it; it logs no error."""
    environ = environment(folder, url, free_port(), BASE_URL=BASE_URL)
    environ.pop("DATABASE_PATIENCE")
    async with opened(server.url, max_size=2) as database:
        await publish(load(environ | {"DATABASE_URL": server.url}, role=Process.WEB), database)
        async with database.connection() as conn:
            letter = await rows.letter(conn)
            (signature_id,) = await rows.add_pending(conn, letter, ["petra@letters.example"])
        async with web(environ, free_port(), folder / "web.log") as process:
            site = Installation(environ, load(environ, role=Process.WEB), database, process.client)
            owner = await people.add(site, "owner@letters.example")
            await people.give_totp(site, owner.id)
            await people.give_role(site, owner.id, "owner")
            session = await people.cookie(site, owner.id)
            async with asyncio.timeout(PATIENCE):
                for path in READ:
                    while (await process.client.get(path)).status_code != 200:
                        await asyncio.sleep(0.05)  # a machine that is so busy makes the database seem slow
            yield Running(server, database, letter, process, signature_id, session)
            assert '"level": "error"' not in process.log.read_text(encoding="utf-8")


async def in_time(request: "asyncio.Future[httpx2.Response] | object") -> httpx2.Response:
    async with asyncio.timeout(on_this_machine(BOUND)):
        return await request  # type: ignore[misc, no-any-return]


def fields_of(page: httpx2.Response) -> dict[str, str]:
    """Return the text fields of the forms of a page with their values."""
    found: dict[str, str] = {}
    for tag in re.findall(r"<input[^>]*>", page.text):
        name, value = re.search(r'\bname="([^"]*)"', tag), re.search(r'\bvalue="([^"]*)"', tag)
        kind = re.search(r'\btype="([^"]*)"', tag)
        if name and value and (kind is None or kind[1] not in {"radio", "checkbox"} or " checked" in tag):
            found[name[1]] = unescape(value[1])
    found |= {
        unescape(name): unescape(text).strip()
        for name, text in re.findall(r'<textarea[^>]*name="([^"]*)"[^>]*>(.*?)</textarea>', page.text, re.DOTALL)
    }
    return found


def check_put_off(page: httpx2.Response, typed: dict[str, str], lang: str = "en") -> None:
    """Check that a form was refused for the moment, and that all of it is in the page."""
    check_page(page, 503, lang)
    assert int(page.headers["retry-after"]) > 0
    values = fields_of(page)
    assert {name: values.get(name) for name in typed} == typed


async def read_all(running: Running) -> None:
    for path in READ:
        assert (await in_time(running.client.get(path))).status_code == 200, path


async def pending(running: Running, form: dict[str, str]) -> int:
    digest = rows.digest_of(running.letter, form["email"])
    found = await rows.rows_of(running.database, "SELECT digest FROM pending")
    return sum(row["digest"] == digest for row in found)


def typed_in(form: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in form.items() if name != "altcha"}
