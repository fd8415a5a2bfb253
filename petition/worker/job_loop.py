"""The loop of every long job: steps while there are any, else a pause; an error is logged and tried again later."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from petition.core.errors import Gone, Unavailable

log = logging.getLogger(__name__)


async def run(step: Callable[[], Awaitable[bool]], stop: asyncio.Event, *, name: str, poll: float) -> None:
    """Call ``step`` until ``stop`` is set: again at once after True, else after ``poll`` seconds. Raises nothing."""
    while not stop.is_set():
        more = False
        try:
            more = await step()
        except (Unavailable, Gone):  # the rows of a letter that was taken down are deleted in a moment
            pass
        except Exception:
            log.exception("step failed", extra={"task": name})
        if not more:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), poll)
