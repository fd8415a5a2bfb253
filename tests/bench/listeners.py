"""Thousands who listen to one letter's count: what each weighs, and how long until the last has heard.

``python -m tests.bench.listeners PORT PATH NUMBER`` is the crowd, a process of its own. It says "there" when all have
heard the count; then, for every event that reached all of them, the milliseconds from the first to the last.
"""

import asyncio
import resource
import sys
import time
from dataclasses import dataclass
from functools import partial
from typing import cast

import uvloop

from petition.core.database import connect
from tests.bench.place import Web
from tests.running import SLUG

PATH = f"/api/v1/letters/{SLUG}/events"
EVENTS = 3
OF_ONE_NETWORK = 100
BROWSERS = "".join(  # headers as long as a browser's
    f"{name}: {value}\r\n"
    for name, value in {
        "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0.0.0 Safari/537.36",
        "Accept": "text/event-stream",
        "Accept-Language": "ru,en;q=0.8",
        "Accept-Encoding": "gzip, deflate, br, zstd",
        "Cache-Control": "no-cache",
        "Connection": "keep-alive",
        "Referer": "http://localhost/ru/" + SLUG,
        "Sec-Fetch-Dest": "empty",
        "Sec-Fetch-Mode": "cors",
        "Sec-Fetch-Site": "same-origin",
    }.items()
)


@dataclass(frozen=True)
class Heard:
    """What came of it."""

    kilobytes: float  # of the web process, for each listener (KiB)
    spread: list[float]  # milliseconds from the first who heard to the last, for each event
    late: list[float]  # milliseconds from the commit until the last had heard


async def measure(web: Web, number: int) -> Heard:
    """Have ``number`` listen to the letter of ``web``, and its count move ``EVENTS`` times."""
    before = web.resident()
    crowd = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.bench.listeners", str(web.port), PATH, str(number)),
        stdout=asyncio.subprocess.PIPE,
    )
    assert crowd.stdout is not None
    conn = await connect(web.url)
    try:
        assert (await crowd.stdout.readline()).strip() == b"there"
        grown = (web.resident() - before) * 1024 / number
        spread, late = [], []
        for _ in range(EVENTS):
            await asyncio.sleep(1.2)
            committed = time.monotonic()
            await conn.execute("UPDATE count SET people = people + 1")
            first, last = map(float, (await crowd.stdout.readline()).split())
            spread.append((last - first) * 1000)
            late.append((last - committed) * 1000)
        return Heard(grown, spread, late)
    finally:
        await conn.close()
        crowd.terminate()
        await crowd.wait()


class _Listener(asyncio.Protocol):
    def __init__(self, crowd: "_Crowd", number: int) -> None:
        self._crowd, self._number = crowd, number

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        network = self._number // OF_ONE_NETWORK
        cast(asyncio.Transport, transport).write(
            f"GET {self._crowd.path} HTTP/1.1\r\nHost: localhost:{self._crowd.port}\r\n"
            f"X-Forwarded-For: 198.51.{network // 250}.{network % 250}\r\n{BROWSERS}\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        for _ in range(data.count(b"\ndata: ")):
            self._crowd.heard()

    def connection_lost(self, _error: Exception | None) -> None:
        sys.exit("the server has closed a connection")


class _Crowd:
    def __init__(self, port: int, path: str, size: int) -> None:
        self.port, self.path, self._size = port, path, size
        self._count = 0
        self._first = 0.0
        self._rounds = 0

    def heard(self) -> None:
        now = time.monotonic()
        if self._count == 0:
            self._first = now
        self._count += 1
        if self._count == self._size:
            print("there" if self._rounds == 0 else f"{self._first} {now}", flush=True)
            self._rounds, self._count = self._rounds + 1, 0

    async def gather(self) -> None:
        loop = asyncio.get_running_loop()
        for number in range(self._size):
            await loop.create_connection(partial(_Listener, self, number), "127.0.0.1", self.port)
        await asyncio.Event().wait()


if __name__ == "__main__":
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    uvloop.run(_Crowd(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])).gather())
