"""All of signing through nginx and TLS in one connection that freezes after 16 KB."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from urllib.parse import urlencode

import brotli
import pytest

from petition.web import page_cache
from tests.browser.album import paragraphs
from tests.deploy.proxies import running, trusting
from tests.running import SAMPLE, SLUG, Installation, free_port, installation, publish

FREEZE = 16 * 1024  # bytes towards the reader
FIRST_ANSWER = 10 * 1024
LONG = "a-long-letter"
Letter = tuple[Installation, str, int]  # with its short name, and nginx's port
BROWSER = "Accept: text/html\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nSec-Fetch-Site: same-origin\r\n"


@dataclass
class Reader:
    """One connection by TLS; ``received`` counts all bytes towards it, the handshake's too."""

    port: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    received: list[int]

    async def ask(self, method: str, path: str, body: bytes = b"") -> tuple[str, str]:
        """Return the head in lower case and the body."""
        more = f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n" if body else ""
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost:{self.port}\r\n{BROWSER}{more}\r\n"
        self.writer.write(head.encode() + body)
        answer = (await self.reader.readuntil(b"\r\n\r\n")).decode().lower()
        size = re.search(r"content-length: (\d+)", answer)
        assert size, answer
        content = await self.reader.readexactly(int(size[1]))
        return answer, (brotli.decompress(content) if "content-encoding: br" in answer else content).decode()


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Reader]:
    """Connect to nginx through a relay that counts."""
    received = [0]

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, counts: bool) -> None:
        while data := await reader.read(65536):
            received[0] += len(data) * counts
            writer.write(data)
        writer.close()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(carry(reader, far_writer, counts=False), carry(far_reader, writer, counts=True))

    async with await asyncio.start_server(relay, "127.0.0.1", 0) as server:
        near = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", near, ssl=trusting(), server_hostname="localhost")
        yield Reader(port, reader, writer, received)
        writer.close()


@pytest.fixture(params=[SLUG, LONG])
async def letter(
    request: pytest.FixtureRequest, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Letter]:
    """Give a letter behind nginx as shipped, and nginx's port: the sample's, or the longest."""
    monkeypatch.setattr(page_cache, "LASTING", 1.0)
    port, spare_port, slug = free_port(), free_port(), request.param
    folder = tmp_path / "letter"
    folder.mkdir()
    (folder / "letter.toml").write_text((SAMPLE / "letter.toml").read_text().replace(SLUG, slug))
    more = "\n\n" + "\n\n".join(paragraphs(60_000)) if slug == LONG else ""
    for lang in ("en", "ru"):
        (folder / f"{lang}.md").write_text((SAMPLE / f"{lang}.md").read_text() + more)
    async with (
        installation(database_url, tmp_path, BASE_URL=f"https://localhost:{port}", TRUSTED_PROXIES="127.0.0.1") as site,
        running("nginx", tmp_path, site.settings.port, port, spare_port),
    ):
        await publish(site.settings, site.database, folder)
        yield site, slug, port


async def earlier_readers(port: int, path: str) -> None:
    """Ask for a page until it comes compressed as far as it goes."""
    sizes: list[int] = []
    async with asyncio.timeout(60):
        while not sizes or sizes[-1] >= sizes[0]:
            async with connected(port) as reader:
                before = reader.received[0]
                await reader.ask("GET", path)
                sizes.append(reader.received[0] - before)
            await asyncio.sleep(0.2)


@pytest.mark.parametrize("lang", ["en", "ru"])
async def test_signing_comes_through(letter: Letter, lang: str) -> None:
    site, slug, port = letter
    await earlier_readers(port, f"/{lang}/{slug}/check-your-inbox")
    async with connected(port) as reader:
        before = reader.received[0]
        head, page = await reader.ask("GET", f"/{lang}/{slug}")
        first = reader.received[0] - before
        assert "200 ok" in head
        assert "content-encoding: br" in head
        assert first <= FIRST_ANSWER
        assert ('/text"' in page) == (slug == LONG), "a letter of ordinary length is shown whole"
        version = re.search(r'name="version" value="(\w+)"', page)
        assert version
        form = await site.form(slug, version=version[1], email=f"vera-{lang}@letters.example")
        head, _ = await reader.ask("POST", f"/{lang}/{slug}/sign", urlencode(form).encode())
        assert f"location: /{lang}/{slug}/check-your-inbox" in head
        head, page = await reader.ask("GET", f"/{lang}/{slug}/check-your-inbox")
        assert "200 ok" in head
        assert unescape(page).rstrip().endswith("</html>")
        assert reader.received[0] <= FREEZE, reader.received
