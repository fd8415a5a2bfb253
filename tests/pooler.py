"""A PgBouncer in transaction mode before a server of a test's own."""

import asyncio
import contextlib
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from petition.core.database import connect
from petition.postgres.cluster import PORT, ROLE
from tests.faults.server import Server
from tests.running import free_port

PATIENCE = 60  # seconds
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


@dataclass
class Pooler:
    """``url`` has no parameter yet; ``process`` takes PgBouncer's signals."""

    url: str
    process: asyncio.subprocess.Process


@asynccontextmanager
async def pooled(server: Server, folder: Path) -> AsyncIterator[Pooler]:
    """Run a PgBouncer before ``server``, whose files are below ``folder``; it has three connections to it."""
    port = free_port()
    await _trust_all_accounts(server.url)
    sockets = Path(server.url.split("host=")[1].split("&")[0])
    (sockets / f".s.PGSQL.{PORT}").chmod(0o777)
    for path in (sockets, *sockets.parents[:2], folder):
        path.chmod(path.stat().st_mode | 0o055)
    user = "user = nobody" if os.geteuid() == 0 else ""  # it refuses to run as root
    file = folder / "pgbouncer.ini"
    file.write_text(CONFIGURATION.format(sockets=sockets, server_port=PORT, role=ROLE, port=port, user=user))
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    assert program, "PgBouncer is not installed: see tools/servers.sh"
    process = await asyncio.create_subprocess_exec(
        program, str(file), stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL, cwd="/"
    )
    try:
        await _until_open(process, port)
        yield Pooler(f"postgresql://{ROLE}@127.0.0.1:{port}/petition", process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


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
