"""An uploaded file as it comes in (RFC 7578), a piece at a time: nothing is held but the piece and one boundary."""

import re
from collections.abc import AsyncIterator
from email.message import Message

MAX_HEADERS = 4096  # bytes before each part's content
MAX_PARTS = 8


class BadUpload(Exception):
    """The body is no form with a file in it."""


def boundary_of(content_type: str) -> bytes:
    """Return the boundary that a Content-Type names. Raises ``BadUpload``."""
    message = Message()
    message["content-type"] = content_type
    boundary = message.get_param("boundary")
    if message.get_content_type() != "multipart/form-data" or not isinstance(boundary, str) or len(boundary) > 70:
        raise BadUpload
    try:
        return b"\r\n--" + boundary.encode("ascii")
    except UnicodeEncodeError:
        raise BadUpload from None


class File:
    """The first part of a body that is a file. ``name`` is known once the first piece has been asked for."""

    def __init__(self, stream: AsyncIterator[bytes], boundary: bytes) -> None:
        self._stream = stream
        self._boundary = boundary
        self._held = b"\r\n"  # as if in front of the first boundary
        self.name = ""

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the file's content. Raises ``BadUpload`` if there is no file, or it ends before its boundary."""
        await self._until(self._boundary)
        for _ in range(MAX_PARTS):
            if (await self._take(2)) != b"\r\n":
                break
            headers = await self._until(b"\r\n\r\n", MAX_HEADERS)
            found = re.search(rb'(?i)content-disposition:[^\r\n]*;\s*filename="([^"\r\n]*)"', headers)
            if found is None:
                await self._until(self._boundary, MAX_HEADERS)
                continue
            self.name = found[1].decode(errors="replace")
            async for piece in self._content():
                yield piece
            return
        raise BadUpload

    async def _content(self) -> AsyncIterator[bytes]:
        keep = len(self._boundary) - 1
        while (place := self._held.find(self._boundary)) < 0:
            if len(self._held) > keep:
                piece, self._held = self._held[:-keep], self._held[-keep:]
                yield piece
            await self._more()
        if place:
            yield self._held[:place]

    async def _until(self, mark: bytes, most: int = MAX_HEADERS) -> bytes:
        while (place := self._held.find(mark)) < 0:
            if len(self._held) > most:
                raise BadUpload
            await self._more()
        found, self._held = self._held[:place], self._held[place + len(mark) :]
        if len(found) > most:
            raise BadUpload
        return found

    async def _take(self, size: int) -> bytes:
        while len(self._held) < size:
            await self._more()
        found, self._held = self._held[:size], self._held[size:]
        return found

    async def _more(self) -> None:
        try:
            self._held += await anext(self._stream)
        except StopAsyncIteration:
            raise BadUpload from None
