"""The SQL of the legal folder. It reads no name."""

from petition.core.database import Connection, Record
from petition.stored_data.model import Expiry, Table

LETTERS = """
SELECT l.id, l.slug, l.effective_state AS state, l.opened_at, l.closed_at, l.sensitive, l.names_until, l.names_days,
       l.names_ended_at, l.names_erased_at, l.wrapped_digest_key IS NOT NULL AS has_digest_key, v.texts
FROM letter l LEFT JOIN version v ON v.letter = l.id AND v.number = l.version
WHERE l.state <> 'draft' ORDER BY l.id
"""

DELETIONS = """
SELECT date_trunc('month', day)::date AS month, task, sum(number)::bigint AS number, max(day) AS last
FROM deletion GROUP BY 1, 2 ORDER BY 1, 2
"""

# One row for each removal, or batch of removals, of one day and reason; what was undone since is a number of its own.
REMOVALS = """
SELECT l.slug, (g.at AT TIME ZONE 'UTC')::date AS day, coalesce(g.reason, 'other') AS reason,
       sum(cardinality(g.ids))::bigint AS signatures,
       sum(CASE WHEN g.campaign IS NOT NULL THEN cardinality(g.ids) ELSE 0 END)::bigint AS in_bulk,
       sum(CASE WHEN EXISTS (SELECT FROM log u WHERE u.undoes = g.id) THEN cardinality(g.ids) ELSE 0 END)::bigint
         AS undone
FROM log g JOIN letter l ON l.id = g.letter
WHERE g.act = 'signature.remove' AND cardinality(g.ids) > 0
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""


async def letters(conn: Connection) -> list[Record]:
    return await conn.fetch(LETTERS)


async def deletions(conn: Connection) -> list[Record]:
    """Return (month, task, number, last) of what retention deleted."""
    return await conn.fetch(DELETIONS)


async def removals(conn: Connection) -> list[Record]:
    """Return (slug, day, reason, signatures, in_bulk, undone)."""
    return await conn.fetch(REMOVALS)


async def count_overdue(conn: Connection, table: Table, expiry: Expiry) -> int:
    """Return how many rows have outlived their period: those of the last minute, if the worker runs."""
    name = expiry.table or table.name
    return int(await conn.fetchval(f"SELECT count(*) FROM {name} WHERE {expiry.condition}") or 0)
