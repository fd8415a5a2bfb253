"""The loop of every long job: steps while there are any, else a pause, which grows while steps fail."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from petition.core import metrics
from petition.core.backoff import Backoff
from petition.core.errors import Gone, Unavailable

log = logging.getLogger(__name__)


async def run(step: Callable[[], Awaitable[bool]], stop: asyncio.Event, *, name: str, poll: float) -> None:
    """Call ``step`` until ``stop`` is set: again at once after True, else after ``poll`` seconds. Raises nothing.

    After a failure it waits twice as long as after the one before, and says so in one line. An outage of the database
    is one line, and the pauses stay short: all goes on as soon as it is over.
    """
    backoff, is_waiting = Backoff(poll), False
    while not stop.is_set():
        more = False
        try:
            more = await step()
            if backoff.worked() or is_waiting:
                log.info("job goes on", extra={"task": name})
            is_waiting = False
            metrics.LAST_STEP.set_now(name)
            metrics.STEPS.labels(name, "done" if more else "idle").inc()
        except Gone:  # the rows of a letter that was taken down are deleted in a moment
            pass
        except Unavailable as error:
            if not is_waiting:
                log.warning("job is waiting for the database", exc_info=error, extra={"task": name})
            is_waiting = True
            metrics.STEPS.labels(name, "waiting").inc()
        except Exception as error:
            pause = backoff.failed()
            metrics.STEPS.labels(name, "failed").inc()
            where = {"task": name, "attempt": backoff.failures, "seconds": pause}
            log.error("step failed", exc_info=error, extra=where)
        if not more:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), backoff.pause)
