"""How late the event loop was is counted."""

import asyncio
from time import sleep

import pytest

from petition.web.loop_lag import measure


class Lag:
    """Stands for the metric."""

    def __init__(self) -> None:
        self.looks: list[float] = []

    def observe(self, seconds: float) -> None:
        self.looks.append(seconds)


async def test_how_late_the_loop_was_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    lag = Lag()
    monkeypatch.setattr("petition.core.metrics.LOOP_LAG", lag)
    task = asyncio.create_task(measure())
    async with asyncio.timeout(60):
        while len(lag.looks) < 2:
            await asyncio.sleep(0.01)
        assert min(lag.looks) >= 0.0
        before = len(lag.looks)
        sleep(0.5)  # noqa: ASYNC251 - what must not be done on an event loop
        while len(lag.looks) == before:
            await asyncio.sleep(0.01)
    assert lag.looks[before] >= 0.4
    task.cancel()
