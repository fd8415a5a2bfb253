"""Which connection has to go when there are too many: one of the network that has the most.

A newcomer is never refused because of others. What a server holds for a connection is bounded three times: connections
in all, requests whose body has not arrived, and responses that are not read.
"""

import heapq
import logging
import resource
import sys
from collections import Counter
from collections.abc import Iterable
from typing import Protocol

from petition.core import metrics
from petition.core.log_summaries import LogSummary

log = logging.getLogger(__name__)
evictions = LogSummary(log, "too many connections")
MAX_CONNECTIONS = 8_000  # of one process; uvicorn would answer 503 at 10,000
OTHER_FILES = 200  # open files that are no client's, at most half of all: libraries, the database
SHARED_FILES = 32  # one in so many is left free by count streams that have taken those connections do not need
SPARE_FILES = 32  # that stay free, at most an eighth of all: for the database, and to answer the next client
MAX_PER_NETWORK = 500  # open at once from one IPv4 address or IPv6 /64: mobile carriers have thousands behind one
MAX_UNFINISHED = 1_000  # requests whose body is still arriving, each with up to 128 KB in memory
MAX_UNREAD = 1_000  # connections with more than 32 KB that the client does not read
FEW = 8  # connections of one network: a browser opens six
SHARE = 100  # one in so many is closed at once, so that choosing them costs little for each newcomer


class Evictable(Protocol):
    """A connection: the prefixes of its network from the widest to the narrowest, none for a proxy's."""

    prefixes: tuple[str, ...]

    def idle_since(self) -> float | None:
        """Return since when it has had no request to answer (the loop's time); None if it has one."""

    def evict(self) -> None:
        """Close it at once."""


class OpenConnections:
    """All connections of a process, counted by the prefixes of their networks."""

    def __init__(self) -> None:
        self._all: dict[Evictable, None] = {}
        self._unfinished: dict[Evictable, None] = {}
        self._unread: dict[Evictable, None] = {}
        self._by_network: dict[str, dict[Evictable, None]] = {}
        self._counts: Counter[str] = Counter()
        self._limit: int | None = None

    def __len__(self) -> int:
        return len(self._all)

    def add(self, connection: Evictable) -> None:
        """Count a new connection; close others if there are too many now, of its network or in all."""
        prefixes = connection.prefixes
        if prefixes:
            of_network = self._by_network.setdefault(prefixes[-1], {})
            if len(of_network) >= MAX_PER_NETWORK:
                self._evict(of_network, MAX_PER_NETWORK)
                of_network = self._by_network.setdefault(prefixes[-1], {})
            of_network[connection] = None
            self._counts.update(prefixes)
        if self._limit is None:
            self._limit = max_connections()
        if len(self._all) >= self._limit:
            self._evict(self._all, self._limit)
        self._all[connection] = None

    def spare_files(self, number: int) -> None:
        """Close connections if ``number``, the lowest free descriptor a moment ago, is among the last ones."""
        files = max_files()
        if number >= files - min(SPARE_FILES, files // 8):
            idle = [connection for connection in self._all if connection.idle_since() is not None]
            self._evict(idle[:-1], len(idle))  # without the newest

    def discard(self, connection: Evictable) -> None:
        """Forget a connection that is closed."""
        if connection not in self._all:
            return
        for group in (self._all, self._unfinished, self._unread):
            group.pop(connection, None)
        if connection.prefixes:
            of_network = self._by_network[connection.prefixes[-1]]
            del of_network[connection]
            if not of_network:
                del self._by_network[connection.prefixes[-1]]
            for prefix in connection.prefixes:
                self._counts[prefix] -= 1
                if not self._counts[prefix]:
                    del self._counts[prefix]

    def add_unfinished(self, connection: Evictable) -> None:
        """Count a request whose body is still arriving."""
        self._add_to(self._unfinished, connection, MAX_UNFINISHED)

    def discard_unfinished(self, connection: Evictable) -> None:
        self._unfinished.pop(connection, None)

    def add_unread(self, connection: Evictable) -> None:
        """Count a response that the client does not read."""
        self._add_to(self._unread, connection, MAX_UNREAD)

    def discard_unread(self, connection: Evictable) -> None:
        self._unread.pop(connection, None)

    def _add_to(self, group: dict[Evictable, None], connection: Evictable, limit: int) -> None:
        if connection not in self._all:  # closed
            return
        if connection not in group and len(group) >= limit:
            self._evict(group, limit)
        group[connection] = None

    def _evict(self, group: Iterable[Evictable], limit: int) -> None:
        for connection in heapq.nsmallest(max(1, limit // SHARE), group, key=self._rank):
            self.discard(connection)
            metrics.CONNECTIONS_CLOSED.labels("too_many").inc()
            evictions.note()
            connection.evict()

    def _rank(self, connection: Evictable) -> tuple[bool, list[int], bool, float]:
        """Return what the first to go has the smallest of.

        A request of a network with few connections is answered to the last, and so is a proxy's, which may be of any
        visitor. Otherwise the network with the most connections pays, the widest prefix first, and of its connections
        those that have been idle for the longest time.
        """
        idle_since = connection.idle_since()
        counts = [-self._counts[prefix] for prefix in connection.prefixes] or [0]
        is_spared = idle_since is None and -counts[-1] <= FEW
        return is_spared, counts, idle_since is None, idle_since or 0.0


def max_connections() -> int:
    """Return how many connections may be open beside those that listen to a count."""
    return min(MAX_CONNECTIONS, _client_files() // 2)


def max_streams(connections: int = 0) -> int:
    """Return how many may listen to a count while so many other connections are open.

    Some files are theirs alone: those that are left if there are as many connections as there may be. What connections
    do not need is theirs too, until it is needed.
    """
    files = _client_files()
    return max(files - max_connections(), files - connections - files // SHARED_FILES)


def _client_files() -> int:
    files = max_files()
    return files - min(OTHER_FILES, files // 2)


def max_files() -> int:
    """Return how many files this process may have open. Without a descriptor it could not even refuse a client."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft
