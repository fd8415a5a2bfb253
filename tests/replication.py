"""A primary and its standbys by streaming replication: servers of PostgreSQL of one test file's own, on loopback."""

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

from petition.core.database import connect
from petition.postgres import account, binaries
from petition.postgres.cluster import DATABASE, ROLE, Cluster
from petition.postgres.home import find_home
from tests.faults.server import Server
from tests.memory import room
from tests.running import free_port

# Over TCP, as the servers run under accounts of their own that cannot enter each other's folders.
SETTINGS = """
listen_addresses = '127.0.0.1'
port = {port}
wal_retrieve_retry_interval = '100ms'
max_standby_streaming_delay = '50ms'
hot_standby_feedback = off
autovacuum = off
"""
ADMISSION = "host all,replication all 127.0.0.1/32 trust\n"


class _Cluster(Cluster):
    """Listens at the port in its home's file ``port``, and lets standbys in."""

    def _write(self, name: str, text: str) -> None:
        more = {"postgresql.conf": SETTINGS.format(port=self.port), "pg_hba.conf": ADMISSION}
        super()._write(name, text + more.get(name, ""))

    @property
    def port(self) -> int:
        file = self.home / "port"
        if not file.exists():
            file.write_text(str(free_port()))
        return int(file.read_text())


class Node(Server):
    """One server: a primary, or with ``of`` a standby of that one."""

    def __init__(self, folder: Path, of: "Node | None" = None) -> None:
        home = find_home(folder)
        if of is None:
            cluster = cast("_Cluster", _Cluster.prepare(home, fast=True))
        else:
            chosen = account.choose(home / "cluster")
            cluster = _Cluster(home, chosen, binaries.find(chosen, home, of.cluster.binaries.major), fast=True)
            _copy(of, cluster)
        self.cluster: _Cluster = cluster
        self._cluster = cluster
        self._sockets = cluster.make_sockets_folder(None)
        self._process = None
        self.said = []

    @property
    def url(self) -> str:
        return f"postgresql://{ROLE}@{self.name}/{DATABASE}"

    @property
    def name(self) -> str:
        """Its host and port."""
        return f"127.0.0.1:{self.cluster.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def freeze(self) -> None:
        """Stop the server and its children, whose connections stay open."""
        self._signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let them go on."""
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, number: signal.Signals) -> None:
        for pid in (self.pid, *self.cluster._processes()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    async def ask(self, statement: str) -> object:
        """Return the only value of a statement."""
        conn = await connect(self.url)
        try:
            return await conn.fetchval(statement)
        finally:
            await conn.close()

    async def caught_up_with(self, primary: "Node") -> None:
        """Wait until it has all that the primary has now."""
        position = await primary.ask("SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint")
        assert isinstance(position, int)
        async with asyncio.timeout(120):
            while await self.ask(f"SELECT pg_last_wal_replay_lsn() - '0/0' < {position}"):
                await asyncio.sleep(0.02)


def _copy(primary: Node, cluster: _Cluster) -> None:
    """Copy the primary's files into ``cluster``, which follows it then."""
    cluster.folder.mkdir(mode=0o700)
    cluster.account.own(cluster.folder)
    program = shutil.which(cluster.binaries.program("pg_basebackup"))
    assert program, "no pg_basebackup beside the server's programs"
    address = f"host=127.0.0.1 port={primary.cluster.port} user={ROLE}"
    done = cluster.account.run(
        [program, "-D", str(cluster.folder), "-R", "-X", "stream", "-c", "fast", "-N", "-d", address]
    )
    assert done.returncode == 0, done.stdout


@asynccontextmanager
async def primary_and_standbys(standbys: int = 1) -> AsyncIterator[list[Node]]:
    """Run a primary and its standbys; give them in this order."""
    nodes: list[Node] = []
    with room() as memory:
        base = Path(tempfile.mkdtemp(prefix="petition-replicas-", dir=memory))
        base.chmod(0o711)
        try:
            for number in range(standbys + 1):
                folder = base / str(number)
                folder.mkdir(mode=0o711)
                node = await asyncio.to_thread(Node, folder, nodes[0] if nodes else None)
                await node.start()
                nodes.append(node)
            yield nodes
        finally:
            for node in nodes:
                if node.is_running:
                    node.thaw()
                    await node.end(signal.SIGQUIT)
            shutil.rmtree(base)
