"""Tor's PROXY line: only the one that Tor writes is read, and only so many bytes of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from petition.web.proxy_line import BEGINNING, MAX_LENGTH, BrokenLine, parse

LINE = b"PROXY TCP6 fc00:dead:beef:4dad::0:29 ::1 41 80\r\n"
GET = b"GET / HTTP/1.1\r\n"


@pytest.mark.parametrize(
    ("data", "parsed"),
    [
        (LINE, ("0:29", b"")),
        (LINE + GET, ("0:29", GET)),
        (LINE + LINE, ("0:29", LINE)),  # the second one is the visitor's: no HTTP, so it is answered 400
        (b"PROXY TCP6 fc00:dead:beef:4dad::FFFF:0 ::1 1 1\r\n".lower().replace(b"proxy tcp", b"PROXY TCP"),
         ("ffff:0", b"")),
        (b"PROXY TCP6 fc00:dead:beef:4dad::000a:01 ::1 65535 80\r\n", ("a:1", b"")),
        (GET, (None, GET)),
        (b"PROPFIND / HTTP/1.1\r\n", (None, b"PROPFIND / HTTP/1.1\r\n")),
        (b"proxy tcp6", (None, b"proxy tcp6")),
        (b"\r\n", (None, b"\r\n")),
        (b"P", None),
        (b"PROXY", None),
        (LINE[:-1], None),
    ],
)  # fmt: skip
def test_the_line(data: bytes, parsed: tuple[str | None, bytes] | None) -> None:
    assert parse(data) == parsed


@pytest.mark.parametrize(
    "line",
    [
        b"PROXY UNKNOWN\r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
        b"PROXY TCP6 2001:db8::1 ::1 41 80\r\n",
        b"PROXY TCP6 fc00:dead:beef:4dad::0:29 ::2 41 80\r\n",
        b"PROXY TCP6 fc00:dead:beef:4dad::0:29 ::1 41\r\n",
        b"PROXY TCP6 fc00:dead:beef:4dad::0:29 ::1 41 80 \r\n",
        b"PROXY TCP6 fc00:dead:beef:4dad::0:29 ::1 41 80\n",
        b"PROXY TCP6  fc00:dead:beef:4dad::0:29 ::1 41 80\r\n",
        b"PROXY TCP6 fc00:dead:beef:4dad::0:12345 ::1 41 80\r\n",
        b"PROXY TCP6 fc00:dead:beef:4dad::0:g ::1 41 80\r\n",
        b"PROXY " + b"x" * 101,
    ],
)
def test_another_line_is_refused(line: bytes) -> None:
    with pytest.raises(BrokenLine):
        parse(line)


@given(st.binary(max_size=200))
def test_whatever_comes_is_plain_or_waited_for_or_refused(tail: bytes) -> None:
    assert parse(b"\0" + tail) == (None, b"\0" + tail)
    try:
        parsed = parse(BEGINNING + tail)
    except BrokenLine:
        return
    if parsed is None:
        assert len(BEGINNING + tail) < MAX_LENGTH
    else:
        assert parsed[0] is not None


@given(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF), st.binary(max_size=20), st.data())
def test_in_whatever_pieces_the_line_comes_it_is_read(high: int, low: int, rest: bytes, data: st.DataObject) -> None:
    line = b"PROXY TCP6 fc00:dead:beef:4dad::%x:%x ::1 %d 80\r\n" % (high, low, low)
    cut = data.draw(st.integers(0, len(line) - 1))
    assert parse(line[:cut]) is None
    assert parse(line + rest) == (f"{high:x}:{low:x}", rest)
