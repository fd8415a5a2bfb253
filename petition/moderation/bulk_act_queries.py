"""The SQL of bulk acts (table ``campaign``)."""

from collections.abc import Mapping
from datetime import datetime

from petition.core.database import Connection, Record
from petition.core.ids import BulkActId, LetterId, LogId, OrganizerId

ADD = """
INSERT INTO campaign (letter, organizer, act, conditions, matched, listed_at, signature)
VALUES ($1, $2, $3, $4, $5, $6, 0) RETURNING id
"""

ONE = """
SELECT c.*, o.name AS organizer_name FROM campaign c LEFT JOIN organizer o ON o.id = c.organizer
WHERE c.letter = $1 AND c.id = $2
"""

ALL = """
SELECT c.*, o.name AS organizer_name FROM campaign c LEFT JOIN organizer o ON o.id = c.organizer
WHERE c.letter = $1 AND c.id < $2::bigint ORDER BY c.id DESC LIMIT $3
"""

# Compare and set: the second of two concurrent changes has no effect.
SET_STATE = """
UPDATE campaign SET state = $4, reason = coalesce($5, reason),
       signature = CASE WHEN $4 = 'reverting' THEN 9223372036854775807 ELSE signature END, -- then a row of the log
       ended_at = CASE WHEN $4 IN ('cancelled', 'done', 'reverted') THEN now() END
WHERE letter = $1 AND id = $2 AND state = ANY($3::text[]) RETURNING id
"""

# One worker claims it, for one step; pausing and cancelling wait until that step ends.
CLAIM = """
SELECT id, letter, organizer, act, reason, conditions, state, listed_at, signature FROM campaign
WHERE state IN ('running', 'reverting') ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED
"""

# Who started it, or its way back; one made and started by different organizers is the latter's.
AUTHOR = """
SELECT g.organizer, g.organizer IS NULL OR EXISTS (
  SELECT FROM member m WHERE m.letter = g.letter AND m.organizer = g.organizer
    AND m.role NOT IN ('viewer', 'auditor')) AS may
FROM log g WHERE g.campaign = $1 AND g.act IN ('campaign.start', 'campaign.resume', 'campaign.revert')
ORDER BY g.id DESC LIMIT 1
"""

ADD_PROGRESS = """
UPDATE campaign SET changed = changed + $2, listed_at = coalesce($3, listed_at), signature = coalesce($4, signature),
       state = coalesce($5, state), ended_at = CASE WHEN $5 IS NOT NULL THEN now() END
WHERE id = $1
"""

LOCK = "SELECT FROM campaign WHERE id = $1 FOR UPDATE"

ADD_CHANGED = "UPDATE campaign SET changed = changed + $2 WHERE id = $1"

# Undoing reverts a step, and undoing that applies it again: a row applies the bulk act if an even number of rows below
# it were undone one by another.
_IS_STEP = """(
  WITH RECURSIVE undone AS (
    SELECT l.undoes AS id UNION ALL
    SELECT b.undoes FROM undone JOIN log b ON b.letter = l.letter AND b.id = undone.id
  ) SELECT count(id) % 2 = 0 FROM undone
)"""

IS_STEP = f"SELECT {_IS_STEP} FROM log l WHERE l.letter = $1 AND l.id = $2"

LAST_STEP = f"""
SELECT l.id FROM log l WHERE l.campaign = $1 AND l.letter = $2 AND l.act LIKE 'signature.%'
  AND (l.undoes IS NULL OR {_IS_STEP})
  AND NOT EXISTS (SELECT FROM log u WHERE u.undoes = l.id)
  AND l.id < $3
ORDER BY l.id DESC LIMIT 1
"""

NOW = "SELECT now()"


async def now(conn: Connection) -> datetime:
    moment: datetime = await conn.fetchval(NOW)
    return moment


async def add(
    conn: Connection,
    letter_id: LetterId,
    organizer_id: OrganizerId | None,
    *,
    act: str,
    conditions: Mapping[str, str],
    matched: int,
    listed_before: datetime,
) -> BulkActId:
    """Add a draft; return its id."""
    bulk_act_id: BulkActId = await conn.fetchval(
        ADD, letter_id, organizer_id, act, dict(conditions), matched, listed_before
    )
    return bulk_act_id


async def one(conn: Connection, letter_id: LetterId, bulk_act_id: BulkActId) -> Record | None:
    return await conn.fetchrow(ONE, letter_id, bulk_act_id)


async def newest(conn: Connection, letter_id: LetterId, before: int, limit: int) -> list[Record]:
    return await conn.fetch(ALL, letter_id, before, limit)


async def set_state(
    conn: Connection,
    letter_id: LetterId,
    bulk_act_id: BulkActId,
    *,
    before: tuple[str, ...],
    after: str,
    reason: str | None,
) -> bool:
    """Change the state if it is one of ``before``; return whether it was."""
    return await conn.fetchval(SET_STATE, letter_id, bulk_act_id, before, after, reason) is not None


async def claim(conn: Connection) -> Record | None:
    """Lock and return a bulk act with a step to do; None if there is none that no other worker has locked."""
    return await conn.fetchrow(CLAIM)


async def author(conn: Connection, bulk_act_id: BulkActId) -> Record | None:
    """Return (organizer, may) of the latest start; ``may``: do they still decide on the letter's signatures?"""
    return await conn.fetchrow(AUTHOR, bulk_act_id)


async def add_progress(
    conn: Connection, bulk_act_id: BulkActId, changed: int, position: tuple[datetime, int] | None, state: str | None
) -> None:
    """Store how many more signatures a step changed, the position it reached, and the state if it was the last one."""
    listed_at, signature = position or (None, None)
    await conn.execute(ADD_PROGRESS, bulk_act_id, changed, listed_at, signature, state)


async def lock(conn: Connection, bulk_act_id: BulkActId) -> None:
    """Lock a bulk act, so that its next step waits."""
    await conn.execute(LOCK, bulk_act_id)


async def add_changed(conn: Connection, bulk_act_id: BulkActId, changed: int) -> None:
    """Add to the number of changed signatures, after a step was undone or applied again by way of the log."""
    await conn.execute(ADD_CHANGED, bulk_act_id, changed)


async def is_step(conn: Connection, letter_id: LetterId, log_id: LogId) -> bool:
    """Return whether a row of the log applied the bulk act, or applied it again: undoing the row reverts it."""
    return bool(await conn.fetchval(IS_STEP, letter_id, log_id))


async def last_step(conn: Connection, bulk_act_id: BulkActId, letter_id: LetterId, before: int) -> LogId | None:
    """Return the newest row of the log below ``before`` that applied the bulk act (perhaps again) and is not undone."""
    log_id: LogId | None = await conn.fetchval(LAST_STEP, bulk_act_id, letter_id, before)
    return log_id
