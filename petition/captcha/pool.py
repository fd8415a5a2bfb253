"""A pool of objects made ahead of time, so that no request waits while one is made."""

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Pool(Generic[T]):
    """Up to ``size`` objects made by ``make`` in a thread of their own; each is handed out once.

    No thread lives between refills, so nothing has to be started or stopped with the process. An object taken from
    an empty pool is made on the spot.
    """

    def __init__(self, make: Callable[[], T], size: int) -> None:
        self._make = make
        self._size = size
        self._ready: deque[T] = deque()
        self._filling = threading.Lock()

    def __len__(self) -> int:
        return len(self._ready)

    def take(self) -> T:
        """Return an object that is handed out only once, and refill the pool when it runs low."""
        try:
            taken = self._ready.popleft()
        except IndexError:
            taken = self._make()
        self._refill()
        return taken

    def _refill(self) -> None:
        if len(self._ready) > self._size // 2 or not self._filling.acquire(blocking=False):
            return
        threading.Thread(target=self._fill, name="captcha-pool", daemon=True).start()

    def _fill(self) -> None:
        try:
            while len(self._ready) < self._size:
                self._ready.append(self._make())
        finally:
            self._filling.release()
