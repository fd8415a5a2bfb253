"""PgBouncer before a server, for as long as a block of a test runs."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.deploy.proxies import program, until_open
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


@asynccontextmanager
async def pooling(folder: Path, target: str, *, mode: str = "transaction", more: str = "") -> AsyncIterator[int]:
    """Run a PgBouncer before ``target`` (its own words: host, port, user), which lets all in; give its port."""
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
        yield port
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
