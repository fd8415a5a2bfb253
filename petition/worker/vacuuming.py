"""Deleted rows leave PostgreSQL's files: tables about people are vacuumed within the hour, also where few rows went."""

from petition.core.database import Database
from petition.stored_data.tables import TABLES

PERSONAL = sorted(table.name for table in TABLES.values() if table.is_personal)
TIMEOUT = 600.0  # seconds a table

# Autovacuum waits for some hundred dead rows of a table; a single withdrawn name is not to wait for others.
# Partitions are vacuumed as their table is.
TO_VACUUM = """
SELECT s.relname::text FROM pg_stat_user_tables s
LEFT JOIN pg_inherits i ON i.inhrelid = s.relid LEFT JOIN pg_class parent ON parent.oid = i.inhparent
WHERE s.schemaname = 'public' AND coalesce(parent.relname, s.relname) = ANY($1::text[]) AND s.n_dead_tup > 0
  AND greatest(s.last_vacuum, s.last_autovacuum, '-infinity') < now() - interval '1 hour'
ORDER BY s.relname
"""

# Autovacuum analyzes partitions, never the table that they make up.
TO_ANALYZE = """
SELECT c.relname::text FROM pg_class c JOIN pg_stat_user_tables s ON s.relid = c.oid
WHERE c.relkind = 'p' AND c.relnamespace = 'public'::regnamespace
  AND coalesce(s.last_analyze, '-infinity') < now() - interval '1 day'
ORDER BY c.relname
"""


async def vacuum(database: Database) -> int:
    """Vacuum the tables about people that have dead rows for an hour; return how many. Raises ``Unavailable``.

    A table that is locked, or vacuumed by another worker, is left to the next round.
    """
    async with database.connection() as conn:
        tables = [row["relname"] for row in await conn.fetch(TO_VACUUM, PERSONAL)]
        for table in tables:
            await conn.execute(f"VACUUM (SKIP_LOCKED) {table}", timeout=TIMEOUT)
    return len(tables)


async def analyze(database: Database) -> int:
    """Analyze the partitioned tables once a day; return how many. Raises ``Unavailable``."""
    async with database.connection() as conn:
        tables = [row["relname"] for row in await conn.fetch(TO_ANALYZE)]
        for table in tables:
            await conn.execute(f"ANALYZE {table}", timeout=TIMEOUT)
    return len(tables)
