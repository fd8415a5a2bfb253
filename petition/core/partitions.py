"""The partitioned layout: the largest tables of a new installation are divided by the hash of the letter.

A letter is never split. Statements and migrations are the same on both layouts
(docs/decisions/partitions.md says what that takes).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from petition.core.database import (
    Connection,
    Record,
    applied_number,
    connect,
)
from petition.core.database_failures import lost_connections_are_unavailable
from petition.core.errors import PetitionError
from petition.core.migrating import MIGRATION_LOCK

# What grows with every signature. Each has the letter in all its keys.
PARTITIONED = ("signature", "pending", "contact", "name_word", "import_row", "mailing_stamp", "count_log_bundle")
# Every migration after this one runs on both layouts (tests/core/test_partitions.py).
FIRST_SCHEMA = 47
MIN_PARTITIONS, MAX_PARTITIONS = 2, 256

HAS_ANYTHING = "SELECT EXISTS (SELECT FROM letter) OR EXISTS (SELECT FROM organizer) OR EXISTS (SELECT FROM log)"

PARTITIONS = """
SELECT count(*) FROM pg_inherits
WHERE inhparent = (SELECT oid FROM pg_class WHERE oid = to_regclass('signature') AND relkind = 'p')
"""

# From and to the tables; those of partitions follow from them.
FOREIGN_KEYS = """
SELECT conrelid::regclass::text AS "table", quote_ident(conname) AS name, pg_get_constraintdef(oid) AS definition
FROM pg_constraint
WHERE contype = 'f' AND conparentid = 0 AND (conrelid = ANY($1::regclass[]) OR confrelid = ANY($1::regclass[]))
ORDER BY conrelid::regclass::text, conname
"""

# That take a row of one of the tables.
FUNCTIONS = """
SELECT p.oid::regprocedure::text AS name, pg_get_functiondef(p.oid) AS definition FROM pg_proc p
WHERE EXISTS (SELECT FROM pg_class c WHERE c.oid = ANY($1::regclass[]) AND c.reltype = ANY(p.proargtypes::oid[]))
ORDER BY p.oid
"""

KEYS = """
SELECT quote_ident(conname) AS name, pg_get_constraintdef(oid) AS definition FROM pg_constraint
WHERE conrelid = $1::regclass AND contype IN ('p', 'u') ORDER BY conname
"""

INDEXES = """
SELECT pg_get_indexdef(indexrelid) AS definition FROM pg_index
WHERE indrelid = $1::regclass AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
ORDER BY indexrelid
"""

TRIGGERS = """
SELECT pg_get_triggerdef(oid) AS definition FROM pg_trigger
WHERE tgrelid = $1::regclass AND NOT tgisinternal ORDER BY tgname
"""

STORAGE = "SELECT coalesce(array_to_string(reloptions, ', '), '') FROM pg_class WHERE oid = $1::regclass"

LIKE = (
    "INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING GENERATED INCLUDING STORAGE INCLUDING COMPRESSION "
    "INCLUDING COMMENTS INCLUDING STATISTICS"
)


@dataclass(frozen=True, slots=True)
class _Shape:
    """What a table has beside its columns and checks, as statements that make it anew."""

    table: str
    storage: str
    after: tuple[str, ...]


async def count_partitions(conn: Connection) -> int:
    """Return into how many partitions the large tables are divided; 0: they are plain."""
    number: int = await conn.fetchval(PARTITIONS)
    return number


async def has_anything(conn: Connection) -> bool:
    """Return whether the migrated database has a letter, an organizer or a line in the audit log."""
    has: bool = await conn.fetchval(HAS_ANYTHING)
    return has


def describe(partitions: int) -> str:
    """Return the layout in words, for operators."""
    return f"{partitions} partitions by letter" if partitions else "plain tables"


async def check(url: str, partitions: int) -> None:
    """Raise ``PetitionError`` unless the database at ``url`` has so many partitions already, or can still get them."""
    conn = await connect(url)
    try:
        with lost_connections_are_unavailable():
            await _is_left_to_do(conn, partitions)
    finally:
        await conn.close()


async def divide(url: str, partitions: int) -> bool:
    """Divide the large tables of a migrated, empty database; return whether that was left to do.

    One transaction, under the lock of migrations. Raises ``PetitionError`` if there is anything in the database, or if
    its schema is older than ``FIRST_SCHEMA``.
    """
    conn = await connect(url)
    try:
        with lost_connections_are_unavailable():
            async with conn.transaction():
                if (applied := await applied_number(conn)) < FIRST_SCHEMA:
                    raise PetitionError(f"schema {applied} is too old for partitions: {FIRST_SCHEMA} is the first")
                await conn.execute("SELECT pg_advisory_xact_lock($1)", MIGRATION_LOCK)
                await conn.execute(f"LOCK TABLE letter, organizer, log, {', '.join(PARTITIONED)}")
                if not await _is_left_to_do(conn, partitions):
                    return False
                await _divide(conn, partitions)
    finally:
        await conn.close()
    return True


async def _is_left_to_do(conn: Connection, partitions: int) -> bool:
    present = await count_partitions(conn)
    if present == partitions:
        return False
    if present:
        raise PetitionError(f"the database has {present} partitions: their number cannot be changed")
    if await applied_number(conn) and await has_anything(conn):
        raise PetitionError("the database is not empty: only a new one can be partitioned; restore a takeout into it")
    return True


async def _divide(conn: Connection, partitions: int) -> None:
    keys = await conn.fetch(FOREIGN_KEYS, PARTITIONED)
    for key in keys:
        await conn.execute(f"ALTER TABLE {key['table']} DROP CONSTRAINT {key['name']}")
    functions = await conn.fetch(FUNCTIONS, PARTITIONED)
    for function in functions:
        await conn.execute(f"DROP FUNCTION {function['name']}")
    for shape in [await _shape(conn, table) for table in PARTITIONED]:
        await _make_anew(conn, shape, partitions)
    for function in functions:
        await conn.execute(function["definition"])
    for key in keys:
        await conn.execute(f"ALTER TABLE {key['table']} ADD CONSTRAINT {key['name']} {key['definition']}")


async def _shape(conn: Connection, table: str) -> _Shape:
    keys = [
        f"ALTER TABLE {table} ADD CONSTRAINT {key['name']} {key['definition']}" for key in await _of(conn, KEYS, table)
    ]
    others = [row["definition"] for query in (INDEXES, TRIGGERS) for row in await _of(conn, query, table)]
    return _Shape(table, await conn.fetchval(STORAGE, table), (*keys, *others))


async def _of(conn: Connection, query: str, table: str) -> Sequence[Record]:
    return await conn.fetch(query, table)


async def _make_anew(conn: Connection, shape: _Shape, partitions: int) -> None:
    """Put a partitioned table in the place of a plain one. Storage parameters belong to the partitions."""
    table, storage = shape.table, f" WITH ({shape.storage})" if shape.storage else ""
    await conn.execute(f"ALTER TABLE {table} RENAME TO {table}_plain")
    await conn.execute(f"CREATE TABLE {table} (LIKE {table}_plain {LIKE}) PARTITION BY HASH (letter)")
    await conn.execute(f"DROP TABLE {table}_plain")
    for number in range(partitions):
        values = f"FOR VALUES WITH (MODULUS {partitions}, REMAINDER {number})"
        await conn.execute(f"CREATE TABLE {table}_{number} PARTITION OF {table} {values}{storage}")
    for statement in shape.after:
        await conn.execute(statement)
