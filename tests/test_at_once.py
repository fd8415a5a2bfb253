"""Cached answers by real sockets: written by the connection itself, and the same as the application would send."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from petition.web.connection import GuardedProtocol
from petition.web.gateway import Gateway
from petition.web.known_heads import CacheRequest
from tests.running import SLUG, Installation

LETTER = f"/en/{SLUG}"
COUNT = f"/api/v1/letters/{SLUG}/count"
BADGE = f"/badge/{SLUG}.svg?lang=ru"
IN_FULL = "Content-Length: 0\r\n"  # the same request, but the application answers it
STREAM = f"/api/v1/letters/{SLUG}/events"


@dataclass
class Wire:
    """One connection to a site, and which of its requests were answered without the application."""

    site: Installation
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    ready: list[bytes] = field(default_factory=list)

    def send(self, path: str, more: str = "", method: str = "GET", version: str = "1.1", host: str = "") -> None:
        """Send a request."""
        head = f"{method} {path} HTTP/{version}\r\nHost: {host or self.site.base.split('//')[1]}\r\n{more}\r\n"
        self.writer.write(head.encode())

    async def answer(self, *, of_head: bool = False) -> tuple[str, bytes]:
        """Return the next answer's head, its lines sorted and without the time, and its body."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        length = re.search(r"content-length: (\d+)", head)
        body = await self.reader.readexactly(int(length[1])) if length and not of_head else b""
        status, *lines = head.split("\r\n")
        return "\n".join((status, *sorted(line for line in lines if line and not line.startswith("date: ")))), body

    async def ask(self, path: str, more: str = "", method: str = "GET") -> tuple[str, bytes]:
        """Send a request; return its answer."""
        self.send(path, more, method)
        return await self.answer(of_head=method == "HEAD")


@pytest.fixture
async def wire(site: Installation, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Wire]:
    """Give a connection to a site whose letter, count and badge are cached."""
    for path in (LETTER, COUNT, BADGE):
        assert (await site.client.get(path)).status_code == 200
    wire = Wire(site, *await asyncio.open_connection("127.0.0.1", site.settings.port))
    cached_response = Gateway.cached_response

    def noting(gateway: Gateway, request: CacheRequest) -> tuple[bytes, bytes] | None:
        answer = cached_response(gateway, request)
        if answer is not None:
            wire.ready.append(request.key.encode())
        return answer

    monkeypatch.setattr(Gateway, "cached_response", noting)
    yield wire
    wire.writer.close()


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("encoding", ["", "Accept-Encoding: gzip\r\n", "Accept-Encoding: gzip;q=0\r\n"])
@pytest.mark.parametrize("path", [LETTER, COUNT, BADGE])
async def test_what_is_ready_is_what_the_application_sends(wire: Wire, path: str, encoding: str, method: str) -> None:
    direct = await wire.ask(path, encoding, method)
    assert wire.ready == [path.encode()]
    assert direct == await wire.ask(path, encoding + IN_FULL, method)
    assert wire.ready == [path.encode()]
    assert direct[0].startswith("HTTP/1.1 200 OK\n")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", [LETTER, COUNT, BADGE])
async def test_nor_is_it_another_for_whoever_has_it(wire: Wire, path: str, method: str) -> None:
    head, _ = await wire.ask(path)
    etag = re.search(r"etag: (.*)", head)
    assert etag
    known = f"If-None-Match: {etag[1]}\r\n"
    direct = await wire.ask(path, known, method)
    assert direct[0].startswith("HTTP/1.1 304 Not Modified\n")
    assert direct == await wire.ask(path, known + IN_FULL, method)
    assert len(wire.ready) == 2


async def test_it_says_the_time(wire: Wire) -> None:
    wire.send(COUNT)
    assert re.search(
        rb"\r\ndate: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r\n", await wire.reader.readuntil(b"\r\n\r\n")
    )


