"""An update mailed to very many by ``petition worker``, while people sign: memory, speed, and how long they wait."""

import asyncio
import os
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from petition.core.database import Database, connect, migrate, opened
from petition.core.encryption import Wrapper
from petition.core.ids import LetterId
from petition.core.settings import Process, load
from petition.letters import published
from tests.bench.mail import Sent, cpu, worker
from tests.faults.processes import worker_environ
from tests.mail.installation import Installation
from tests.mail.installation import Letter as TestLetter
from tests.mailings import subscribers
from tests.running import KEY, environment, publish

LIMIT = "600000"  # mails a minute: no limit
LOOK = 0.2  # seconds between two looks
PROBE_EVERY = 0.5  # seconds
FIRST = 10_000  # mails, whose memory is compared with that of as many at the end; a tenth of fewer mails
DONE = "SELECT ended_at IS NOT NULL FROM mailing"


@dataclass
class Mailed:
    """What was seen of one mailing."""

    readers: int
    seconds: float = 0.0  # from the first mail to the last
    cpu: float = 0.0  # of the worker for a mail, in µs
    memory: list[tuple[int, float]] = field(default_factory=list)  # mails that went out, resident MiB of the worker
    waits: list[float] = field(default_factory=list)  # of confirmations, commit to sink, in s

    @property
    def growth(self) -> float:
        """Return the most memory during the last mails over the most during the first."""
        part = min(FIRST, self.readers // 10)
        first = max(size for number, size in self.memory if number <= part)
        return max(size for number, size in self.memory if number > self.readers - part) / first

    @property
    def p95(self) -> float:
        return sorted(self.waits)[len(self.waits) * 95 // 100]

    @property
    def per_minute(self) -> float:
        return 60 * self.readers / self.seconds


async def mail(url: str, folder: Path, port: int, sent: Sent, readers: int) -> Mailed:
    """Have an update mailed to ``readers``; people sign meanwhile."""
    await migrate(url)
    environ = worker_environ(environment(folder, url, 8000, LIMIT_MAILING=LIMIT), port)
    settings = load(environ, role=Process.WORKER)
    async with opened(url, max_size=4) as database:
        await publish(settings, database)
        letter = await _prepare(database, readers)
        conn = await connect(url)
        with worker(folder, environ) as process:
            mailed = await _watch(Installation(conn, settings), letter, process, sent, Mailed(readers))
        await conn.close()
    return mailed


async def _prepare(database: Database, readers: int) -> TestLetter:
    """Add the subscribers, half of them Russian, and an update to be mailed to them."""
    async with database.connection() as conn:
        letter = await published.read(conn, Wrapper([KEY]), LetterId(1))
    numbers = range(1, readers + 1)
    await subscribers.add(database, letter, numbers[: readers // 2])
    await subscribers.add(database, letter, numbers[readers // 2 :], lang="ru")
    await subscribers.mail(database, letter, await subscribers.publish(database, letter))
    return TestLetter(letter.id, letter.slug, letter.keys)


async def _watch(
    installation: Installation, letter: TestLetter, process: subprocess.Popen[bytes], sent: Sent, mailed: Mailed
) -> Mailed:
    committed, next_probe, used = dict[str, float](), 0.0, cpu(process)
    while not await installation.conn.fetchval(DONE) or not committed.keys() <= sent.times().keys():
        number = sum(address.startswith("reader") for address in sent.times())
        if 0 < number < mailed.readers:
            mailed.memory.append((number, _resident(process.pid)))
            if time.monotonic() >= next_probe:
                address = f"probe{len(committed)}@example.org"
                await installation.sign_up(letter, address)
                committed[address] = time.time()
                next_probe = time.monotonic() + PROBE_EVERY
        await asyncio.sleep(LOOK)
    mailed.cpu = 1e6 * (cpu(process) - used) / mailed.readers
    times = sent.times()
    mailed.waits = [times[address] - at for address, at in committed.items()]
    mails = [at for address, at in times.items() if address.startswith("reader")]
    if len(mails) != mailed.readers:
        raise RuntimeError(f"{len(mails)} of {mailed.readers} mails arrived")
    mailed.seconds = max(mails) - min(mails)
    return mailed


def _resident(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
