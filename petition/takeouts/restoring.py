"""Restoring: an empty database gets the takeout's schema, its rows in one transaction, then the newer migrations.

Foreign keys are taken away while rows come in, in whichever order, and put back, which checks every row.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from petition.core import partitions as layouts
from petition.core.database import (
    Connection,
    applied_number,
    connect,
    migrate,
    schema_number,
)
from petition.core.database_failures import lost_connections_are_unavailable
from petition.core.encryption import Wrapper
from petition.core.errors import PetitionError
from petition.core.stored_keys import check_secret
from petition.takeouts import archive, queries
from petition.takeouts.archive import TakeoutManifest, TakeoutReader


def read_head(path: Path, identity: Path) -> tuple[TakeoutManifest, dict[str, str]]:
    """Return what a takeout is, and its secrets by setting. Raises ``PetitionError``, ``OSError``."""
    with archive.reading(path, archive.read_identities(identity)) as reader:
        return reader.manifest, reader.secrets


async def restore(
    url: str, path: Path, identity: Path, secret_keys: tuple[str, ...], *, partitions: int | None = None
) -> dict[str, int]:
    """Bring a takeout into the empty database at ``url``; return the rows of each table.

    ``secret_keys`` must open its letters' keys. The layout (``partitions``, else that of the database) need not be the
    one that was taken out. After an error the database is as empty as before. Raises ``PetitionError``, ``OSError``.
    """
    with archive.reading(path, archive.read_identities(identity)) as reader:
        await _prepare(url, reader.manifest)
        if partitions is not None:
            await layouts.divide(url, partitions)
        conn = await connect(url)
        try:
            with lost_connections_are_unavailable():
                rows = await _load(conn, reader, secret_keys)
        finally:
            await conn.close()
    await migrate(url)
    return rows


async def _prepare(url: str, manifest: TakeoutManifest) -> None:
    """Bring an empty database to the takeout's schema. Raises ``PetitionError`` if there is anything in it."""
    if manifest.schema > schema_number():
        raise PetitionError(
            f"the takeout was made by a newer petition ({manifest.version}, schema {manifest.schema}): restore it there"
        )
    conn = await connect(url)
    try:
        applied = await applied_number(conn)
        if applied and await layouts.has_anything(conn):
            raise PetitionError("the database is not empty: a takeout is restored into an empty one")
        if applied > manifest.schema:
            raise PetitionError(
                f"the database has schema {applied} already, the takeout {manifest.schema}: make a new, empty database"
            )
    finally:
        await conn.close()
    await migrate(url, until=manifest.schema)


async def _load(conn: Connection, reader: TakeoutReader, secret_keys: tuple[str, ...]) -> dict[str, int]:
    async with conn.transaction():
        tables = reader.manifest.tables
        if (there := await queries.tables(conn)) != tables:
            names = ", ".join(sorted(name for name in there.keys() | tables if there.get(name) != tables.get(name)))
            raise PetitionError(f"the takeout's tables are not those of schema {reader.manifest.schema}: {names}")
        keys = await queries.foreign_keys(conn)
        for key in keys:
            await conn.execute(f"ALTER TABLE {key['table']} DROP CONSTRAINT {key['name']}")
        for table in tables:
            await conn.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        await conn.execute(f"TRUNCATE {', '.join(tables)}")  # what migrations have put there
        rows = dict.fromkeys(tables, 0) | await _copy(conn, reader)
        if rows != reader.end.rows:
            raise PetitionError("the takeout does not have as many rows as it says")
        for table in tables:
            await conn.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")
        for key in keys:
            await conn.execute(f"ALTER TABLE {key['table']} ADD CONSTRAINT {key['name']} {key['definition']}")
        for name, last in reader.end.sequences.items():
            await queries.set_sequence(conn, name, last)
        await check_secret(conn, Wrapper(secret_keys))
    return rows


async def _copy(conn: Connection, reader: TakeoutReader) -> dict[str, int]:
    parts = _Parts(reader.parts())
    rows: dict[str, int] = {}
    while (table := await parts.table()) is not None:
        if table in rows:
            raise PetitionError("the takeout's tables are mixed up")
        rows[table] = await queries.copy_in(conn, table, reader.manifest.tables[table], parts.of(table))
    return rows


class _Parts:
    """The parts in order, read in a thread, one ahead."""

    def __init__(self, parts: Iterator[tuple[str, bytes]]) -> None:
        self._parts = parts
        self._ahead: tuple[str, bytes] | None = None
        self._is_done = False

    async def table(self) -> str | None:
        """Return the table of the next part; None after the last."""
        if self._ahead is None and not self._is_done:
            self._ahead = await asyncio.to_thread(next, self._parts, None)
            self._is_done = self._ahead is None
        return self._ahead[0] if self._ahead else None

    async def of(self, table: str) -> AsyncIterator[bytes]:
        """Yield the parts of ``table``."""
        while await self.table() == table and self._ahead is not None:
            _, content = self._ahead
            self._ahead = None
            yield content
