"""PostgreSQL frozen, locked or used up: no reader waits for it, and each form is answered within two seconds.

The processes wait as long as shipped ones do, and the promised bound counts for an idle machine.
"""

import asyncio
import re
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import unescape
from pathlib import Path

import httpx2
import pytest

from petition.core import database as databases
from petition.core.database import Database, opened
from petition.core.errors import Unavailable
from petition.core.ids import SignatureId
from petition.core.settings import Process, load
from petition.letters.model import Letter
from tests import rows
from tests.captcha.installation import solve
from tests.faults.conftest import BASE_URL
from tests.faults.load import POW
from tests.faults.processes import Web, web
from tests.faults.server import Server
from tests.pages import check_page
from tests.running import SLUG, environment, free_port, on_this_machine, publish

BOUND = 2.0  # seconds
READ = (
    *(f"/{lang}/{SLUG}{path}" for lang in ("en", "ru") for path in ("", "/versions", "/updates")),
    f"/en/{SLUG}/text",
    f"/api/v1/letters/{SLUG}/count",
    f"/badge/{SLUG}.svg",
    f"/embed/{SLUG}",
    "/en/",
)
# The commit takes too long, and is not to be stopped: nobody who waits for it knows that it comes.
LATE_COMMIT = """
CREATE FUNCTION wait_at_commit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  BEGIN PERFORM pg_sleep(60); EXCEPTION WHEN query_canceled THEN NULL; END; RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER late AFTER INSERT ON pending DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION wait_at_commit();
"""


@dataclass
class Running:
    """A web process on a PostgreSQL of its own; ``form`` is of a visitor who signs."""

    server: Server
    database: Database
    letter: Letter
    web: Web
    signature_id: SignatureId

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


async def in_time(request: "asyncio.Future[httpx2.Response] | object") -> httpx2.Response:
    async with asyncio.timeout(on_this_machine(BOUND)):
        return await request  # type: ignore[misc, no-any-return]


@pytest.fixture
async def running(server: Server, tmp_path: Path) -> AsyncIterator[Running]:
    """Give one that is as patient as a shipped one, and that every page of ``READ`` was asked of."""
    environ = environment(tmp_path, server.url, free_port(), BASE_URL=BASE_URL)
    environ.pop("DATABASE_PATIENCE")
    async with opened(server.url, max_size=2) as database:
        await publish(load(environ, role=Process.WEB), database)
        async with database.connection() as conn:
            letter = await rows.letter(conn)
            (signature_id,) = await rows.add_pending(conn, letter, ["petra@letters.example"])
        async with web(environ, free_port(), tmp_path / "web.log") as process:
            for path in READ:
                assert (await process.client.get(path)).status_code == 200, path
            yield Running(server, database, letter, process, signature_id)
            assert '"level": "error"' not in process.log.read_text(encoding="utf-8")


@contextmanager
def frozen(server: Server) -> Iterator[None]:
    server.freeze()
    try:
        yield
    finally:
        server.thaw()


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


async def test_frozen(running: Running) -> None:
    form = running.form()
    # A change just before: what readers have asked for must be rendered anew, and cannot be.
    async with running.database.connection() as conn:
        await conn.execute("UPDATE letter SET revision = revision + 1")
    with frozen(running.server):
        answer, ready, _ = await asyncio.gather(running.sign(form), running.ready(), read_all(running))
        check_put_off(answer, typed_in(form))
        assert ready == "no database: the database does not answer"
        confirm = f"/en/confirm/{rows.token(running.letter, running.signature_id)}"
        assert (await in_time(running.client.post(confirm))).status_code == 503
        await check_other_forms(running)
        await read_all(running)
    await running.until_ready()
    again = fields_of(answer)
    assert "altcha" not in again
    for _ in range(2):  # with the challenge that was solved before; the second is the impatient one
        assert (await running.sign(again)).status_code == 303
    assert await pending(running, form) == 1
    for _ in range(2):
        assert (await running.client.post(confirm)).status_code == 303
    assert await rows.rows_of(running.database, "SELECT count(*) FROM signature") == [{"count": 1}]


