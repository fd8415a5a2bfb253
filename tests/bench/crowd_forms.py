"""The generator of ``--only million`` and ``--only mixed``, a process of its own: people fill in the form, and confirm
by the link in their mail, which the sink in the same process takes by SMTP.

``python -m tests.bench.crowd_forms`` reads a pickled ``Crowded`` from standard input. Each second it writes a
``Tally`` as a line of JSON, the last one when each link that came has been used.
"""

import asyncio
import contextlib
import dataclasses
import hashlib
import json
import pickle
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import uvloop

from tests.bench.crowd_people import CrowdForms
from tests.bench.link_sink import LinkSink
from tests.bench.visitors import Visitors

SIGNERS = CONFIRMERS = 48  # connections
# Forms sent whose people have not confirmed: so no stage gets ahead of the others, and the outbox stays short.
MAX_AHEAD = 2000
PATIENCE = 120.0  # seconds without a mail or an answer
REPORT_EVERY = 1.0  # seconds
TICK = 0.02  # seconds between two looks for people whose moment has come


@dataclass(frozen=True)
class Crowded:
    """What to send, and where."""

    port: int
    sink_port: int
    people: int
    visitors: Visitors = field(repr=False)
    rate: float | None = None  # people a second; None: as fast as they are answered


@dataclass
class Tally:
    """What came of it so far. Seconds of wall-clock time and of processor time."""

    seconds: float = 0.0
    cpu: float = 0.0  # of the generator with the sink
    sent: int = 0
    statuses: dict[str, int] = field(default_factory=dict)  # "sign 303" → number
    mails: int = 0
    links: int = 0  # different ones
    is_last: bool = False

    @property
    def confirmed(self) -> int:
        return sum(number for status, number in self.statuses.items() if status.startswith("confirm"))


class _Run:
    def __init__(self, order: Crowded) -> None:
        self.order, self.tally = order, Tally()
        self.requests = CrowdForms(order.visitors, order.port)
        self.forms: Iterator[bytes] = self.requests.signing(order.people)
        self.links: deque[str] = deque()
        self.seen: set[int] = set()  # digests of links, eight octets of each: a million take 64 MB
        self.counts: Counter[str] = Counter()
        self.idle: dict[bool, list[_Connection]] = {True: [], False: []}  # by "signs"
        self.tasks: set[asyncio.Task[None]] = set()
        self.sent = self.confirmed = 0
        self.done = asyncio.get_running_loop().create_future()
        self.moved_at = self.started = time.perf_counter()
        self.worked = time.process_time()

    def next(self, *, signs: bool) -> bytes | None:
        if signs:
            if not self.may_sign:
                return None
            request = next(self.forms, None)
            self.sent += request is not None
            return request
        return self.requests.confirming(self.links.popleft()) if self.links else None

    @property
    def may_sign(self) -> bool:
        """Whether the next one has come, and those before are not too far behind."""
        rate = self.order.rate
        due = rate is None or self.sent < rate * (time.perf_counter() - self.started)
        return due and self.sent - self.confirmed <= MAX_AHEAD

    def wake_due(self) -> None:
        for _ in range(len(self.idle[True])):
            if self.may_sign:
                self.wake(signs=True)

    async def connect(self, signs: bool) -> None:
        make = partial(_Connection, self, signs=signs)
        await asyncio.get_running_loop().create_connection(make, "127.0.0.1", self.order.port)

    def reconnect(self, signs: bool) -> None:
        task = asyncio.get_running_loop().create_task(self.connect(signs))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def take_mail(self, link: str | None) -> None:
        self.moved_at = time.perf_counter()
        self.tally.mails += 1
        if link is None:
            return
        digest = int.from_bytes(hashlib.blake2b(link.encode(), digest_size=8).digest(), "big")
        if digest not in self.seen:
            self.seen.add(digest)
            self.links.append(link)
            self.wake(signs=False)

    def wake(self, *, signs: bool) -> None:
        if self.idle[signs]:
            self.idle[signs].pop().ask()

    def answered(self, status: str, *, signs: bool) -> None:
        self.moved_at = time.perf_counter()
        self.counts[f"{'sign' if signs else 'confirm'} {status}"] += 1
        if not signs:
            self.confirmed += 1
            self.wake(signs=True)
            if self.confirmed == self.order.people and not self.done.done():
                self.done.set_result(None)

    def report(self, *, is_last: bool = False) -> None:
        tally = self.tally
        tally.seconds, tally.cpu = time.perf_counter() - self.started, time.process_time() - self.worked
        tally.sent, tally.statuses, tally.links, tally.is_last = self.sent, dict(self.counts), len(self.seen), is_last
        print(json.dumps(dataclasses.asdict(tally)), flush=True)


class _Connection(asyncio.Protocol):
    """A visitor who signs, or one who confirms."""

    def __init__(self, run: _Run, *, signs: bool) -> None:
        self._run, self._signs = run, signs
        self._is_idle, self._seen = True, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self.ask()

    def ask(self) -> None:
        request = self._run.next(signs=self._signs)
        self._is_idle = request is None
        if request is None:
            self._run.idle[self._signs].append(self)
        else:
            self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        # A redirect has no body; any other answer ends the run in the end, since its person is missing.
        self._seen += data
        if b"\r\n\r\n" in self._seen:
            status, self._seen = self._seen[9:12].decode(), b""
            self._run.answered(status, signs=self._signs)
            self.ask()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._run.done.done():
            return
        if self._is_idle:  # for longer than the server keeps it
            with contextlib.suppress(ValueError):
                self._run.idle[self._signs].remove(self)
            self._run.reconnect(self._signs)
        else:
            self._run.done.set_exception(exc or ConnectionError("the server closed a connection in the middle"))


async def carry_out(order: Crowded) -> None:
    """Have all sign and confirm. Raises ``OSError`` if the server drops a connection."""
    run = _Run(order)
    loop = asyncio.get_running_loop()
    sink = await loop.create_server(partial(LinkSink, run.take_mail), "127.0.0.1", order.sink_port)
    for signs, number in ((True, SIGNERS), (False, CONFIRMERS)):
        for _ in range(number):
            await run.connect(signs)
    reported_at = time.perf_counter()
    while not run.done.done() and time.perf_counter() - run.moved_at < PATIENCE:
        await asyncio.wait([run.done], timeout=TICK if order.rate else REPORT_EVERY)
        run.wake_due()
        if time.perf_counter() - reported_at >= REPORT_EVERY:
            reported_at = time.perf_counter()
            run.report()
    if run.done.done():
        run.done.result()
    run.report(is_last=True)
    sink.close()


def main() -> None:
    """Carry out the order on standard input."""
    uvloop.run(carry_out(pickle.load(sys.stdin.buffer)))


if __name__ == "__main__":
    # The class must be the one that was pickled.
    from tests.bench import crowd_forms

    crowd_forms.main()
