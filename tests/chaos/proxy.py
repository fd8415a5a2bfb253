"""A network between the installation and its database that can be slow, silent, cut or reset."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import Enum

_CHUNK = 65_536


class Line(Enum):
    """How the line is."""

    WELL = "well"
    SLOW = "slow"  # everything arrives late
    SILENT = "silent"  # connections stay open and nothing arrives: a frozen server, or a firewall that drops
    CUT = "cut"  # connections are closed, new ones too


class Proxy:
    """Passes bytes between a loopback port and the server's Unix socket."""

    def __init__(self, path: str, delay: float = 0.2) -> None:
        self._path, self._delay = path, delay
        self.line = Line.WELL
        self.port = 0
        self._well = asyncio.Event()
        self._well.set()
        self._writers: set[asyncio.StreamWriter] = set()

    def set(self, line: Line) -> None:
        """Make the line so, for open connections too."""
        self.line = line
        if line is Line.SILENT:
            self._well.clear()
        else:
            self._well.set()
        if line is Line.CUT:
            self._close()

    def reset(self) -> None:
        """Reset every open connection; new ones are taken."""
        for writer in self._writers:
            linger = struct.pack("ii", 1, 0)  # closing then sends RST
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._close()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["Proxy"]:
        """Listen on a free port while the block runs."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            self.set(Line.CUT)

    def _close(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.line is Line.CUT:
            writer.transport.abort()
            return
        try:
            to_reader, to_writer = await asyncio.open_unix_connection(self._path)
        except OSError:
            writer.transport.abort()
            return
        pair = {writer, to_writer}
        self._writers |= pair
        try:
            ways = (self._pass(reader, to_writer), self._pass(to_reader, writer))
            await asyncio.wait([asyncio.create_task(way) for way in ways], return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._writers -= pair
            for each in pair:
                each.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while block := await reader.read(_CHUNK):
                await self._well.wait()
                if self.line is Line.SLOW:
                    await asyncio.sleep(self._delay)
                writer.write(block)
                await writer.drain()
