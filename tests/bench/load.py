"""The load generator, a process of its own: visitors who keep their connection and ask as soon as they were answered.

``python -m tests.bench.load`` reads a pickled ``Order`` from standard input and writes a ``Tally`` as JSON. It looks
at no more of an answer than its status and its length, so that it costs less than what it measures.
"""

import asyncio
import dataclasses
import json
import os
import pickle
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any, cast

import uvloop

_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)", re.IGNORECASE)
_NO_BODY = {b"304", b"204"}


@dataclass(frozen=True)
class Order:
    """What to ask: every request once, or over and over for so many seconds."""

    port: int
    requests: list[bytes] = field(repr=False)
    visitors: int
    seconds: float | None = None
    rate: float | None = None  # no more than so many a second, by all visitors together
    nice: int = 0  # how far the generator gives way to others that need a processor
    server: int | None = None  # the process that answers, to see what it works while a visitor waits


@dataclass
class Tally:
    """What came of it. ``busy`` is the share of one core that the generator itself needed."""

    seconds: float
    statuses: dict[str, int]
    busy: float
    p50: float  # milliseconds
    p95: float
    p99: float
    longest: float = 0.0
    late: float = 0.0  # milliseconds, the 99th percentile: how late the generator itself was
    worked: float = 0.0  # milliseconds, the 99th percentile: processor time of ``server`` while a visitor waited

    @property
    def rate(self) -> float:
        """Answers a second."""
        return sum(self.statuses.values()) / self.seconds


class _Run:
    """What the visitors share."""

    def __init__(self, order: Order) -> None:
        self.todo: Iterator[bytes] = cycle(order.requests) if order.seconds else iter(order.requests)
        self.started, self.asked, self.pace = time.perf_counter(), 0, order.rate
        self.until = time.perf_counter() + order.seconds if order.seconds else float("inf")
        self.statuses: dict[bytes, int] = {}
        self.times: list[float] = []
        self.lateness: list[float] = []  # seconds, of requests that had their moment
        self.worked: list[float] = []  # seconds
        self.server = Path(f"/proc/{order.server}/schedstat") if order.server else None
        self.port, self.present = order.port, order.visitors
        self.done = asyncio.get_running_loop().create_future()

    def next(self) -> bytes | None:
        return next(self.todo, None) if time.perf_counter() < self.until else None

    def early(self) -> float:
        """Return for how many seconds the next request is too early."""
        if self.pace is None:
            return 0.0
        self.asked += 1
        return self.started + self.asked / self.pace - time.perf_counter()

    def server_time(self) -> float:
        """Return the server's processor time (seconds) up to now; 0 if it is not looked at."""
        return int(self.server.read_bytes().split()[0]) / 1e9 if self.server else 0.0

    def leave(self, error: Exception | None) -> None:
        self.present -= 1
        if error is not None and not self.done.done():
            self.done.set_exception(error)
        elif self.present == 0 and not self.done.done():
            self.done.set_result(None)


class _Visitor(asyncio.Protocol):
    """One connection."""

    def __init__(self, run: _Run) -> None:
        self._run = run
        self._seen = b""
        self._asking = False
        self._waiting: bytes | None = None  # a request whose moment has not come

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own class does not say so
        if self._waiting is None:
            self._ask()
        else:
            self._write(self._waiting)

    def _ask(self) -> None:
        request = self._run.next()
        self._asking = request is not None
        if request is None:
            self._transport.close()
        elif (early := self._run.early()) > 0:
            self._waiting = request
            asyncio.get_running_loop().call_later(early, self._write_late, request, time.perf_counter() + early)
        else:
            self._write(request)

    def _write_late(self, request: bytes, due: float) -> None:
        self._run.lateness.append(time.perf_counter() - due)
        if self._transport.is_closing():  # the server does not keep idle connections for ever
            loop = asyncio.get_running_loop()
            self._connecting = loop.create_task(loop.create_connection(lambda: self, "127.0.0.1", self._run.port))
        else:
            self._write(request)

    def _write(self, request: bytes) -> None:
        self._worked_before = self._run.server_time()
        self._asked, self._waiting = time.perf_counter(), None
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._seen = seen = self._seen + data if self._seen else data
        head = seen.find(b"\r\n\r\n")
        if head < 0:
            return
        status = seen[9:12]
        length = _LENGTH.search(seen, 0, head)
        if length is None and status not in _NO_BODY:
            raise ValueError("an answer without a length")
        if len(seen) < head + 4 + (int(length[1]) if length else 0):
            return
        self._run.times.append(time.perf_counter() - self._asked)
        self._run.worked.append(self._run.server_time() - self._worked_before)
        self._run.statuses[status] = self._run.statuses.get(status, 0) + 1
        self._seen = b""
        self._ask()

    def connection_lost(self, error: Exception | None) -> None:
        if self._waiting is not None:
            return
        if self._asking and error is None:
            error = ConnectionError("the server closed a connection in the middle")
        self._run.leave(error)


async def carry_out(order: Order) -> Tally:
    """Send all of it. Raises ``OSError`` if the server drops anyone."""
    loop = asyncio.get_running_loop()
    os.nice(order.nice)
    run = _Run(order)

    def fail(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        run.leave(context.get("exception") or RuntimeError(context["message"]))

    loop.set_exception_handler(fail)
    started, worked = time.perf_counter(), time.process_time()
    for _ in range(order.visitors):
        await loop.create_connection(lambda: _Visitor(run), "127.0.0.1", order.port)
    await run.done
    seconds, busy = time.perf_counter() - started, time.process_time() - worked
    times = sorted(run.times)
    p50, p95, p99 = (_percentile(times, percent) for percent in (50, 95, 99))
    statuses = {status.decode(): n for status, n in run.statuses.items()}
    late = _percentile(sorted(run.lateness), 99)
    worked = _percentile(sorted(run.worked), 99)
    return Tally(seconds, statuses, busy / seconds, p50, p95, p99, 1000 * times[-1], late, worked)


def _percentile(times: list[float], percent: int) -> float:
    """Return it of sorted ``times`` (seconds) in milliseconds; 0 of none."""
    return 1000 * times[min(len(times) - 1, len(times) * percent // 100)] if times else 0.0


async def send(order: Order) -> Tally:
    """Have a process of its own carry out ``order``."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.bench.load"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=os.environ,
    )
    said, _ = await process.communicate(pickle.dumps(order))
    if process.returncode:
        raise RuntimeError("the load generator failed")
    return Tally(**json.loads(said))


def main() -> None:
    """Carry out the order on standard input."""
    order = pickle.load(sys.stdin.buffer)
    print(json.dumps(dataclasses.asdict(uvloop.run(carry_out(order)))))


if __name__ == "__main__":
    # The class must be the one that was pickled.
    from tests.bench import load

    load.main()
