"""Threads that sign beside the event loop. An RSA signature takes as long as the rest of a mail, and OpenSSL does not
hold Python's lock meanwhile.

A pool of ``concurrent.futures`` does the same, and takes twice as long to hand over one item and its result.
"""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Generic, TypeVar

Item = TypeVar("Item")
_Waiting = tuple[Item, "asyncio.Future[bytes]"]

THREADS = 2  # at a thousand signatures a second one is busy


class SigningThreads(Generic[Item]):
    """Call ``sign`` for each item in one of ``THREADS`` threads, which start with the first item."""

    def __init__(self, sign: Callable[[Item], bytes]) -> None:
        self._sign = sign
        self._waiting: SimpleQueue[_Waiting[Item]] = SimpleQueue()
        self._has_started = False

    async def sign(self, item: Item) -> bytes:
        """Return what ``sign`` returns, or raise what it raises."""
        if not self._has_started:
            self._has_started = True
            for _ in range(THREADS):
                threading.Thread(target=self._run, name="dkim", daemon=True).start()
        result: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting.put((item, result))
        return await result

    def _run(self) -> None:
        while True:
            item, result = self._waiting.get()
            act: Callable[[], None]
            try:
                act = _setting(result, self._sign(item))
            except Exception as error:  # noqa: BLE001 - it is raised where the result is awaited
                act = _failing(result, error)
            with suppress(RuntimeError):  # the loop has ended, and with it the mail
                result.get_loop().call_soon_threadsafe(act)


def _setting(result: "asyncio.Future[bytes]", signed: bytes) -> Callable[[], None]:
    return lambda: None if result.done() else result.set_result(signed)


def _failing(result: "asyncio.Future[bytes]", error: Exception) -> Callable[[], None]:
    return lambda: None if result.done() else result.set_exception(error)
