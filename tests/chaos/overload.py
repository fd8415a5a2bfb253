"""Twice the load that an installation can carry: who reads does not notice, who acts is answered 303 or 503, and soon.

What it can carry is measured first, by visitors who send the next form as soon as the last one was answered. Then forms
come twice as fast, whatever the answers, while a few people read; and the same with confirmations.

Those who read are in a process of their own, as are those who act, and all share the processors with web, worker and
database. What readers have waited for is judged while the web has the processor that it needs. Where it waits for one
for more than a fifth of the time, because others use the machine, its processor time while a reader waited is judged in
place of that: for so long the web itself held the reader up. How late the web's event loop and both generators were is
said beside it. In the end each 303 must be one row.
"""

import asyncio
import contextlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from time import monotonic

from petition.core.database import connect
from tests.bench import load
from tests.bench.load import Order, Tally
from tests.bench.visitors import PENDING_COLUMNS, Visitors, get
from tests.chaos.clients import PAGES
from tests.chaos.stage import HOST, METRICS_TOKEN, Stage, staged

READING = 100.0  # milliseconds, the 99th percentile
ANSWER = 2000.0  # milliseconds, the longest wait of those who act
STARVED = 0.2  # of the time; above it the machine is too busy to judge by the clock
SECONDS = 10.0  # of the second phase
VISITORS, CROWD = 64, 1500  # connections of the two phases
FORMS = 6000  # of the first phase
GIVES_WAY = 10  # niceness of those who act: in use they have machines of their own
READERS, READS = 8, 200.0  # connections, and pages a second in all
STORED = {
    "signing": "SELECT count(DISTINCT (letter, digest)) FROM pending",
    "confirming": "SELECT count(DISTINCT (letter, digest)) FROM signature WHERE state = 'confirmed'",
}
BUCKET = re.compile(r'^petition_loop_lag_seconds_bucket\{le="([^"]+)"\} (\S+)$', re.MULTILINE)


@dataclass
class Overload:
    """What was measured with one kind of act."""

    kind: str
    carried: Tally
    doubled: Tally
    read: Tally
    lag: float  # milliseconds: the web's event loop was later than that in one of a hundred looks
    busy: float  # the share of one core that the web had
    starved: float  # the share of the time in which it was ready to run and had no processor
    stored: int  # rows of those who acted, in both phases

    @property
    def reading(self) -> float:
        """For how long (milliseconds, p99) the web has kept readers waiting."""
        return self.read.p99 if self.starved < STARVED else self.read.worked

    @property
    def answering(self) -> float:
        """For how long (milliseconds) people waited at most, where that is not others' doing."""
        return self.doubled.longest if self.starved < STARVED else 0.0

    def wrong(self) -> list[str]:
        """Return what is wrong, a sentence each."""
        what = f"under overload, {self.kind}"
        done = sum(tally.statuses.get("303", 0) for tally in (self.carried, self.doubled))
        unknown = sum(tally.statuses.get("503", 0) for tally in (self.carried, self.doubled))
        refused = {status: number for status, number in self.doubled.statuses.items() if status not in {"303", "503"}}
        return [
            *([f"{what} was answered {refused}"] if refused else []),
            *([f"{what} was answered 303 {done} times, and {self.stored} were stored"] if self.stored < done else []),
            *([f"{what} stored {self.stored} of {done + unknown}"] if self.stored > done + unknown else []),
            *([f"{what} was never answered 303"] if "303" not in self.doubled.statuses else []),
            *([f"{what} took up to {self.doubled.longest:.0f} ms"] if self.answering > ANSWER else []),
            *([f"{what}, reading was answered {self.read.statuses}"] if set(self.read.statuses) != {"200"} else []),
            *([f"{what}, reading took {self.reading:.0f} ms (p99)"] if self.reading >= READING else []),
        ]

    def lines(self) -> str:
        """Return it for people."""
        acts, read = self.doubled, self.read
        return "\n  ".join(
            [
                f"{self.kind}: carried {self.carried.rate:.0f} a second (p95 {self.carried.p95:.0f} ms);"
                f" of twice as many, {sum(acts.statuses.values())} in {acts.seconds:.0f} s:",
                f"{acts.rate:.0f} answers a second, {acts.statuses},"
                f" p50 {acts.p50:.0f} ms, p99 {acts.p99:.0f} ms, longest {acts.longest:.0f} ms",
                f"reading meanwhile: {read.statuses},"
                f" p50 {read.p50:.1f} ms, p99 {read.p99:.1f} ms, longest {read.longest:.0f} ms;"
                f" the web worked {read.worked:.1f} ms (p99) meanwhile",
                f"late (p99): the web's event loop by up to {self.lag:.0f} ms"
                f" (it had {100 * self.busy:.0f} % of a core, waited for one {100 * self.starved:.0f} % of the time),"
                f" that of readers by {read.late:.1f} ms, of those who act by {acts.late:.1f} ms",
            ]
        )


