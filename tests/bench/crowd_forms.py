"""The generator of ``--only million``, a process of its own: people fill in the form, and confirm by the link in their
mail, which the sink has found there.

``python -m tests.bench.crowd_forms`` reads a pickled ``Crowded`` from standard input. It ends when each link that came
has been used, and writes a ``Tally`` as JSON.
"""

import asyncio
import dataclasses
import hashlib
import hmac
import json
import pickle
import secrets
import subprocess
import sys
import time
from base64 import b64encode
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Any
from urllib.parse import urlencode

import uvloop

from petition.core.encryption import derive
from tests.bench.visitors import Visitors, post
from tests.running import KEY

SIGNERS, CONFIRMERS = 48, 16  # connections
MAX_AHEAD = 20_000  # forms sent whose mail has not come: people who wait for it, so that the outbox stays short
PATIENCE = 120.0  # seconds without a mail


@dataclass(frozen=True)
class Crowded:
    """What to send, and where."""

    port: int
    sink_port: int
    people: int
    visitors: Visitors = field(repr=False)


@dataclass
class Tally:
    """What came of it. Seconds of wall-clock time and of processor time."""

    seconds: float = 0.0
    cpu: float = 0.0
    sink_cpu: float = 0.0
    statuses: dict[str, int] = field(default_factory=dict)  # "sign 303" → number
    mails: int = 0
    links: int = 0  # different ones
    rates: list[float] = field(default_factory=list)  # confirmations a second, in each tenth of the run


class SolvedChallenges:
    """Challenges and their solutions, made without searching: checking one costs what it always does."""

    def __init__(self, letter_id: int) -> None:
        self._letter_id = letter_id
        self._signing, self._answer = derive(KEY, "pow"), derive(KEY, "pow answer")

    def solved(self) -> str:
        """Return the field of the form."""
        derived = secrets.token_bytes(32)
        parameters = {
            "algorithm": "PBKDF2/SHA-256",
            "cost": 5000,
            "data": {"dear": False, "letter": self._letter_id, "price": 0},
            "expiresAt": int(time.time()) + 1200,
            "keyLength": 32,
            "keyPrefix": derived[:16].hex(),
            "keySignature": hmac.digest(self._answer, derived, hashlib.sha256).hex(),
            "nonce": secrets.token_hex(16),
            "salt": secrets.token_hex(16),
        }
        signed = json.dumps(parameters, sort_keys=True, separators=(",", ":"))
        signature = hmac.digest(self._signing, signed.encode(), hashlib.sha256).hex()
        solution = {"counter": 700, "derivedKey": derived.hex(), "time": 900}
        whole = {"challenge": {"parameters": parameters, "signature": signature}, "solution": solution}
        return b64encode(json.dumps(whole).encode()).decode()


class _Run:
    def __init__(self, order: Crowded) -> None:
        self.order, self.tally = order, Tally()
        self.forms = self._forms()
        self.links: deque[str] = deque()
        self.seen: set[str] = set()
        self.counts: Counter[str] = Counter()
        self.idle: list[_Connection] = []
        self.tasks: set[asyncio.Task[None]] = set()
        self.sent = self.confirmed = 0
        self.marks: list[float] = []
        self.done = asyncio.get_running_loop().create_future()
        self.last_mail = time.monotonic()

    def _forms(self) -> Iterator[bytes]:
        visitors, order = self.order.visitors, self.order
        challenges = SolvedChallenges(visitors.letter.id)
        path = f"/ru/{visitors.letter.slug}/sign"
        for _ in range(order.people):
            rest = {
                "version": visitors.letter.version.digest,
                "kind": "person",
                "consent": "yes",
                "altcha": challenges.solved(),
            }
            body = urlencode(visitors.typed() | rest).encode()
            yield post(order.port, path, visitors.network(), body)

    def next(self, *, signs: bool) -> bytes | None:
        if signs:
            if self.sent - self.tally.mails > MAX_AHEAD:
                return None
            request = next(self.forms, None)
            self.sent += request is not None
            return request
        if not self.links:
            return None
        return post(self.order.port, self.links.popleft(), self.order.visitors.network(), b"")

    async def connect(self, signs: bool) -> None:
        make = partial(_Connection, self, signs=signs)
        await asyncio.get_running_loop().create_connection(make, "127.0.0.1", self.order.port)

    def reconnect(self, signs: bool) -> None:
        task = asyncio.get_running_loop().create_task(self.connect(signs))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def take_mail(self, line: str) -> None:
        self.last_mail = time.monotonic()
        self.tally.mails += 1
        if line not in self.seen and line != "-":
            self.seen.add(line)
            self.links.append(line)
        self.wake()

    def wake(self) -> None:
        waiting, self.idle = self.idle, []
        for connection in waiting:
            connection.ask()

    def answered(self, status: str, *, signs: bool) -> None:
        self.counts[f"{'sign' if signs else 'confirm'} {status}"] += 1
        if not signs:
            self.confirmed += 1
            if self.confirmed % max(1, self.order.people // 10) == 0:
                self.marks.append(time.perf_counter())
            if self.confirmed == self.order.people and not self.done.done():
                self.done.set_result(None)


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
            self._run.idle.append(self)
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
            self._run.idle.remove(self)
            self._run.reconnect(self._signs)
        else:
            self._run.done.set_exception(exc or ConnectionError("the server closed a connection in the middle"))


async def carry_out(order: Crowded) -> Tally:
    """Have all sign and confirm. Raises ``OSError`` if the server drops a connection, ``TimeoutError`` without mail."""
    loop, run = asyncio.get_running_loop(), _Run(order)
    sink = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.bench.link_sink", str(order.sink_port)), stdout=subprocess.PIPE
    )
    assert sink.stdout
    reading = loop.create_task(_read(sink.stdout, run))
    started, worked = time.perf_counter(), time.process_time()
    try:
        for signs, number in ((True, SIGNERS), (False, CONFIRMERS)):
            for _ in range(number):
                await run.connect(signs)
        while not run.done.done():
            await asyncio.wait([run.done], timeout=5)
            if time.monotonic() - run.last_mail > PATIENCE:
                break
        if run.done.done():
            run.done.result()
        tally = run.tally
        tally.seconds, tally.cpu = time.perf_counter() - started, time.process_time() - worked
        tally.sink_cpu = _cpu_of(sink.pid)
    finally:
        reading.cancel()
        sink.kill()
        await sink.wait()
    tally.statuses, tally.links = dict(run.counts), len(run.seen)
    marks = [started, *run.marks]
    tally.rates = [order.people // 10 / (b - a) for a, b in pairwise(marks)]
    return tally


async def _read(lines: asyncio.StreamReader, run: _Run) -> None:
    async for line in lines:
        run.take_mail(line.decode().strip())


def _cpu_of(pid: int) -> float:
    from tests.bench.place import cpu_of

    return cpu_of(pid)


def main() -> None:
    """Carry out the order on standard input."""
    order = pickle.load(sys.stdin.buffer)
    print(json.dumps(dataclasses.asdict(uvloop.run(carry_out(order)))))


if __name__ == "__main__":
    # The class must be the one that was pickled.
    from tests.bench import crowd_forms

    crowd_forms.main()
