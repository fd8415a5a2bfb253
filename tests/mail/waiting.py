"""Waiting for what another task or process does."""

import asyncio
from collections.abc import Awaitable, Callable

LONGEST = 120  # seconds; only keeps a broken test from hanging


async def until(seen: Callable[[], Awaitable[bool] | bool]) -> None:
    """Wait until ``seen`` is true."""
    async with asyncio.timeout(LONGEST):
        while not await _is_true(seen):
            await asyncio.sleep(0.02)


async def _is_true(seen: Callable[[], Awaitable[bool] | bool]) -> bool:
    result = seen()
    return result if isinstance(result, bool) else await result
