"""Copies of public pages on disk, for a process that has just started and finds no database.

They hold no names of signatories, so that none reappears that was taken back in the meantime; everything else on
them was public. What may be served, and for how long, is in docs/decisions/page-cache.md.
"""

import asyncio
import contextlib
import hashlib
import hmac
import json
import logging
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from petition.core import patience
from petition.core.client_networks import of_client
from petition.core.encryption import derive
from petition.core.errors import SettingsError
from petition.core.private_folders import make_private
from petition.core.settings import Settings
from petition.core.version import version
from petition.web.page_cache import CachedResponse, Header, build_response

log = logging.getLogger(__name__)

NAMELESS = "petition.nameless"  # in the ASGI scope: a copy is made
FOLDER = "pages"  # in DATA_DIR
INTERVAL = 1.0  # seconds between two looks at what has changed
MIN_AGE = 30.0  # seconds before a copy is written again
MAX_COPIES = 2000
MAX_SIZE = 256 * 1024  # bytes of one
MAX_AWAY = 3600.0  # seconds since a process of this machine has last followed the database
ALONE = 1.5 * INTERVAL  # seconds without a look of any process
_CONTACT = "contact"
# Made anew where a copy is served.
_LEFT_OUT = {b"content-length", b"content-type", b"cache-control", b"etag", b"vary", b"date", b"content-encoding"}

App = Callable[[Any, Any, Any], Any]


class StoredCopies:
    """The copies of one installation on one machine; all its web processes share them."""

    def __init__(self, settings: Settings, database_url: str) -> None:
        parts = "\n".join((version(), settings.base_url, settings.onion_url or "", database_url))
        mark = hmac.digest(derive(settings.secret_keys[0], "stored-copies"), parts.encode(), hashlib.sha256)
        self._root = settings.data_dir / FOLDER
        self._folder = self._root / mark.hex()[:32]
        self._host = settings.base_url.partition("//")[2].encode()
        self._written: dict[str, tuple[object, float]] = {}  # by key: the page it is a copy of, and when
        self._due: dict[str, str] = {}  # key → group, of copies that were taken away
        self._purged: set[str] = set()  # groups, since the copy that is being made was begun
        self._read: dict[str, CachedResponse] = {}
        self._files: set[str] = set()
        self._is_following = False
        self._is_usable = self._prepare()

    def _prepare(self) -> bool:
        """Make the folder, and delete those of other versions that have not been used for a while."""
        try:
            make_private(self._root.parent)
            make_private(self._root)
            self._folder.mkdir(mode=0o700, exist_ok=True)
            for other in self._root.iterdir():
                if other != self._folder and time.time() - other.stat().st_mtime > MAX_AWAY:
                    _delete(other)
        except (OSError, SettingsError) as error:  # read-only, or another account's: then there are none
            log.warning("no copies of pages are kept on disk", extra={"reason": type(error).__name__})
            return False
        return True

    def purge(self, group: str) -> None:
        """Delete the copies of a group: something on them was taken back."""
        self._read.clear()
        self._purged.add(group)
        for key in [key for key in self._written if _path_group(key) == group]:
            del self._written[key]
            self._due[key] = group
        if self._is_usable:
            with contextlib.suppress(OSError):
                for path in self._folder.glob(f"{_digest(group)}-*"):
                    path.unlink(missing_ok=True)

    def get(self, key: str) -> CachedResponse | None:
        """Return the copy of the page at ``key`` (path and query), if it may still be served."""
        if not self._is_usable or not self._is_recent():
            return None
        copy = self._read.get(key) or self._load(key)
        if copy is not None and len(self._read) < MAX_COPIES:  # addresses that someone made up have none
            self._read[key] = copy
        return copy

    def _is_recent(self, seconds: float = MAX_AWAY) -> bool:
        try:
            return time.time() - (self._folder / _CONTACT).stat().st_mtime < seconds
        except OSError:
            return False

    def _load(self, key: str) -> CachedResponse | None:
        try:
            head, _, body = self._path(key).read_bytes().partition(b"\n")
            fields = json.loads(head)
            headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields["headers"]]
        except (OSError, ValueError, KeyError):
            return None
        return build_response(body, fields["type"].encode(), headers) if fields["key"] == key else None

    def _path(self, key: str) -> Path:
        return self._folder / f"{_digest(_path_group(key))}-{_digest(key)}"

    async def follow(
        self,
        app: App,
        state: dict[str, object],
        pages: Callable[[], Iterable[tuple[str, object]]],
        is_up: Callable[[], bool],
    ) -> None:
        """Write copies of what is in memory, one after the other, until cancelled; ``pages`` are (key, page)."""
        while self._is_usable:
            await asyncio.sleep(INTERVAL)
            if not is_up():
                continue
            self._read.clear()
            self._begin_look()
            for key, page in self._outdated(pages()):
                try:
                    await self._write(app, state, key, page)
                except OSError as error:  # a full disk, or no files left
                    log.warning("a copy of a page could not be written", extra={"reason": error.strerror})
                    self._written[key] = page, time.monotonic()
                except Exception:
                    # A loop that ends would leave old copies; this page is tried again when it has changed.
                    log.exception("a copy of a page could not be written")
                    self._written[key] = page, time.monotonic()

    def _begin_look(self) -> None:
        """Note that this machine follows the database; if it has not until now, no copy may be what it was."""
        contact = self._folder / _CONTACT
        with contextlib.suppress(OSError):
            if not self._is_following and not self._is_recent(ALONE):
                for path in self._folder.iterdir():
                    path.unlink(missing_ok=True)
            contact.touch(mode=0o600)
            self._is_following = True
            self._files = {path.name for path in self._folder.iterdir()}

    def _outdated(self, pages: Iterable[tuple[str, object]]) -> list[tuple[str, object]]:
        now, due = time.monotonic(), self._due
        self._due = {}
        chosen: dict[str, object] = dict.fromkeys(due)
        for key, page in pages:
            earlier, at = self._written.get(key, (None, float("-inf")))
            is_new = page is not earlier and now - at > MIN_AGE
            is_gone = self._path(key).name not in self._files and page is not earlier
            if (is_new or is_gone) and (key in self._written or len(self._written) < MAX_COPIES):
                chosen[key] = page
        return list(chosen.items())

    async def _write(self, app: App, state: dict[str, object], key: str, page: object) -> None:
        self._purged.clear()
        patience.begin(5.0)
        status, headers, body = await _fetch(app, state, key, self._host)
        if (group := _path_group(key)) in self._purged:  # while it was made: once more
            self._due[key] = group
            return
        if status != 200 or len(body) > MAX_SIZE:
            self._written[key] = page, time.monotonic()
            return
        content_type = next(value for name, value in headers if name == b"content-type")
        lasting = [
            (name.decode("latin-1"), value.decode("latin-1")) for name, value in headers if name not in _LEFT_OUT
        ]
        head = json.dumps({"key": key, "type": content_type.decode(), "headers": lasting}).encode()
        _write_whole(self._path(key), head + b"\n" + body)
        self._written[key] = page, time.monotonic()


