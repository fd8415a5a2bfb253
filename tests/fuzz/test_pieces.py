"""What arrives in pieces, cut at any byte: Tor's PROXY line, and forms with files."""

import asyncio
import contextlib
import re
import socket
from collections.abc import AsyncIterator, Iterable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import strategies as st

from petition.web import multipart, proxy_line
from petition.web.connection import GuardedProtocol
from petition.web.listeners import ONION_CLIENT
from tests.fuzz.running import BYTES, fuzz, rounds
from tests.web.test_connection import Receive, Send, listening

CUTS = st.lists(st.integers(0, 400), max_size=8)


def cut(data: bytes, cuts: Iterable[int]) -> list[bytes]:
    """Return ``data`` in pieces, cut at these places."""
    places = sorted({0, len(data), *(min(place, len(data)) for place in cuts)})
    return [data[start:end] for start, end in pairwise(places)]


# The PROXY line

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
WORDS = [b"PROXY", b"TCP6", b"TCP4", b"UNKNOWN", b"fc00:dead:beef:4dad::0:29", b"::1", b"41", b"80", b"65536", b"-1"]
WORDS += [b"fc00:dead:beef:4dad::ffff:ffff", b"FC00:DEAD:BEEF:4DAD::0:29", b"fc00:dead:beef:4dad:1::0:29", b"8.8.8.8"]
WORDS += [b"fc00:dead:beef:4dad::0:12345", b"\r\n\r\n\x00\r\nQUIT\n", b""]  # version 2 begins like the last but one
TORS = st.tuples(*(st.integers(0, 0xFFFF) for _ in range(4))).map(
    lambda numbers: b"PROXY TCP6 fc00:dead:beef:4dad::%x:%x ::1 %d %d" % numbers
)
LINES = TORS | st.lists(st.sampled_from(WORDS) | st.binary(max_size=8), max_size=8).map(b" ".join)
ENDS = st.sampled_from([b"\r\n", b"\n", b"\r", b"", b" \r\n", b"\r\n\r\n", b"\0\r\n"])
BEGINNINGS = st.tuples(st.sampled_from([b"", b"PROXY ", b"proxy "]), LINES, ENDS, BYTES | st.just(GET)).map(b"".join)


def is_tors(line: bytes) -> bool:
    """Read a line word by word, as the PROXY protocol and Tor's manual describe it."""
    words = line.split(b" ")
    if len(words) != 6 or words[:2] != [b"PROXY", b"TCP6"] or words[3] != b"::1":
        return False
    prefix, groups = words[2][:21], words[2][21:].split(b":")
    is_address = prefix == b"fc00:dead:beef:4dad::" and len(groups) == 2
    return (
        is_address
        and all(0 < len(group) <= 4 and set(group) <= set(b"0123456789abcdef") for group in groups)
        and all(0 < len(port) <= 5 and set(port) <= set(b"0123456789") for port in words[4:])
    )


def read_line(pieces: Iterable[bytes]) -> tuple[str | None, bytes] | None:
    """Return circuit and rest as the connection reads them: piece by piece, until there is an answer."""
    beginning, after = b"", None
    for piece in pieces:
        if after is not None:
            after = after[0], after[1] + piece
        else:
            assert len(beginning) < proxy_line.MAX_LENGTH  # it never waits for more
            beginning += piece
            after = proxy_line.parse(beginning)
    return after


@fuzz(BEGINNINGS, CUTS, examples=400)
def test_a_line_is_the_same_in_any_pieces(data: bytes, cuts: list[int]) -> None:
    try:
        whole = proxy_line.parse(data)
    except proxy_line.BrokenLine:
        assert data.startswith(proxy_line.BEGINNING)
        with pytest.raises(proxy_line.BrokenLine):
            read_line(cut(data, cuts))
        return
    assert read_line(cut(data, cuts)) == whole
    if whole is None:
        assert len(data) < proxy_line.MAX_LENGTH
        assert data.startswith(proxy_line.BEGINNING[: len(data)])
    elif whole[0] is None:
        assert whole[1] == data
        assert not data.startswith(proxy_line.BEGINNING)
    else:
        line, end, rest = data.partition(b"\r\n")
        assert end
        assert whole[1] == rest
        assert is_tors(line)


@fuzz(TORS, CUTS, BYTES, examples=200)
def test_each_line_of_tors_is_read(line: bytes, cuts: list[int], rest: bytes) -> None:
    assert is_tors(line)
    read = read_line(cut(line + b"\r\n" + rest, cuts))
    assert read is not None
    circuit, after = read
    assert circuit is not None
    of_line = line.split(b" ")[2].decode().split(":")[-2:]
    assert [int(group, 16) for group in circuit.split(":")] == [int(group, 16) for group in of_line]
    assert after == rest


async def name_circuit(scope: Any, _receive: Receive, send: Send) -> None:
    """Answer with the bucket of the client."""
    if scope["type"] == "http":
        body = scope[ONION_CLIENT].narrowest.encode()
        length = b"%d" % len(body)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
        await send({"type": "http.response.body", "body": body})


