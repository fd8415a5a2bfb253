"""Too many connections: one of the network that has the most goes, and a newcomer is served."""

import asyncio
from collections.abc import Sequence

import pytest

from petition.web import connection, connection_limits
from petition.web.connection import GuardedProtocol
from petition.web.connection_limits import OpenConnections
from tests.web.test_connection import REQUEST, Call, call, port

__all__ = ["call", "port"]  # fixtures
OK = b"HTTP/1.1 200 OKhello"


class Visitor:
    """A connection without a socket; ``idle`` is since when it has had nothing to answer."""

    def __init__(self, *prefixes: str, idle: float | None = 0.0) -> None:
        self.prefixes = prefixes
        self.idle = idle
        self.is_evicted = False

    def idle_since(self) -> float | None:
        """Return it."""
        return self.idle

    def evict(self) -> None:
        """Note it."""
        self.is_evicted = True


def opened(visitors: Sequence[Visitor]) -> OpenConnections:
    connections = OpenConnections()
    for visitor in visitors:
        connections.add(visitor)
    return connections


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have room for ten."""
    monkeypatch.setattr(connection_limits, "MAX_CONNECTIONS", 10)


@pytest.mark.usefixtures("full")
def test_the_network_with_the_most_loses_what_has_been_idle_for_longest() -> None:
    crowd = [Visitor("2001:db8::/48", f"2001:db8:0:{n}::/64", idle=float(n)) for n in range(7)]
    busy = Visitor("2001:db8::/48", "2001:db8:0:9::/64", idle=None)
    single = [Visitor("198.51.100.0/24", "198.51.100.7", idle=-1.0), Visitor(idle=-2.0)]  # the last is a proxy's
    connections = opened([*single, busy, *crowd])
    for n in range(3):
        connections.add(Visitor("192.0.2.0/24", f"192.0.2.{n}"))
    assert [visitor.is_evicted for visitor in crowd] == [True] * 3 + [False] * 4
    assert not any(visitor.is_evicted for visitor in (busy, *single))
    assert len(connections) == 10


@pytest.mark.usefixtures("full")
def test_requests_of_one_network_go_before_another_visitor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_limits, "FEW", 2)
    crowd = [Visitor("203.0.113.0/24", "203.0.113.9", idle=None) for _ in range(8)]
    others = [Visitor("198.51.100.0/24", "198.51.100.7", idle=None), Visitor(idle=None)]
    opened([*others, *crowd, Visitor("192.0.2.0/24", "192.0.2.1")])
    assert sum(visitor.is_evicted for visitor in crowd) == 1
    assert not any(visitor.is_evicted for visitor in others)


def test_one_network_has_its_share_only_and_closes_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_limits, "MAX_PER_NETWORK", 3)
    crowd = [Visitor("203.0.113.0/24", "203.0.113.9", idle=float(n)) for n in range(5)]
    neighbour = Visitor("203.0.113.0/24", "203.0.113.10", idle=-5.0)
    connections = opened([neighbour, *crowd])
    assert [visitor.is_evicted for visitor in crowd] == [True, True, False, False, False]
    assert not neighbour.is_evicted
    for visitor in (neighbour, *crowd):
        connections.discard(visitor)
    assert not len(connections)
    assert not connections._counts
    assert not connections._by_network


def test_bodies_and_readers_are_counted_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_limits, "MAX_UNFINISHED", 2)
    monkeypatch.setattr(connection_limits, "MAX_UNREAD", 2)
    visitors = [Visitor("203.0.113.0/24", "203.0.113.9", idle=None) for _ in range(4)]
    other = Visitor("198.51.100.0/24", "198.51.100.7", idle=None)
    connections = opened([*visitors, other])
    for visitor in (*visitors[:2], other):
        connections.add_unfinished(visitor)
    assert [visitor.is_evicted for visitor in visitors] == [True, False, False, False]
    connections.discard_unfinished(visitors[1])
    for visitor in (visitors[2], other, visitors[3]):
        connections.add_unread(visitor)
    assert [visitor.is_evicted for visitor in visitors] == [True, False, True, False]
    assert not other.is_evicted
    connections.add_unread(visitors[0])  # closed before
    assert len(connections) == 3


async def test_a_newcomer_of_a_network_with_many_is_served(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_limits, "MAX_PER_NETWORK", 3)
    monkeypatch.setattr(connection, "prefixes_of_peer", lambda _peer, _trusted: ("198.51.100.0/24", "198.51.100.7"))
    callers = [await call() for _ in range(3)]
    for caller in callers:
        await caller.send(REQUEST)
        assert await caller.answer() == OK
    late = await call()
    assert await callers[0].is_left()
    for caller in (*callers[1:], late):
        await caller.send(REQUEST)
        assert await caller.answer() == OK


async def test_half_open_heads_go_before_a_request(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_limits, "MAX_CONNECTIONS", 5)
    connections = OpenConnections()
    monkeypatch.setattr(GuardedProtocol, "open_connections", connections)
    half = [await call() for _ in range(5)]
    for caller in half:
        await caller.send(REQUEST[:-2])
    for _ in range(3):
        newcomer = await call()
        await newcomer.send(REQUEST)
        assert await newcomer.answer() == OK
        newcomer.hang_up()
    assert await half[0].is_left()
    async with asyncio.timeout(120):
        while len(connections) > 4:
            await asyncio.sleep(0.01)
    await half[-1].send(REQUEST[-2:])
    assert await half[-1].answer() == OK


async def test_proxies_bring_as_many_as_they_like(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_limits, "MAX_PER_NETWORK", 1)
    for caller in [await call() for _ in range(3)]:  # this machine's own addresses are where proxies stand
        await caller.send(REQUEST)
        assert await caller.answer() == OK


@pytest.mark.parametrize(
    ("files", "connections", "streams"),
    [
        (20_000, 0, 19_182),  # all but one in 32
        (20_000, 1_000, 18_182),
        (20_000, 7_400, 11_800),
        (20_000, 8_000, 11_800),  # what is theirs alone
        (65_536, 0, 63_295),
        (1024, 0, 799),
        (1024, 412, 412),
        (16, 4, 4),
    ],
)
def test_streams_have_the_files_that_no_connection_needs(
    files: int, connections: int, streams: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_limits, "max_files", lambda: files)
    assert connection_limits.max_streams(connections) == streams
    assert (
        connection_limits.max_streams(connection_limits.max_connections()) + connection_limits.max_connections() < files
    )
