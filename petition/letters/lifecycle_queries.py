"""All SQL of a letter's states, and of taking it down."""

from petition.core.database import Connection, Record
from petition.core.ids import LetterId

STATE = """
SELECT id, l.effective_state AS state, wrapped_digest_key IS NOT NULL AS has_digest_key,
       names_ended_at IS NOT NULL AS names_have_ended
FROM letter l WHERE id = $1
"""

CLOSE = """
UPDATE letter l SET state = 'closed', closed_at = now(), revision = revision + 1
WHERE id = $1 AND l.effective_state = 'open' RETURNING id
"""

# A closing date that has passed would close it again at once.
REOPEN = """
UPDATE letter l SET state = 'open', closed_at = NULL, revision = revision + 1,
       closes_at = CASE WHEN closes_at > now() THEN closes_at END
WHERE id = $1 AND l.effective_state = 'closed' AND wrapped_digest_key IS NOT NULL
  AND names_ended_at IS NULL
RETURNING id
"""

# An archived letter takes nothing more; the time until its keys are destroyed keeps running.
ARCHIVE = """
UPDATE letter l SET state = 'archived', closed_at = coalesce(closed_at, closes_at, now()), revision = revision + 1
WHERE id = $1 AND l.effective_state = 'closed' RETURNING id
"""

UNARCHIVE = """
UPDATE letter l SET state = 'closed', revision = revision + 1 WHERE id = $1 AND l.effective_state = 'archived'
RETURNING id
"""

# Excludes everything that adds rows to the letter: those transactions hold its row and are waited for; later ones see
# that it is gone. No other lock is held meanwhile (lock order: see docs/decisions/lock-order.md).
LOCK_ALONE = "SELECT id, slug, l.effective_state AS state FROM letter l WHERE id = $1 FOR UPDATE"

TAKE_DOWN = """
UPDATE letter SET state = 'gone', goal = NULL, next_goals = '{}', goal_reached = 0, opened_at = NULL, opening = NULL,
       closes_at = NULL, closed_at = NULL, names_in_search = false, sensitive = false, wrapped_digest_key = NULL,
       wrapped_name_key = NULL, version = NULL, publish_at = NULL, publish_by = NULL,
       publish_at_number = NULL, publish_at_date = NULL, names_due_at = NULL, names_published_at = NULL,
       names_until = NULL, names_days = NULL, names_ended_at = NULL, names_erased_at = NULL,
       revision = revision + 1, created_at = now()
WHERE id = $1
"""

LAST_MOVED = """
SELECT l.act, l.at, coalesce(nullif(o.name, ''), '#' || l.organizer) AS who
FROM log l LEFT JOIN organizer o ON o.id = l.organizer
WHERE l.letter = $1 AND l.act LIKE 'letter.%' ORDER BY l.id DESC LIMIT 1
"""

GONE_LETTERS = "SELECT id FROM letter WHERE state = 'gone' ORDER BY id"

# An organization stays while a signature does: another transaction may be attaching one to it.
ONLY_IF = {"organization": " AND NOT EXISTS (SELECT FROM signature s WHERE s.letter = $1)"}

# Every table with rows of letters but the log, which holds numbers only; what refers to others comes before them.
# Rows locked at this moment are skipped and deleted by a later call.
LETTER_TABLES = [
    "access_journal", "decryption", "audit_question", "audit_address_list", "audit", "auditor",
    "addressee_answer", "addressee_event", "addressee_file", "addressee", "package",
    "outbox", "pending", "contact", "note", "voucher", "message", "report", "past", "typed", "other_link",
    "signature",
    "organization", "name_word", "bar", "bounced_mailbox", "count", "count_hour", "count_step", "campaign",
    "refused_mail", "mailing_stamp", "mailing", "news", "switch", "party",
    "translation", "version", "sharing", "picture", "edit", "preview_link", "address_part", "address_job",
    "address_key", "tally", "undone", "import_row", "intake_problem", "intake_part", "intake", "name_look",
    "count_log_queue", "count_log_bundle", "count_log_tile", "count_log_stamp", "count_log", "witness",
    "count_partner", "partner", "employer", "statistics_change", "statistics_hour", "statistics_total", "invitation",
    "factor_reset", "member", "import_mapping",
    "trusted_domain", "mirror",
]  # fmt: skip

# Row addresses repeat between the partitions of a table: without the letter others' rows would go too.
DROP_ROWS = {
    table: f"""
DELETE FROM {table} WHERE letter = $1 AND ctid = ANY (ARRAY(
  SELECT ctid FROM {table} WHERE letter = $1{ONLY_IF.get(table, "")} LIMIT $2 FOR UPDATE SKIP LOCKED
))
"""
    for table in LETTER_TABLES
}

IS_LEFT = {table: f"SELECT EXISTS (SELECT FROM {table} WHERE letter = $1)" for table in DROP_ROWS}


async def state(conn: Connection, letter_id: LetterId) -> Record | None:
    """Return where a letter stands, by the database's clock, and whether its digest key is still there."""
    return await conn.fetchrow(STATE, letter_id)


async def move(conn: Connection, statement: str, letter_id: LetterId) -> bool:
    """Carry out one of the moves above; tell whether the letter still was where it begins."""
    return await conn.fetchval(statement, letter_id) is not None


async def last_moved(conn: Connection, letter_id: LetterId) -> Record | None:
    """Return who moved the letter last: act, at, who."""
    return await conn.fetchrow(LAST_MOVED, letter_id)


async def lock_alone(conn: Connection, letter_id: LetterId) -> Record | None:
    """Return a letter's id, slug and state; until the transaction ends no row can be added to it."""
    return await conn.fetchrow(LOCK_ALONE, letter_id)


async def take_down(conn: Connection, letter_id: LetterId) -> None:
    """Leave nothing in a letter's row but its short name. Its keys go with it: no name can be read any more."""
    await conn.execute(TAKE_DOWN, letter_id)


async def gone_letters(conn: Connection) -> list[LetterId]:
    return [row["id"] for row in await conn.fetch(GONE_LETTERS)]


async def drop_rows(conn: Connection, table: str, letter_id: LetterId, limit: int) -> int:
    """Delete at most ``limit`` rows of a letter; return how many."""
    return int((await conn.execute(DROP_ROWS[table], letter_id, limit)).split()[-1])


async def is_left(conn: Connection, table: str, letter_id: LetterId) -> bool:
    """Return whether a table still has a row of a letter."""
    left: bool = await conn.fetchval(IS_LEFT[table], letter_id)
    return left
