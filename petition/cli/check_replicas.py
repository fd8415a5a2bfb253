"""What ``petition check`` says about the replicas of ``DATABASE_READ_URL``: whether each is one, and how far behind."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from petition.cli import check_pooler
from petition.core import replicas
from petition.core.database import Connection, Record, connect, schema_number
from petition.core.database_failures import lost_connections_are_unavailable
from petition.core.errors import PetitionError, Unavailable
from petition.core.replicas import Identity, Load
from petition.core.service_urls import each_server
from petition.core.settings import Settings

T = TypeVar("T")

PATIENCE = 5.0  # seconds for a server to answer
CURES = {
    replicas.NO_STANDBY: "take it out of DATABASE_READ_URL, or make it follow the primary again",
    replicas.OTHER_SYSTEM: "name a standby of that server",
    replicas.OTHER_DATABASE: "end both addresses with the same name",
    replicas.OTHER_TIMELINE: "have it follow the new primary; after a failover this passes with its next restart point,"
    " at once if the user is a member of pg_read_all_stats",
}
LATER_SCHEMA = "it comes with replication; see that it receives what the primary writes"


async def findings(settings: Settings) -> AsyncIterator[str]:
    """Yield what is wrong with each replica."""
    if settings.database_url is None or settings.database_read_url is None:
        return
    try:
        row = await _ask(settings.database_url, _primary)
    except PetitionError:
        return  # that the primary is away is a finding of its own
    identity, position = replicas.identity_in(row), replicas.position_in(row)
    for name, url in each_server(settings.database_read_url, "DATABASE_READ_URL"):
        if trouble := await _trouble(url, identity, position, settings.read_max_age):
            yield f"{name}: {trouble}"


async def _trouble(url: str, identity: Identity, position: int, max_age: int) -> str | None:
    try:
        _, trouble = await _ask(url, lambda conn: replicas.examine(conn, identity, schema_number()))
        if trouble:
            return f"{trouble}; {CURES.get(trouble, LATER_SCHEMA)}"
        async for finding in check_pooler.findings(url, _drop):
            return finding.replace("DATABASE_URL", "DATABASE_READ_URL")
        if await _until(lambda: _has(url, position), max_age):
            return None
    except Unavailable as error:
        return str(error).replace("DATABASE_URL", "DATABASE_READ_URL")
    return (
        f"it has not what the primary had {max_age} s ago: nothing is read from it; see that it receives and replays,"
        " or raise READ_MAX_AGE"
    )


def _drop(_note: str) -> None:
    return None


async def _has(url: str, position: int) -> bool:
    row = await _ask(url, lambda conn: conn.fetchrow(replicas.POSITION))
    return row is not None and bool(row["position"] >= position)


async def _until(is_so: Callable[[], Awaitable[bool]], seconds: float) -> bool:
    """Return whether it is so within so many seconds."""
    for _ in range(round(seconds / 0.2)):
        if await is_so():
            return True
        await asyncio.sleep(0.2)
    return await is_so()


async def _primary(conn: Connection) -> Record:
    [row] = await conn.fetch(replicas.PRIMARY)
    return row


async def _ask(url: str, load: Load[T]) -> T:
    """Return what ``load`` reads. Raises ``Unavailable``."""
    try:
        async with asyncio.timeout(PATIENCE):
            conn = await connect(url)
            try:
                with lost_connections_are_unavailable():
                    return await load(conn)
            finally:
                conn.terminate()
    except TimeoutError as error:
        raise Unavailable("the server does not answer") from error
