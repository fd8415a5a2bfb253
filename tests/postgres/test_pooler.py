"""PgBouncer in transaction mode before the database: everything works by one parameter, and without it says which."""

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from petition.core.database import connect, opened
from petition.core.errors import Unavailable
from petition.postgres.cluster import PORT, ROLE
from tests.commands import run
from tests.faults.server import Server
from tests.running import PRIVATE_KEY, SLUG, code_in, environment, free_port, installation, link_in, working

PATIENCE = 60  # seconds
SIGNERS = 60
CONFIGURATION = """
[databases]
* = host={sockets} port={server_port} user={role}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 3
max_client_conn = 200
{user}
"""


@pytest.fixture
async def pooler(open_folder: Path) -> AsyncIterator[str]:
    """Give the URL of an empty database behind a PgBouncer that has three connections to it, without a parameter."""
    server, port = Server(open_folder), free_port()
    await server.start()
    await _trust_all_accounts(server.url)
    sockets = server.url.split("host=")[1].split("&")[0]
    for path in (Path(sockets) / f".s.PGSQL.{PORT}", Path(sockets), Path(sockets).parent, open_folder):
        path.chmod(0o777)
    user = "user = nobody" if os.geteuid() == 0 else ""  # it refuses to run as root
    file = open_folder / "pgbouncer.ini"
    file.write_text(CONFIGURATION.format(sockets=sockets, server_port=PORT, role=ROLE, port=port, user=user))
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    assert program, "PgBouncer is not installed: see tools/servers.sh"
    process = await asyncio.create_subprocess_exec(
        program, str(file), stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL, cwd="/"
    )
    try:
        await _until_open(process, port)
        yield f"postgresql://{ROLE}@127.0.0.1:{port}/petition"
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        await server.end(signal.SIGINT)


async def _trust_all_accounts(url: str) -> None:
    """Let PgBouncer in, which does not run as root."""
    conn = await connect(url)
    Path(await conn.fetchval("SHOW hba_file")).write_text("local all all trust\n")
    await conn.execute("SELECT pg_reload_conf()")
    while await conn.fetchval("SELECT bool_or(auth_method <> 'trust') FROM pg_hba_file_rules"):
        await asyncio.sleep(0.05)
    await conn.close()


async def _until_open(process: asyncio.subprocess.Process, port: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            assert process.returncode is None, "PgBouncer did not start"
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.05)


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
    assert [line.partition(": ")[0] for line in lines] == ["keeper", "relay 127.0.0.1:9"]


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
