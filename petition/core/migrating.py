"""Applying migrations: one after the other, once, and in the way of no one for long."""

import asyncio
import hashlib
import logging
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import asyncpg

from petition.core import concurrent_indexes
from petition.core.errors import PetitionError

log = logging.getLogger(__name__)

# Any number will do that no other advisory lock uses.
MIGRATION_LOCK = 0x7065_7469_7469
OLDEST_POSTGRESQL = 140_000
LOCK_WAIT = "2s"  # for a table that is in use: so long everyone else who wants it waits too
TRIES = 120
PAUSE = (0.1, 1.0)  # seconds until another try
BUSY = (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError)

CREATE_LEDGER = """
CREATE TABLE IF NOT EXISTS migration (
  number integer PRIMARY KEY, name text NOT NULL, checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now()
)
"""


async def apply_all(conn: Any, steps: list[tuple[int, str, str]], *, is_pooled: bool) -> list[str]:
    """Apply what has not been applied of ``steps`` (number, name, SQL); return the names. Raises ``PetitionError``.

    ``is_pooled`` if each transaction may meet another server.
    """
    if conn.get_server_version().major * 10_000 < OLDEST_POSTGRESQL:
        raise PetitionError("PostgreSQL 14 or newer is needed")
    return [step[1] for step in steps if await _apply_patiently(conn, step, is_pooled)]


async def _apply_patiently(conn: Any, step: tuple[int, str, str], is_pooled: bool) -> bool:
    """Apply a migration; where a table is in use let those who wait behind it go first, and try again."""
    for attempt in range(1, TRIES + 1):
        try:
            if concurrent_indexes.is_outside(step[2]):
                return await _apply_outside(conn, step, is_pooled)
            return await _apply(conn, step)
        except BUSY:
            log.info("a migration waits for a table", extra={"migration": step[1], "attempt": attempt})
            await asyncio.sleep(random.uniform(*PAUSE))  # noqa: S311 - no secret
    raise PetitionError(f"{step[1]}: another transaction holds a table for minutes; end it and run this again")


async def _apply(conn: Any, step: tuple[int, str, str]) -> bool:
    number, name, sql = step
    async with conn.transaction():
        await conn.execute("SELECT pg_advisory_xact_lock($1)", MIGRATION_LOCK)
        if number == 1:
            await conn.execute(CREATE_LEDGER)
        if await _is_applied(conn, step):
            return False
        # Everyone who wants the table waits behind a migration that waits for it.
        await conn.execute(f"SET LOCAL lock_timeout = '{LOCK_WAIT}'")
        with _failures_named(name):
            await conn.execute(sql)
        await _note(conn, step)
        return True


async def _apply_outside(conn: Any, step: tuple[int, str, str], is_pooled: bool) -> bool:
    """Apply a migration that cannot run in a transaction, under the same lock as the others."""
    if is_pooled:
        return await _apply_pooled(conn, step)
    await conn.execute("SELECT pg_advisory_lock($1)", MIGRATION_LOCK)
    try:
        if await _is_applied(conn, step):
            return False
        with _failures_named(step[1]):
            await concurrent_indexes.run(conn, step[2])
        await _note(conn, step)
        return True
    finally:
        await conn.execute("SELECT pg_advisory_unlock($1)", MIGRATION_LOCK)


async def _apply_pooled(conn: Any, step: tuple[int, str, str]) -> bool:
    """Apply such a migration through a pooler, which has a server for us in a transaction only: to a new database."""
    async with conn.transaction():
        await conn.execute("SELECT pg_advisory_xact_lock($1)", MIGRATION_LOCK)
        if await _is_applied(conn, step):
            return False
        if not await concurrent_indexes.is_new(conn, step[2]):
            raise PetitionError(f"{step[1]} needs one server throughout: run `petition migrate` past the pooler")
        with _failures_named(step[1]):
            await conn.execute(concurrent_indexes.at_once(step[2]))
        await _note(conn, step)
        return True


async def _is_applied(conn: Any, step: tuple[int, str, str]) -> bool:
    number, name, sql = step
    known = await conn.fetchval("SELECT checksum FROM migration WHERE number = $1", number)
    if known not in {None, _checksum(sql)}:
        raise PetitionError(f"{name} was changed after it had been applied; add a new migration instead")
    return known is not None


async def _note(conn: Any, step: tuple[int, str, str]) -> None:
    number, name, sql = step
    values = number, name, _checksum(sql)
    await conn.execute("INSERT INTO migration (number, name, checksum) VALUES ($1, $2, $3)", *values)
    log.info("migrated", extra={"migration": name})


@contextmanager
def _failures_named(name: str) -> Iterator[None]:
    try:
        yield
    except BUSY:
        raise
    except asyncpg.PostgresError as error:
        raise PetitionError(f"{name} failed: {error}") from error


def _checksum(sql: str) -> str:
    return hashlib.sha256(sql.encode()).hexdigest()
