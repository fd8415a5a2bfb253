"""The loop of every long job: steps while there are any, else a pause, which grows while steps fail."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from petition.core.errors import Gone, Unavailable

MAX_PAUSE = 60.0  # seconds between two steps of a job whose steps fail

log = logging.getLogger(__name__)


async def run(step: Callable[[], Awaitable[bool]], stop: asyncio.Event, *, name: str, poll: float) -> None:
    """Call ``step`` until ``stop`` is set: again at once after True, else after ``poll`` seconds. Raises nothing.

    After a failure it waits twice as long as after the one before, and says so in one line.
    """
    failures = 0
    while not stop.is_set():
        more = False
        try:
            more = await step()
            failures = _note_success(name, failures)
        except Gone:  # the rows of a letter that was taken down are deleted in a moment
            pass
        except Exception as error:  # noqa: BLE001 - one job that fails must not stop the others
            failures += 1
            _note_failure(name, error, failures, _pause(poll, failures))
        if not more:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _pause(poll, failures))


def _pause(poll: float, failures: int) -> float:
    """Return the seconds to wait after so many failures in a row."""
    return max(poll, min(MAX_PAUSE, poll * 2.0 ** min(failures, 16)))


def _note_failure(name: str, error: Exception, failures: int, pause: float) -> None:
    if not isinstance(error, Unavailable):
        log.error("step failed", exc_info=error, extra={"task": name, "attempt": failures, "seconds": pause})
    elif failures == 1:  # every part of the worker notices an outage: a line for each is enough
        log.warning("job is waiting for the database", exc_info=error, extra={"task": name})


def _note_success(name: str, failures: int) -> int:
    if failures:
        log.info("job goes on", extra={"task": name, "attempt": failures})
    return 0