def _path_group(key: str) -> str:
    """Return the letter's slug in an address; "" for pages of no letter."""
    parts = key.partition("?")[0].strip("/").split("/")
    if parts[0] == "api":
        return parts[3] if len(parts) > 3 else ""
    if parts[0] in {"badge", "embed"}:
        return parts[-1].partition(".")[0]
    return parts[1] if len(parts) > 1 else ""


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _write_whole(path: Path, content: bytes) -> None:
    """Write a file so that a reader finds all of it or none."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    new = path.with_name(f"{path.name}.{os.getpid()}")
    file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(file, "wb") as out:
            out.write(content)
        new.replace(path)
    except OSError:  # a disk that is full has no room for halves
        new.unlink(missing_ok=True)
        raise


def _delete(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


async def _fetch(app: App, state: dict[str, object], key: str, host: bytes) -> tuple[int, list[Header], bytes]:
    """Return status, headers and body of one of our own pages, without names."""
    path, _, query = key.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode("latin-1"),
        "root_path": "",
        "headers": [(b"host", host)],
        "state": dict(state),
        "network": of_client("127.0.0.1", (), ()),
        NAMELESS: True,
    }
    status, headers, body = 0, [], bytearray()

    async def receive() -> dict[str, object]:
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        nonlocal status, headers
        if message["type"] == "http.response.start":
            status, headers = message["status"], list(message["headers"])
        else:
            body.extend(message.get("body", b""))

    await app(scope, receive, send)
    return status, headers, bytes(body)
