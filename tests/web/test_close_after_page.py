"""CLOSE_AFTER_PAGE ends the connection with each page, and with nothing else; a stream of events ends by itself."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from petition.web import count_stream
from tests.running import SLUG, Installation, installation

LETTER, COUNT = f"/en/{SLUG}", f"/api/v1/letters/{SLUG}/count"


@pytest.fixture
async def site(database_url: str, tmp_path: Path, with_letter: None) -> AsyncIterator[Installation]:
    async with installation(database_url, tmp_path, CLOSE_AFTER_PAGE="on") as running:
        yield running


async def asked(site: Installation, path: str) -> tuple[str, bool]:
    """Ask for a path; return the head and whether the server has closed the connection then."""
    reader, writer = await asyncio.open_connection("127.0.0.1", site.settings.port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost:{site.settings.port}\r\n\r\n".encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    size = re.search(r"content-length: (\d+)", head)
    assert size
    await reader.readexactly(int(size[1]))
    writer.write(f"GET /healthz HTTP/1.1\r\nHost: localhost:{site.settings.port}\r\n\r\n".encode())
    try:
        is_closed = not await reader.read(1)
    except ConnectionError:
        is_closed = True
    writer.close()
    return head, is_closed


@pytest.mark.parametrize(
    ("path", "closes"),
    [(LETTER, True), (f"{LETTER}/find", True), ("/en/none", True), (COUNT, False), (f"/badge/{SLUG}.svg", False)],
)
async def test_which_end_the_connection(site: Installation, path: str, closes: bool) -> None:
    for _ in range(2):  # rendered, then cached
        head, is_closed = await asked(site, path)
        assert ("connection: close" in head) == closes == is_closed


async def test_no_page_does_so_by_itself(shared_site: Installation) -> None:
    assert not (await asked(shared_site, LETTER))[1]


async def test_a_stream_ends_before_a_connection_freezes(
    shared_site: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(count_stream, "HEARTBEAT", 0.001)
    monkeypatch.setattr(count_stream, "MAX_BYTES", 200)
    reader, writer = await asyncio.open_connection("127.0.0.1", shared_site.settings.port)
    path = f"/api/v1/letters/{SLUG}/events"
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost:{shared_site.settings.port}\r\n\r\n".encode())
    received = await asyncio.wait_for(reader.read(-1), 120)  # to the end: the server closes
    writer.close()
    assert b"connection: close" in received.lower()
    assert received.endswith(b"0\r\n\r\n")
    assert len(received) < 2048
