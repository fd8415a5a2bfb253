"""Heads that were answered from the cache, asked again by the same bytes: no parser, and the same answer."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import strategies as st

from petition.web import known_heads
from petition.web.connection import GuardedProtocol
from petition.web.content_codings import Coding
from petition.web.known_heads import CacheRequest, KnownHeads
from petition.web.page_cache import Header
from petition.web.request_counts import RouteCounts
from tests.fuzz.running import rounds
from tests.web.test_connection import Receive, Send, listening

LINES = b"Host: localhost\r\nUser-Agent: Browser/1.0\r\nAccept-Encoding: br\r\n"
HEAD = b"GET /cached HTTP/1.1\r\n" + LINES + b"\r\n"
LAST = b"GET /last HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


class Application:
    """Answers "/cached" out of a cache with one page, everything else with what it was asked."""

    def __init__(self) -> None:
        self.known_heads = KnownHeads()
        self.page: bytes | None = b"first"
        self.called = 0

    def cache_request(self, method: bytes, url: bytes, headers: list[Header], *, is_onion: bool) -> CacheRequest | None:
        assert headers
        assert not is_onion
        if url != b"/cached" or method not in {b"GET", b"HEAD"}:
            return None
        return CacheRequest(url.decode(), method == b"HEAD", Coding.IDENTITY, None, RouteCounts("GET", "/"))

    def cached_response(self, request: CacheRequest) -> tuple[bytes, bytes] | None:
        if self.page is None:
            return None
        lines = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n" % len(self.page)
        return lines, b"" if request.is_head else self.page

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        self.called += 1
        body, more = scope["method"].encode() + b" " + scope["raw_path"] + b" ", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        length = (b"content-length", b"%d" % len(body))
        await send({"type": "http.response.start", "status": 200, "headers": [length]})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


@pytest.fixture
def app() -> Application:
    return Application()


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Give all that is read by the parser."""
    pieces: list[bytes] = []
    read = GuardedProtocol._read

    def noting(connection: GuardedProtocol, data: bytes) -> None:
        pieces.append(data)
        read(connection, data)

    monkeypatch.setattr(GuardedProtocol, "_read", noting)
    return pieces


