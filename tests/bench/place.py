"""Where it is measured: an embedded cluster as shipped, three databases, web processes as operators run them."""

import asyncio
import contextlib
import os
import pickle
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen

from petition.core import database
from petition.core.child_processes import die_with_parent
from petition.core.database import connect, migrate
from petition.core.encryption import Wrapper
from petition.core.ids import LetterId
from petition.core.settings import Process, Settings, load
from petition.letters import published
from petition.letters.model import Letter
from petition.postgres import binaries
from tests.bench import bare, bulk, desk_fill, fill
from tests.bench.fill import Furnish
from tests.conftest import in_database
from tests.running import KEY, SLUG, environment, free_port, publish

FEW = 1000  # signatures of the letter that the big one is compared with
MOST_COPIED = 2_000_000  # signatures; without a count log if there are more: what is compared reads none
MANY = "999999999"  # everybody comes from this machine
PLAIN = "pgbench"  # the database in which pgbench inserts
PETITION = (sys.executable, "-m", "petition")
SERVE = (*PETITION, "serve")
PATIENCE = 300  # seconds for a server to come up, on a machine that does much else
# What ``petition.signatures.queries.ADD_PENDING`` does, for one person: both rows in one statement, nothing looked up,
# nothing computed, as long as what visitors leave. Prepared once; each is a commit of its own.
ONE_BY_ONE = f"""\
\\set id random(1, 9223372036854775806)
WITH added AS (
  INSERT INTO pending (letter, id, kind, digest, fields, sealed, version, consent, read_lang, mail_lang, network)
  VALUES (1, :id, 'person', uuid_send(gen_random_uuid()), '\\x{"5a" * 140}', '\\x{"a5" * 70}', 1, 1, 'ru', 'ru',
          uuid_send(gen_random_uuid()))
  RETURNING letter, id, kind, digest, mail_lang
)
INSERT INTO outbox (letter, purpose, kind, pending, digest, lang)
SELECT letter, 'sign', kind, id, digest, mail_lang FROM added;
"""


