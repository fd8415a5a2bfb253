"""``python -m tests.bench.link_sink PORT``: takes every mail and writes the path of its link to confirm on a line of
standard output. As light as SMTP allows, so that it costs little of the cores that are measured.
"""

import asyncio
import re
import sys

import uvloop

_LINK = re.compile(rb"https?://[^/\s]+(/[a-z]{2}/confirm/[\w.~-]+)")
_END = b"\r\n.\r\n"


class Sink(asyncio.Protocol):
    """One connection of a worker."""

    def __init__(self) -> None:
        self._buffer = b""
        self._is_content = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")
        self._write = transport.write
        self._write(b"220 sink.example\r\n")

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while self._take_content() if self._is_content else self._take_line():
            pass

    def _take_line(self) -> bool:
        line, end, rest = self._buffer.partition(b"\r\n")
        if not end:
            return False
        self._buffer = rest
        word = line[:4].upper()
        self._is_content = word == b"DATA"
        if word == b"EHLO":
            self._write(b"250-sink.example\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 PIPELINING\r\n")
        else:
            self._write(b"354 go on\r\n" if self._is_content else b"250 ok\r\n")
        return True

    def _take_content(self) -> bool:
        content, end, rest = self._buffer.partition(_END)
        if not end:
            return False
        self._buffer, self._is_content = rest, False
        # Lines of quoted-printable may end in the middle of the link.
        link = _LINK.search(content) or _LINK.search(content.replace(b"=\r\n", b""))
        whole = _LINK.search(content.replace(b"=\r\n", b"").replace(b"=3D", b"=")) if link else None
        print((whole[1] if whole else b"-").decode(), flush=True)
        self._write(b"250 accepted\r\n")
        return True


async def main(port: int) -> None:
    """Listen until killed."""
    server = await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
