"""A sink for mail: it takes every mail by SMTP and passes on the path of the link to confirm that is in it.

As light as the protocol allows, so that it costs little of the cores that are measured.
"""

import asyncio
import re
from collections.abc import Callable
from typing import Any

_LINK = re.compile(rb"https?://[^/\s]+(/[a-z]{2}/confirm/[\w.~-]+)")
_MARK, _BEFORE, _BEHIND = b"/confirm/", 100, 200  # octets around the mark that hold the whole link
_END = b"\r\n.\r\n"
_GREETING = b"220 sink.example\r\n"
_EXTENSIONS = b"250-sink.example\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 PIPELINING\r\n"
_GO_ON, _OK, _TAKEN = b"354 go on\r\n", b"250 ok\r\n", b"250 accepted\r\n"


class LinkSink(asyncio.Protocol):
    """One connection of a worker. ``take`` is called with the path in each mail, None if there is none."""

    def __init__(self, take: Callable[[str | None], None]) -> None:
        self._take = take
        self._buffer = b""
        self._is_content = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        own: Any = transport  # uvloop's is of no class of asyncio's
        self._write: Callable[[bytes], None] = own.write
        self._write(_GREETING)

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        answers = b""
        while self._buffer and (answer := self._answer_to_content() if self._is_content else self._answer_to_line()):
            answers += answer
        if answers:
            self._write(answers)

    def _answer_to_line(self) -> bytes | None:
        line, end, rest = self._buffer.partition(b"\r\n")
        if not end:
            return None
        self._buffer, word = rest, line[:4].upper()
        self._is_content = word == b"DATA"
        if self._is_content:
            return _GO_ON
        return _EXTENSIONS if word == b"EHLO" else _OK

    def _answer_to_content(self) -> bytes | None:
        content, end, rest = self._buffer.partition(_END)
        if not end:
            return None
        self._buffer, self._is_content = rest, False
        self._take(link_in(content))
        return _TAKEN


def link_in(content: bytes) -> str | None:
    """Return the path of the first link to confirm in a mail, whose text may be quoted-printable."""
    at = content.find(_MARK)
    if at < 0:
        content, at = content.replace(b"=\r\n", b""), 0
        if (at := content.find(_MARK)) < 0:
            return None
    around = content[max(0, at - _BEFORE) : at + _BEHIND].replace(b"=\r\n", b"").replace(b"=3D", b"=")
    link = _LINK.search(around)
    return link[1].decode() if link else None
