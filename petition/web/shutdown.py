"""Being told to stop, early enough: a server waits for open answers before it tells the application anything."""

import asyncio
import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextlib.contextmanager
def on_signal(callback: Callable[[], None]) -> Iterator[None]:
    """Have ``callback`` called on the running loop when this process is told to stop, before what else is to happen.

    Only the main thread hears signals; elsewhere nothing is done.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    before = {each: signal.getsignal(each) for each in SIGNALS}

    def told(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(callback)
        following = before[signal.Signals(number)]
        if callable(following):
            following(number, frame)

    for each in SIGNALS:
        if callable(before[each]):  # who left it to the system wants this process to end at once
            signal.signal(each, told)
    try:
        yield
    finally:
        for each, handler in before.items():
            if signal.getsignal(each) is told:
                signal.signal(each, handler)
