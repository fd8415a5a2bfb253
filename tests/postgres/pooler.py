"""PgBouncer before a server, for as long as a block of a test runs."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from petition.core.database import connect
from petition.postgres.cluster import PORT, ROLE
from tests.deploy.proxies import program, until_open
from tests.faults.server import Server
from tests.running import free_port

CONFIGURATION = """
[databases]
* = {target}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
default_pool_size = 3
max_client_conn = 200
{more}
"""


@dataclass(frozen=True, slots=True)
class Pooler:
    """A PgBouncer on 127.0.0.1; ``process`` takes its signals."""

    port: int
    process: asyncio.subprocess.Process


async def open_to_pooler(server: Server, folder: Path) -> str:
    """Let a PgBouncer into ``server``, whose files are below ``folder``: it does not run as root. Return its target."""
    conn = await connect(server.url)
    Path(await conn.fetchval("SHOW hba_file")).write_text("local all all trust\n")
    await conn.execute("SELECT pg_reload_conf()")
    while await conn.fetchval("SELECT bool_or(auth_method <> 'trust') FROM pg_hba_file_rules"):
        await asyncio.sleep(0.05)
    await conn.close()
    sockets = Path(server.url.split("host=")[1].split("&")[0])
    (sockets / f".s.PGSQL.{PORT}").chmod(0o777)
    for path in (sockets, *sockets.parents[:2], folder):
        path.chmod(path.stat().st_mode | 0o055)
    return f"host={sockets} port={PORT} user={ROLE}"


@asynccontextmanager
async def pooling(folder: Path, target: str, *, mode: str = "transaction", more: str = "") -> AsyncIterator[Pooler]:
    """Run a PgBouncer with its files in ``folder`` before ``target`` (its words: host, port, user); it lets all in."""
    port = free_port()
    if os.geteuid() == 0:  # it refuses to run as root
        more = f"{more}\nuser = nobody"
    file = folder / f"pgbouncer-{port}.ini"
    file.write_text(CONFIGURATION.format(target=target, port=port, mode=mode, more=more))
    log = file.with_suffix(".log")
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(program("pgbouncer"), str(file), stdout=out, stderr=out, cwd="/")
    try:
        await until_open(process, port, log)
        yield Pooler(port, process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
