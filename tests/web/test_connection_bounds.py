"""What a client may send and leave unread, over real sockets: bounds of heads, bodies, pipelines and responses."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from petition.web import slow_clients
from petition.web.connection import MAX_HEAD, MAX_PIPELINED, GuardedProtocol
from petition.web.connection_limits import OpenConnections
from petition.web.request_bounds import MAX_FREE_CHUNKS, MAX_LINES
from tests.web.test_connection import Receive, Send, listening

HOST = b"Host: localhost\r\n"
GET = b"GET / HTTP/1.1\r\n" + HOST
POST = b"POST / HTTP/1.1\r\n" + HOST
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
LARGE = 30 * 1024 * 1024


class Application:
    """Reads the whole body and answers with its size; GET /large is answered with 30 MB, GET /wait with nothing."""

    def __init__(self) -> None:
        self.requests: list[Any] = []
        self.disconnected = 0

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        size, message = 0, dict[str, Any](more_body=True)
        if scope["path"] == "/late":
            message["more_body"] = False
        while message.get("more_body"):
            message = await receive()
            size += len(message.get("body", b""))
        self.requests.append((scope["path"], size, list(scope["headers"])))
        if message.get("type") == "http.disconnect":
            self.disconnected += 1
            return
        if scope["path"] == "/wait":
            while (await receive())["type"] != "http.disconnect":
                pass
            self.disconnected += 1
            return
        body = b"x" * LARGE if scope["path"] == "/large" else b"%d" % size
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
        await send({"type": "http.response.body", "body": body})


@pytest.fixture
def app() -> Application:
    return Application()


@pytest.fixture
async def port(app: Application, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    monkeypatch.setattr(GuardedProtocol, "open_connections", OpenConnections())
    async with listening(app) as port, asyncio.timeout(120):
        yield port


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def sent(port: int, data: bytes, piece: int = 0) -> bytes:
    """Send ``data`` in pieces of so many bytes; return everything that is answered until the server closes."""
    async with connected(port) as (reader, writer):
        reading = asyncio.create_task(_read(reader))
        for start in range(0, len(data), piece or len(data)):
            if reading.done():
                break
            writer.write(data[start : start + (piece or len(data))])
            await writer.drain()
            await asyncio.sleep(0)
        return await reading


async def _read(reader: asyncio.StreamReader) -> bytes:
    data = bytearray()
    try:
        while piece := await reader.read(65_536):
            data += piece
    except ConnectionError:
        pass
    return bytes(data)


def statuses(answer: bytes) -> list[int]:
    """Return the status codes in what was answered."""
    return [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]]


def lines(number: int) -> bytes:
    return b"a:b\r\n" * number


def too_large() -> Iterator[Any]:
    yield pytest.param(GET + b"A: " + b"x" * MAX_HEAD + b"\r\n\r\n", [431], id="value")
    yield pytest.param(GET + b"x" * MAX_HEAD + b": x\r\n\r\n", [431], id="name")
    yield pytest.param(GET + lines(MAX_LINES) + b"\r\n", [431], id="lines")
    yield pytest.param(GET + lines(4000), [431], id="short lines without end")
    yield pytest.param(b"GET /" + b"x" * MAX_HEAD + b" HTTP/1.1\r\n" + HOST + b"\r\n", [431], id="target")
    yield pytest.param(b"GET /" + b"x" * 900_000, [431], id="target without end")
    yield pytest.param(b"\r\n" * MAX_HEAD, [431], id="empty lines")
    yield pytest.param(GET + b"\r\n" + GET + b"A: " + b"x" * MAX_HEAD + b"\r\n\r\n", [200], id="the second")
    yield pytest.param(GET + b"\r\n" + GET + lines(200) + b"\r\n", [200], id="lines of the second")
    yield pytest.param(CHUNKED + b"1\r\nx\r\n0\r\n" + lines(MAX_LINES + 1) + b"\r\n", [431], id="trailers")
    yield pytest.param(CHUNKED + b"0\r\nA: " + b"x" * 900_000, [431], id="a trailer without end")
    yield pytest.param(CHUNKED + b"1;a=" + b"x" * 900_000, [431], id="an extension without end")
    yield pytest.param(CHUNKED + b"1\r\nx\r\n" * (2 * MAX_FREE_CHUNKS) + b"0\r\n\r\n", [400], id="short chunks")


@pytest.mark.parametrize("piece", [0, 1000])
@pytest.mark.parametrize(("data", "status"), [*too_large()])
async def test_more_than_a_head_may_have_is_refused(
    port: int, app: Application, data: bytes, status: list[int], piece: int
) -> None:
    # A bad request behind one that is still being answered closes the connection after that answer.
    answered = statuses(await sent(port, data, piece))
    assert answered in (status, [*status, 431])
    assert len(app.requests) <= 1


@pytest.mark.parametrize("piece", [0, 1, 1000])
async def test_as_much_as_a_head_may_have_is_not(port: int, app: Application, piece: int) -> None:
    last = b"Connection: close\r\n\r\n"
    full = GET + lines(MAX_LINES - 2) + last
    long = GET + b"A: " + b"x" * (MAX_HEAD - len(GET + last) - 5) + b"\r\n" + last
    assert len(long) == MAX_HEAD
    for data in (full, long):
        assert statuses(await sent(port, data, piece)) == [200]
    assert [len(headers) for _, _, headers in app.requests] == [MAX_LINES, 3]


@pytest.mark.parametrize("piece", [0, 7000])
async def test_a_head_behind_a_body_counts_from_its_own_beginning(port: int, app: Application, piece: int) -> None:
    body = POST + b"Content-Length: 15000\r\n\r\n" + b"x" * 15_000
    last = b"Connection: close\r\n\r\n"
    head = GET + b"A: " + b"x" * (MAX_HEAD - len(GET + last) - 5) + b"\r\n" + last
    assert statuses(await sent(port, body + head, piece)) == [200, 200]
    assert [size for _, size, _ in app.requests] == [15_000, 0]
    app.requests.clear()
    longer = head.replace(b"xx", b"x" * 1000, 1)
    assert 200 not in statuses(await sent(port, body + longer, piece))[1:]
    assert [size for _, size, _ in app.requests] == [15_000]


async def test_trailers_are_no_headers(port: int, app: Application) -> None:
    data = CHUNKED + b"3\r\nabc\r\n0\r\nX-Forwarded-For: 192.0.2.1\r\nHost: other.example\r\n\r\n"
    assert statuses(await sent(port, data + GET + b"Connection: close\r\n\r\n")) == [200, 200]
    (_, size, headers), (_, _, following) = app.requests
    assert (size, headers) == (3, [(b"host", b"localhost"), (b"transfer-encoding", b"chunked")])
    assert following == [(b"host", b"localhost"), (b"connection", b"close")]


async def test_what_follows_a_wish_for_another_protocol_is_not_read(port: int, app: Application) -> None:
    upgrade = b"Connection: Upgrade\r\nUpgrade: h2c\r\n"
    for first in (GET + upgrade + b"\r\n", POST + upgrade + b"Content-Length: 40\r\n\r\n"):
        async with connected(port) as (reader, writer):
            writer.write(first)
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"GET /smuggled HTTP/1.1\r\n" + HOST + b"\r\n")
            assert b"HTTP/1.1" not in await _read(reader)
    assert {path for path, _, _ in app.requests} == {"/"}


async def test_of_many_pipelined_requests_some_are_answered(port: int, app: Application) -> None:
    answered = statuses(await sent(port, (GET + b"\r\n") * 400))
    assert answered == [200] * (1 + MAX_PIPELINED)
    assert len(app.requests) == len(answered)


async def test_sixteen_may_wait(port: int) -> None:
    async with connected(port) as (reader, writer):
        for _ in range(3):
            writer.write((GET + b"\r\n") * (1 + MAX_PIPELINED))
            for _ in range(1 + MAX_PIPELINED):
                head = await reader.readuntil(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 200")
                await reader.readexactly(1)


@pytest.mark.parametrize(
    "head", [POST + b"Content-Length: 1000\r\n\r\n", CHUNKED, GET + b"Content-Length: 1000\r\n\r\n"], ids=repr
)
async def test_a_body_that_drips_is_not_waited_for(
    port: int, app: Application, monkeypatch: pytest.MonkeyPatch, head: bytes
) -> None:
    monkeypatch.setattr(slow_clients, "BODY_INTERVAL", 0.2)
    async with connected(port) as (reader, writer):
        writer.write(head)
        reading = asyncio.create_task(_read(reader))
        while not reading.done():
            writer.write(b"1\r\nx\r\n")
            await asyncio.sleep(0.02)
        assert await reading == b""
    assert app.disconnected == 1
    assert not GuardedProtocol.open_connections._unfinished


async def test_a_body_over_a_slow_line_arrives(port: int, app: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slow_clients, "BODY_INTERVAL", 0.3)
    monkeypatch.setattr(slow_clients, "MIN_BODY", 4)
    async with connected(port) as (reader, writer):
        writer.write(POST + b"Content-Length: 200\r\nConnection: close\r\n\r\n")
        for _ in range(200):
            writer.write(b"x")
            await asyncio.sleep(0.005)
        assert statuses(await _read(reader)) == [200]
    assert [size for _, size, _ in app.requests] == [200]


async def test_who_does_not_read_is_not_waited_for(
    port: int, app: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slow_clients, "WRITE_TIMEOUT", 0.2)
    for last in (b"", b"Connection: close\r\n"):
        deaf = socket.create_connection(("127.0.0.1", port))
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        deaf.sendall(b"GET /large HTTP/1.1\r\n" + HOST + last + b"\r\n")
        while not app.requests:
            await asyncio.sleep(0.01)
        app.requests.clear()
        while len(GuardedProtocol.open_connections):
            await asyncio.sleep(0.01)
        deaf.close()
    assert not GuardedProtocol.open_connections._unread


async def test_who_reads_slowly_gets_everything(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slow_clients, "WRITE_TIMEOUT", 1.0)
    async with connected(port) as (reader, writer):
        writer.write(b"GET /large HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        received = 0
        while piece := await reader.read(LARGE // 30):
            received += len(piece)
            await asyncio.sleep(0.01)
        assert received == LARGE


@pytest.mark.parametrize("behind", [b"", GET + b"\r\n", POST + b"Content-Length: 10\r\n\r\nx"], ids=repr)
async def test_a_request_is_notified_when_its_client_leaves(port: int, app: Application, behind: bytes) -> None:
    async with connected(port) as (_, writer):
        writer.write(b"GET /wait HTTP/1.1\r\n" + HOST + b"\r\n" + behind)
        while not app.requests:
            await asyncio.sleep(0.01)
    while not app.disconnected:
        await asyncio.sleep(0.01)
    assert len(app.requests) == 1
