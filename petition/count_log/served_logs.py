"""A log behind HTTP, read with the standard library alone: one connection, everything limited, no redirect followed."""

import http.client
import json
import re
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, quote, urlsplit

from petition.core.errors import PetitionError
from petition.count_log import tiles

SOCKET_SECONDS = 20.0
FILE_SECONDS = 120.0  # for one file
MAX_FILE = 4 * 1024 * 1024  # bytes
MAX_WAITS = 200  # for a limit of the server, in one run
MAX_WAIT = 60.0  # seconds
PART = 64 * 1024
USER_AGENT = "petition-witness"
_SLUG = re.compile(r"[a-z0-9-]{3,64}")
_LANG = re.compile(r"[a-z]{2,3}")


class Unreachable(PetitionError):
    """The server cannot be reached, or does not answer as one; the text says how."""


class ServerRefusal(PetitionError):
    """The server has not taken what was sent; ``status`` says why."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True, slots=True)
class LogAddress:
    """Where a log is below a host: its files, and the count that readers see beside it."""

    log: str  # a path that ends with a slash
    count: str
    is_copy: bool = False  # a mirror: it takes nothing, and its count is of the moment of its log


def addresses_of(path: str) -> list[LogAddress]:
    """Return where the log may be that an address leads to: a letter's page, its log, or a mirror of it."""
    parts = [part for part in path.split("/") if part]
    letters = [
        parts[1] if len(parts) > 1 and parts[0] == "log" else "",
        parts[1] if len(parts) > 1 and _LANG.fullmatch(parts[0]) and parts[0] != "log" else "",
        parts[0] if len(parts) == 1 else "",
    ]
    folder = "/" + "".join(f"{part}/" for part in parts if part not in {"index.html", "checkpoint"})
    own = [LogAddress(f"/log/{slug}/", f"/api/v1/letters/{slug}") for slug in letters if _SLUG.fullmatch(slug)]
    below = folder.removesuffix("log/")
    return [*own, LogAddress(f"{below}log/", f"{below}count.json", is_copy=True)]


@dataclass
class ServedLogs:
    """A connection to one host. Raises ``Unreachable`` wherever it is used; ``pause`` waits so many seconds."""

    url: str
    pause: Callable[[float], None] = time.sleep
    _connection: http.client.HTTPConnection | None = field(default=None, repr=False)
    _waits: int = 0

    @property
    def parts(self) -> SplitResult:
        try:
            parts = urlsplit(self.url)
            is_address = parts.scheme in {"http", "https"} and parts.hostname and not parts.username
            if is_address and parts.port != 0:
                return parts
        except ValueError:
            pass
        raise Unreachable("an address looks like https://letters.example/en/open-letter")

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def find(self) -> LogAddress:
        """Return where the log is."""
        for address in addresses_of(self.parts.path):
            if self.get(address.log + tiles.CHECKPOINT) is not None:
                return address
        raise Unreachable(f"there is no log of a letter at {self.url}")

    def get(self, path: str) -> bytes | None:
        """Return a file; None if there is none."""
        while True:
            status, headers, content = self._ask("GET", path, None)
            if status in {404, 410}:
                return None
            if status == 200:
                return content
            self._wait_or_raise(path, status, headers)

    def json(self, path: str) -> Any:
        """Return what a file of JSON holds; None if there is none."""
        content = self.get(path)
        try:
            return None if content is None else json.loads(content)
        except (ValueError, RecursionError):
            raise Unreachable(f"{path} is no JSON") from None

    def reader(self, address: LogAddress) -> tiles.Read:
        """Return what reads a log's files."""

        def read(path: str) -> bytes:
            content = self.get(address.log + path)
            if content is None:
                raise LookupError(path)
            return content

        return read

    def post(self, path: str, content: bytes) -> None:
        """Send a text. Raises ``ServerRefusal``."""
        while True:
            status, headers, answer = self._ask("POST", path, content)
            if 200 <= status < 300:
                return
            if status != 429:
                text = answer.decode(errors="replace").strip().partition("\n")[0][:300]
                is_text = headers.get("content-type", "").startswith("text/plain")
                raise ServerRefusal(status, text if is_text else f"status {status}")
            self._wait_or_raise(path, status, headers)

    def _wait_or_raise(self, path: str, status: int, headers: http.client.HTTPMessage) -> None:
        """Wait for a limit of the server's."""
        if 300 <= status < 400:
            raise Unreachable(f"{path} leads to {headers.get('location', '')[:200]}, which is not followed: name that")
        seconds = headers.get("retry-after", "")
        self._waits += 1
        if status != 429 or self._waits > MAX_WAITS or not seconds.isdecimal():
            raise Unreachable(f"{path} is answered with status {status}")
        self.pause(min(float(seconds), MAX_WAIT) + 0.5)

    def _ask(self, method: str, path: str, body: bytes | None) -> tuple[int, http.client.HTTPMessage, bytes]:
        """Ask once more on a new connection if the server has closed the one that was open."""
        was_open = self._connection is not None
        try:
            return self._ask_once(method, path, body)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            if not was_open or isinstance(error, TimeoutError):
                raise Unreachable(f"{self.parts.hostname} cannot be reached: {_cause(error)}") from None
        return self._ask(method, path, body)

    def _ask_once(self, method: str, path: str, body: bytes | None) -> tuple[int, http.client.HTTPMessage, bytes]:
        headers = {"user-agent": USER_AGENT, "accept-encoding": "identity"}
        if body is not None:
            headers["content-type"] = "text/plain; charset=utf-8"
        deadline = time.monotonic() + FILE_SECONDS
        connection = self._open()
        connection.request(method, quote(path), body, headers)
        response = connection.getresponse()
        content = bytearray()
        while part := response.read1(PART):
            content += part
            if len(content) > MAX_FILE:
                raise Unreachable(f"{path} is larger than a file of a log")
            if time.monotonic() > deadline:
                raise TimeoutError
        if response.will_close:
            self.close()
        return response.status, response.headers, bytes(content)

    def _open(self) -> http.client.HTTPConnection:
        if self._connection is None:
            host, port = self.parts.hostname or "", self.parts.port
            if self.parts.scheme == "https":
                context = ssl.create_default_context()
                self._connection = http.client.HTTPSConnection(host, port, timeout=SOCKET_SECONDS, context=context)
            else:
                self._connection = http.client.HTTPConnection(host, port, timeout=SOCKET_SECONDS)
        return self._connection


def _cause(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return f"its certificate is not believed ({error.reason})"
    return "it takes too long" if isinstance(error, TimeoutError) else str(error) or type(error).__name__