def ask(port: int, pieces: Iterable[bytes]) -> bytes:
    """Send ``pieces`` one by one; return the last line of the answer, or its first if it is an error."""
    with socket.create_connection(("127.0.0.1", port), 20) as connection, contextlib.suppress(ConnectionError):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            connection.sendall(piece)
        with contextlib.suppress(OSError):  # the server was faster
            connection.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
        return answer.rpartition(b"\r\n")[2] if answer.startswith(b"HTTP/1.1 200") else answer[:12]
    return b""


async def test_a_connection_reads_it_in_any_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    async with listening(name_circuit) as port:
        monkeypatch.setattr(GuardedProtocol, "onion_port", port)

        def check(data: bytes, cuts: list[int]) -> None:
            answer = ask(port, cut(data + GET, cuts))
            try:
                parsed = proxy_line.parse(data + GET)
            except proxy_line.BrokenLine:
                assert answer == b""
                return
            assert parsed is not None  # what follows is longer than any line
            if parsed[1] == GET:
                assert answer == (b"onion" if parsed[0] is None else b"onion/" + parsed[0].encode())

        await asyncio.to_thread(rounds, check, BEGINNINGS | TORS.map(lambda line: line + b"\r\n"), CUTS, examples=60)


# Forms with files

BOUNDARY = "b"
TYPE = f"multipart/form-data; boundary={BOUNDARY}"
NAMES = st.sampled_from(["a", "file", "имя", "a b", "q'"])
CONTENT = st.lists(st.sampled_from([b"\r\n", b"--b", b"--", b"-", b"\r", b"\n", b"x" * 2000]) | BYTES, max_size=5)
CONTENTS = CONTENT.map(b"".join).map(lambda content: content.replace(b"\r\n--b", b"\r\n--c"))
FIELDS = st.lists(st.tuples(NAMES, CONTENTS), max_size=multipart.MAX_UPLOAD_PARTS + 1)
FILES = st.tuples(NAMES, st.sampled_from(["list.csv", "Список.xlsx", ""]), CONTENTS)
NOISE = st.sampled_from(
    [b"", b"preamble\r\n", b"--b\r\n", b"\r\n", b"\n", b"X: a\n", b"X: " + b"y" * 4095, b"X: y\r\n" * 8]
)


BARE = re.compile(rb"(?<!\r)\n")


def form_of(fields: list[tuple[str, bytes]], file: tuple[str, str, bytes]) -> bytes:
    """Return a form as browsers send it: fields, then a file."""
    parts = [f'form-data; name="{name}"\r\n\r\n'.encode() + content for name, content in fields]
    name, filename, content = file
    of_file = f'form-data; name="{name}"; filename="{filename}"\r\nContent-Type: text/csv\r\n\r\n'
    parts.append(of_file.encode() + content)
    return b"".join(b"--b\r\nContent-Disposition: " + part + b"\r\n" for part in parts) + b"--b--\r\n"


def upload(pieces: list[bytes]) -> tuple[str, bytes] | None:
    """Return name and content of the first file; None if the body is no upload."""

    async def stream() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    async def read() -> tuple[str, bytes]:
        arriving = multipart.Upload(TYPE)
        content = b"".join([piece async for piece in arriving.content(stream())])
        return arriving.name, content

    try:
        return asyncio.run(read())
    except multipart.BadForm:
        return None


@fuzz(FIELDS, FILES, CUTS, examples=200)
def test_a_file_arrives_whole_in_any_pieces(
    fields: list[tuple[str, bytes]], file: tuple[str, str, bytes], cuts: list[int]
) -> None:
    arrived = upload(cut(form_of(fields, file), cuts))
    is_within_limits = len(fields) < multipart.MAX_UPLOAD_PARTS
    if not is_within_limits or any(len(content) > multipart.MAX_FIELD for _, content in fields):
        assert arrived is None
    else:
        assert arrived == file[1:]


@fuzz(FIELDS, FILES, NOISE | BYTES, st.integers(0, 900), CUTS, examples=200)
def test_any_body_is_the_same_in_any_pieces(
    fields: list[tuple[str, bytes]], file: tuple[str, str, bytes], noise: bytes, place: int, cuts: list[int]
) -> None:
    body = form_of(fields, file)
    body = body[:place] + noise + body[place:]
    whole = upload([body])
    for pieces in (cut(body, cuts), [bytes([byte]) for byte in body]):
        arrived = upload(pieces)
        # The library forgives a bare line feed in a header if it sees the end of that header, too.
        assert arrived == whole or (arrived is None and BARE.search(body))


@fuzz(FIELDS, FILES, examples=100)
def test_a_whole_form_has_what_its_pieces_have(fields: list[tuple[str, bytes]], file: tuple[str, str, bytes]) -> None:
    with contextlib.suppress(multipart.BadForm):
        form = multipart.parse(TYPE, form_of(fields, file))
        assert form.fields == {name: content.decode() for name, content in fields}
        assert form.files == ({file[0]: file[2]} if file[2] else {})
