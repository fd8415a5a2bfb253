"""Restarts behind nginx and Caddy as shipped: no reader and no signer sees an error, and no form is lost or sent twice.

Both proxies stand before the same processes at once.
"""

import asyncio
import contextlib
import itertools
import os
import signal
import socket
import sys
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import pytest

from petition.core.database import Database, opened
from petition.core.settings import Process, load
from tests.conftest import fresh_database
from tests.deploy.proxies import running, trusting
from tests.faults.processes import ROOT
from tests.faults.processes import Process as Running
from tests.faults.test_orphans import children_of
from tests.running import SLUG, Installation, environment, free_port

if TYPE_CHECKING:
    from tests.conftest import Conn

ENOUGH = 500  # answers through each of the two
VISITORS = 5  # behind each proxy
PAUSE = 0.01
SERVE = ("-m", "petition", "serve")
# As systemd does it: the socket is the third descriptor, and the environment says for which process it is.
HANDED = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""


@dataclass
class Visitors:
    """People who read and sign behind one proxy, each in a connection that stays open; ``client`` leads there."""

    client: httpx2.AsyncClient
    digest: str
    name: str
    answers: Counter[str] = field(default_factory=Counter)
    signed: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    streams: int = 0
    are_done: bool = False

    def __post_init__(self) -> None:
        self._numbers = itertools.count()

    async def live(self) -> None:
        """Read and sign in turn until the test says that it is enough."""
        while not self.are_done:
            await self.count("read", 200, self.client.get(f"/en/{SLUG}/signatories?q=n{next(self._numbers)}"))
            await self.sign()
            await asyncio.sleep(PAUSE)

    async def sign(self) -> None:
        address = f"{self.name}{next(self._numbers)}@letters.example"
        form = {"version": self.digest, "kind": "person", "name": "Vera Novak", "email": address}
        form |= {"visibility": "public", "consent": "yes"}
        if await self.count("sign", 303, self.client.post(f"/en/{SLUG}/sign", data=form)):
            self.signed.append(address)

    async def count(self, what: str, wanted: int, asked: "asyncio.Future[httpx2.Response] | object") -> bool:
        try:
            answer = await asked  # type: ignore[misc]
        except httpx2.TransportError as error:
            self.errors.append(f"{what}: {error!r}")
            return False
        self.answers[what] += 1
        if answer.status_code != wanted:
            self.errors.append(f"{what}: {answer.status_code}")
        return bool(answer.status_code == wanted)

    async def listen(self) -> None:
        """Listen to the count, as a browser does: when a stream ends, begin another."""
        while not self.are_done:
            try:
                async with self.client.stream("GET", f"/api/v1/letters/{SLUG}/events") as events:
                    if events.status_code != 200:
                        self.errors.append(f"listen: {events.status_code}")
                    self.streams += 1
                    async for _ in events.aiter_raw():
                        if self.are_done:
                            return
            except httpx2.RemoteProtocolError:
                pass  # a stream may break off; the next one must not
            except httpx2.TransportError as error:
                self.errors.append(f"listen: {error!r}")


@dataclass
class Town:
    """An installation's environment, its database, and those who visit it."""

    environ: dict[str, str]
    database: Database
    folder: Path
    visitors: list[Visitors]

    async def check(self, streams: int) -> None:
        """Wait until there were enough visits, let everyone go, and look whether all went well."""
        while min(sum(visitors.answers.values()) for visitors in self.visitors) < ENOUGH:
            await asyncio.sleep(0.05)
        for visitors in self.visitors:
            visitors.are_done = True
        async with self.database.connection() as conn:
            rows = await conn.fetchval("SELECT count(*) FROM pending")
        for visitors in self.visitors:
            assert not visitors.errors, (visitors.name, Counter(visitors.errors))
            assert visitors.streams > streams
        signed = [address for visitors in self.visitors for address in visitors.signed]
        assert len(signed) == len(set(signed))
        # Those whose answer is under way may have a row already.
        assert len(signed) <= rows <= len(signed) + VISITORS * len(self.visitors)


