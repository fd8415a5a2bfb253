"""The SQL of names that wait for a number or a date."""

from collections.abc import Sequence

from petition.core.database import Connection, Record
from petition.core.ids import LetterId

# By the count that readers see, without what was brought from elsewhere: a list must not open the names of others.
# Once reached, it stays so.
NOTE_DUE = """
UPDATE letter l SET names_due_at = now()
FROM (
  SELECT l.id FROM letter l LEFT JOIN published_count c ON c.letter = l.id
  WHERE l.names_due_at IS NULL AND l.version IS NOT NULL AND l.names_ended_at IS NULL
    AND (now() >= l.publish_at_date OR c.people + c.organizations - c.imported >= l.publish_at_number)
  ORDER BY l.id FOR NO KEY UPDATE OF l
) AS due WHERE due.id = l.id
"""

# Also those that were confirmed or changed while the last ones were being opened.
DUE = """
SELECT l.id FROM letter l
WHERE l.names_due_at IS NOT NULL AND l.version IS NOT NULL AND (l.names_published_at IS NULL OR EXISTS (
  SELECT FROM signature s WHERE s.letter = l.id AND s.sealed IS NOT NULL)) ORDER BY l.id
"""

# Their keys were burnt, and the names that waited are still there.
BURNT = """
SELECT DISTINCT s.letter AS id FROM signature s JOIN letter l ON l.id = s.letter
WHERE s.sealed IS NOT NULL AND l.wrapped_name_key IS NULL AND l.state <> 'gone' ORDER BY 1
"""

LOCK_BURNT = """
SELECT s.id, s.kind, s.state, s.visibility FROM signature s JOIN letter l ON l.id = s.letter
WHERE s.letter = $1 AND s.sealed IS NOT NULL AND l.wrapped_name_key IS NULL ORDER BY s.id LIMIT $2 FOR UPDATE OF s
"""

# Of an organization that waits, the letter's own key encrypted the rest.
ERASE_SEALED = """
UPDATE signature SET sealed = NULL, visible_until = NULL, hide_as = NULL,
       private = CASE WHEN kind = 'organization' THEN private END,
       country = CASE WHEN kind = 'organization' THEN country END,
       visibility = CASE WHEN kind = 'organization' THEN 'organizers' ELSE 'counted' END::visibility
WHERE letter = $1 AND id = ANY($2::bigint[])
"""

LOCK_SEALED = """
SELECT letter, id, kind, state, visibility, private, sealed FROM signature
WHERE letter = $1 AND sealed IS NOT NULL AND id <> ALL($2::bigint[]) ORDER BY id LIMIT $3 FOR UPDATE SKIP LOCKED
"""

IS_ANY_SEALED = """
SELECT EXISTS (SELECT FROM signature WHERE letter = $1 AND sealed IS NOT NULL AND id <> ALL($2::bigint[]))
"""

PUBLISH = """
UPDATE letter SET names_published_at = now(), revision = revision + 1, purges = purges + 1
WHERE id = $1 AND names_due_at IS NOT NULL AND names_published_at IS NULL RETURNING id
"""

# Repeated names were looked for while these had none.
LOOK_AGAIN = "UPDATE name_look SET listed_at = DEFAULT, signature = DEFAULT WHERE letter = $1"


async def note_due(conn: Connection) -> None:
    """Note which letters have reached their number or date."""
    await conn.execute(NOTE_DUE)


async def due(conn: Connection) -> list[LetterId]:
    """Return the letters that have names to open, or to show."""
    return [row["id"] for row in await conn.fetch(DUE)]


async def burnt(conn: Connection) -> list[LetterId]:
    """Return the letters whose keys were burnt, and that still have sealed names."""
    return [row["id"] for row in await conn.fetch(BURNT)]


async def lock_burnt(conn: Connection, letter_id: LetterId, limit: int) -> list[Record]:
    """Lock signatures with sealed names of a letter whose keys were burnt; return id, kind, state, visibility."""
    return await conn.fetch(LOCK_BURNT, letter_id, limit)


async def erase_sealed(conn: Connection, letter_id: LetterId, ids: Sequence[int]) -> None:
    """Erase what was sealed; people are only counted from then on."""
    await conn.execute(ERASE_SEALED, letter_id, ids)


async def lock_sealed(conn: Connection, letter_id: LetterId, left_out: Sequence[int], limit: int) -> list[Record]:
    """Return signatures with sealed names that no one else holds, locked; without those ``left_out``."""
    return await conn.fetch(LOCK_SEALED, letter_id, left_out, limit)


async def is_any_sealed(conn: Connection, letter_id: LetterId, left_out: Sequence[int]) -> bool:
    sealed: bool = await conn.fetchval(IS_ANY_SEALED, letter_id, left_out)
    return sealed


async def publish(conn: Connection, letter_id: LetterId) -> bool:
    """Have readers see the letter's names, and moderators those that repeat; return whether they did not before."""
    is_new = await conn.fetchval(PUBLISH, letter_id) is not None
    if is_new:
        await conn.execute(LOOK_AGAIN, letter_id)
    return is_new
