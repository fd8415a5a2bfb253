"""Prometheus' page of the worker: ``/metrics`` behind ``METRICS_TOKEN``, on a port of this machine.

No web server for one page: a connection is one GET, its answer, and the end. Everything is bounded.
"""

import asyncio
import contextlib
import hmac
from collections.abc import AsyncIterator

from prometheus_client import CONTENT_TYPE_LATEST

from petition.core import metrics
from petition.core.database import Database, schema_number
from petition.core.errors import SettingsError, Unavailable
from petition.core.settings import Settings
from petition.core.version import version
from petition.incoming_mail import mail_figures

HOST = "127.0.0.1"
MAX_HEAD = 8 * 1024  # bytes
MAX_CONNECTIONS = 10
PATIENCE = 5.0  # seconds: for the request, and for the database
STATUSES = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 405: "Method Not Allowed"}


@contextlib.asynccontextmanager
async def listening(settings: Settings, database: Database) -> AsyncIterator[None]:
    """Answer at ``WORKER_METRICS_PORT`` if it is set. Raises ``SettingsError`` if the port is taken."""
    if settings.worker_metrics_port is None or settings.metrics_token is None:
        yield
        return
    metrics.say_what_runs(version(), schema_number())
    page = MetricsPage(database, settings.metrics_token)
    try:
        server = await asyncio.start_server(page.answer, HOST, settings.worker_metrics_port, limit=MAX_HEAD)
    except OSError as error:
        raise SettingsError(
            f"WORKER_METRICS_PORT: {settings.worker_metrics_port} is taken; each worker needs a port of its own"
        ) from error
    async with server:
        yield


class MetricsPage:
    """Answers connections."""

    def __init__(self, database: Database, token: str) -> None:
        self._database = database
        self._authorization = f"Bearer {token}".encode()
        self._open = 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read one request, write the answer, close. Raises nothing."""
        self._open += 1
        try:
            if self._open <= MAX_CONNECTIONS:
                async with asyncio.timeout(2 * PATIENCE):
                    await self._exchange(reader, writer)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # a client that went away, or sent no request
        finally:
            self._open -= 1
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(PATIENCE):
            head = await reader.readuntil(b"\r\n\r\n")
        status, body = self._status(head), b""
        if status == 200:
            await self._read_database()
            body = metrics.render()
        is_head = head.startswith(b"HEAD ")
        writer.write(_head_of_answer(status, len(body)) + (b"" if is_head else body))
        await writer.drain()

    def _status(self, head: bytes) -> int:
        request, *lines = head.split(b"\r\n")
        words = request.split(b" ")
        if len(words) != 3 or not words[2].startswith(b"HTTP/1."):
            return 400
        if words[1].partition(b"?")[0] != b"/metrics":
            return 404
        if words[0] not in {b"GET", b"HEAD"}:
            return 405
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
        return 200 if hmac.compare_digest(headers.get(b"authorization", b""), self._authorization) else 401

    async def _read_database(self) -> None:
        """Set what is read from the database; without it ``petition_database_up`` is 0, and the rest is old."""
        try:
            async with asyncio.timeout(PATIENCE), self._database.connection() as conn:
                await mail_figures.read(conn)
                await mail_figures.read_jobs(conn)
        except (Unavailable, TimeoutError):
            metrics.DATABASE_UP.set(0)
        else:
            metrics.DATABASE_UP.set(1)


def _head_of_answer(status: int, length: int) -> bytes:
    lines = [
        f"HTTP/1.1 {status} {STATUSES[status]}",
        f"Content-Type: {CONTENT_TYPE_LATEST}",
        f"Content-Length: {length}",
        "Cache-Control: no-store",
        "Connection: close",
        *(["WWW-Authenticate: Bearer"] if status == 401 else []),
        *(["Allow: GET, HEAD"] if status == 405 else []),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