class Line:
    """A connection on which one piece is sent after the other, each as one for the server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def ask(self, data: bytes, *, is_head: bool = False) -> bytes:
        """Send a request; return the body of its answer."""
        self.writer.write(data)
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        assert length
        return b"" if is_head else await self.reader.readexactly(int(length[1]))


@pytest.fixture
async def line(app: Application) -> AsyncIterator[Line]:
    async with listening(app) as port:
        line = Line(*await asyncio.open_connection("127.0.0.1", port))
        yield line
        line.writer.close()


async def test_the_same_bytes_are_parsed_once(app: Application, line: Line, parsed: list[bytes]) -> None:
    for _ in range(3):
        assert await line.ask(HEAD) == b"first"
    assert parsed == [HEAD]
    assert await line.ask(HEAD.replace(b"br", b"gzip")) == b"first"
    assert len(parsed) == 2
    assert app.called == 0


async def test_the_page_is_that_of_now(app: Application, line: Line, parsed: list[bytes]) -> None:
    assert [await line.ask(HEAD) for _ in range(2)] == [b"first", b"first"]
    app.page = b"second"
    assert await line.ask(HEAD) == b"second"
    assert parsed == [HEAD]
    app.page = None  # no page: the application makes one
    assert await line.ask(HEAD) == b"GET /cached "
    app.page = b"third"
    assert await line.ask(HEAD) == b"third"
    assert app.called == 1


async def test_it_is_asked_between_other_requests(app: Application, line: Line) -> None:
    form = b"POST /form HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\na=b"
    for _ in range(2):
        assert await line.ask(HEAD) == b"first"
        assert await line.ask(form) == b"POST /form a=b"
        assert await line.ask(HEAD.replace(b"GET", b"HEAD"), is_head=True) == b""
    assert app.called == 2


PERSONAL = [
    b"Cookie: a=b",
    b"Authorization: Basic YTpi",
    b"X-Forwarded-For: 203.0.113.9",
    b"X-Request-ID: 1",
    b"Referer: https://letters.example/en/confirm/token",
    b"Referer: https://letters.example/?q=vera",
    b"X-Whatever: 1",
    b"Accept: " + b"x" * known_heads.MAX_LENGTH,
]


@pytest.mark.parametrize("more", PERSONAL, ids=lambda line: line[:30].decode())
async def test_what_may_be_of_one_person_is_not_remembered(app: Application, line: Line, more: bytes) -> None:
    assert await line.ask(HEAD.replace(b"\r\n\r\n", b"\r\n" + more + b"\r\n\r\n")) == b"first"
    assert app.known_heads == {}


@pytest.mark.parametrize("more", [b"Referer: https://news.example/", b"Referer: https://news.example", b"DNT: 1"])
async def test_what_may_be_of_anyone_is(app: Application, line: Line, more: bytes) -> None:
    assert await line.ask(HEAD.replace(b"\r\n\r\n", b"\r\n" + more + b"\r\n\r\n")) == b"first"
    assert len(app.known_heads) == 1


async def test_the_oldest_go_first(app: Application, line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_heads, "MAX_HEADS", 2)
    heads = [HEAD.replace(b"1.0", b"%d" % number) for number in range(3)]
    for head in heads:
        await line.ask(head)
    assert list(app.known_heads) == heads[1:]


async def test_only_one_request_by_itself_is_remembered(app: Application, line: Line) -> None:
    line.writer.write(HEAD + HEAD)
    assert await line.ask(b"") == b"first"
    assert await line.ask(b"") == b"first"
    line.writer.write(HEAD[:30])
    await line.writer.drain()
    while all(connection._is_between for connection in GuardedProtocol.open_connections._all):  # type: ignore[attr-defined]
        await asyncio.sleep(0.01)
    assert await line.ask(HEAD[30:]) == b"first"
    assert app.known_heads == {}


async def test_a_server_that_ends_answers_by_the_application(
    app: Application, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    await line.ask(HEAD)
    monkeypatch.setattr(GuardedProtocol, "is_draining", True)
    assert await line.ask(HEAD) == b"GET /cached "


async def test_tors_listener_has_no_part_in_it(
    app: Application, line: Line, monkeypatch: pytest.MonkeyPatch, parsed: list[bytes]
) -> None:
    async with listening(app) as port:
        monkeypatch.setattr(GuardedProtocol, "onion_port", port)
        monkeypatch.setattr(app, "cache_request", lambda *_, is_onion: None if is_onion else pytest.fail("not Tor's"))
        app.known_heads[HEAD] = CacheRequest("/cached", False, Coding.IDENTITY, None, RouteCounts("GET", "/"))
        tor = Line(*await asyncio.open_connection("127.0.0.1", port))
        assert await tor.ask(HEAD) == b"GET /cached "
        tor.writer.close()
    assert parsed == [HEAD]


PIECES = st.lists(
    st.sampled_from(
        [
            *[HEAD] * 4,
            HEAD.replace(b"GET", b"HEAD"),
            HEAD.replace(b"/cached", b"/other"),
            HEAD + HEAD,
            HEAD[:-2],
            HEAD[-2:],
            HEAD[:30],
            HEAD[30:],
            LINES,
            b"\r\n",
            b"\n",
            b"\r\n\r\n",
            b"POST /form HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(HEAD),
            b"POST /form HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"%x\r\n" % len(HEAD),
            b"0\r\n\r\n",
            b"GET /cached HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
            b"GET /cached HTTP/1.1\r\nHost: localhost\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
            b"GET /cached HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n",
            b"x",
        ]
    ),
    max_size=7,
)


async def test_any_pieces_are_answered_as_by_the_parser(app: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that was sent before makes a known head mean something else than the parser says."""
    received, arrived = GuardedProtocol.data_received, [0]

    def counting(connection: GuardedProtocol, data: bytes) -> None:
        received(connection, data)
        arrived[0] += len(data)

    monkeypatch.setattr(GuardedProtocol, "data_received", counting)

    async def talk(port: int, pieces: list[bytes]) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        arrived[0], sent = 0, 0
        reading = asyncio.create_task(reader.read(-1))
        for piece in pieces:
            writer.write(piece)
            sent += len(piece)
            while arrived[0] < sent and not reading.done():
                await asyncio.sleep(0)
        writer.write_eof()
        try:
            answer = await reading
        except ConnectionError:
            answer = b"reset"
        writer.close()
        return re.sub(rb"date: [^\r]*\r\n", b"", answer)

    async with listening(app) as port:
        loop = asyncio.get_running_loop()

        def check(pieces: list[bytes]) -> None:
            async def both() -> None:
                app.known_heads.clear()
                await talk(port, [HEAD, LAST])
                known = dict(app.known_heads)
                assert list(known) == [HEAD]
                with_memory = await talk(port, [*pieces, LAST])
                app.known_heads.clear()
                monkeypatch.setattr(KnownHeads, "note", lambda *_: None)
                without = await talk(port, [*pieces, LAST])
                monkeypatch.undo()
                monkeypatch.setattr(GuardedProtocol, "data_received", counting)
                assert with_memory == without

            asyncio.run_coroutine_threadsafe(both(), loop).result(30)

        await asyncio.to_thread(rounds, check, PIECES, examples=150)
