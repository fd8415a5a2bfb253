"""Run a callback on SIGTERM or SIGINT: the server itself waits for open responses before it stops the lifespan."""

import asyncio
import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextlib.contextmanager
def on_signal(callback: Callable[[], None]) -> Iterator[None]:
    """Call ``callback`` on the running loop on SIGTERM or SIGINT, then the handler installed before.

    Only the main thread receives signals; in another one nothing is installed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    previous = {number: signal.getsignal(number) for number in SIGNALS}

    def handle(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(callback)
        handler = previous[signal.Signals(number)]
        if callable(handler):
            handler(number, frame)

    for number, handler in previous.items():
        if callable(handler):  # the system's default has to end this process at once
            signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in previous.items():
            if signal.getsignal(number) is handle:
                signal.signal(number, handler)


PROBED_WITHIN = 10.0  # seconds since a program has asked how this process is


class Notice:
    """Whether this process is about to stop: its answers about its health say so, and a proxy turns to another one."""

    def __init__(self) -> None:
        self.is_stopping = False
        self._asked_at = float("-inf")

    def note_probe(self) -> None:
        """Note that a proxy asks."""
        self._asked_at = time.monotonic()

    @property
    def is_probed(self) -> bool:
        """Return whether a proxy asks again and again."""
        return time.monotonic() - self._asked_at < PROBED_WITHIN

    def give(self) -> None:
        self.is_stopping = True


notice = Notice()  # of this process
