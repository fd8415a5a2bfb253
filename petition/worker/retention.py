"""What is deleted when, and what becomes of a letter by itself. Each act is short and idempotent.

Rows locked by another transaction are skipped; the next round, a minute later, has them.
"""

from collections.abc import Mapping, Sequence

from petition.core.database import Database
from petition.core.encryption import Wrapper
from petition.core.errors import SettingsError
from petition.core.stored_keys import WRAPPED_COLUMNS
from petition.stored_data.model import Expiry, Table
from petition.stored_data.tables import TABLES
from petition.stored_data.words import AFTER_CLOSING

BATCH = 5000  # rows a transaction, so that no other waits long for one


def _statement(table: Table, expiry: Expiry) -> str:
    """Return SQL that deletes or empties up to $1 rows."""
    name, key = expiry.table or table.name, expiry.key
    rows = f"SELECT {key} FROM {name} WHERE {expiry.condition} LIMIT $1 FOR UPDATE SKIP LOCKED"  # noqa: S608 - constants
    erased = ", ".join(f"{column} = NULL" for column in expiry.erased)
    act = f"UPDATE {name} SET {erased}" if erased else f"DELETE FROM {name}"  # noqa: S608 - constants
    return f"{act} WHERE ({key}) IN ({rows})"


# By table; statements that each take the size of a batch and are repeated until one is not full. What expires when
# stands in ``petition.stored_data``.
EXPIRED: Mapping[str, Sequence[str]] = {
    table.name: tuple(_statement(table, expiry) for expiry in table.expiry) for table in TABLES.values() if table.expiry
}

CLOSE_LETTERS = """
UPDATE letter SET state = 'closed', closed_at = closes_at, revision = revision + 1
WHERE state = 'open' AND closes_at <= now()
"""

# The revision moves so that every web process drops the key from its memory as well.
DESTROY_DIGEST_KEYS = f"""
UPDATE letter SET wrapped_digest_key = NULL, revision = revision + 1
WHERE wrapped_digest_key IS NOT NULL AND state IN ('closed', 'archived') AND closed_at <= now() - {AFTER_CLOSING.sql}
"""  # noqa: S608 - constants


async def close_letters(database: Database) -> int:
    """Close letters past their closing time; return how many."""
    return await _execute(database, CLOSE_LETTERS)


async def destroy_digest_keys(database: Database) -> int:
    """Destroy the digest keys of letters closed for 30 days, which makes their digests meaningless; return how many."""
    return await _execute(database, DESTROY_DIGEST_KEYS)


async def drop_expired(database: Database, table: str) -> int:
    """Delete what has expired in ``table``, in batches; return how many rows. Raises ``Unavailable``."""
    total = 0
    for statement in EXPIRED[table]:
        dropped = BATCH
        while dropped == BATCH:
            dropped = await _execute(database, statement, BATCH)
            total += dropped
    return total


async def _execute(database: Database, statement: str, *arguments: object) -> int:
    async with database.transaction() as conn:
        status = await conn.execute(statement, *arguments)
    return int(status.split()[-1])


def _wrapped(table: str, key: str, key_type: str, column: str) -> tuple[str, str]:
    """Return SQL that reads a column of wrapped keys, and SQL that replaces one ($1) if it is still $2."""
    return (
        f"SELECT {key}::text, {column} FROM {table} WHERE {column} IS NOT NULL",  # noqa: S608 - constants
        f"UPDATE {table} SET {column} = $3 WHERE {key} = $1::text::{key_type} AND {column} = $2",  # noqa: S608
    )


WRAPPED = tuple(_wrapped(*column) for column in WRAPPED_COLUMNS)


async def rewrap(database: Database, secrets_newest_first: Sequence[str]) -> int:
    """Wrap every stored key under the newest ``SECRET_KEY``, so that the older ones can be dropped; return how many.

    Raises ``SettingsError`` if a key was wrapped under a secret that is not among them.
    """
    if len(secrets_newest_first) < 2:
        return 0
    newest, all_secrets = Wrapper(secrets_newest_first[:1]), Wrapper(secrets_newest_first)
    total = 0
    for read, replace in WRAPPED:
        async with database.transaction() as conn:
            for key, wrapped in await conn.fetch(read):
                if not _can_unwrap(newest, wrapped):
                    await conn.execute(replace, key, wrapped, newest.wrap(all_secrets.unwrap(wrapped)))
                    total += 1
    return total


def _can_unwrap(wrapper: Wrapper, wrapped: bytes) -> bool:
    try:
        wrapper.unwrap(wrapped)
    except SettingsError:
        return False
    return True
