"""A worker that sends what a test has put into the outbox."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from petition.core.settings import Settings
from petition.worker import main
from tests.mail.installation import Installation
from tests.mail.waiting import until

NEMO = "nemo@example.org"


@asynccontextmanager
async def working(*its: Settings) -> AsyncIterator[None]:
    """Run a worker for each of ``its`` while the block runs."""
    stop = asyncio.Event()
    tasks = [asyncio.create_task(main.run(each, stop)) for each in its]
    try:
        yield
    finally:
        stop.set()
        await asyncio.gather(*tasks)


async def tried(installation: Installation, times: int) -> None:
    """Wait until the first job has failed so many times."""

    async def is_tried() -> bool:
        return bool((await installation.outbox())[0]["attempts"] >= times)

    await until(is_tried)
