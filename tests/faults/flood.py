"""Attackers for the tests of what a flood may do: raw connections, the process's memory, and an honest visitor."""

import asyncio
import contextlib
import re
import resource
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from petition.letters.model import Letter
from tests import rows
from tests.faults.conftest import Pair
from tests.faults.load import Crowd
from tests.running import SLUG

MEGABYTE = 1024 * 1024


def reset_peak(pid: int) -> int:
    """Have the kernel forget the peak of a process's memory; return what it has now, in bytes."""
    Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="ascii")
    return peak(pid)


def peak(pid: int) -> int:
    """Return the most resident memory that a process has had, in bytes."""
    match = re.search(r"^VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(encoding="ascii"), re.MULTILINE)
    assert match is not None
    return int(match[1]) * 1024


@dataclass
class Attacked:
    """A web process under attack, its letter, and those who go on visiting it."""

    pair: Pair
    letter: Letter
    before: int  # bytes of memory
    visits: int = 0

    @property
    def client(self) -> httpx2.AsyncClient:
        return self.pair.webs[0].client

    @property
    def log(self) -> str:
        return self.pair.webs[0].log.read_text(encoding="utf-8")

    def growth(self) -> int:
        """Return by how many bytes the process had grown at its peak."""
        return peak(self.pair.webs[0].process.pid) - self.before

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Return a raw connection."""
        assert self.client.base_url.port is not None
        return await asyncio.open_connection("127.0.0.1", self.client.base_url.port, limit=1024)

    def head(self, target: str, network: str = "", more: str = "") -> bytes:
        """Return the head of a GET request that a proxy has received from ``network``, without its empty line."""
        forwarded = f"X-Forwarded-For: {network}\r\n" if network else ""
        host = self.client.headers["host"]
        return f"GET {target} HTTP/1.1\r\nHost: {host}\r\n{forwarded}{more}".encode()

    async def visit(self) -> None:
        """Visit as people do while an attack runs: be ready, read, sign, open the link, confirm."""
        visitor = {"x-forwarded-for": "93.184.216.34"}
        assert (await self.client.get("/readyz")).status_code == 200
        for page in (f"/en/{SLUG}", f"/en/{SLUG}/find", f"/en/{SLUG}/check-your-inbox", f"/en/{SLUG}/signatories"):
            assert (await self.client.get(page, headers=visitor)).status_code == 200, page
        self.visits += 1
        assert (await Crowd(self.client, self.letter, self.visits).sign()).status_code == 303
        (pending,) = await rows.rows_of(self.pair.site.database, "SELECT id FROM pending")
        link = f"/en/confirm/{rows.token(self.letter, pending['id'])}"
        assert (await self.client.get(link, headers=visitor)).status_code == 200
        assert (await self.client.post(link, headers=visitor)).status_code == 303
        async with self.pair.site.database.connection() as conn:
            assert (await rows.check_count(conn, self.letter))["people"] == self.visits


@asynccontextmanager
async def attacking(attacks: list[Coroutine[Any, Any, None]]) -> AsyncIterator[list[asyncio.Task[None]]]:
    """Run the attacks while the block runs."""
    tasks = [asyncio.create_task(attack) for attack in attacks]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def pour(connection: tuple[asyncio.StreamReader, asyncio.StreamWriter], block: bytes, size: int) -> bytes:
    """Send ``block`` again and again, ``size`` bytes in all or until the server closes; return what it answered."""
    reader, writer = connection
    with contextlib.suppress(ConnectionError):
        for _ in range(size // len(block)):
            writer.write(block)
            await writer.drain()
            if reader.at_eof():
                break
    answer = b""
    with contextlib.suppress(ConnectionError):
        answer = await reader.read(65_536)
    writer.close()
    return answer


def raise_file_limit() -> None:
    """Allow this process thousands of connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard if hard != resource.RLIM_INFINITY else max(soft, 20_000), hard))
