"""How the driver opens connections: several servers, poolers in transaction mode, the session's settings and codecs."""

import asyncio
import json
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any

import asyncpg

from petition.core.errors import Unavailable
from petition.core.service_urls import DatabaseAddress, parse_database

LOCK_PART = 0.8  # of a web process's patience, for which a statement waits for a lock
HEAD_START = 0.3  # seconds in which one of several servers may answer before the next one is asked


class Servers:
    """Several servers, of which one is asked for (``target_session_attrs``), the one that was right last time first.

    The driver asks one after the other, and one that is frozen or cut off keeps it waiting for a minute. Here each has
    a head start before the next one is asked as well.
    """

    def __init__(self, servers: Sequence[tuple[str, int]]) -> None:
        self._servers = list(servers)

    async def connect(self, dsn: str, **options: Any) -> Any:
        """Return a connection to the first that is right. Raises what the last one that failed did."""
        waiting, attempts = list(self._servers), set[asyncio.Task[Any]]()
        failure: BaseException | None = None
        try:
            while waiting or attempts:
                if waiting:
                    attempts.add(asyncio.create_task(self._ask(waiting.pop(0), dsn, options)))
                timeout = HEAD_START if waiting else None
                done, attempts = await asyncio.wait(attempts, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
                conns = [attempt.result() for attempt in done if attempt.exception() is None]
                if conns:
                    for conn in conns[1:]:
                        conn.terminate()
                    return conns[0]
                failure = next((attempt.exception() for attempt in done), failure)
        finally:
            for attempt in attempts:
                attempt.cancel()
        raise failure or Unavailable("DATABASE_URL names no server")

    async def _ask(self, server: tuple[str, int], dsn: str, options: dict[str, Any]) -> Any:
        conn = await asyncpg.connect(dsn, host=server[0], port=server[1], **options)
        self._servers.remove(server)
        self._servers.insert(0, server)
        return conn


def connector(url: str) -> Callable[..., Any]:
    """Return what opens a connection for the driver's options."""
    servers = parse_database(url).servers
    return Servers(servers).connect if servers else asyncpg.connect


_SESSION = {"application_name": "petition", "timezone": "UTC"}


class AskingConnection(asyncpg.Connection):
    """A connection that asks the server whether it is a standby, as one of several servers may be.

    The driver believes what was reported when the connection was opened. A pooler repeats what the server reported to
    its first connection, so a standby that was promoted behind it would never be taken for the primary.
    """

    def get_settings(self) -> Any:
        return _ReportedSettings(super().get_settings())


class _ReportedSettings:
    """What the server reported, without whether it is a standby."""

    def __init__(self, settings: Any) -> None:
        self._settings = settings

    def __getattr__(self, name: str) -> Any:
        if name == "in_hot_standby":
            raise AttributeError(name)
        return getattr(self._settings, name)


class PooledConnection(AskingConnection):
    """A connection to a pooler in transaction mode, which may use another server after each transaction.

    The driver prepares a statement and runs it in two steps, which must meet the same server: outside a transaction
    every statement gets one of its own.
    """

    async def execute(self, query: str, *args: Any, **options: Any) -> str:
        if not args:  # one step
            return await super().execute(query, **options)
        async with self._on_one_server():
            return await super().execute(query, *args, **options)

    async def executemany(self, command: str, args: Any, **options: Any) -> None:
        async with self._on_one_server():
            await super().executemany(command, args, **options)

    async def fetch(self, query: str, *args: Any, **options: Any) -> Any:
        async with self._on_one_server():
            return await super().fetch(query, *args, **options)

    async def fetchrow(self, query: str, *args: Any, **options: Any) -> Any:
        async with self._on_one_server():
            return await super().fetchrow(query, *args, **options)

    async def fetchval(self, query: str, *args: Any, **options: Any) -> Any:
        async with self._on_one_server():
            return await super().fetchval(query, *args, **options)

    def _on_one_server(self) -> AbstractAsyncContextManager[Any]:
        return nullcontext() if self.is_in_transaction() else self.transaction()


def driver_options(
    address: DatabaseAddress, *, lock_timeout: float | None = None, writes: bool = True
) -> dict[str, Any]:
    """Return the keyword arguments of the driver for an address like that in ``DATABASE_URL``; seconds.

    The server itself ends a wait for a lock, a little before we would: that costs no connection.
    """
    options: dict[str, Any] = {"dsn": address.url}
    if address.statement_cache_size is not None:
        options["statement_cache_size"] = address.statement_cache_size
    if address.is_pooled:  # poolers refuse start-up parameters that they do not know
        return options | {"server_settings": _SESSION, "connection_class": PooledConnection}
    limits = {} if lock_timeout is None else {"lock_timeout": f"{int(lock_timeout * LOCK_PART * 1000)}ms"}
    # A replica that is promoted while we read from it takes no writes of ours either.
    kind = {} if writes else {"default_transaction_read_only": "on"}
    if address.servers:
        options["connection_class"] = AskingConnection
    return options | {"server_settings": {**_SESSION, "jit": "off", **limits, **kind}}


async def prepare(conn: Any, *, is_pooled: bool) -> None:
    """Give a new connection our codecs.

    If that fails the connection is cut: the driver's pool would close it in order and without a limit, and behind a
    pooler that is paused that waits until the pooler goes on.
    """
    transaction = conn.transaction() if is_pooled else None
    try:
        if transaction:
            await transaction.start()
        await conn.set_type_codec("jsonb", schema="pg_catalog", encoder=json.dumps, decoder=json.loads)
        if transaction:
            await transaction.commit()
    except BaseException:
        conn.terminate()
        raise
