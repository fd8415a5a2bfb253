"""All SQL of campaigns."""

from collections.abc import Mapping
from datetime import datetime

from petition.core.database import Connection, Record
from petition.core.ids import BulkActId, LetterId, LogId, OrganizerId

ADD = """
INSERT INTO campaign (letter, organizer, act, reason, conditions, matched, listed_at, signature)
VALUES ($1, $2, $3, $4, $5, $6, $7, 0) RETURNING id
"""

ONE = """
SELECT c.*, o.name AS who FROM campaign c LEFT JOIN organizer o ON o.id = c.organizer WHERE c.letter = $1 AND c.id = $2
"""

ALL = """
SELECT c.*, o.name AS who FROM campaign c LEFT JOIN organizer o ON o.id = c.organizer
WHERE c.letter = $1 AND c.id < $2::bigint ORDER BY c.id DESC LIMIT $3
"""

# Compare and set: whoever comes second changes nothing.
SET_STATE = """
UPDATE campaign SET state = $4, reason = coalesce($5, reason),
       signature = CASE WHEN $4 = 'reverting' THEN 9223372036854775807 ELSE signature END, -- of the log, from then on
       ended_at = CASE WHEN $4 IN ('cancelled', 'done', 'reverted') THEN now() END
WHERE letter = $1 AND id = $2 AND state = ANY($3::text[]) RETURNING id
"""

# One worker takes it, for one step; pausing and cancelling wait until that step is done.
TAKE = """
SELECT id, letter, organizer, act, reason, conditions, state, listed_at, signature FROM campaign
WHERE state IN ('running', 'reverting') ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED
"""

GO_ON = """
UPDATE campaign SET changed = changed + $2, listed_at = coalesce($3, listed_at), signature = coalesce($4, signature),
       state = coalesce($5, state), ended_at = CASE WHEN $5 IS NOT NULL THEN now() END
WHERE id = $1
"""

LOCK = "SELECT FROM campaign WHERE id = $1 FOR UPDATE"

NOTE_UNDONE = "UPDATE campaign SET changed = changed + $2 WHERE id = $1"

# Undoing leads back, and undoing that leads forth again: a row is the campaign's own doing if the number of rows below
# it that were undone one by another is even.
_FORTH = """(
  WITH RECURSIVE undone AS (
    SELECT l.undoes AS id UNION ALL
    SELECT b.undoes FROM undone JOIN log b ON b.letter = l.letter AND b.id = undone.id
  ) SELECT count(id) % 2 = 0 FROM undone
)"""

IS_OF_CAMPAIGN = f"SELECT {_FORTH} FROM log l WHERE l.letter = $1 AND l.id = $2"

LAST_STEP = f"""
SELECT l.id FROM log l WHERE l.campaign = $1 AND l.letter = $2 AND l.act LIKE 'signature.%'
  AND (l.undoes IS NULL OR {_FORTH})
  AND NOT EXISTS (SELECT FROM log u WHERE u.undoes = l.id)
  AND l.id < $3
ORDER BY l.id DESC LIMIT 1
"""

NOW = "SELECT now()"


async def now(conn: Connection) -> datetime:
    """Return the time of this transaction."""
    moment: datetime = await conn.fetchval(NOW)
    return moment


async def add(
    conn: Connection,
    letter_id: LetterId,
    organizer_id: OrganizerId | None,
    act: str,
    reason: str | None,
    conditions: Mapping[str, str],
    matched: int,
    listed_before: datetime,
) -> BulkActId:
    """Add a draft; return its id."""
    found: BulkActId = await conn.fetchval(
        ADD, letter_id, organizer_id, act, reason, dict(conditions), matched, listed_before
    )
    return found


async def one(conn: Connection, letter_id: LetterId, bulk_act_id: BulkActId) -> Record | None:
    """Return one campaign of a letter."""
    return await conn.fetchrow(ONE, letter_id, bulk_act_id)


async def newest(conn: Connection, letter_id: LetterId, before: int, limit: int) -> list[Record]:
    """Return the newest campaigns of a letter below an id."""
    return await conn.fetch(ALL, letter_id, before, limit)


async def set_state(
    conn: Connection,
    letter_id: LetterId,
    bulk_act_id: BulkActId,
    before: tuple[str, ...],
    after: str,
    reason: str | None = None,
) -> bool:
    """Change the state if it is one of ``before``; tell whether it was."""
    return await conn.fetchval(SET_STATE, letter_id, bulk_act_id, before, after, reason) is not None


async def take(conn: Connection) -> Record | None:
    """Return a campaign that has something to do, locked; None if there is none that nobody works on."""
    return await conn.fetchrow(TAKE)


async def go_on(
    conn: Connection, bulk_act_id: BulkActId, changed: int, place: tuple[datetime, int] | None, state: str | None
) -> None:
    """Note what a step has changed, how far it came, and the new state if that was the last one."""
    listed_at, signature = place or (None, None)
    await conn.execute(GO_ON, bulk_act_id, changed, listed_at, signature, state)


async def lock(conn: Connection, bulk_act_id: BulkActId) -> None:
    """Have the campaign's next step wait."""
    await conn.execute(LOCK, bulk_act_id)


async def note_undone(conn: Connection, bulk_act_id: BulkActId, changed: int) -> None:
    """Note by how many more is changed since a step was undone in the log, or brought back there."""
    await conn.execute(NOTE_UNDONE, bulk_act_id, changed)


async def is_of_campaign(conn: Connection, letter_id: LetterId, log_id: LogId) -> bool:
    """Tell whether a row did what its campaign does, or did that again: undoing it leads back."""
    return bool(await conn.fetchval(IS_OF_CAMPAIGN, letter_id, log_id))


async def last_step(conn: Connection, bulk_act_id: BulkActId, letter_id: LetterId, before: int) -> LogId | None:
    """Return the newest row of the log below ``before`` that did what the campaign does (or did it again, where it had
    been undone), and that nobody has undone."""
    found: LogId | None = await conn.fetchval(LAST_STEP, bulk_act_id, letter_id, before)
    return found
