"""Connections over real sockets: slow heads are cut off."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext
from typing import Any

import pytest
import uvicorn

from petition.web import connection, server
from tests.running import free_port

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]


async def greet(scope: Any, receive: Receive, send: Send) -> None:
    """Answer at once, whatever was sent; read no body."""
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
        await send({"type": "http.response.body", "body": b"hello"})


@asynccontextmanager
async def listening(app: Any = greet) -> AsyncIterator[int]:
    """Serve ``app`` as ``petition serve`` does; give the port."""
    port = free_port()
    config = server.configuration(app, "127.0.0.1", port)
    uvicorn_server = uvicorn.Server(config)
    uvicorn_server.capture_signals = nullcontext  # type: ignore[method-assign, assignment]
    task = asyncio.create_task(uvicorn_server.serve())
    while not uvicorn_server.started:
        await asyncio.sleep(0.01)
    try:
        yield port
    finally:
        uvicorn_server.should_exit = True
        await task


class Caller:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def send(self, data: bytes) -> None:
        """Send some bytes."""
        self._writer.write(data)
        await self._writer.drain()

    async def answer(self) -> bytes:
        """Return the next answer."""
        head = await self._reader.readuntil(b"\r\n\r\n")
        return head[:15] + await self._reader.readexactly(5)

    async def is_left(self) -> bool:
        """Wait until the server closes; return whether it sent nothing more."""
        try:
            return await self._reader.read() == b""
        except ConnectionError:
            return True

    def hang_up(self) -> None:
        """Close."""
        self._writer.close()


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """Give the port of a server."""
    async with listening() as port:
        yield port


@pytest.fixture
async def call(port: int) -> AsyncIterator[Callable[[], Awaitable[Caller]]]:
    """Give a function that opens a connection."""
    callers: list[Caller] = []

    async def opened() -> Caller:
        callers.append(Caller(*await asyncio.open_connection("127.0.0.1", port)))
        return callers[-1]

    yield opened
    for caller in callers:
        caller.hang_up()


Call = Callable[[], Awaitable[Caller]]


@pytest.mark.parametrize(
    "begun", [b"", b"G", b"GET / HTTP/1.1\r\nHost: localhost\r\nX-A: b", b"\r\n", REQUEST[:-2]], ids=repr
)
async def test_a_head_that_does_not_arrive_is_not_waited_for(
    call: Call, monkeypatch: pytest.MonkeyPatch, begun: bytes
) -> None:
    monkeypatch.setattr(connection, "HEAD_TIMEOUT", 0.2)
    caller = await call()
    if begun:
        await caller.send(begun)
    assert await caller.is_left()


@pytest.mark.parametrize("begun", [b"G", b"\r\n"], ids=repr)
async def test_nor_is_the_second_one_of_a_connection(call: Call, monkeypatch: pytest.MonkeyPatch, begun: bytes) -> None:
    caller = await call()
    await caller.send(REQUEST)
    assert await caller.answer() == b"HTTP/1.1 200 OKhello"
    monkeypatch.setattr(connection, "HEAD_TIMEOUT", 0.2)
    await caller.send(begun)
    assert await caller.is_left()


async def test_nor_a_body_that_nobody_reads(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    caller = await call()
    await caller.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n")
    assert await caller.answer() == b"HTTP/1.1 200 OKhello"
    monkeypatch.setattr(connection, "HEAD_TIMEOUT", 0.2)
    await caller.send(b"x")
    assert await caller.is_left()


async def test_one_that_comes_in_pieces_is_answered_and_so_is_the_next(call: Call) -> None:
    caller = await call()
    for _ in range(3):
        for byte in REQUEST:
            await caller.send(bytes([byte]))
        assert await caller.answer() == b"HTTP/1.1 200 OKhello"
    await caller.send(REQUEST + REQUEST)
    for _ in range(2):
        assert await caller.answer() == b"HTTP/1.1 200 OKhello"
