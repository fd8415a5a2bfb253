"""uvicorn's internals are as petition.web uses them: fails when a new version moves one of them."""

import asyncio
import gc
import inspect
import tomllib
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any

import httptools
import pytest
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from petition.web import server
from petition.web.connection import GuardedProtocol
from petition.web.content_codings import Coding
from petition.web.known_heads import CacheRequest, KnownHeads
from petition.web.page_cache import Header
from petition.web.request_counts import RouteCounts
from petition.web.uvicorn_responses import TakenConnection, take_over
from tests.running import free_port

OVERRIDDEN = (
    "connection_made",
    "connection_lost",
    "data_received",
    "on_message_begin",
    "on_headers_complete",
    "on_message_complete",
)
CALLED = ("_start_asgi_task", "pause_writing", "resume_writing")
REPLACED = ("on_header", "on_response_complete")  # whose work is done here: look at them when uvicorn changes
CONNECTION_STATE = {"app", "client", "connections", "cycle", "flow", "headers", "limit_concurrency", "loop", "parser"}
CONNECTION_STATE |= {"scope", "server"}
CONNECTION_STATE |= {"server_state", "timeout_keep_alive", "transport"}
CYCLE_STATE = {"default_headers", "disconnected", "on_response", "response_complete", "response_started", "scope"}
CACHED = b"/cached"


class Stream(asyncio.Protocol):
    """What a connection is given to."""

    def __init__(self) -> None:
        self.received = b""
        self.is_lost = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self.received += data

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_lost.set()


class Probe:
    """An application that records its connections, and has one cached response."""

    def __init__(self) -> None:
        self.sends: list[Any] = []
        self.streams: list[Stream] = []
        self.taken: list[TakenConnection | None] = []
        self.connections: list[weakref.ref[GuardedProtocol]] = []
        self.known_heads = KnownHeads()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        self.sends.append(send)
        if scope["path"] == "/stream":
            self.streams.append(Stream())
            self.taken.append(take_over(send, self.streams[-1]))
            self.connections.append(weakref.ref(send.__self__.on_response.__self__))
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": scope["path"].encode(), "more_body": True})
        await send({"type": "http.response.body", "body": b"!", "more_body": False})

    def cache_request(self, method: bytes, url: bytes, headers: list[Header], *, is_onion: bool) -> CacheRequest | None:
        assert method in {b"GET", b"HEAD"}
        assert headers
        assert not is_onion
        if url != CACHED:
            return None
        return CacheRequest(url.decode(), method == b"HEAD", Coding.IDENTITY, None, RouteCounts("GET", "/"))

    def cached_response(self, request: CacheRequest) -> tuple[bytes, bytes] | None:
        assert request.key == CACHED.decode()
        return (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n", b"" if request.is_head else b"ok")


@asynccontextmanager
async def serving(probe: Probe) -> AsyncIterator[int]:
    port = free_port()
    uvicorn_server = uvicorn.Server(server.configuration(probe, "127.0.0.1", port))
    uvicorn_server.capture_signals = nullcontext  # type: ignore[method-assign, assignment]
    task = asyncio.create_task(uvicorn_server.serve())
    while not uvicorn_server.started:
        await asyncio.sleep(0.01)
    try:
        yield port
    finally:
        uvicorn_server.should_exit = True
        await task


@pytest.fixture
def probe() -> Probe:
    return Probe()


@pytest.fixture
async def wire(probe: Probe) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    async with serving(probe) as port, asyncio.timeout(30):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        yield reader, writer
        writer.close()


def test_the_version_is_bounded() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert "<" in next(line for line in project["dependencies"] if line.startswith("uvicorn"))


@pytest.mark.parametrize("name", OVERRIDDEN + CALLED + REPLACED)
def test_the_methods_are_there(name: str) -> None:
    assert inspect.isfunction(vars(HttpToolsProtocol)[name])


def test_the_state_is_there() -> None:
    async def app(_scope: Any, _receive: Any, _send: Any) -> None:
        raise AssertionError("not called")

    async def build() -> GuardedProtocol:
        config = uvicorn.Config(app, lifespan="off", log_config=None)
        return GuardedProtocol(config, ServerState(), {})

    connection = asyncio.run(build())
    assert vars(connection).keys() >= CONNECTION_STATE
    assert "_network" not in vars(connection)  # a slot
    assert isinstance(connection.server_state.default_headers, list)
    parser = set(dir(httptools.HttpRequestParser))
    assert parser >= {"get_http_version", "get_method", "should_keep_alive", "should_upgrade"}
    assert set(RequestResponseCycle.__init__.__code__.co_names) >= CYCLE_STATE


async def test_a_cached_reply_is_followed_by_the_application(probe: Probe, wire: Any) -> None:
    reader, writer = wire
    for path in (b"/cached", b"/app", b"/cached", b"/cached", b"/app"):
        writer.write(b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"\r\ndate: " in head  # server_state.default_headers
        if path == CACHED:
            assert await reader.readexactly(2) == b"ok"
        else:
            assert await reader.readuntil(b"0\r\n\r\n") == b"4\r\n/app\r\n1\r\n!\r\n0\r\n\r\n"
    assert len(probe.sends) == 2


async def test_pipelined_requests_are_answered_in_order(probe: Probe, wire: Any) -> None:
    reader, writer = wire
    paths = (b"/one", b"/cached", b"/two", b"/cached")
    writer.write(b"".join(b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\n\r\n" for path in paths))
    for path in (b"/one", b"/cached", b"/two", b"/cached"):  # behind a pending response the application answers all
        await reader.readuntil(b"\r\n\r\n")
        assert (await reader.readuntil(b"0\r\n\r\n")).startswith(b"%x\r\n%b\r\n" % (len(path), path))
    assert len(probe.sends) == 4


async def test_a_connection_is_taken_and_nothing_of_the_server_is_left(probe: Probe, wire: Any) -> None:
    reader, writer = wire
    gc.disable()
    try:
        writer.write(b"GET /app HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await reader.readuntil(b"0\r\n\r\n")
        writer.write(b"GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        while not probe.taken:
            await asyncio.sleep(0.01)
        taken, stream = probe.taken[0], probe.streams[0]
        assert taken is not None
        assert taken.is_chunked
        taken.transport.write(taken.head + b"\r\n2\r\nok\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"\r\ndate: " in head
        assert b"transfer-encoding: chunked" in head
        assert await reader.readexactly(7) == b"2\r\nok\r\n"
        writer.write(b"GET /app HTTP/1.1\r\nHost: localhost\r\n\r\n")  # no longer the server's
        while not stream.received:
            await asyncio.sleep(0.01)
        probe.sends.clear()
        assert probe.connections[0]() is None
        assert len(GuardedProtocol.open_connections) == 0
        writer.close()
        await stream.is_lost.wait()
    finally:
        gc.enable()


async def test_over_http_1_0_there_are_no_chunks(probe: Probe, wire: Any) -> None:
    reader, writer = wire
    writer.write(b"GET /stream HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n")
    while not probe.taken:
        await asyncio.sleep(0.01)
    taken = probe.taken[0]
    assert taken is not None
    assert not taken.is_chunked
    taken.transport.write(taken.head + b"\r\nok")
    taken.transport.close()
    assert b"transfer-encoding" not in await reader.readuntil(b"\r\n\r\n")
    assert await reader.read() == b"ok"


def test_another_servers_connection_is_left_alone() -> None:
    async def send(_message: Any) -> None:
        raise AssertionError("not called")

    assert take_over(send, Stream()) is None
