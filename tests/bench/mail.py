"""Mail: ``petition worker`` against a sink in another process, beside aiosmtplib sending ready-made messages to it.

Everything is on as in use: addresses are sealed, every mail is composed, signed twice (DKIM) and settled in the
database; the sink takes its part of the same cores.
"""

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from aiosmtplib import SMTP

from petition.core.database import connect, migrate
from petition.core.relay_urls import CONNECTIONS
from petition.core.resources import PACKAGE
from tests.mail.installation import Installation, environ, settings
from tests.mail.waiting import until
from tests.running import free_port

CONTENT_SIZE = 9_000  # octets, as a confirmation with both signatures has
IDLE = "SELECT NOT EXISTS (SELECT FROM outbox)"
PROBES, PROBE_PAUSE = 40, 0.1  # confirmations while mail in bulk goes out, and seconds between them


class Sent:
    """What the sink has taken so far."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._offset = 0
        self._times: dict[str, float] = {}

    def times(self) -> dict[str, float]:
        """Return when the mail to each recipient was accepted; what was read before is not read again."""
        if self._file.exists():
            with self._file.open("rb") as lines:
                lines.seek(self._offset)
                whole = lines.read().rpartition(b"\n")[0]
            self._offset += len(whole) + bool(whole)
            for line in whole.decode().splitlines():
                address, at = line.split()
                self._times[address] = float(at)
        return self._times


@contextlib.contextmanager
def sink(folder: Path) -> Iterator[tuple[int, Sent]]:
    """Run the sink; give its port and what it takes."""
    port, file = free_port(), folder / f"sink-{time.monotonic_ns()}"
    process = subprocess.Popen([sys.executable, "-m", "tests.bench.mail_sink", str(port), str(file)])
    try:
        yield port, Sent(file)
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def worker(folder: Path, url: str, port: int) -> Iterator[None]:
    """Run ``petition worker``."""
    own = environ(folder, url, f"smtp://127.0.0.1:{port}") | {"PATH": os.environ["PATH"]}
    with (folder / "worker.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "petition", "worker"],
            env=own | {"PYTHONPATH": str(PACKAGE.parent)},
            stderr=log,
        )
    try:
        yield
    finally:
        process.terminate()
        process.wait()


@contextlib.asynccontextmanager
async def installed(url: str, folder: Path) -> AsyncIterator[Installation]:
    """Give an installation in an empty database."""
    await migrate(url)
    conn = await connect(url)
    try:
        yield Installation(conn, settings(folder, url))
    finally:
        await conn.close()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return False
    return True


async def bare(port: int, mails: int) -> float:
    """Send ready-made messages over as many connections as the worker has; return how many a second."""
    content = b"Subject: x\r\n\r\n" + (b"y" * 70 + b"\r\n") * (CONTENT_SIZE // 72)

    async def send(number: int) -> None:
        client = SMTP(hostname="127.0.0.1", port=port, use_tls=False, start_tls=False, timeout=60)
        await client.connect()
        for mail in range(mails // CONNECTIONS):
            await client.sendmail("post@letters.example", [f"bare{number}-{mail}@example.org"], content)
        await client.quit()

    await until(lambda: _listens(port))
    start = time.monotonic()
    await asyncio.gather(*(send(number) for number in range(CONNECTIONS)))
    return mails // CONNECTIONS * CONNECTIONS / (time.monotonic() - start)


async def sent_by_worker(url: str, folder: Path, port: int, sent: Sent, mails: int) -> float:
    """Have the worker send confirmations; return how many a second, from the first to the last."""
    async with installed(url, folder) as installation:
        letter = await installation.letter()
        async with installation.conn.transaction():
            for number in range(mails):
                await installation.sign_up(letter, f"worker{number}@example.org")
        with worker(folder, url, port):
            while not await installation.conn.fetchval(IDLE):  # seldom, since it takes of the same cores
                await asyncio.sleep(0.2)
    times = [at for address, at in sent.times().items() if address.startswith("worker")]
    if len(times) != mails:
        raise RuntimeError(f"{len(times)} of {mails} mails arrived")
    return (mails - 1) / (max(times) - min(times))


async def behind_bulk(url: str, folder: Path, port: int, sent: Sent, mails: int) -> float:
    """Have confirmations sent while mail in bulk goes out; return the 95th percentile from commit to sink, in s."""
    async with installed(url, folder) as installation:
        letter = await installation.letter()
        async with installation.conn.transaction():
            for number in range(mails):
                await installation.sign_up(letter, f"bulk{number}@example.org")
            await installation.conn.execute("UPDATE outbox SET priority = 1")
        committed: dict[str, float] = {}
        with worker(folder, url, port):
            await until(lambda: any(address.startswith("bulk") for address in sent.times()))
            for number in range(PROBES):
                address = f"probe{number}@example.org"
                await installation.sign_up(letter, address)
                committed[address] = time.time()
                await asyncio.sleep(PROBE_PAUSE)
            await until(lambda: committed.keys() <= sent.times().keys())
            if await installation.is_idle():
                raise RuntimeError("the mail in bulk was over before the last confirmation")
    times = sent.times()
    waits = sorted(times[address] - at for address, at in committed.items())
    return waits[len(waits) * 95 // 100]
