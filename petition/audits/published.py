"""What the public reads of a letter's audits."""

from petition.audits import queries
from petition.audits.model import AuditResult, PublishedAudit
from petition.core.database import Connection
from petition.core.ids import LetterId


async def load_all(conn: Connection, letter_id: LetterId) -> list[PublishedAudit]:
    """Return every audit that was ever announced, the newest first; those that were given up as well.

    One without a frame waits for the worker, or was given up before it was announced.
    """
    return [queries.published_in(row) for row in await queries.rows(conn, letter_id)]


async def load_announced(conn: Connection, letter_id: LetterId) -> list[PublishedAudit]:
    """Return those whose frame was published."""
    return [audit for audit in await load_all(conn, letter_id) if audit.frame is not None]


async def last_result(conn: Connection, letter_id: LetterId) -> AuditResult | None:
    """Return the result of the letter's last audit that came to its end; None without one."""
    row = await queries.last_done(conn, letter_id)
    return None if row is None else queries.result_in(row)
