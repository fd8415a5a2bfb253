"""A mirror on a server that is not trusted: everything it sends is limited, and no redirect is followed.

A redirect could lead to a machine inside the network of the one that verifies, and its answer would be reported. All
files are below the one address that was named; a manifest names paths only, and none that leads out.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from urllib.parse import quote, urlsplit

import aiohttp

from petition.mirrors.model import BadMirror

CONNECT_SECONDS = 20.0
FILE_SECONDS = 120.0  # for one file
MAX_PART = 64 * 1024  # bytes read at once
USER_AGENT = "petition mirror --verify"


class ServedSource:
    """The files below an address."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session, self._url = session, url

    async def read(self, path: str, max_bytes: int) -> bytes | None:
        try:
            async with asyncio.timeout(FILE_SECONDS):
                return await self._read(f"{self._url}{quote(path)}", max_bytes)
        except TimeoutError:
            raise BadMirror("the server takes too long") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise BadMirror(f"the server cannot be read ({type(error).__name__})") from None

    async def _read(self, url: str, max_bytes: int) -> bytes | None:
        async with self._session.get(url, allow_redirects=False) as response:
            if response.status in {404, 410}:
                return None
            if 300 <= response.status < 400:
                raise BadMirror(f"the server redirects (status {response.status}), which is not followed")
            if response.status != 200:
                raise BadMirror(f"the server answers with status {response.status}")
            return await _limited(response, max_bytes)

    def paths(self) -> Sequence[str] | None:
        return None


async def _limited(response: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    content = bytearray()
    while len(content) <= max_bytes and (part := await response.content.read(MAX_PART)):
        content += part
    return bytes(content[: max_bytes + 1])


@asynccontextmanager
async def served(url: str) -> AsyncIterator[ServedSource]:
    """Open a mirror at ``url``, with or without a slash at the end. Raises ``BadMirror`` if it is no address."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise BadMirror("an address of a mirror looks like https://mirror.example/letters/open-letter/")
    address = url.rstrip("/") + "/"
    # Bodies are taken as they are: a few compressed bytes may be gigabytes.
    async with aiohttp.ClientSession(
        auto_decompress=False,
        headers={"accept-encoding": "identity", "user-agent": USER_AGENT},
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=CONNECT_SECONDS),
        cookie_jar=aiohttp.DummyCookieJar(),
    ) as session:
        yield ServedSource(session, address)
