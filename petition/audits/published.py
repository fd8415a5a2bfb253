"""What the public reads of a letter's audits."""

from petition.audits import queries
from petition.audits.model import AbandonReason, AuditResult, AuditState, Frame, PublishedAudit
from petition.audits.randomness import RandomSource
from petition.core.database import Connection, Record
from petition.core.ids import LetterId


async def load_all(conn: Connection, letter_id: LetterId) -> list[PublishedAudit]:
    """Return every audit that was ever announced, the newest first; those that were given up as well.

    One without a frame waits for the worker, or was given up before it was announced.
    """
    return [published_in(row) for row in await queries.rows(conn, letter_id)]


async def load_announced(conn: Connection, letter_id: LetterId) -> list[PublishedAudit]:
    """Return those whose frame was published."""
    return [audit for audit in await load_all(conn, letter_id) if audit.frame is not None]


async def last_result(conn: Connection, letter_id: LetterId) -> AuditResult | None:
    """Return the result of the letter's last audit that came to its end; None without one."""
    row = await queries.last_done(conn, letter_id)
    return None if row is None else _result_in(row)


def published_in(row: Record) -> PublishedAudit:
    """Return an audit as everyone may see it."""
    state = AuditState(row["state"])
    return PublishedAudit(
        number=row["number"],
        state=state,
        reason=AbandonReason(row["reason"]) if row["reason"] else None,
        auditor=row["auditor"],
        sample=row["sample"],
        source=RandomSource(row["source"]),
        round=row["round"],
        description=row["description"],
        draw_at=row["draw_at"],
        announced_at=row["announced_at"],
        frame=_frame_in(row),
        value=row["value"],
        drawn=row["drawn"],
        ends_at=row["ends_at"],
        ended_at=row["ended_at"],
        result=_result_in(row) if state is AuditState.DONE else None,
    )


def _result_in(row: Record) -> AuditResult:
    return AuditResult(row["sample"], row["unreached"], row["signed"], row["denied"], row["ended_at"])


def _frame_in(row: Record) -> Frame | None:
    if row["frame_digest"] is None:
        return None
    return Frame(
        origin=row["origin"],
        size=row["log_size"],
        root=row["root"],
        entries=row["entries"],
        digest=row["frame_digest"],
    )
