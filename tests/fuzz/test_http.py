"""The connection's fast path and the framework, given the same bytes, write the same bytes, or both refuse."""

import asyncio
import re
import socket

import pytest
from hypothesis import strategies as st

from petition.web.connection import GuardedProtocol
from petition.web.known_heads import CacheRequest
from tests.fuzz.running import rounds
from tests.running import SLUG, Installation

LAST = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
HEAD = re.compile(rb"HTTP/1\.1 [^\r]*\r\n(?:[^\r\n]+\r\n)*\r\n")

METHODS = st.sampled_from(
    [b"GET", b"GET", b"GET", b"HEAD", b"get", b"POST", b"OPTIONS", b"TRACE", b"G\0T", b"", b"PRI"]
)
ENDS = st.sampled_from(
    [b"", b"", b"?", b"?lang=ru", b"/", b"#x", b"%", b"%2e", b"%00", b"//", b";a", b"\xff", b" x", b"?%ZZ"]
)
PAGES = [f"/en/{SLUG}", f"/ru/{SLUG}", "/en/", f"/badge/{SLUG}.svg", f"/api/v1/letters/{SLUG}/count", "/", "*", "/x"]
TARGETS = st.builds(
    bytes.__add__, st.sampled_from([page.encode() for page in PAGES] + [b"http://localhost/en/", b"//en/"]), ENDS
)
VERSIONS = st.sampled_from([b"HTTP/1.1"] * 5 + [b"HTTP/1.0", b"HTTP/0.9", b"HTTP/2.0", b"HTTP/1.1 ", b"http/1.1", b""])
VALUES = st.sampled_from(
    [
        *(
            b"localhost:PORT",
            b"LOCALHOST:PORT",
            b"localhost:PORT.",
            b"evil.example",
            b"",
            b" ",
            b"localhost:PORT, x",
            b"@",
        ),
        *(
            b"gzip",
            b"GZIP",
            b"gzip;q=0",
            b"gzip ; q=0.0",
            b"*",
            b"*;q=0",
            b"identity, gzip;q=x",
            b"x-gzip",
            b"br,gzip;q=1.0",
        ),
        *(b"ETAG", b"W/ETAG", b'"x", ETAG', b"ETAG,", b'"', b"W/", b"0", b"5", b"+5", b"5, 5", b"close", b"keep-alive"),
        *(b"chunked", b"Chunked, gzip", b"100-continue", b"websocket", b"bytes=0-1", b"\xff\xfe", b"a\0b", b"a\r\n b"),
        *(b"203.0.113.9", b"x" * 300, b"ru, en;q=0.1", b"cross-site", b"https://evil.example"),
    ]
) | st.binary(max_size=12)
NAMES = st.sampled_from(
    [
        *(
            b"Host",
            b"host",
            b"Accept-Encoding",
            b"If-None-Match",
            b"Connection",
            b"Content-Length",
            b"Transfer-Encoding",
        ),
        *(
            b"Expect",
            b"Upgrade",
            b"Range",
            b"Accept-Language",
            b"X-Forwarded-For",
            b"X-Forwarded-Host",
            b"Cookie",
            b"A B",
        ),
        *(b"Sec-Fetch-Site", b"Origin", b"", b"Host ", b" Host", b"If-None-Match", b"Accept-Encoding", b"Keep-Alive"),
    ]
)
LINES = st.lists(st.tuples(NAMES, st.sampled_from([b": ", b":", b" : ", b"", b":\t"]), VALUES), max_size=5)
BREAKS = st.sampled_from([b"\r\n"] * 6 + [b"\n", b"\r", b"\r\n\r\n", b"\0\r\n"])


@st.composite
def heads(draw: st.DrawFn) -> bytes:
    """Return a request that is nearly right."""
    line_break = draw(BREAKS)
    if not draw(st.integers(0, 2)):  # wholly right, but for some lines
        target = draw(st.sampled_from(PAGES[:5])).encode()
        lines = [draw(st.sampled_from([b"GET ", b"HEAD "])) + target + b" HTTP/1.1", b"Host: localhost:PORT"]
        return b"\r\n".join(lines + [b"".join(line) for line in draw(LINES)]) + b"\r\n\r\n"
    lines = [b" ".join((draw(METHODS), draw(TARGETS), draw(VERSIONS)))]
    if draw(st.integers(0, 5)):
        lines.append(b"Host: localhost:PORT")
    lines += [b"".join(line) for line in draw(LINES)]
    return line_break.join(lines) + b"\r\n\r\n"


def ask(port: int, data: bytes) -> bytes:
    """Return all that the server writes until it closes."""
    with socket.create_connection(("127.0.0.1", port), 20) as connection:
        answer = bytearray()
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            while piece := connection.recv(65536):
                answer += piece
        except ConnectionError:
            pass
    return HEAD.sub(_sorted, bytes(answer))


def _sorted(head: re.Match[bytes]) -> bytes:
    """Return a head without its date, its lines in one order: the two roads write them in different ones."""
    first, *lines = head[0].strip().split(b"\r\n")
    return b"\r\n".join([first, *sorted(line.lower() for line in lines if not line.lower().startswith(b"date:"))])


async def test_all_roads_answer_alike(site: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    port, app = site.settings.port, site.app
    assert app is not None
    answers = [await site.client.get(page) for page in PAGES if page.startswith("/")]
    etags = [answer.headers["etag"].encode() for answer in answers if "etag" in answer.headers]
    assert len(etags) >= 4
    last, known, parsed = b"", 0, 0
    is_fast = True
    is_free, received, reply_to = GuardedProtocol.is_free, GuardedProtocol.data_received, GuardedProtocol._reply_to

    def in_two_pieces(protocol: GuardedProtocol, data: bytes) -> None:
        head, separator, _ = data.partition(last)
        for piece in (head, separator):
            if piece and not protocol.transport.is_closing():
                received(protocol, piece)

    def counted(protocol: GuardedProtocol, request: CacheRequest) -> tuple[bytes, bytes] | None:
        nonlocal known, parsed
        is_known = request in app.known_heads.values()
        known, parsed = known + is_known, parsed + (not is_known)
        return reply_to(protocol, request)

    monkeypatch.setattr(GuardedProtocol, "is_free", lambda self: is_fast and is_free(self))
    monkeypatch.setattr(GuardedProtocol, "data_received", in_two_pieces)
    monkeypatch.setattr(GuardedProtocol, "_reply_to", counted)

    def check(head: bytes) -> None:
        nonlocal is_fast, last
        data = head.replace(b"PORT", str(port).encode()).replace(b"ETAG", etags[0])
        last = LAST.replace(b"localhost", f"localhost:{port}".encode())
        answers = []
        for road in ("parser", "application", "bytes", "parser"):
            is_fast = road != "application"
            if road == "parser":
                app.known_heads.clear()
            answers.append(ask(port, data + last))
        assert b"HTTP/1.1 500" not in b"".join(answers)
        # A page that is made anew in between is that of one of its neighbours.
        assert answers[1] in {answers[0], answers[2]}
        assert answers[2] in {answers[1], answers[3]}

    await asyncio.to_thread(rounds, check, heads(), examples=150)
    assert known  # or the fast paths were never taken
    assert parsed
