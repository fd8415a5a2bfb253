"""PgBouncer in transaction mode before the database: everything works by one parameter, and without it says which."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from petition.cli import check_pooler
from petition.core.database import connect, opened
from petition.core.database_failures import POOLER, STATEMENT_MODE
from petition.core.errors import Unavailable
from petition.postgres.cluster import ROLE
from tests.commands import run
from tests.faults.server import Server
from tests.postgres.pooler import open_to_pooler, pooling
from tests.running import PRIVATE_KEY, SLUG, code_in, environment, free_port, installation, link_in, working

SIGNERS = 60
MISSING = check_pooler.MISSING
ALL_IGNORED = "ignore_startup_parameters = jit, lock_timeout, default_transaction_read_only"  # as the handbook says


@dataclass(frozen=True, slots=True)
class Pooled:
    """An empty database, and what PgBouncer needs to know to stand before it."""

    target: str
    folder: Path

    @asynccontextmanager
    async def by(self, mode: str = "transaction", more: str = "") -> AsyncIterator[str]:
        """Give a URL of the database that leads through a PgBouncer of three connections, without a parameter."""
        async with pooling(self.folder, self.target, mode=mode, more=more) as running:
            yield f"postgresql://{ROLE}@127.0.0.1:{running.port}/petition"


@pytest.fixture
async def pooled(open_folder: Path) -> AsyncIterator[Pooled]:
    server = Server(open_folder)
    await server.start()
    yield Pooled(await open_to_pooler(server, open_folder), open_folder)
    await server.end(signal.SIGINT)


@pytest.fixture
async def pooler(pooled: Pooled) -> AsyncIterator[str]:
    async with pooled.by() as url:
        yield url


async def test_without_the_parameter_the_cause_and_the_cure_are_named(pooler: str, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"statement_cache_size=0"):
        await connect(pooler)
    code, output = await run("migrate", {"DATABASE_URL": pooler, "DATA_DIR": str(tmp_path)})
    assert (code, output.count("\n")) == (1, 1)
    assert "add ?statement_cache_size=0 to DATABASE_URL" in output


async def test_the_main_road_leads_through_a_pooler(pooler: str, tmp_path: Path) -> None:
    url = f"{pooler}?statement_cache_size=0"
    environ = environment(tmp_path, url, free_port())
    code, output = await run("migrate", environ)
    assert code == 0, output
    assert await run("migrate", environ) == (0, "nothing to do\n")
    async with installation(url, tmp_path) as site, working(site.environ, site.inbox):
        addresses = [f"vera{number}@letters.example" for number in range(SIGNERS)]
        answers = await asyncio.gather(*(site.sign(email=address) for address in addresses))
        assert {answer.status_code for answer in answers} == {303}
        links = [link_in(await site.mail_to(address)) for address in addresses]
        answers = await asyncio.gather(*(site.client.post(link) for link in links[1:]))
        assert {answer.headers["location"].partition("?")[0] for answer in answers} == {f"/en/{SLUG}/signed"}
        form = {"email": addresses[0], "code": code_in(await site.mail_to(addresses[0]))}
        assert (await site.client.post(f"/en/{SLUG}/confirm", data=form)).status_code == 303
        assert (await site.count())["people"] == SIGNERS
        await _import_and_export(site.environ, tmp_path)
        await site.page_when(f"/en/{SLUG}", lambda page: str(SIGNERS + 2) in page)
        assert (await site.client.get(f"/en/{SLUG}/signatories?kind=person&q=vera")).status_code == 200
    await _refused_once_there_are_rows(url, environ)
    mail = {"SMTP_URLS": "smtp://127.0.0.1:9", "MAIL_FROM": "a@letters.example", "CONTACT_PRIVATE_KEY": PRIVATE_KEY}
    code, output = await run("check", environ | mail)
    usual = ("fsync", "full_page_writes", "log_", "no worker")  # how the tests' server is set up; it has stopped
    lines = [line for line in output.splitlines() if not line.startswith(tuple(f"database: {name}" for name in usual))]
    assert "database: through a pooler in transaction mode" in lines
    assert {line.partition(": ")[0] for line in lines} == {"database", "keeper", "relay 127.0.0.1:9"}
    assert len(lines) == 3, output


async def _refused_once_there_are_rows(url: str, environ: dict[str, str]) -> None:
    """See that an index of a table with rows is not built through a pooler, which would hold the table."""
    conn = await connect(url)
    [row] = await conn.fetch("DELETE FROM migration WHERE number = 56 RETURNING number, name, checksum")
    code, output = await run("migrate", environ)
    assert (code, "past the pooler" in output) == (1, True), output
    await conn.execute("INSERT INTO migration (number, name, checksum) VALUES ($1, $2, $3)", *row)
    await conn.close()
    assert await run("migrate", environ) == (0, "nothing to do\n")


async def _import_and_export(environ: dict[str, str], folder: Path) -> None:
    (folder / "list.csv").write_text("kind,name,visibility\nperson,Anna,public\nperson,Boris,public\n")
    code, output = await run(f"signatures import {SLUG} {folder / 'list.csv'}", environ)
    assert code == 0, output
    code, output = await run(f"signatures export {SLUG}", environ)
    assert code == 0
    assert output.count("Vera Novak") == SIGNERS


async def test_statements_outside_a_transaction_meet_the_server_that_prepared_them(pooler: str) -> None:
    async def ask(number: int) -> int:
        async with database.connection() as conn:
            return int(await conn.fetchval("SELECT $1::integer + pg_backend_pid() * 0", number))

    async with opened(f"{pooler}?statement_cache_size=0", max_size=10) as database:
        assert await asyncio.gather(*map(ask, range(500))) == list(range(500))


@pytest.mark.parametrize(
    ("mode", "more", "query", "findings", "notes"),
    [
        ("transaction", "", "?statement_cache_size=0", [], ["through a pooler in transaction mode"]),
        ("transaction", "ignore_startup_parameters = jit", "", [MISSING], ["through a pooler in transaction mode"]),
        ("session", ALL_IGNORED, "", [], ["through a pooler in session mode"]),
        ("session", "ignore_startup_parameters = jit", "", [POOLER], ["through a pooler in session mode"]),
        ("session", f"{ALL_IGNORED}\ndefault_pool_size = 1", "", [check_pooler.TOO_FEW], []),
        ("statement", "", "?statement_cache_size=0", [STATEMENT_MODE], []),
        ("statement", ALL_IGNORED, "", [STATEMENT_MODE], []),
        ("transaction", "", "", [POOLER], []),
    ],
)
async def test_check_tells_of_each_mode(
    pooled: Pooled,
    mode: str,
    more: str,
    query: str,
    findings: list[str],
    notes: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(check_pooler, "PATIENCE", 2.0)
    seen: list[str] = []
    async with pooled.by(mode, more) as url:
        assert (await _findings(f"{url}{query}", seen), seen) == (findings, notes)


async def _findings(url: str, notes: list[str]) -> list[str]:
    try:
        return [finding async for finding in check_pooler.findings(url, notes.append)]
    except Unavailable as error:
        return [str(error)]


async def test_check_says_that_jit_is_on_where_no_session_can_turn_it_off(pooled: Pooled) -> None:
    async with pooled.by() as url:
        conn = await connect(f"{url}?statement_cache_size=0")
        await conn.execute("ALTER DATABASE petition SET jit = on")
        await conn.close()
    async with pooled.by() as url:
        assert await _findings(f"{url}?statement_cache_size=0", []) == [check_pooler.JIT]


async def test_check_says_that_no_pooler_needs_no_parameter(database_url: str) -> None:
    for query, number in (("", 0), ("&statement_cache_size=0", 1)):
        notes: list[str] = []
        assert await _findings(f"{database_url}{query}", notes) == []
        assert len(notes) == number
