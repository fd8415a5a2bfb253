"""Taking everything out: one snapshot of every table, with the secrets that mailed links and stored addresses need."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from petition.core.database import Connection, applied_number, connect
from petition.core.version import version
from petition.takeouts import archive, queries
from petition.takeouts.archive import TakeoutEnd, TakeoutManifest, TakeoutWriter

PART_BYTES = 1024 * 1024  # of rows in one member


async def take(
    url: str, path: Path, recipients: Sequence[str], base_url: str, secrets: Mapping[str, str]
) -> dict[str, int]:
    """Write everything in the database at ``url`` to ``path``, encrypted; return the rows of each table.

    Signing goes on meanwhile: the file holds what was there at one moment. Raises ``PetitionError``, ``OSError``.
    """
    keys = archive.read_recipients(recipients)
    conn = await connect(url)
    try:
        async with conn.transaction(isolation="repeatable_read", readonly=True):
            with TakeoutWriter(path, keys) as writer:
                return await _write(conn, writer, base_url, secrets)
    finally:
        await conn.close()


async def _write(conn: Connection, writer: TakeoutWriter, base_url: str, secrets: Mapping[str, str]) -> dict[str, int]:
    tables = await queries.tables(conn)
    manifest = TakeoutManifest(
        version=version(),
        schema=await applied_number(conn),
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        base_url=base_url,
        tables=tables,
    )
    writer.add_json(archive.HEAD, archive.dump(manifest))
    if secrets:
        writer.add_json(archive.SECRETS, dict(secrets))
    rows = {table: await _TableWriter(writer, table).copy(conn, columns) for table, columns in tables.items()}
    writer.add_json(archive.END, asdict(TakeoutEnd(rows, await queries.sequences(conn))))
    return rows


class _TableWriter:
    """Cuts a table's rows into members."""

    def __init__(self, writer: TakeoutWriter, table: str) -> None:
        self._writer, self._table = writer, table
        self._part = bytearray()
        self._number = 0

    async def copy(self, conn: Connection, columns: Sequence[str]) -> int:
        rows = await queries.copy_out(conn, self._table, columns, self._take)
        await self._flush()
        return rows

    async def _take(self, data: bytes) -> None:
        self._part += data
        if len(self._part) >= PART_BYTES:
            await self._flush()

    async def _flush(self) -> None:
        if self._part:
            self._number += 1
            name = f"{archive.TABLES}{self._table}/{self._number:06}.csv"
            await asyncio.to_thread(self._writer.add, name, bytes(self._part))
            self._part.clear()
