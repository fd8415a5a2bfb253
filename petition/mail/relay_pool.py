"""The connections of this process to one relay, and who may use one next.

Mail in bulk gets at most half of them, and waits behind all other mail.
"""

import asyncio
from collections import deque

from petition.core.relay_urls import Relay
from petition.mail.smtp_connection import SmtpConnection


class RelayPool:
    """Connections that are opened when needed, used by one mail at a time, and reused.

    Until the relay has answered once, and again after each failure, it has one connection only: if it hangs, one mail
    waits for it and the others go on to the next relay.
    """

    def __init__(self, relay: Relay, local_hostname: str) -> None:
        self._relay = relay
        self._local_hostname = local_hostname
        self._limit = relay.limits.connections
        self._is_proven = False
        self._free: list[SmtpConnection] = []
        self._used = {False: 0, True: 0}  # by "in bulk"
        self._waiting: dict[bool, deque[asyncio.Future[None]]] = {False: deque(), True: deque()}

    def set_limit(self, connections: int) -> None:
        """Use at most so many from now on; 0: none."""
        self._limit = connections
        self._wake()

    def prove(self, *, is_proven: bool) -> None:
        """Note whether the relay answers."""
        if self._is_proven != is_proven:
            self._is_proven = is_proven
            self._wake()

    async def take(self, *, bulk: bool, patience: float) -> SmtpConnection | None:
        """Return a connection for one mail, to be released; None if none was free for ``patience`` seconds."""
        if not self._has_room(bulk=bulk) or self._has_queue_before(bulk=bulk):
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting[bulk].append(turn)
            try:
                await asyncio.wait({turn}, timeout=patience)
            except asyncio.CancelledError:
                self._leave_queue(turn, bulk=bulk)
                raise
            if not turn.done():
                self._waiting[bulk].remove(turn)
                return None
        else:
            self._used[bulk] += 1
        return self._free.pop() if self._free else SmtpConnection(self._relay, self._local_hostname)

    def give_back(self, connection: SmtpConnection, *, bulk: bool) -> None:
        self._used[bulk] -= 1
        self._free.append(connection)
        self._wake()

    async def hang_up(self, *, idle_for: float = 0.0) -> None:
        """Close the free connections that were not used for ``idle_for`` seconds."""
        idle = [connection for connection in self._free if connection.idle() >= idle_for]
        self._free = [connection for connection in self._free if connection not in idle]
        await asyncio.gather(*(connection.hang_up() for connection in idle))

    def _has_room(self, *, bulk: bool) -> bool:
        limit = min(self._limit, 1) if not self._is_proven else self._limit
        if sum(self._used.values()) >= limit:
            return False
        return not bulk or self._used[True] < max(1, limit // 2)

    def _has_queue_before(self, *, bulk: bool) -> bool:
        return bool(self._waiting[False]) or (bulk and bool(self._waiting[True]))

    def _wake(self) -> None:
        """Give free places to those who wait, those in bulk last."""
        for bulk, waiting in self._waiting.items():
            while waiting and self._has_room(bulk=bulk):
                self._used[bulk] += 1
                waiting.popleft().set_result(None)

    def _leave_queue(self, turn: "asyncio.Future[None]", *, bulk: bool) -> None:
        if turn.done():  # it got a place at the same moment
            self._used[bulk] -= 1
            self._wake()
        else:
            self._waiting[bulk].remove(turn)
