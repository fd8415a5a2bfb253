"""All SQL of imports made at the desk: their files, what is known of them, their progress."""

from collections.abc import AsyncIterable, Mapping, Sequence
from typing import Any

from petition.core.database import Connection, Record
from petition.core.ids import LetterId, OrganizerId

LONG = 3600.0  # seconds

JOB = """
SELECT i.*, o.name AS organizer_name FROM intake i LEFT JOIN organizer o ON o.id = i.organizer
WHERE i.letter = $1 AND i.number = $2
"""

NEWEST_JOBS = """
SELECT i.*, o.name AS organizer_name FROM intake i LEFT JOIN organizer o ON o.id = i.organizer
WHERE i.letter = $1 AND (i.state <> 'uploading' OR i.organizer = $2) ORDER BY i.number DESC LIMIT 100
"""

ADD_PART = "INSERT INTO intake_part (letter, number, part, bytes) VALUES ($1, $2, $3, $4)"

PARTS = "SELECT bytes FROM intake_part WHERE letter = $1 AND number = $2 AND part >= 0 ORDER BY part"

# The rows as the trial prepared them are numbered from -1 down.
PART = "SELECT bytes FROM intake_part WHERE letter = $1 AND number = $2 AND part = $3"
DROP_PREPARED = "DELETE FROM intake_part WHERE letter = $1 AND number = $2 AND part < 0"

DROP_PARTS = "DELETE FROM intake_part WHERE letter = $1 AND number = $2"

FINISH_UPLOAD = """
UPDATE intake SET state = 'reading', about = $3, file = $4, changed = changed + 1
WHERE letter = $1 AND number = $2 AND state = 'uploading'
"""

DROP_UPLOAD = "DELETE FROM intake WHERE letter = $1 AND number = $2 AND state = 'uploading'"

# Of one letter, so that its organizers cannot fill the disk.
COUNT_OPEN = """
SELECT count(*) FROM intake WHERE letter = $1 AND state IN ('uploading', 'reading', 'mapping', 'checking', 'checked',
                                                           'importing')
"""

# Compare and set: the second of two changes nothing.
MOVE = """
UPDATE intake SET state = $5, changed = changed + 1, progress = 0,
       problems = CASE WHEN $5 = 'mapping' THEN 0 ELSE problems END,
       plan = coalesce($6, plan), encoding = coalesce($7, encoding), delimiter = coalesce($8, delimiter),
       ended_at = CASE WHEN $5 = 'cancelled' THEN now() END,
       about = CASE WHEN $5 <> 'cancelled' THEN about END
WHERE letter = $1 AND number = $2 AND state = ANY($3::text[]) AND changed = $4
"""

CANDIDATES = """
SELECT letter, number FROM intake WHERE state IN ('reading', 'checking', 'importing', 'undoing', 'redoing')
ORDER BY created_at LIMIT 20
"""

# The worker on an import holds this, and releases it by ending in any way.
LOCK = "SELECT pg_try_advisory_xact_lock($1::bigint << 32 | $2::bigint)"

LOCKED_JOB = """
SELECT i.letter, i.number, i.organizer, i.state, i.about, i.format, i.encoding, i.delimiter, i.plan, i.report,
       l.wrapped_digest_key, l.wrapped_name_key, l.kept, l.rules_version
FROM intake i JOIN letter l ON l.id = i.letter
WHERE i.letter = $1 AND i.number = $2 AND i.state IN ('reading', 'checking', 'importing', 'undoing', 'redoing')
"""

STORE_PROGRESS = "UPDATE intake SET progress = $4 WHERE letter = $1 AND number = $2 AND state = $3 RETURNING number"

FINISH_READING = """
UPDATE intake SET state = 'mapping', format = $3, encoding = $4, delimiter = $5, about = $6, plan = $7, total = $8,
       progress = 0, changed = changed + 1
WHERE letter = $1 AND number = $2 AND state = 'reading'
"""

# In place of a field: the header of the file, and rows that are left out without being wrong.
HEADER, LEFT_OUT = "#header", "#left-out"

DROP_PROBLEMS = "DELETE FROM intake_problem WHERE letter = $1 AND number = $2"

FINISH_CHECKING = """
UPDATE intake SET state = 'checked', report = $3, notes = $4, problems = $5, progress = 0, changed = changed + 1
WHERE letter = $1 AND number = $2 AND state = 'checking'
"""

FINISH = """
UPDATE intake SET state = $4, report = coalesce(report, '{}') || $5, about = NULL, progress = 0, changed = changed + 1,
       ended_at = now()
WHERE letter = $1 AND number = $2 AND state = $3
"""

FAIL = """
UPDATE intake SET state = CASE state WHEN 'undoing' THEN 'done' WHEN 'redoing' THEN 'undone' ELSE 'failed' END,
       failure = $4, about = NULL, ended_at = now(), changed = changed + 1
WHERE letter = $1 AND number = $2 AND state = $3
"""