@dataclass
class Server:
    """A running process that serves HTTP."""

    port: int
    process: Popen[bytes]

    def cpu(self) -> float:
        """Return the seconds of processor time it has used (0 where /proc is missing)."""
        return cpu_of(self.process.pid)

    def resident(self) -> float:
        """Return the resident megabytes (MiB)."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert found
        return int(found[1]) / 1024


@dataclass
class Web(Server):
    """A web process with a letter that ``rows`` have signed."""

    url: str
    rows: int
    letter: Letter


def cpu_of(pid: int) -> float:
    """Return the seconds of processor time that a process and its ended children have used (0 without /proc)."""
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    return 0.0


class Place:
    """The cluster of ``folder``; what is filled stays there for the next run."""

    def __init__(self, url: str, folder: Path) -> None:
        self._url = url
        self._folder = folder

    def url(self, name: str) -> str:
        """Return the address of one database."""
        return in_database(self._url, name)

    async def prepare(self, rows: int, only: str | None) -> None:
        """Make the databases that are missing, for everything or for ``only`` one part."""
        road = [(PLAIN, 0), (f"letters_{FEW}", FEW), (f"letters_{rows}", rows)]
        desk = [(f"desk_{FEW}", FEW), (f"desk_{rows}", rows)]
        admin = await connect(self._url)
        try:
            known = {row["datname"] for row in await admin.fetch("SELECT datname FROM pg_database")}
            for name, wanted in {
                None: [*road, *desk],
                "desk": desk,
                "mail": [],
                "log": road[1:2],
                "keeper": road[1:2],
                "million": [],
                "mixed": [],
                "processes": road[1:2],
                "bytes": road[2:],
                "flat": road[1:],
                "acts": road[1:],
                "idle": [],
            }.get(only, road):
                if name not in known:
                    await admin.execute("DROP DATABASE IF EXISTS filling WITH (FORCE)")
                    await admin.execute("CREATE DATABASE filling")
                    await self._fill(wanted, desk_fill.furnish if name.startswith("desk") else None)
                    await admin.execute(f"ALTER DATABASE filling RENAME TO {name}")
            await admin.execute("CHECKPOINT")
        finally:
            await admin.close()

    async def _fill(self, rows: int, furnish: Furnish | None) -> None:
        url = self.url("filling")
        await migrate(url)
        async with database.opened(url, max_size=2) as db:
            await publish(self._settings_of(url, 1), db)
        if rows and furnish is None:
            return await bulk.sign(url, LetterId(1), rows, is_logged=rows <= MOST_COPIED)
        conn = await connect(url)
        if rows:
            await fill.sign(conn, LetterId(1), rows, furnish)
        else:
            # What is compared with our batches is the same as before there were statistics.
            await conn.execute("ALTER TABLE pending DISABLE TRIGGER USER")
        await conn.close()

    def _settings_of(self, url: str, port: int) -> Settings:
        return load(environment(self._folder, url, port), role=Process.WEB)

    @contextlib.asynccontextmanager
    async def web(self, rows: int) -> AsyncIterator[Web]:
        """Run one web process over a copy of the letter that ``rows`` have signed; over itself if it is huge."""
        if rows > MOST_COPIED:
            async with self._serving(self.url(f"letters_{rows}"), free_port(), rows) as web:
                yield web
            return
        url, port = self.url(f"run_{rows}"), free_port()
        admin = await connect(self._url)
        await admin.execute(f"DROP DATABASE IF EXISTS run_{rows} WITH (FORCE)")
        await admin.execute(f"CREATE DATABASE run_{rows} TEMPLATE letters_{rows} STRATEGY file_copy", timeout=600)
        await admin.close()
        async with self._serving(url, port, rows) as web:
            yield web

    @contextlib.asynccontextmanager
    async def web_on(self, url: str) -> AsyncIterator[Web]:
        """Run one web process over a database as it is."""
        async with self._serving(url, free_port(), 0) as web:
            yield web

    @contextlib.asynccontextmanager
    async def beside(self, web: Web, command: Sequence[str], more: Mapping[str, str]) -> AsyncIterator[Web]:
        """Run another web process over the same database, by another command and with further settings."""
        async with self._serving(web.url, free_port(), web.rows, command, more) as another:
            yield another

    async def petition(self, arguments: str, url: str, more: Mapping[str, str]) -> None:
        """Run a command of the program on a database."""
        process = await asyncio.create_subprocess_exec(
            *(*PETITION, *arguments.split()), env={**os.environ, **environment(self._folder, url, 1), **more}
        )
        if await process.wait():
            raise RuntimeError(f"petition {arguments} failed")

    @contextlib.asynccontextmanager
    async def unlogged(self, beside: Web) -> AsyncIterator[Web]:
        """Run a web process over the same database that writes nothing for the count log."""
        command = [sys.executable, "-m", "tests.bench.unlogged", "serve"]
        async with self._serving(beside.url, free_port(), beside.rows, command) as web:
            yield web

    @contextlib.asynccontextmanager
    async def published(self, name: str) -> AsyncIterator[str]:
        """Give the address of a database with the sample letter, which nobody has signed."""
        async with self.empty(name) as url:
            await migrate(url)
            async with database.opened(url, max_size=2) as db:
                await publish(self._settings_of(url, 1), db)
            yield url

    @property
    def folder(self) -> Path:
        return self._folder

    @contextlib.asynccontextmanager
    async def empty(self, name: str) -> AsyncIterator[str]:
        """Give the address of an empty database."""
        admin = await connect(self._url)
        try:
            await admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
            await admin.execute(f"CREATE DATABASE {name}")
        finally:
            await admin.close()
        yield self.url(name)

    @contextlib.asynccontextmanager
    async def desk(self, rows: int) -> AsyncIterator[Web]:
        """Run one web process over the letter that the desk's pages are read of; nobody changes it."""
        async with self._serving(self.url(f"desk_{rows}"), free_port(), rows) as web:
            yield web

    @contextlib.asynccontextmanager
    async def over(self, url: str, settings: Mapping[str, str]) -> AsyncIterator[Web]:
        """Run one web process over any database with the sample letter."""
        async with self._serving(url, free_port(), 0, settings=settings) as web:
            yield web

    @contextlib.asynccontextmanager
    async def _serving(
        self, url: str, port: int, rows: int, command: Sequence[str] = SERVE, settings: Mapping[str, str] | None = None
    ) -> AsyncIterator[Web]:
        await migrate(url)  # it may have been filled before the newest migration
        conn = await connect(url)
        letter = await published.read(conn, Wrapper([KEY]), LetterId(1))
        await conn.close()
        more = environment(self._folder, url, port, LIMIT_LETTER=MANY, LIMIT_READING=MANY, LIMIT_FORMS=MANY)
        more |= settings or {}
        with running([*command], port, more, self._folder / f"web-{rows}.log") as own:
            await up(port, f"/en/{SLUG}")
            yield Web(port, own, url, rows, letter)

    @contextlib.asynccontextmanager
    async def bare(self, model: Web, path: str) -> AsyncIterator[Server]:
        """Run the bare application that answers as ``model`` does."""
        port, file = free_port(), self._folder / "answer.pickle"
        file.write_bytes(pickle.dumps(bare.fetch(model.port, path)))
        command = [sys.executable, "-m", "tests.bench.bare", str(port), str(file)]
        with running(command, port, {}, self._folder / "bare.log") as own:
            await up(port, path)
            yield Server(port, own)

    @contextlib.asynccontextmanager
    async def bare_form(self) -> AsyncIterator[Server]:
        """Run the bare application that parses a form and does nothing with it."""
        port = free_port()
        command = [sys.executable, "-m", "tests.bench.bare", str(port), bare.FORM]
        with running(command, port, {}, self._folder / "bare-form.log") as own:
            await up(port, "/", listening=True)
            yield Server(port, own)

    async def pgbench(self, seconds: int) -> float:
        """Return how many of ``ONE_BY_ONE`` a second 16 clients of pgbench commit."""
        script = self._folder / "one_by_one.sql"
        script.write_text(ONE_BY_ONE)
        conn = await connect(self.url(PLAIN))
        await conn.execute("TRUNCATE pending, outbox")
        await conn.close()
        process = await asyncio.create_subprocess_exec(
            *(program("pgbench"), "-n", "-c", "16", "-j", "2", "-M", "prepared", "-T", str(seconds)),
            *("-f", str(script), self.url(PLAIN)),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        said = (await process.communicate())[0].decode()
        found = re.search(r"tps = ([\d.]+)", said)
        failed = re.search(r"failed transactions: (\d+)", said)
        if found is None or (failed and failed[1] != "0"):
            raise RuntimeError(said)
        return float(found[1])


def program(name: str) -> str:
    """Return the path of a PostgreSQL program, the wheel's or the system's."""
    folder = binaries.wheel()
    return str(folder / name) if folder and (folder / name).exists() else name


@contextlib.contextmanager
def running(command: list[str], port: int, environ: dict[str, str], log: Path) -> Iterator[Popen[bytes]]:
    """Run a server until the block ends."""
    with log.open("wb") as out:
        process = Popen(
            command,
            env=os.environ | environ,
            stdout=out,
            stderr=out,
            preexec_fn=die_with_parent(signal.SIGTERM),
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)


async def up(port: int, path: str, *, listening: bool = False) -> None:
    """Wait until a server answers, or only listens."""

    def ask() -> None:
        if listening:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
            return
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            answer.read()

    async with asyncio.timeout(PATIENCE):
        while True:
            with contextlib.suppress(OSError):
                return await asyncio.to_thread(ask)
            await asyncio.sleep(0.05)
