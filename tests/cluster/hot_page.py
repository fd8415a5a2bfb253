"""A hot page behind Varnish: how many of its readers reach the webs, and for how long a hidden name is still shown."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.cluster.parts import Parts
from tests.cluster.visitors import Visitors, client, name_of
from tests.running import SLUG

PAGE = f"/en/{SLUG}/signatories"
READERS = 16
SECONDS = 6.0
HIDINGS = 3
MAX_SHARE = 0.05  # of the reads, that may reach the webs
MAX_SHOWN = 2.0  # seconds


@dataclass
class Readers:
    """Crowds that read one page without a pause; ``seen`` are (when it was asked for, the page)."""

    reads: int = 0
    watched: str = ""  # a name
    last_asked_at: float = 0.0  # of the newest page with it
    statuses: set[int] = field(default_factory=set)

    async def read_on(self) -> None:
        async with client() as reader:
            while True:
                asked_at = time.monotonic()
                answer = await reader.get(PAGE)
                self.reads += 1
                self.statuses.add(answer.status_code)
                if self.watched and self.watched in answer.text:
                    self.last_asked_at = max(self.last_asked_at, asked_at)


@asynccontextmanager
async def reading() -> AsyncIterator[Readers]:
    """Have crowds read until the block ends."""
    readers = Readers()
    tasks = [asyncio.create_task(readers.read_on()) for _ in range(READERS)]
    try:
        yield readers
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def share_that_reaches_us(parts: Parts, readers: Readers) -> float:
    """Return which share of the reads of a while reached the webs; nothing else may be going on."""
    reads, answered = readers.reads, await parts.requests_answered()
    await asyncio.sleep(SECONDS)
    return (await parts.requests_answered() - answered) / (readers.reads - reads)


async def shown_after_hiding(visitors: Visitors, readers: Readers) -> float:
    """Have somebody hide their name that is read; return for how many seconds it was handed out afterwards."""
    number = visitors.newest()
    readers.last_asked_at, readers.watched = 0.0, name_of(number)
    async with asyncio.timeout(30):
        while not readers.last_asked_at:
            await asyncio.sleep(0.05)
    await visitors.hide(number)
    hidden_at = time.monotonic()
    await asyncio.sleep(2 * MAX_SHOWN)
    return max(0.0, readers.last_asked_at - hidden_at)
