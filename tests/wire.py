"""Requests as bytes on a connection of their own: what a client library would not send."""

import asyncio
from collections.abc import Mapping
from urllib.parse import urlencode


async def ask(
    port: int, path: str, host: str, form: Mapping[str, str], headers: Mapping[str, str], before: bytes = b""
) -> int:
    """Post ``form``, with ``before`` in front of the head; return the answer's status."""
    body = urlencode(form).encode()
    lines = [
        f"POST {path} HTTP/1.1",
        f"Host: {host}",
        "Content-Type: application/x-www-form-urlencoded",
        f"Content-Length: {len(body)}",
        "Connection: close",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(before + "\r\n".join([*lines, "", ""]).encode() + body)
    answer = await reader.read()
    writer.close()
    return int(answer.split(maxsplit=2)[1])
