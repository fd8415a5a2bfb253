"""A real HTTP server on loopback that answers as hCaptcha does, and in all the ways it must not."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qs

Writer = asyncio.StreamWriter
Reader = asyncio.StreamReader
Behaviour = Callable[[Writer, Reader], Awaitable[None]]


@dataclass
class FarSide:
    """Remembers each question; ``behaviour`` writes the answer, byte for byte."""

    behaviour: Behaviour
    port: int = 0
    asked: list[dict[str, list[str]]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/siteverify"

    async def serve(self, reader: Reader, writer: Writer) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.paths.append(head.split(" ", 2)[1])
            length = next(
                (int(line.split(":")[1]) for line in head.lower().splitlines() if "content-length" in line), 0
            )
            self.asked.append(parse_qs((await reader.readexactly(length)).decode()))
            await self.behaviour(writer, reader)
            await writer.drain()
        except ConnectionError:
            pass  # the asker had enough
        finally:
            writer.close()


@asynccontextmanager
async def far_side(behaviour: Behaviour) -> AsyncIterator[FarSide]:
    """Serve until left."""
    side = FarSide(behaviour)
    server = await asyncio.start_server(side.serve, "127.0.0.1", 0)
    side.port = server.sockets[0].getsockname()[1]
    try:
        yield side
    finally:
        server.close()


def raw(status: str, body: bytes, *headers: str, length: int | None = None) -> Behaviour:
    """Answer with exactly this."""

    async def behave(writer: Writer, _reader: Reader) -> None:
        lines = [
            f"HTTP/1.1 {status}",
            f"Content-Length: {len(body) if length is None else length}",
            "Connection: close",
            *headers,
        ]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    return behave


def says(answer: object, status: str = "200 OK", kind: str = "application/json") -> Behaviour:
    """Answer with JSON, as hCaptcha does."""
    return raw(status, json.dumps(answer).encode(), f"Content-Type: {kind}")


YES = {"success": True, "challenge_ts": "2026-11-21T10:00:00Z", "hostname": "letters.example", "credit": False}
NO = {"success": False, "error-codes": ["invalid-input-response"]}


async def never(_writer: Writer, reader: Reader) -> None:
    """Take the question and stay silent until the asker leaves."""
    await reader.read()


async def drips(writer: Writer, _reader: Reader) -> None:
    """Answer yes, a byte now and then, so that no single read takes long."""
    body = json.dumps(YES).encode()
    writer.write(f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode())
    for byte in body:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.1)


async def hangs_up(writer: Writer, _reader: Reader) -> None:
    """Close without a word."""


async def floods(writer: Writer, _reader: Reader) -> None:
    """Begin with a yes and never end, in chunks, without a length."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
    opening = b'{"success": true, "padding": "'
    writer.write(f"{len(opening):x}\r\n".encode() + opening + b"\r\n")
    while True:
        writer.write(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
        await writer.drain()
