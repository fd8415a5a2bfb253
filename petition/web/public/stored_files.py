"""Public files out of the database, sent in parts.

A response is in memory until the client has read it. With whole files of megabytes in it, some hundred clients that
do not read would take all there is.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import TypeVar

from starlette.responses import Response, StreamingResponse

from petition.core.database import Connection, Record
from petition.core.errors import NotFound, Unavailable
from petition.web.public.visit import Visit

PART = 64 * 1024  # bytes
PATIENCE = 60  # attempts to read a part
PAUSE = 1.0  # seconds between two of them

T = TypeVar("T")

# Reads (type, size, part) from byte ``start`` on, ``length`` bytes at most. None if there is no such file (any more).
ReadPart = Callable[[Connection, int, int], Awaitable[Record | None]]


async def first_part(visit: Visit, read: ReadPart) -> Record | None:
    """Return (type, size, part) of a file's beginning."""
    async with visit.services.throttle.part_slot(visit.network), visit.services.database.connection() as conn:
        return await read(conn, 0, PART)


def respond(visit: Visit, first: Record, read: ReadPart, headers: Mapping[str, str]) -> Response:
    """Answer with the file that begins with ``first``."""
    all_headers = {**headers, "content-length": str(first["size"])}
    if visit.request.method == "HEAD":
        return Response(headers=all_headers, media_type=first["type"])
    return StreamingResponse(_parts(visit, first, read), headers=all_headers, media_type=first["type"])


async def _parts(visit: Visit, first: Record, read: ReadPart) -> AsyncIterator[bytes]:
    """Yield all parts. Raises ``NotFound`` if the file is deleted meanwhile: the client sees that it is not whole."""
    part, sent = first["part"], 0
    while part:
        yield part
        sent += len(part)
        if sent >= first["size"]:
            return
        row = await _next_part(visit, read, sent)
        part = row["part"] if row is not None else b""
    raise NotFound("the file was deleted")


async def _next_part(visit: Visit, read: ReadPart, start: int) -> Record | None:
    async def read_part() -> Record | None:
        async with visit.services.throttle.part_slot(visit.network), visit.services.database.connection() as conn:
            return await read(conn, start, PART)

    return await patiently(read_part)


async def patiently(read: Callable[[], Awaitable[T]]) -> T:
    """Read as soon as there is a turn, within a minute: what has begun cannot be refused any more.

    Raises ``Unavailable``.
    """
    for _ in range(PATIENCE):
        try:
            return await read()
        except Unavailable:
            await asyncio.sleep(PAUSE)
    raise Unavailable
