"""The schema as the catalogue has it, and rows in and out by COPY."""

from collections.abc import AsyncIterator, Callable, Coroutine, Sequence

from petition.core.database import Connection, Record

# The list of migrations belongs to the schema, not to its rows.
NOT_TAKEN = ("migration",)

TABLES = """
SELECT c.relname AS name, array_agg(a.attname::text ORDER BY a.attnum) AS columns
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
  AND a.attgenerated = '' AND c.relname <> ALL ($1::text[])
GROUP BY c.relname ORDER BY c.relname
"""

SEQUENCES = """
SELECT sequencename AS name, last_value FROM pg_sequences
WHERE schemaname = current_schema() AND last_value IS NOT NULL ORDER BY sequencename
"""

FOREIGN_KEYS = """
SELECT conrelid::regclass::text AS "table", quote_ident(conname) AS name, pg_get_constraintdef(oid) AS definition
FROM pg_constraint WHERE contype = 'f' AND conparentid = 0 AND connamespace = current_schema()::regnamespace
ORDER BY conrelid, conname
"""

SET_SEQUENCE = "SELECT setval(quote_ident($1)::regclass, $2)"

Sink = Callable[[bytes], Coroutine[None, None, None]]


async def tables(conn: Connection) -> dict[str, list[str]]:
    """Return the columns of each table that is taken out, without generated ones."""
    return {row["name"]: row["columns"] for row in await conn.fetch(TABLES, NOT_TAKEN)}


async def sequences(conn: Connection) -> dict[str, int]:
    """Return the last number that each sequence in use gave."""
    return {row["name"]: row["last_value"] for row in await conn.fetch(SEQUENCES)}


async def copy_out(conn: Connection, table: str, columns: Sequence[str], sink: Sink) -> int:
    """Hand a table's rows to ``sink`` as CSV; return how many."""
    # COPY by the table's name refuses partitioned ones.
    names = ", ".join(f'"{column}"' for column in columns)
    status = await conn.copy_from_query(f'SELECT {names} FROM "{table}"', output=sink, format="csv")
    return int(status.split()[-1])


async def copy_in(conn: Connection, table: str, columns: Sequence[str], source: AsyncIterator[bytes]) -> int:
    """Store rows that ``copy_out`` gave; return how many."""
    status = await conn.copy_to_table(table, columns=columns, source=source, format="csv")
    return int(status.split()[-1])


async def foreign_keys(conn: Connection) -> list[Record]:
    """Return the table, name and definition of every foreign key."""
    return await conn.fetch(FOREIGN_KEYS)


async def set_sequence(conn: Connection, name: str, last: int) -> None:
    await conn.execute(SET_SEQUENCE, name, last)
