"""Deleted rows leave PostgreSQL's files: tables about people are vacuumed within the hour, also where few rows went."""

from petition.core.database import Database
from petition.stored_data.tables import TABLES

PERSONAL = sorted(table.name for table in TABLES.values() if table.is_personal)
TIMEOUT = 600.0  # seconds a table

# Autovacuum waits for some hundred dead rows of a table; a single withdrawn name is not to wait for others.
TO_VACUUM = """
SELECT relname::text FROM pg_stat_user_tables
WHERE schemaname = 'public' AND relname = ANY($1::text[]) AND n_dead_tup > 0
  AND greatest(last_vacuum, last_autovacuum, '-infinity') < now() - interval '1 hour'
ORDER BY relname
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