# Commands write no such rows, and a letter's log keeps the ids of organizers that are gone.
MAY_ADD = """
SELECT coalesce((
  SELECT EXISTS (
    SELECT FROM member m WHERE m.letter = g.letter AND m.organizer = g.organizer AND m.role IN ('editor', 'owner'))
  FROM log g WHERE g.letter = $1 AND g.act IN ('import.start', 'import.redo') AND g.ids = ARRAY[$2::bigint]
    AND g.organizer IS NOT NULL
  ORDER BY g.id DESC LIMIT 1), true)
"""

PROBLEMS = """
SELECT line, field, reason, cells FROM intake_problem
WHERE letter = $1 AND number = $2 AND line > $3 AND field NOT IN ('#header', '#left-out') ORDER BY line LIMIT $4
"""

PROBLEM_GROUPS = """
SELECT field, reason, count(*) AS rows FROM intake_problem
WHERE letter = $1 AND number = $2 AND field NOT IN ('#header', '#left-out')
GROUP BY field, reason ORDER BY count(*) DESC, field, reason LIMIT 20
"""

ROWS_LEFT_OUT = """
SELECT line, field, reason, cells FROM intake_problem
WHERE letter = $1 AND number = $2 AND field = '#left-out' ORDER BY line LIMIT 20
"""

PROBLEM_HEADER = """
SELECT line, field, reason, cells FROM intake_problem WHERE letter = $1 AND number = $2 AND field = '#header'
"""

EXPIRE = """
UPDATE intake SET state = 'cancelled', about = NULL, failure = $1, ended_at = now(), changed = changed + 1
WHERE (state IN ('reading', 'mapping', 'checking', 'checked') AND created_at < now() - interval '24 hours')
   OR (state = 'uploading' AND created_at < now() - interval '1 hour')
"""

DROP_EXPIRED = (
    """
    DELETE FROM intake_part p USING intake i WHERE i.letter = p.letter AND i.number = p.number
      AND i.state NOT IN ('uploading', 'reading', 'mapping', 'checking', 'checked', 'importing')
    """,
    """
    DELETE FROM intake_problem p USING intake i WHERE i.letter = p.letter AND i.number = p.number
      AND i.ended_at < now() - interval '7 days'
    """,
    """
    DELETE FROM import_row r USING intake i WHERE i.letter = r.letter AND i.number = r.number
      AND i.state = 'undone' AND i.ended_at < now() - interval '7 days'
    """,
    """
    DELETE FROM undone WHERE (letter, number, signature) IN (
      SELECT letter, number, signature FROM undone WHERE at < now() - interval '7 days' LIMIT 5000)
    """,
)

DROP_PROBLEMS_OF_CANCELLED = """
DELETE FROM intake_problem p USING intake i
WHERE i.letter = p.letter AND i.number = p.number AND i.state IN ('cancelled', 'failed')
"""

# By the file, also of rows that were dropped because their mailbox had signed.
COUNT_TAKEN = "SELECT count(*) FROM import_row WHERE letter = $1 AND number = $2"

COUNT_UNDONE = "SELECT count(*) FROM undone WHERE letter = $1 AND number = $2"


async def load_job(conn: Connection, letter_id: LetterId, number: int) -> Record | None:
    return await conn.fetchrow(JOB, letter_id, number)


async def load_newest_jobs(conn: Connection, letter_id: LetterId, organizer_id: OrganizerId) -> list[Record]:
    """Return the newest 100 imports of a letter, of unfinished uploads only the organizer's own."""
    return await conn.fetch(NEWEST_JOBS, letter_id, organizer_id)


async def count_open(conn: Connection, letter_id: LetterId) -> int:
    """Return how many imports of a letter have a file."""
    return int(await conn.fetchval(COUNT_OPEN, letter_id))


async def add_part(conn: Connection, letter_id: LetterId, number: int, part: int, content: bytes) -> None:
    await conn.execute(ADD_PART, letter_id, number, part, content)


async def load_parts(conn: Connection, letter_id: LetterId, number: int) -> list[bytes]:
    """Return the encrypted pieces of a file, in order."""
    return [row["bytes"] for row in await conn.fetch(PARTS, letter_id, number, timeout=LONG)]


async def load_part(conn: Connection, letter_id: LetterId, number: int, part: int) -> bytes | None:
    content: bytes | None = await conn.fetchval(PART, letter_id, number, part, timeout=LONG)
    return content


async def drop_prepared(conn: Connection, letter_id: LetterId, number: int) -> None:
    await conn.execute(DROP_PREPARED, letter_id, number, timeout=LONG)


async def drop_parts(conn: Connection, letter_id: LetterId, number: int) -> None:
    await conn.execute(DROP_PARTS, letter_id, number, timeout=LONG)


async def finish_upload(conn: Connection, letter_id: LetterId, number: int, about: bytes, file: bytes) -> None:
    """Hand an upload over to the worker, with what is known of the file and its name, both encrypted."""
    await conn.execute(FINISH_UPLOAD, letter_id, number, about, file)


