"""Backups around PostgreSQL's own tools: a dump that has been read through once, and the way back from it.

A dump holds what the database holds and no secret. It goes into the same or a newer PostgreSQL; a takeout into any.
"""

import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from petition.core import partitions as layouts
from petition.core.database import (
    Connection,
    applied_number,
    connect,
    is_read_only,
    migrate,
    schema_number,
)
from petition.core.encryption import Wrapper
from petition.core.errors import PetitionError, SettingsError
from petition.core.stored_keys import check_secret
from petition.postgres.clients import Clients, find_clients, libpq

MAGIC = b"PGDMP"  # the first octets of a dump in PostgreSQL's custom format
NOTE = "UPDATE installation SET backed_up_at = now()"
_NAME = re.compile(r"petition-\d{8}T\d{6}Z\.dump")
_FIRST_WITH_TRANSACTION_TIMEOUT = 17  # its pg_restore sets that, which older servers do not know
_DUMPED_FROM = re.compile(r"; +Dumped from database version: (\d+)")


@dataclass(frozen=True, slots=True)
class Backup:
    """A dump that was written, how large it is, and how many older ones were deleted."""

    path: Path
    size: int  # octets
    deleted: int


async def write(url: str, folder: Path, keep: int | None = None) -> Backup:
    """Dump the database at ``url`` into ``folder``; delete older dumps there beyond the newest ``keep``.

    The dump has its name only once it was read through. Raises ``PetitionError``, ``OSError``.
    """
    clients = find_clients(await _major(url))
    path = _new_name(folder)
    unfinished = path.with_name(path.name + ".part")
    address, environ = libpq(url)
    try:
        options = ("--format=custom", "--no-owner", "--no-privileges", f"--file={unfinished}")
        await clients.run("pg_dump", *options, f"--dbname={address}", environ=environ)
        await clients.run("pg_restore", f"--file={os.devnull}", str(unfinished))
        _sync(unfinished)
        unfinished.rename(path)
        _sync(folder)
    finally:
        unfinished.unlink(missing_ok=True)
    await note(url)
    return Backup(path, path.stat().st_size, _delete_older(folder, keep))


async def note(url: str) -> None:
    """Note that there is a backup, unless the server is a standby. Raises ``Unavailable``."""
    conn = await connect(url)
    try:
        if not await is_read_only(conn):
            await conn.execute(NOTE)
    finally:
        await conn.close()


def is_dump(path: Path) -> bool:
    """Return whether a file is a dump, or a folder holds any of ours. Raises ``OSError``."""
    if path.is_dir():
        return bool(_dumps(path))
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


async def restore(url: str, path: Path, secret_keys: tuple[str, ...]) -> Path:
    """Bring a dump, or the newest of a folder, into the empty database at ``url``; return which one.

    All or nothing; then newer migrations are applied. Raises ``PetitionError``, ``OSError``, and ``SettingsError``
    if ``secret_keys`` do not open what was restored.
    """
    dump = _newest(path)
    major = await _major(url)
    clients = find_clients(major)
    await _check_version(clients, dump, major)
    await _empty(url)
    await _load(clients, dump, url, major)
    conn = await connect(url)
    try:
        applied = await applied_number(conn)
        if applied > schema_number():
            raise PetitionError(f"restored, but a newer petition made the dump (schema {applied}): install that one")
    finally:
        await conn.close()
    await migrate(url)
    await _check_secret(url, secret_keys)
    return dump


async def _load(clients: Clients, dump: Path, url: str, major: int) -> None:
    address, environ = libpq(url)
    if clients.major < _FIRST_WITH_TRANSACTION_TIMEOUT or major >= _FIRST_WITH_TRANSACTION_TIMEOUT:
        options = ("--no-owner", "--no-privileges", "--single-transaction", "--exit-on-error", f"--dbname={address}")
        await clients.run("pg_restore", *options, str(dump), environ=environ)
        return
    raise PetitionError(
        f"pg_restore {clients.major} cannot write to PostgreSQL {major}: install postgresql-client-{major}"
    )


async def _check_version(clients: Clients, dump: Path, major: int) -> None:
    match = _DUMPED_FROM.search(await clients.run("pg_restore", "--list", str(dump)))
    if match is not None and int(match[1]) > major:
        raise PetitionError(
            f"the dump is of PostgreSQL {match[1]}, and this server is {major}: a takeout goes into any version"
        )


async def _empty(url: str) -> None:
    """Leave nothing in a database that was migrated and never used. Raises ``PetitionError`` for any other."""
    conn = await connect(url)
    try:
        if not await applied_number(conn):
            return
        if await layouts.has_anything(conn):
            raise PetitionError("the database is not empty: a backup is restored into an empty one")
        async with conn.transaction():
            await conn.execute("DROP SCHEMA public CASCADE")
            await conn.execute("CREATE SCHEMA public")
    finally:
        await conn.close()


async def _check_secret(url: str, secret_keys: tuple[str, ...]) -> None:
    conn = await connect(url)
    try:
        await check_secret(conn, Wrapper(secret_keys))
    except SettingsError as error:
        raise SettingsError(f"everything is restored, but {error}") from None
    finally:
        await conn.close()


async def _major(url: str) -> int:
    conn = await connect(url)
    try:
        return await _server_major(conn)
    finally:
        await conn.close()


async def _server_major(conn: Connection) -> int:
    return int(await conn.fetchval("SHOW server_version_num")) // 10_000


def _new_name(folder: Path) -> Path:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder / f"petition-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.dump"


def _newest(path: Path) -> Path:
    return _dumps(path)[-1] if path.is_dir() else path


def _dumps(folder: Path) -> list[Path]:
    """Return our dumps in a folder, the oldest first."""
    return sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name))


def _delete_older(folder: Path, keep: int | None) -> int:
    older = _dumps(folder)[:-keep] if keep else []
    for path in older:
        path.unlink()
    return len(older)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
