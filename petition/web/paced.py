"""So much of a kind in one iteration of the event loop, in the order in which it came: in between others are served."""

import asyncio
from collections import deque


class Paced:
    """Lets ``number`` through in one iteration of the event loop, and the next ones in the next."""

    def __init__(self, number: int) -> None:
        self._number = self._left = number
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._is_scheduled = False

    async def wait(self) -> None:
        """Wait until this iteration bears one more."""
        loop = asyncio.get_running_loop()
        if not self._is_scheduled:
            self._is_scheduled = True
            loop.call_soon(self._turn)
        if self._left:
            self._left -= 1
            return
        future = loop.create_future()
        self._waiting.append(future)
        await future

    def _turn(self) -> None:
        self._left, self._is_scheduled = self._number, False
        while self._waiting and self._left:
            future = self._waiting.popleft()
            if not future.done():  # its client has not left
                future.set_result(None)
                self._left -= 1
        if self._left < self._number:
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self._turn)
