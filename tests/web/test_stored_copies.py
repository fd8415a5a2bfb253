"""Copies of pages on disk: what is taken back while one is made, addresses that have none, a disk that is full."""

import asyncio
import contextlib
import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from petition.core.settings import Process, load
from petition.web import stored_copies
from petition.web.stored_copies import StoredCopies
from tests.running import environment

SLUG = "keep-the-channels-open"
PAGE = f"/en/{SLUG}"


class Site:
    """An application whose pages all have one text."""

    def __init__(self) -> None:
        self.text = "before"
        self.acts: list[Callable[[], None]] = []  # while pages are answered, one each

    async def __call__(self, _scope: Any, _receive: Any, send: Any) -> None:
        text = self.text
        if self.acts:
            self.acts.pop()()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
        await send({"type": "http.response.body", "body": text.encode()})


@pytest.fixture
def copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StoredCopies:
    monkeypatch.setattr(stored_copies, "INTERVAL", 0.01)
    monkeypatch.setattr(stored_copies, "ALONE", 60.0)
    return StoredCopies(load(environment(tmp_path, "postgresql://nowhere/x", 8000), role=Process.WEB), "")


def text_of(copies: StoredCopies, key: str) -> str | None:
    copy = copies.get(key)
    return copy.plain.decode() if copy else None


async def follow(copies: StoredCopies, site: Site, is_done: Callable[[], bool]) -> None:
    """Write copies of one page until it is so."""
    page = object()
    task = asyncio.create_task(copies.follow(site, {}, lambda: [(PAGE, page)], lambda: True))
    try:
        async with asyncio.timeout(20):
            while not is_done():
                await asyncio.sleep(0.01)
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_what_is_taken_back_while_the_first_copy_is_made_is_not_on_disk(copies: StoredCopies) -> None:
    site = Site()

    def take_back() -> None:
        site.text = "after"
        copies.purge(SLUG)

    site.acts = [take_back]
    await follow(copies, site, lambda: text_of(copies, PAGE) is not None)
    assert text_of(copies, PAGE) == "after"


async def test_addresses_without_a_copy_take_no_room(copies: StoredCopies, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise a stranger could ask for so many of them that there is no room for pages in an outage."""
    monkeypatch.setattr(stored_copies, "MAX_COPIES", 3)
    await follow(copies, Site(), lambda: text_of(copies, PAGE) is not None)
    copies.purge("another-letter")  # what was read is forgotten
    assert [text_of(copies, f"{PAGE}/{number}") for number in range(4)] == [None] * 4
    assert text_of(copies, PAGE) == "before"


async def test_a_full_disk_is_left_without_halves(
    copies: StoredCopies, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "replace", fail)
    message = "a copy of a page could not be written"
    await follow(copies, Site(), lambda: message in caplog.messages)
    assert [path.name for path in tmp_path.glob("pages/*/*")] == ["contact"]
    monkeypatch.undo()


def test_a_copy_of_another_address_is_none(copies: StoredCopies, tmp_path: Path) -> None:
    """Names of files are digests, and what is in one says whose it is."""
    (folder,) = tmp_path.glob("pages/*")
    (folder / "contact").touch()
    path = copies._path(PAGE)
    path.write_bytes(json.dumps({"key": "/en/other", "type": "text/html", "headers": []}).encode() + b"\nbody")
    assert copies.get(PAGE) is None