async def check_other_forms(running: Running) -> None:
    token = rows.token(running.letter, running.signature_id)
    note = "Одно\nи <b>другое</b>"
    same_site = {"sec-fetch-site": "same-origin"}
    for path, form in {
        f"/ru/{SLUG}/find": {"email": "vera@letters.example"},
        f"/ru/{SLUG}/confirm": {"email": "vera@letters.example", "code": "123456"},
        f"/ru/{SLUG}/report/person/1": {"reason": "fake", "note": note},
        f"/ru/signature/{token}": {"action": "correct", "name": "Вера & Ко", "city": "Ниш"},
        f"/ru/{SLUG}/verify": {"receipt": "abc"},
    }.items():
        solved = {"altcha": solve(POW.challenge(running.letter.id))} if path.endswith("find") else {}
        check_put_off(await in_time(running.client.post(path, data=form | solved)), form, "ru")
    enter = {"email": "ada@letters.example"}
    page = await in_time(running.client.post("/organizer/enter", data=enter, headers=same_site))
    assert (page.status_code, fields_of(page)) == (503, enter)


async def test_a_commit_that_was_not_heard_of_is_not_repeated(running: Running) -> None:
    async with running.database.connection() as conn:
        await conn.execute(LATE_COMMIT)
    form = running.form()
    answer = await running.sign(form)
    check_put_off(answer, typed_in(form))
    async with asyncio.timeout(120):
        while not await pending(running, form):
            await asyncio.sleep(0.05)
    assert (await running.sign(fields_of(answer))).status_code == 303
    assert await pending(running, form) == 1


@pytest.mark.parametrize("table", ["pending", "signature", "letter"])
async def test_a_locked_table(running: Running, table: str) -> None:
    form = running.form()
    async with running.database.transaction() as conn:
        await conn.execute(f"LOCK TABLE {table}")
        answer = await running.sign(form)
        if table == "signature":  # which signing does not need
            assert answer.status_code == 303
        else:
            check_put_off(answer, typed_in(form))
        names = await in_time(running.client.get(f"/en/{SLUG}/signatories?q=vera"))
        assert names.status_code == (503 if table == "signature" else 200)
        await read_all(running)
        assert (await conn.fetchval("SELECT count(*) FROM pg_stat_activity")) < 30, "refused ones go on waiting there"
    async with asyncio.timeout(120):
        while (await running.sign(fields_of(answer) if answer.status_code == 503 else form)).status_code != 303:
            await asyncio.sleep(0.05)
    assert await pending(running, form) == 1


async def test_no_connections_left(running: Running) -> None:
    """Every connection is taken, and ours are cut."""
    form = running.form()
    async with running.database.connection() as conn:
        await conn.execute("ALTER SYSTEM SET max_connections = 12")
    await running.server.end(signal.SIGINT)
    await running.server.start()
    others: list[databases.Connection] = [await databases.connect(running.server.url)]
    try:
        await take_the_rest(running, others)
        answer = await running.sign(form)
        check_put_off(answer, typed_in(form))
        assert "takes no more connections" in await running.ready()
        await read_all(running)
    finally:
        for other in others:
            await other.close()
    await running.until_ready()
    assert (await running.sign(fields_of(answer))).status_code == 303
    assert await pending(running, form) == 1


async def take_the_rest(running: Running, others: list[databases.Connection]) -> None:
    """Cut the web's connections, and take what becomes free, until it has none."""
    async with asyncio.timeout(120):
        while await cut_all_but(others) or await has_room(running, others):
            pass


async def has_room(running: Running, others: list[databases.Connection]) -> bool:
    """Take one more connection; return False if there is none."""
    try:
        others.append(await databases.connect(running.server.url))
    except Unavailable:
        return False
    return True


async def cut_all_but(others: list[databases.Connection]) -> int:
    """Cut all connections but these; return how many there were."""
    number: int = await others[0].fetchval(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
        " WHERE backend_type = 'client backend' AND NOT pid = ANY($1)",
        [other.get_server_pid() for other in others],
    )
    return number