async def test_the_application_is_asked_for_all_else(wire: Wire) -> None:
    assert (await wire.ask(f"{LETTER}?"))[0].startswith("HTTP/1.1 200")
    assert (await wire.ask(LETTER.replace("e", "%65", 1)))[0].startswith("HTTP/1.1 200")
    assert (await wire.ask(LETTER, method="OPTIONS"))[0].startswith("HTTP/1.1 405")
    assert (await wire.ask("/en/nothing-here"))[0].startswith("HTTP/1.1 404")
    wire.send(LETTER, host="elsewhere.example")
    assert (await wire.answer())[0].startswith("HTTP/1.1 421")
    # What follows a wish for another protocol may be in that protocol, so it is the last request of its connection.
    assert (await wire.ask(LETTER, "Upgrade: h2c\r\nConnection: Upgrade\r\n"))[0].startswith("HTTP/1.1 200")
    assert await wire.reader.read() == b""
    assert wire.ready == []


@pytest.mark.parametrize(("more", "version"), [("Connection: close\r\n", "1.1"), ("", "1.0")])
async def test_who_wants_the_connection_closed_has_it_closed(wire: Wire, more: str, version: str) -> None:
    wire.send(LETTER, more, version=version)
    head, body = await wire.answer()
    assert "connection: close" in head
    assert b"</html>" in body
    assert await wire.reader.read() == b""
    assert wire.ready == []


async def test_several_at_once_are_answered_in_their_order(wire: Wire) -> None:
    paths = [COUNT, "/healthz", LETTER, COUNT, "/en/nothing-here", BADGE]
    for path in paths:
        wire.send(path)
    answers = [await wire.answer() for _ in paths]
    for path, answer in zip(paths, answers, strict=True):
        assert answer == await wire.ask(path, IN_FULL)


async def test_a_body_that_nobody_asked_for_is_not_taken_for_a_request(wire: Wire) -> None:
    hidden = f"GET {COUNT} HTTP/1.1\r\nHost: localhost\r\n\r\n"
    wire.send(LETTER, f"Content-Length: {len(hidden)}\r\n")
    wire.writer.write(hidden.encode())
    assert b"</html>" in (await wire.answer())[1]
    wire.send("/healthz")
    assert (await wire.answer())[1] == b"alive\n"
    assert wire.ready == []


async def test_who_does_not_read_is_not_written_to_for_ever(wire: Wire) -> None:
    times = 2000
    for _ in range(times):
        wire.send(LETTER)
    await asyncio.sleep(0)  # the server is on this loop: what has not been read yet stands in the system's buffers
    while not wire.ready:
        await asyncio.sleep(0.01)
    for _ in range(50):
        await asyncio.sleep(0.01)
    assert len(wire.ready) < times / 2
    # Behind those, sixteen wait for the application; with one more the connection ends.
    first, answers = await wire.answer(), 1
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        while await wire.answer() == first:
            answers += 1
    assert answers < times / 2


async def test_a_stream_that_follows_outlives_the_patience_with_idle_connections(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection_made = GuardedProtocol.connection_made

    def hasty(connection: GuardedProtocol, transport: asyncio.Transport) -> None:
        connection_made(connection, transport)
        connection.timeout_keep_alive = 0  # seconds

    monkeypatch.setattr(GuardedProtocol, "connection_made", hasty)
    wire.writer.close()
    wire.reader, wire.writer = await asyncio.open_connection("127.0.0.1", wire.site.settings.port)
    wire.send(COUNT)
    wire.send(STREAM)
    await wire.answer()
    assert b"200 OK" in await wire.reader.readuntil(b"\r\n\r\n")
    assert wire.ready == [COUNT.encode()]
    reading = asyncio.create_task(wire.reader.readuntil(b"\0"))  # never there: ends when the connection does
    done, _ = await asyncio.wait([reading], timeout=1)
    assert not done
    reading.cancel()
