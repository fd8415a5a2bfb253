"""What a schema is, read from PostgreSQL's catalogue: the same for plain tables and for partitioned ones."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.conftest import Conn

COLUMNS = """
SELECT format('%s.%s %s', c.relname, a.attname, concat_ws(' ', format_type(a.atttypid, a.atttypmod),
       CASE WHEN a.attnotnull THEN 'NOT NULL' END, pg_get_expr(d.adbin, d.adrelid), nullif(a.attidentity, ''),
       nullif(a.attgenerated, ''), a.attstorage, a.attcollation::regcollation)) AS line
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v') AND NOT c.relispartition
"""

CONSTRAINTS = """
SELECT format('%s.%s %s %s', c.relname, k.conname, pg_get_constraintdef(k.oid), k.convalidated) AS line
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
WHERE c.relnamespace = 'public'::regnamespace AND NOT c.relispartition AND k.conparentid = 0
"""

INDEXES = """
SELECT replace(pg_get_indexdef(i.indexrelid), ' ON ONLY ', ' ON ') || ' ' || i.indisvalid AS line
FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
WHERE c.relnamespace = 'public'::regnamespace AND NOT c.relispartition
"""

TRIGGERS = """
SELECT pg_get_triggerdef(t.oid) || ' ' || t.tgenabled::text AS line
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
WHERE c.relnamespace = 'public'::regnamespace AND NOT c.relispartition AND NOT t.tgisinternal
"""

# Those of partitions must be those of the plain table, whose name they begin with.
STORAGE = """
SELECT DISTINCT coalesce(parent.relname, c.relname) || ' ' || coalesce(array_to_string(c.reloptions, ', '), '') AS line
FROM pg_class c LEFT JOIN pg_inherits i ON i.inhrelid = c.oid LEFT JOIN pg_class parent ON parent.oid = i.inhparent
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'
"""

OTHERS = """
SELECT format('sequence %s %s', sequencename, data_type) AS line FROM pg_sequences WHERE schemaname = 'public'
UNION ALL SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
UNION ALL SELECT format('comment %s %s', objoid::regclass, description) FROM pg_description
WHERE classoid = 'pg_class'::regclass
  AND objoid IN (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace)
"""


async def read(conn: "Conn") -> list[str]:
    """Return every column, constraint, index, trigger, storage parameter, sequence and function as a line, sorted."""
    queries = (COLUMNS, CONSTRAINTS, INDEXES, TRIGGERS, STORAGE, OTHERS)
    return sorted([row["line"] for query in queries for row in await conn.fetch(query)])
