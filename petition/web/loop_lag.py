"""How late the event loop is: for that long readers have waited, be it for our own work or for a processor."""

import asyncio
from time import monotonic

from petition.core import metrics

INTERVAL = 0.05  # seconds


async def measure() -> None:
    """Count it for ever."""
    while True:
        began = monotonic()
        await asyncio.sleep(INTERVAL)
        metrics.LOOP_LAG.observe(max(monotonic() - began - INTERVAL, 0.0))
