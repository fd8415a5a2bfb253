"""Twice the load that an installation can carry: who reads does not notice, who signs is answered 303 or 503.

What it can carry is measured first, by visitors who send the next form as soon as the last one was answered. Then forms
come twice as fast, whatever the answers, while a few people read. The load generator is a process of its own; it shares
the processors with web and database, so the bound of what is read is only fair on an idle machine.
"""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from tests.bench import load
from tests.bench.load import Order, Tally
from tests.bench.visitors import Visitors
from tests.chaos.clients import PAGES, Connection
from tests.chaos.ledger import Ledger, percentile, statuses
from tests.chaos.stage import HOST, staged

READING = 100.0  # milliseconds, the 99th percentile
SECONDS = 10.0  # of the second phase
VISITORS, CROWD = 64, 1500  # connections of the two phases
FORMS = 6000  # of the first phase


@dataclass
class Overload:
    """What was measured."""

    carried: Tally
    doubled: Tally
    read: dict[int, int]  # statuses of what was read
    p99: float  # milliseconds

    def wrong(self) -> list[str]:
        """Return what is wrong, a sentence each."""
        refused = {status: number for status, number in self.doubled.statuses.items() if status not in {"303", "503"}}
        return [
            *([f"under overload, signing was answered {refused}"] if refused else []),
            *([f"under overload, reading was answered {self.read}"] if set(self.read) != {200} else []),
            *([f"under overload, reading took {self.p99:.0f} ms (p99)"] if self.p99 >= READING else []),
        ]

    def lines(self) -> str:
        """Return it for people."""
        return (
            f"carried {self.carried.rate:.0f} forms a second (p95 {self.carried.p95:.0f} ms); sent twice as many:"
            f" {self.doubled.rate:.0f} answers a second {self.doubled.statuses}, p99 {self.doubled.p99:.0f} ms;"
            f" reading meanwhile: {self.read}, p99 {self.p99:.1f} ms"
        )


async def measure(folder: Path, *, forms: int = FORMS, seconds: float = SECONDS) -> Overload:
    """Measure it with an installation of its own below ``folder``."""
    async with staged(folder, rate=1, seed=1) as stage:
        port = stage.crowd.ports[1]
        visitors = Visitors(stage.crowd.letter)
        carried = await load.send(Order(port, _forms(visitors, forms, port), VISITORS))
        rate = 2 * carried.rate
        twice = _forms(visitors, int(rate * seconds), port)
        ledger = Ledger()
        reading = [asyncio.create_task(_read(ledger, port, number)) for number in range(4)]
        doubled = await load.send(Order(port, twice, CROWD, rate=rate))
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)
        return Overload(carried, doubled, dict(statuses(ledger.answers)), percentile(ledger.answers, 99))


def _forms(visitors: Visitors, number: int, port: int) -> list[bytes]:
    """Return so many forms, each of another person."""
    of_the_bench, ours = f"localhost:{port}".encode(), HOST.encode()
    return [form.replace(of_the_bench, ours) for form in visitors.signing(number, port)]


async def _read(ledger: Ledger, port: int, number: int) -> None:
    connection = Connection(ledger, port, HOST)
    while True:
        await connection.ask("read", f"GET {PAGES[number % len(PAGES)]}", f"203.0.113.{number}")
        await asyncio.sleep(0.02)
