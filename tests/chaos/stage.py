"""The installation on which it happens: a PostgreSQL behind a proxy, web processes, a worker, a relay, a manager."""

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import asyncpg

from petition.core.database import connect, migrate, opened
from petition.core.errors import Unavailable
from petition.core.settings import Process, load
from petition.postgres.cluster import PORT
from tests import rows
from tests.chaos.clients import Connection, Crowd
from tests.chaos.ledger import Ledger
from tests.chaos.post import Post
from tests.chaos.proxy import Proxy
from tests.faults.processes import command, worker_environ
from tests.faults.server import Server
from tests.running import SLUG, environment, free_port, publish

HOST = "letters.localhost:8000"
METRICS_TOKEN = "of the stage alone"
FAKE_TIME = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)  # Debian's package faketime
RESTART_AFTER = 0.5  # seconds, as the manager of processes has it
PATIENCE = 120.0  # seconds for everything to start
BOTH = """
SELECT c.people AS counted, (SELECT count(*) FROM signature s WHERE s.letter = l.id AND s.state = 'confirmed') AS rows
FROM letter l JOIN count c ON c.letter = l.id WHERE l.slug = $1
"""


@dataclass
class Managed:
    """A command that is started again whenever it ends, as systemd does it."""

    arguments: str
    environ: Mapping[str, str]
    log: Path
    starts: int = 0
    pid: int = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Managed"]:
        """Have it run while the block does."""
        task = asyncio.create_task(self._keep())
        try:
            yield self
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _keep(self) -> None:
        while True:
            async with command(self.arguments, self.environ, self.log) as process:
                self.starts, self.pid = self.starts + 1, process.process.pid
                await process.process.wait()
            await asyncio.sleep(RESTART_AFTER)

    def send(self, number: signal.Signals) -> None:
        """Send it a signal; it may have just ended."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def children(self) -> list[int]:
        """Return the ids of its child processes."""
        with contextlib.suppress(OSError):
            return [int(pid) for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]
        return []


@dataclass
class Stage:
    """All parts, and those who come."""

    folder: Path
    server: Server
    proxy: Proxy
    post: Post
    several: Managed  # ``serve --workers 2``
    single: Managed  # ``serve``
    worker: Managed
    crowd: Crowd
    seconds: float = 5.0  # that a lasting fault lasts

    @property
    def ledger(self) -> Ledger:
        return self.crowd.ledger

    def move_clock(self, ahead: timedelta) -> None:
        """Move the clock of the single web and of the worker; all others' stay, and people come to that web."""
        seconds = int(ahead.total_seconds())
        (self.folder / "clock").write_text(f"{seconds:+d}\n", encoding="ascii")
        self.crowd.move_clock(ahead)


@asynccontextmanager
async def staged(folder: Path, *, rate: float, seed: int, own_disk: bool = False) -> AsyncIterator[Stage]:
    """Set everything up below ``folder``, which the account of PostgreSQL can enter; people come when told."""
    ledger = Ledger()
    async with _database(folder, own_disk=own_disk) as server:
        socket = server.url.partition("host=")[2].partition("&")[0]
        proxy = Proxy(f"{socket}/.s.PGSQL.{PORT}")
        async with proxy.listening():
            url = f"postgresql://petition@127.0.0.1:{proxy.port}/petition"
            more = {"BASE_URL": f"http://{HOST}", "LIMIT_LETTER": "1000000", "METRICS_TOKEN": METRICS_TOKEN}
            environ = environment(folder / "own", url, free_port(), **more)
            del environ["DATABASE_PATIENCE"]  # longer in other tests; here as shipped
            async with opened(server.url, max_size=2) as database:
                await publish(load(environ, role=Process.WEB), database)
                async with database.connection() as conn:
                    letter = await rows.letter(conn)
            (folder / "clock").write_text("+0\n", encoding="ascii")
            clock = {
                "LD_PRELOAD": str(FAKE_TIME),
                "FAKETIME_TIMESTAMP_FILE": str(folder / "clock"),
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
                "FAKETIME_CACHE_DURATION": "1",
            }
            moved = environ | clock if FAKE_TIME else environ
            ports = [free_port(), free_port()]
            crowd = Crowd(ledger, letter, ports, HOST, rate, seed)
            async with contextlib.AsyncExitStack() as stack:
                post = await stack.enter_async_context(Post(crowd.arrived).listening())
                parts = (
                    Managed(f"serve --workers 2 --port {ports[0]}", environ, folder / "several.log"),
                    Managed(f"serve --port {ports[1]}", moved, folder / "single.log"),
                    Managed("worker", worker_environ(moved, post.port), folder / "worker.log"),
                )
                several, single, worker = [await stack.enter_async_context(part.running()) for part in parts]
                await stack.enter_async_context(_watching(server, ledger))
                stage = Stage(folder, server, proxy, post, several, single, worker, crowd)
                await _until_ready(stage)
                yield stage


async def _until_ready(stage: Stage) -> None:
    """Wait until web and worker have started."""
    connection = Connection(Ledger(), 0, HOST)
    async with asyncio.timeout(PATIENCE):
        for port in stage.crowd.ports:
            connection.port = port
            while (await connection.ask("ready", "GET /readyz", "203.0.113.252"))[0] != 200:
                await asyncio.sleep(0.1)
            connection.close()


@asynccontextmanager
async def _database(folder: Path, *, own_disk: bool) -> AsyncIterator[Server]:
    data = folder / "data"
    data.mkdir(mode=0o711)
    (folder / "own").mkdir()
    with _small_disk(data) if own_disk else contextlib.nullcontext():
        server = await asyncio.to_thread(Server, data)
        await server.start()
        try:
            await migrate(server.url)
            yield server
        finally:
            await server.end(signal.SIGINT)


@contextmanager
def _small_disk(folder: Path) -> Iterator[None]:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400m,mode=0711", "chaos", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@asynccontextmanager
async def _watching(server: Server, ledger: Ledger) -> AsyncIterator[None]:
    """Compare count and rows four times a second while the block runs, on a line that no fault touches."""
    task = asyncio.create_task(_watch(server, ledger))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


LOST = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, Unavailable)


async def _watch(server: Server, ledger: Ledger) -> None:
    while True:
        with contextlib.suppress(*LOST):
            conn = await connect(server.url)
            try:
                while True:
                    row = await conn.fetchrow(BOTH, SLUG)
                    assert row is not None
                    ledger.snapshots.append((row["counted"], row["rows"]))
                    await asyncio.sleep(0.25)
            finally:
                conn.terminate()
        await asyncio.sleep(0.25)
