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
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Speed:
    """How fast mails went out, from the first to the last, and what each took of the sender's processor time, in µs."""

    rate: float  # a second
    cpu: float


@contextlib.contextmanager
def worker(folder: Path, own: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``petition worker``."""
    with (folder / "worker.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "petition", "worker"],
            env={**own, "PATH": os.environ["PATH"], "PYTHONPATH": str(PACKAGE.parent)},
            stderr=log,
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def cpu(process: subprocess.Popen[bytes]) -> float:
    """Return the seconds of processor time that it has used."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


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


async def bare(port: int, mails: int) -> Speed:
    """Send ready-made messages over as many connections as the worker has."""
    content = b"Subject: x\r\n\r\n" + (b"y" * 70 + b"\r\n") * (CONTENT_SIZE // 72)

    async def send(number: int) -> None:
        client = SMTP(hostname="127.0.0.1", port=port, use_tls=False, start_tls=False, timeout=60)
        await client.connect()
        for mail in range(mails // CONNECTIONS):
            await client.sendmail("post@letters.example", [f"bare{number}-{mail}@example.org"], content)
        await client.quit()

    await until(lambda: _listens(port))
    start, before = time.monotonic(), time.process_time()
    await asyncio.gather(*(send(number) for number in range(CONNECTIONS)))
    sent = mails // CONNECTIONS * CONNECTIONS
    return Speed(sent / (time.monotonic() - start), 1e6 * (time.process_time() - before) / sent)


async def sent_by_worker(url: str, folder: Path, port: int, sent: Sent, mails: int) -> Speed:
    """Have the worker send confirmations."""
    async with installed(url, folder) as installation:
        letter = await installation.letter()
        async with installation.conn.transaction():
            for number in range(mails):
                await installation.sign_up(letter, f"worker{number}@example.org")
        with worker(folder, environ(folder, url, f"smtp://127.0.0.1:{port}")) as process:
            await until(lambda: any(address.startswith("worker") for address in sent.times()))
            before, begun = cpu(process), sum(address.startswith("worker") for address in sent.times())
            while not await installation.conn.fetchval(IDLE):  # seldom, since it takes of the same cores
                await asyncio.sleep(0.2)
            used = cpu(process) - before
    times = [at for address, at in sent.times().items() if address.startswith("worker")]
    if len(times) != mails:
        raise RuntimeError(f"{len(times)} of {mails} mails arrived")
    return Speed((mails - 1) / (max(times) - min(times)), 1e6 * used / (mails - begun))


async def behind_bulk(url: str, folder: Path, port: int, sent: Sent, mails: int) -> float:
    """Have confirmations sent while mail in bulk goes out; return the 95th percentile from commit to sink, in s."""
    async with installed(url, folder) as installation:
        letter = await installation.letter()
        async with installation.conn.transaction():
            for number in range(mails):
                await installation.sign_up(letter, f"bulk{number}@example.org")
            await installation.conn.execute("UPDATE outbox SET priority = 1")
        committed: dict[str, float] = {}
        with worker(folder, environ(folder, url, f"smtp://127.0.0.1:{port}")):
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
