"""Migrations outside a transaction: indexes of large tables, built while people sign (CREATE INDEX CONCURRENTLY).

Such a file has nothing but statements that can be run again after a crash. PostgreSQL builds no index of a partitioned
table that way, so there it is built for each partition, and these are attached; nor does it drop one that way.
"""

import re
from typing import Any

MARK = "-- outside a transaction"
STATEMENT = re.compile(
    r"CREATE (?P<unique>UNIQUE )?INDEX CONCURRENTLY IF NOT EXISTS (?P<name>\w+)\s+ON\s+(?P<table>\w+)(?P<rest>.*)",
    re.DOTALL,
)
DROPPED = re.compile(r"DROP INDEX CONCURRENTLY IF EXISTS (?P<name>\w+)")
LOCK_WAIT = "2s"  # everyone who wants the table waits behind the one who wants it alone
IS_DIVIDED = "SELECT EXISTS (SELECT FROM pg_class WHERE oid = to_regclass($1) AND relkind = 'I')"
INVALID = """
SELECT i.indexrelid::regclass::text AS name FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE NOT i.indisvalid AND c.relkind = 'i' AND (c.relname = $1 OR c.relname LIKE $1 || '\\_%')
"""
PARTITIONS = """
SELECT inhrelid::regclass::text AS name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhparent
WHERE c.oid = $1::regclass AND c.relkind = 'p' ORDER BY 1
"""


def is_outside(sql: str) -> bool:
    """Return whether a migration says that it runs outside a transaction: in its second line, after the reason."""
    return MARK in sql.splitlines()[:2]


def statements(sql: str) -> list[str]:
    """Return the statements of such a migration, without comments."""
    lines = (line for line in sql.splitlines() if not line.startswith("--"))
    return [statement for part in "\n".join(lines).split(";") if (statement := part.strip())]


async def is_new(conn: Any, sql: str) -> bool:
    """Return whether the tables that get an index have no rows, so that building holds no one up."""
    tables = {"signature", *(index["table"] for text in statements(sql) if (index := STATEMENT.fullmatch(text)))}
    looks = [f"SELECT EXISTS (SELECT FROM {table})" for table in sorted(tables)]  # noqa: S608 - names of our own files
    return not any([await conn.fetchval(look) for look in looks])


def at_once(sql: str) -> str:
    """Return the same for a transaction, which holds the tables until it ends."""
    return sql.replace("INDEX CONCURRENTLY", "INDEX")


async def run(conn: Any, sql: str) -> None:
    """Run a migration of this kind, on either layout; again if it was broken off before."""
    for statement in statements(sql):
        if (dropped := DROPPED.fullmatch(statement)) and await conn.fetchval(IS_DIVIDED, dropped["name"]):
            await _drop_divided(conn, dropped["name"])
            continue
        index = STATEMENT.fullmatch(statement)
        if index is None:
            await conn.execute(statement)
            continue
        for row in await conn.fetch(INVALID, index["name"]):  # broken off
            await conn.execute(f"DROP INDEX CONCURRENTLY {row['name']}")
        partitions = [row["name"] for row in await conn.fetch(PARTITIONS, index["table"])]
        await (_build_for_each(conn, index, partitions) if partitions else conn.execute(statement))


async def _drop_divided(conn: Any, name: str) -> None:
    async with conn.transaction():
        await conn.execute(f"SET LOCAL lock_timeout = '{LOCK_WAIT}'")
        await conn.execute(f"DROP INDEX {name}")


async def _build_for_each(conn: Any, index: re.Match[str], partitions: list[str]) -> None:
    unique, name, rest = index["unique"] or "", index["name"], index["rest"]
    await conn.execute(f"CREATE {unique}INDEX IF NOT EXISTS {name} ON ONLY {index['table']}{rest}")
    for number, partition in enumerate(partitions):
        part = f"{name[:55]}_{number}"
        await conn.execute(f"CREATE {unique}INDEX CONCURRENTLY IF NOT EXISTS {part} ON {partition}{rest}")
        await conn.execute(f"ALTER INDEX {name} ATTACH PARTITION {part}")
