"""Thousands who listen to one letter's count: what each weighs, and how long until the last has heard.

Where the machine does not let one process open as many files, they listen to several.

``python -m tests.bench.listeners PORT PATH NUMBER`` is the crowd, a process of its own. It says "there" when all have
heard the count; then, for every event that reached all of them, the milliseconds from the first to the last.
"""

import asyncio
import contextlib
import resource
import select
import socket
import statistics
import sys
import time
from asyncio.subprocess import Process
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from petition.core.database import connect
from petition.web import connection_limits
from petition.web.server import OPEN_FILES
from tests.bench.place import SERVE, Place, Web
from tests.running import SLUG

PATH = f"/api/v1/letters/{SLUG}/events"
EVENTS = 5
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


def possible(number: int) -> int:
    """Return how many can listen to one process here, ``number`` at most: each takes a file of it."""
    raise_file_limit(max(OPEN_FILES, number + 1000))
    return min(number, connection_limits.max_streams())


@dataclass(frozen=True)
class Heard:
    """What came of it."""

    kilobytes: float  # of the web processes, for each listener (KiB)
    spread: list[float]  # milliseconds from the first who heard to the last, for each event
    late: list[float]  # milliseconds from the commit until the last had heard
    cpu: float  # microseconds of the web processes for one event of one listener


async def measure(place: Place, web: Web, size: int) -> dict[str, float]:
    """Have ``size`` listen to the letter of ``web``, or as many as can; if that is less, ``size`` by several processes.

    Returns the medians by name.
    """
    number = possible(size)
    figures = _named("", number, await _measure([web], number))
    if number < size:
        processes = -(-size // number)
        async with AsyncExitStack() as stack:
            webs = [await stack.enter_async_context(place.beside(web, SERVE, {})) for _ in range(processes)]
            figures |= _named("all ", size, await _measure(webs, -(-size // processes)))
    return figures


def _named(which: str, number: int, heard: Heard) -> dict[str, float]:
    return {
        f"{which}listeners": number,
        f"{which}listener KiB": heard.kilobytes,
        f"{which}listener cpu": heard.cpu,
        f"{which}listeners spread": statistics.median(heard.spread),
        f"{which}listeners late": statistics.median(heard.late),
        f"{which}listeners latest": max(heard.late),
    }


async def _measure(webs: Sequence[Web], size: int) -> Heard:
    """Have ``size`` listen to each of ``webs``, and the letter's count move ``EVENTS`` times."""
    before = sum(web.resident() for web in webs)
    number = size * len(webs)
    crowds = [await _start_crowd(web.port, size) for web in webs]
    conn = await connect(webs[0].url)
    try:
        assert {line.strip() for line in await _lines_of(crowds)} == {b"there"}
        grown = (sum(web.resident() for web in webs) - before) * 1024 / number
        spread, late, worked = [], [], sum(web.cpu() for web in webs)
        for _ in range(EVENTS):
            await asyncio.sleep(1.2)
            committed = time.monotonic()
            await conn.execute("UPDATE count SET people = people + 1")
            times = [[float(part) for part in line.split()] for line in await _lines_of(crowds)]
            first, last = min(first for first, _ in times), max(last for _, last in times)
            spread.append((last - first) * 1000)
            late.append((last - committed) * 1000)
        return Heard(grown, spread, late, (sum(web.cpu() for web in webs) - worked) / EVENTS / number * 1e6)
    finally:
        await conn.close()
        for crowd in crowds:
            crowd.terminate()
            await crowd.wait()


async def _start_crowd(port: int, size: int) -> Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.bench.listeners", str(port), PATH, str(size)), stdout=asyncio.subprocess.PIPE
    )


async def _lines_of(crowds: Sequence[Process]) -> list[bytes]:
    return await asyncio.gather(*(crowd.stdout.readline() for crowd in crowds if crowd.stdout is not None))


class _Crowd:
    """All listeners, as plain sockets: an event loop would cost more than the server that is measured."""

    def __init__(self, port: int, path: str, size: int) -> None:
        self.port, self.path, self._size = port, path, size
        self._sockets: dict[int, socket.socket] = {}
        self._poll = select.epoll()
        self._heard = self._round = 0
        self._first = 0.0

    def gather(self) -> None:
        """Connect all, then listen until terminated."""
        for number in range(self._size):
            self._connect(number)
            if number % 100 == 0:
                self._listen(0)
        while True:
            self._listen(-1)

    def _connect(self, number: int) -> None:
        network = number // OF_ONE_NETWORK
        connection = socket.socket()
        connection.bind((f"127.1.{network // 250}.{network % 250 + 1}", 0))  # each address has its own ports
        connection.connect(("127.0.0.1", self.port))
        connection.sendall(
            f"GET {self.path} HTTP/1.1\r\nHost: localhost:{self.port}\r\n"
            f"X-Forwarded-For: 198.{18 + network // 250}.{network % 250}.1\r\n{BROWSERS}\r\n".encode()
        )
        self._sockets[connection.fileno()] = connection
        self._poll.register(connection.fileno(), select.EPOLLIN)

    def _listen(self, timeout: float) -> None:
        for file, _ in self._poll.poll(timeout, 1000):
            data = self._sockets[file].recv(4096)
            if not data:
                sys.exit("the server has closed a connection")
            if events := data.count(b"\ndata: "):
                self._hear(events)

    def _hear(self, events: int) -> None:
        now = time.monotonic()
        if self._heard == 0:
            self._first = now
        self._heard += events
        if self._heard == self._size:
            print("there" if self._round == 0 else f"{self._first} {now}", flush=True)
            self._round, self._heard = self._round + 1, 0


def raise_file_limit(files: int) -> int:
    """Allow this process, and those that it starts, so many open files if the machine does; return how many it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < files:
        with contextlib.suppress(ValueError):  # it takes root to go beyond
            resource.setrlimit(resource.RLIMIT_NOFILE, (files, max(hard, files)))
        with contextlib.suppress(ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(files, hard), hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


if __name__ == "__main__":
    raise_file_limit(int(sys.argv[3]) + 100)
    _Crowd(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])).gather()