async def drop_upload(conn: Connection, letter_id: LetterId, number: int) -> None:
    await conn.execute(DROP_UPLOAD, letter_id, number, timeout=LONG)


async def move(
    conn: Connection,
    letter_id: LetterId,
    number: int,
    before: Sequence[str],
    changed: int,
    after: str,
    *,
    plan: Mapping[str, Any] | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
) -> bool:
    """Change the state if it is one of ``before`` and the row is unchanged since ``changed``; return whether it was."""
    status = await conn.execute(MOVE, letter_id, number, before, changed, after, plan, encoding, delimiter)
    return status.endswith(" 1")


async def lock_next_job(conn: Connection) -> Record | None:
    """Return an import that waits for the worker, locked until this transaction ends."""
    for row in await conn.fetch(CANDIDATES):
        if await conn.fetchval(LOCK, row["letter"], row["number"]):
            job = await conn.fetchrow(LOCKED_JOB, row["letter"], row["number"])  # another may have just finished it
            if job is not None:
                return job
    return None


async def store_progress(conn: Connection, letter_id: LetterId, number: int, state: str, done: int) -> bool:
    """Store how many rows are done; return False if the import has been cancelled."""
    return await conn.fetchval(STORE_PROGRESS, letter_id, number, state, done) is not None


async def finish_reading(conn: Connection, letter_id: LetterId, number: int, file_info: Sequence[object]) -> None:
    """Store format, encoding, delimiter, about, plan, total."""
    await conn.execute(FINISH_READING, letter_id, number, *file_info)


async def finish_checking(
    conn: Connection,
    letter_id: LetterId,
    number: int,
    report: Mapping[str, int],
    notes: Mapping[str, Any],
    problems: int,
) -> bool:
    """Store the result of the dry run, and how many rows cannot be imported; return False if it was cancelled."""
    status = await conn.execute(FINISH_CHECKING, letter_id, number, dict(report), dict(notes), problems)
    return status.endswith(" 1")


async def add_problems(conn: Connection, rows: AsyncIterable[Sequence[object]]) -> None:
    """Store rows (letter, number, line, field, reason, cells) that are not imported."""
    columns = ("letter", "number", "line", "field", "reason", "cells")
    await conn.copy_records_to_table("intake_problem", records=rows, columns=columns, timeout=LONG)


async def drop_problems(conn: Connection, letter_id: LetterId, number: int) -> None:
    await conn.execute(DROP_PROBLEMS, letter_id, number, timeout=LONG)


async def finish(
    conn: Connection, letter_id: LetterId, number: int, before: str, after: str, report: Mapping[str, int]
) -> bool:
    """End an import or its undoing; return False if it has been cancelled."""
    return (await conn.execute(FINISH, letter_id, number, before, after, dict(report))).endswith(" 1")


async def may_add(conn: Connection, letter_id: LetterId, number: int) -> bool:
    """Return whether the organizer who last started or restored an import still works on the letter's imports."""
    return bool(await conn.fetchval(MAY_ADD, letter_id, number))


async def fail(conn: Connection, letter_id: LetterId, number: int, before: str, reason: str) -> None:
    """Mark an import as failed and delete its file."""
    await conn.execute(FAIL, letter_id, number, before, reason)
    await drop_parts(conn, letter_id, number)


async def load_problems(conn: Connection, letter_id: LetterId, number: int, after: int, limit: int) -> list[Record]:
    """Return rows that cannot be imported, by line, from behind line ``after`` on."""
    return await conn.fetch(PROBLEMS, letter_id, number, after, limit)


async def load_problem_groups(conn: Connection, letter_id: LetterId, number: int) -> list[Record]:
    """Return (field, reason, rows) of the rows that cannot be imported, the most frequent first."""
    return await conn.fetch(PROBLEM_GROUPS, letter_id, number)


async def load_rows_left_out(conn: Connection, letter_id: LetterId, number: int) -> list[Record]:
    """Return the first rows that are left out without being wrong."""
    return await conn.fetch(ROWS_LEFT_OUT, letter_id, number)


async def load_problem_header(conn: Connection, letter_id: LetterId, number: int) -> Record | None:
    return await conn.fetchrow(PROBLEM_HEADER, letter_id, number)


async def count_undone(conn: Connection, letter_id: LetterId, number: int) -> int:
    """Return how many signatures can be restored."""
    return int(await conn.fetchval(COUNT_UNDONE, letter_id, number, timeout=LONG))


async def count_taken(conn: Connection, letter_id: LetterId, number: int) -> int:
    """Return how many rows of its file an import took."""
    return int(await conn.fetchval(COUNT_TAKEN, letter_id, number, timeout=LONG))


async def drop_expired(conn: Connection, reason: str) -> int:
    """Cancel imports not finished in a day, delete files and what is older still; return how many rows."""
    await conn.execute(EXPIRE, reason)
    statements = (*DROP_EXPIRED, DROP_PROBLEMS_OF_CANCELLED)
    return sum([int((await conn.execute(statement, timeout=LONG)).split()[-1]) for statement in statements])