async def measure(folder: Path, *, forms: int = FORMS, seconds: float = SECONDS) -> list[Overload]:
    """Measure it with an installation of its own below ``folder``."""
    async with staged(folder, rate=1, seed=1) as stage:
        acts = _Acts(stage)
        await acts.warm_up()
        return [await _overload(acts, kind, forms, seconds) for kind in ("signing", "confirming")]


class _Acts:
    """Forms of people who have not been here yet, and buttons of those who have signed."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._visitors = Visitors(stage.crowd.letter)
        self.port, self.pid = stage.crowd.ports[1], stage.single.pid

    async def make(self, kind: str, number: int) -> list[bytes]:
        """Return so many requests."""
        if kind == "signing":
            requests = self._visitors.signing(number, self.port)
        else:
            rows = self._visitors.waiting(number)
            conn = await connect(self._stage.server.url)
            await conn.copy_records_to_table("pending", records=rows, columns=PENDING_COLUMNS)
            await conn.close()
            requests = self._visitors.confirming(rows, self.port)
        return [self._to_us(request) for request in requests]

    async def warm_up(self) -> None:
        """Have pages and templates made that are made once, as in every installation that has run for a while."""
        await load.send(Order(self.port, self.reads() * READERS, READERS))
        await load.send(Order(self.port, await self.make("signing", VISITORS), VISITORS))

    def reads(self) -> list[bytes]:
        """Return what readers ask for."""
        return [self._to_us(get(self.port, path)) for path in PAGES]

    def _to_us(self, request: bytes) -> bytes:
        return request.replace(f"localhost:{self.port}".encode(), HOST.encode())

    async def lags(self) -> dict[float, float]:
        """Return how often the web's event loop was late by at most so many seconds."""
        text = await asyncio.to_thread(self._metrics)
        return {float(limit): float(number) for limit, number in BUCKET.findall(text)}

    def worked(self) -> float:
        """Return the web's processor time in seconds."""
        figures = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(figures[11]) + int(figures[12])) / os.sysconf("SC_CLK_TCK")

    def starved(self) -> float:
        """Return for how many seconds the web was ready and had no processor."""
        waited = Path(f"/proc/{self.pid}/schedstat").read_text(encoding="ascii").split()[1]
        return int(waited) / 1e9

    async def stored(self, kind: str) -> int:
        """Return how many have signed, or confirmed: each person once, by the digest of their address."""
        conn = await connect(self._stage.server.url)
        number: int = await conn.fetchval(STORED[kind])
        await conn.close()
        return number

    def _metrics(self) -> str:
        with contextlib.closing(HTTPConnection("127.0.0.1", self.port)) as connection:
            headers = {"Host": HOST, "Authorization": f"Bearer {METRICS_TOKEN}"}
            connection.request("GET", "/metrics", headers=headers)
            return connection.getresponse().read().decode()


async def _overload(acts: _Acts, kind: str, number: int, seconds: float) -> Overload:
    stored = await acts.stored(kind)
    carried = await load.send(Order(acts.port, await acts.make(kind, number), VISITORS))
    rate = 2 * carried.rate
    twice = await acts.make(kind, int(rate * seconds))
    before, worked, starved, started = await acts.lags(), acts.worked(), acts.starved(), monotonic()
    reading = Order(acts.port, acts.reads(), READERS, seconds=seconds, rate=READS, server=acts.pid)
    doubled, read = await asyncio.gather(
        load.send(Order(acts.port, twice, CROWD, rate=rate, nice=GIVES_WAY)), load.send(reading)
    )
    took = monotonic() - started
    busy, starved = (acts.worked() - worked) / took, (acts.starved() - starved) / took
    late = _percentile(before, await acts.lags())
    return Overload(kind, carried, doubled, read, late, busy, starved, await acts.stored(kind) - stored)


def _percentile(before: Mapping[float, float], after: Mapping[float, float]) -> float:
    """Return the bound (milliseconds) under which 99 of 100 looks between two scrapes were."""
    looks = {limit: after[limit] - before.get(limit, 0.0) for limit in after}
    total = looks[float("inf")]
    return 1000 * min(limit for limit, number in looks.items() if number >= 0.99 * total)
