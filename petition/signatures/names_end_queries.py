"""The SQL by which names end."""

from collections.abc import Sequence

from petition.core.database import Connection, Record
from petition.core.ids import LetterId
from petition.stored_data.words import REMOVED

# A day begins in UTC. A delivery that was undone, or whose mail never went, is none.
DUE = """
SELECT l.id FROM letter l
WHERE l.names_ended_at IS NULL AND l.state IN ('open', 'closed', 'archived')
  AND (l.names_until <= (now() AT TIME ZONE 'UTC')::date OR l.names_days IS NOT NULL AND EXISTS (
    SELECT FROM addressee_event e
    WHERE e.letter = l.id AND e.state = 'delivered' AND e.sent AND e.failed IS NULL AND e.undone_at IS NULL
      AND e.at <= now() - l.names_days * interval '1 day'))
ORDER BY l.id
"""

BEGIN = """
UPDATE letter l SET names_ended_at = now(), closed_at = coalesce(closed_at, least(closes_at, now())),
       state = CASE WHEN state = 'open' THEN 'closed' ELSE state END, revision = revision + 1, purges = purges + 1
WHERE id = $1 AND names_ended_at IS NULL AND state IN ('open', 'closed', 'archived') RETURNING id
"""

BEGUN = """
SELECT id FROM letter WHERE names_ended_at IS NOT NULL AND names_erased_at IS NULL AND state <> 'gone' ORDER BY id
"""

LOCK_NAMED = """
SELECT id, kind, state, removed_from, visibility, name_key FROM signature
WHERE letter = $1 AND id > $2 AND state <> 'withdrawn'
  AND (state = 'held' OR num_nonnulls(name, affiliation, city, name_key, "position", private, sealed, employer) > 0)
ORDER BY id LIMIT $3 FOR UPDATE
"""

ERASE = """
WITH notes AS (DELETE FROM note WHERE letter = $1 AND signature = ANY($2::bigint[])),
     reports AS (DELETE FROM report WHERE letter = $1 AND signature = ANY($2::bigint[])),
     messages AS (DELETE FROM message WHERE letter = $1 AND signature = ANY($2::bigint[])),
     typed AS (DELETE FROM typed WHERE letter = $1 AND signature = ANY($2::bigint[])),
     past AS (DELETE FROM past WHERE letter = $1 AND signature = ANY($2::bigint[]))
UPDATE signature SET name = NULL, affiliation = NULL, city = NULL, name_key = NULL, "position" = NULL, private = NULL,
       sealed = NULL, employer = NULL,
       country = CASE WHEN kind = 'organization' THEN country END, visible_until = NULL, hide_as = NULL,
       visibility = CASE WHEN kind = 'organization' THEN 'organizers' ELSE 'counted' END::visibility, erased_at = now()
WHERE letter = $1 AND id = ANY($2::bigint[])
"""

DELETE = "DELETE FROM signature WHERE letter = $1 AND id = ANY($2::bigint[])"

# What holds names beside the rows of signatures.
ERASE_DOCUMENTS = (
    """
    UPDATE package SET content = NULL, person_ids = NULL, organization_ids = NULL
    WHERE letter = $1 AND content IS NOT NULL
    """,
    "DELETE FROM undone WHERE letter = $1",
    "DELETE FROM intake_part WHERE letter = $1",
    "DELETE FROM intake_problem WHERE letter = $1",
    """
    UPDATE intake SET about = NULL, state = 'cancelled', ended_at = now(), changed = changed + 1
    WHERE letter = $1 AND state IN ('uploading', 'reading', 'mapping', 'checking', 'checked', 'importing')
    """,
)

# An act that had read the letter before its names ended may have stored one meanwhile: none takes that long.
FINISH = """
UPDATE letter SET names_erased_at = now()
WHERE id = $1 AND names_erased_at IS NULL AND names_ended_at < now() - interval '30 seconds'
"""

REMOVED_LONG_AGO = f"""
s.state = 'removed' AND s.erased_at IS NULL
AND num_nonnulls(s.name, s.affiliation, s.city, s.name_key, s."position", s.private, s.sealed, s.employer) > 0
AND EXISTS (SELECT FROM log g WHERE g.id = s.last_act AND g.at <= now() - {REMOVED.sql})
"""

LETTER_WITH_REMOVED = f"SELECT s.letter FROM signature s WHERE {REMOVED_LONG_AGO} LIMIT 1"

LOCK_REMOVED = f"""
SELECT s.id, s.kind, s.state, s.removed_from, s.visibility, s.name_key FROM signature s
WHERE s.letter = $1 AND {REMOVED_LONG_AGO} ORDER BY s.id LIMIT $2 FOR UPDATE SKIP LOCKED
"""

HAVE_ENDED = "SELECT names_ended_at IS NOT NULL FROM letter WHERE id = $1"


async def due(conn: Connection) -> list[LetterId]:
    """Return the letters whose names are to end now."""
    return [row["id"] for row in await conn.fetch(DUE)]


async def begin(conn: Connection, letter_id: LetterId) -> bool:
    """Close a letter, and have it take no name any more; return whether that was new."""
    return await conn.fetchval(BEGIN, letter_id) is not None


async def begun(conn: Connection) -> list[LetterId]:
    """Return the letters whose names have ended, and may not all be erased yet."""
    return [row["id"] for row in await conn.fetch(BEGUN)]


async def lock_named(conn: Connection, letter_id: LetterId, after: int, limit: int) -> list[Record]:
    """Lock signatures that have a name, in the order of their ids, from behind ``after`` on."""
    return await conn.fetch(LOCK_NAMED, letter_id, after, limit)


async def erase(conn: Connection, letter_id: LetterId, ids: Sequence[int]) -> None:
    await conn.execute(ERASE, letter_id, ids)


async def delete(conn: Connection, letter_id: LetterId, ids: Sequence[int]) -> None:
    if ids:
        await conn.execute(DELETE, letter_id, ids)


async def erase_documents(conn: Connection, letter_id: LetterId) -> None:
    """Delete packages, files of imports, and rows that undoing an import would restore."""
    for statement in ERASE_DOCUMENTS:
        await conn.execute(statement, letter_id)


async def finish(conn: Connection, letter_id: LetterId) -> None:
    await conn.execute(FINISH, letter_id)


async def letter_with_removed(conn: Connection) -> LetterId | None:
    """Return a letter with a signature that was removed so long ago that its name is to go."""
    letter_id: LetterId | None = await conn.fetchval(LETTER_WITH_REMOVED)
    return letter_id


async def lock_removed(conn: Connection, letter_id: LetterId, limit: int) -> list[Record]:
    return await conn.fetch(LOCK_REMOVED, letter_id, limit)


async def have_ended(conn: Connection, letter_id: LetterId) -> bool:
    """Return whether the letter takes no names any more."""
    return bool(await conn.fetchval(HAVE_ENDED, letter_id))
