"""Marking a letter as sensitive, and taking the mark off: in force at once, on record.

What the mark does: docs/decisions/sensitive-letters.md.
"""

from petition.core import audit_log
from petition.core.database import Connection
from petition.core.ids import LetterId, OrganizerId
from petition.letters import count_step_queries

# Pages that show more than a sensitive letter's may are evicted.
SET = """
UPDATE letter SET sensitive = $2, revision = revision + 1, purges = purges + 1
WHERE id = $1 AND sensitive <> $2 RETURNING id
"""


async def set_sensitive(
    conn: Connection, actor_id: OrganizerId | None, letter_id: LetterId, *, sensitive: bool, command: bool = False
) -> bool:
    """Mark a letter, or take the mark off; return whether that changed anything."""
    if await conn.fetchval(SET, letter_id, sensitive) is None:
        return False
    await (count_step_queries.advance(conn) if sensitive else count_step_queries.drop(conn, letter_id))
    before, after = ("no", "yes") if sensitive else ("yes", "no")
    await audit_log.record(conn, actor_id, letter_id, "letter.sensitive", before=before, after=after, command=command)
    return True
