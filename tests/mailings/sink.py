"""An SMTP server in a process of its own that takes mail as fast as it comes: ``python -m tests.mailings.sink FILE``.

It says its port on standard output and writes the recipient of each mail that it has accepted into a file, a line
each. Recipients that begin with "refused" do not exist.
"""

import asyncio
import sys
from pathlib import Path
from typing import TextIO


class Receiver(asyncio.Protocol):
    """One connection."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._buffer = bytearray()
        self._recipient = ""
        self._is_data = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(b"220 sink\r\n")

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n.\r\n" if self._is_data else b"\r\n")) >= 0:
            content = bytes(self._buffer[:end])
            del self._buffer[: end + (5 if self._is_data else 2)]
            self._transport.write(self._accept() if self._is_data else self._answer(content))

    def _accept(self) -> bytes:
        self._is_data = False
        self._out.write(f"{self._recipient}\n")
        self._out.flush()
        return b"250 2.0.0 accepted\r\n"

    def _answer(self, line: bytes) -> bytes:
        verb = line[:4].upper()
        if verb == b"EHLO":
            return b"250-sink\r\n250-PIPELINING\r\n250 8BITMIME\r\n"
        if verb == b"RCPT":
            self._recipient = line.partition(b"<")[2].partition(b">")[0].decode()
            gone = self._recipient.startswith("refused")
            return b"550 5.1.1 no such mailbox\r\n" if gone else b"250 2.1.5 ok\r\n"
        if verb == b"DATA":
            self._is_data = True
            return b"354 go on\r\n"
        return b"221 bye\r\n" if verb == b"QUIT" else b"250 ok\r\n"


async def main(path: Path) -> None:
    with path.open("a", encoding="utf-8") as out:
        server = await asyncio.get_running_loop().create_server(lambda: Receiver(out), "127.0.0.1", 0)
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