@asynccontextmanager
async def web(
    town: Town, port: int, arguments: str = "", handed: socket.socket | None = None
) -> AsyncIterator[Running]:
    """Run the web; with a socket that is handed over as systemd does it. It is ready when the block begins."""
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **town.environ, "PORT": str(port)}
    fds = () if handed is None else (handed.fileno(),)
    begin_with = () if handed is None else ("-c", HANDED, str(handed.fileno()))
    command = (sys.executable, *begin_with, *SERVE, *arguments.split())
    log = town.folder / f"web-{port}.log"
    with log.open("ab") as output:
        begin = output.tell()
        process = await asyncio.create_subprocess_exec(
            *command, env=environ, cwd="/", stdout=output, stderr=output, pass_fds=fds
        )
    web = Running(process, log)
    try:
        await said(web, "web process started", begin, 2 if "--workers 2" in arguments else 1)
        yield web
    finally:
        with contextlib.suppress(ProcessLookupError):
            assert await web.stop() == 0


async def said(web: Running, message: str, begin: int, times: int) -> None:
    """Wait until it has logged ``message`` so often after the first ``begin`` bytes."""
    async with asyncio.timeout(120):
        while web.log.read_text(encoding="utf-8")[begin:].count(message) < times:
            assert web.process.returncode is None, web.log.read_text(encoding="utf-8")
            await asyncio.sleep(0.02)


@pytest.fixture
async def town(cluster: str, admin: "Conn", published: str, tmp_path: Path) -> AsyncIterator[Town]:
    async with fresh_database(cluster, admin, published) as url, opened(url, max_size=2) as database:
        limits = {name: "100000000" for name in ("LIMIT_NETWORK", "LIMIT_FORMS", "LIMIT_READING")}
        base = {"BASE_URL": f"https://localhost:{free_port()}", "CAPTCHA": "off"}
        environ = environment(tmp_path, url, 0, **base, **limits)
        yield Town(environ, database, tmp_path, [])


@asynccontextmanager
async def visited(town: Town, ports: Sequence[int]) -> AsyncIterator[None]:
    """Have people visit the instances at ``ports`` through either proxy until the block ends."""
    site = Installation(town.environ, load(town.environ, role=Process.WEB), town.database, httpx2.AsyncClient())
    digest, host = await site.digest(), town.environ["BASE_URL"].removeprefix("https://")
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as group:
        for name in ("nginx", "caddy"):
            port, folder = free_port(), town.folder / name
            folder.mkdir()
            await stack.enter_async_context(running(name, folder, ports[0], port, free_port(), *ports[1:]))
            client = httpx2.AsyncClient(
                base_url=f"https://localhost:{port}", headers={"host": host}, verify=trusting(), timeout=60
            )
            visitors = Visitors(await stack.enter_async_context(client), digest, name)
            town.visitors.append(visitors)
            for _ in range(VISITORS):
                group.create_task(visitors.live())
            group.create_task(visitors.listen())
        yield
    await site.client.aclose()


async def test_two_instances_are_restarted_in_turn(town: Town) -> None:
    ports = (free_port(), free_port())
    async with AsyncExitStack() as stack:
        webs = [await stack.enter_async_context(web(town, port)) for port in ports]
        async with visited(town, ports):
            for old, port in zip(webs, ports, strict=True):
                assert await old.stop() == 0
                await stack.enter_async_context(web(town, port))
            await town.check(streams=1)


async def test_the_one_instance_is_reloaded_and_restarted_at_a_socket_that_stays_open(town: Town) -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        async with AsyncExitStack() as stack:
            old = await stack.enter_async_context(web(town, port, "--workers 2", held))
            before = set(children_of(old.process.pid))
            async with visited(town, [port]):
                old.process.send_signal(signal.SIGHUP)
                await said(old, "the web processes have been replaced", 0, 1)
                assert not before & set(children_of(old.process.pid)) or len(before) == 2
                assert await old.stop() == 0
                await stack.enter_async_context(web(town, port, "--workers 2", held))
                await town.check(streams=1)
