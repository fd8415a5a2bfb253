"""All SQL of resets of a colleague's lost second factor: pending rows, and who is mailed about them."""

from datetime import timedelta

from petition.core.database import Connection, Record
from petition.core.ids import LetterId, OrganizerId

COLLEAGUE = """
SELECT o.admin,
       (EXISTS (SELECT FROM totp t WHERE t.organizer = o.id)
        OR EXISTS (SELECT FROM passkey p WHERE p.organizer = o.id)) AS has_factor,
       EXISTS (SELECT FROM member m WHERE m.letter = $1 AND m.organizer = $3 AND m.role = 'owner') AS owner_asks
FROM member c JOIN organizer o ON o.id = c.organizer WHERE c.letter = $1 AND c.organizer = $2
"""

ADD = """
INSERT INTO factor_reset (organizer, letter, asked_by, due_at) VALUES ($1, $2, $3, now() + $4::interval)
ON CONFLICT (organizer) DO NOTHING RETURNING organizer
"""

# Of a letter that is being taken down, rows only wait to be deleted.
_PENDING = """
SELECT r.organizer, o.name, r.asked_by, a.name AS asker_name, r.due_at
FROM factor_reset r JOIN organizer o ON o.id = r.organizer JOIN organizer a ON a.id = r.asked_by
     JOIN letter l ON l.id = r.letter AND l.state <> 'gone'
"""

PENDING_AMONG_MEMBERS = f"""
{_PENDING} JOIN member m ON m.organizer = r.organizer AND m.letter = $1 ORDER BY r.due_at, r.organizer
"""

PENDING_OF = f"{_PENDING} WHERE r.organizer = $1"

RECIPIENTS = """
SELECT DISTINCT o.id, o.digest, o.sealed, o.lang
FROM member c JOIN letter l ON l.id = c.letter AND l.state <> 'gone'
     JOIN member m ON m.letter = c.letter AND (m.role = 'owner' OR m.organizer = c.organizer)
     JOIN organizer o ON o.id = m.organizer
WHERE c.organizer = $1 ORDER BY o.id
"""

RECIPIENT = "SELECT id, digest, sealed, lang, zone FROM organizer WHERE id = $1"

# A letter that the recipient owns and the colleague works on: there it can be stopped. First, the one it is about.
LETTER_OF_BOTH = """
SELECT l.slug FROM factor_reset r
JOIN member c ON c.organizer = r.organizer
JOIN member m ON m.letter = c.letter AND m.organizer = $2 AND m.role = 'owner'
JOIN letter l ON l.id = c.letter AND l.state <> 'gone'
WHERE r.organizer = $1 ORDER BY l.id = r.letter DESC, l.id LIMIT 1
"""

STOP = "DELETE FROM factor_reset WHERE organizer = $1 RETURNING letter, organizer"

STOP_FOR_MEMBER = """
DELETE FROM factor_reset r USING member m
WHERE r.organizer = $2 AND m.letter = $1 AND m.organizer = r.organizer RETURNING r.letter, r.organizer
"""

STOP_OF_MEMBER = """
DELETE FROM factor_reset WHERE letter = $1 AND (organizer = $2 OR asked_by = $2) RETURNING letter, organizer
"""

STOP_ASKED_BY = "DELETE FROM factor_reset WHERE letter = $1 AND asked_by = $2 RETURNING letter, organizer"

DUE = "SELECT organizer, letter FROM factor_reset WHERE due_at <= now() ORDER BY due_at, organizer LIMIT 100"

# Of several workers one gets the row.
CLAIM = """
DELETE FROM factor_reset r
WHERE r.organizer = $1 AND r.letter = $2 AND r.due_at <= now()
  AND EXISTS (SELECT FROM letter l WHERE l.id = r.letter AND l.state <> 'gone')
RETURNING EXISTS (SELECT FROM member m WHERE m.letter = r.letter AND m.organizer = r.asked_by AND m.role = 'owner')
  AND EXISTS (SELECT FROM member m JOIN organizer o ON o.id = m.organizer
              WHERE m.letter = r.letter AND m.organizer = r.organizer AND NOT o.admin) AS stands
"""


async def colleague(
    conn: Connection, letter_id: LetterId, organizer_id: OrganizerId, actor_id: OrganizerId
) -> Record | None:
    """Return a member's ``admin`` and ``has_factor``, and whether the actor still is an owner; None: no member."""
    return await conn.fetchrow(COLLEAGUE, letter_id, organizer_id, actor_id)


async def add(
    conn: Connection, organizer_id: OrganizerId, letter_id: LetterId, actor_id: OrganizerId, wait: timedelta
) -> bool:
    """Add a pending reset; return False if there is one for this organizer."""
    return await conn.fetchval(ADD, organizer_id, letter_id, actor_id, wait) is not None


async def pending_among_members(conn: Connection, letter_id: LetterId) -> list[Record]:
    """Return the pending resets of a letter's members, whichever letter's owner asked; the next due first."""
    return await conn.fetch(PENDING_AMONG_MEMBERS, letter_id)


async def pending_of(conn: Connection, organizer_id: OrganizerId) -> Record | None:
    """Return the pending reset of an organizer's own factors."""
    return await conn.fetchrow(PENDING_OF, organizer_id)


async def recipients(conn: Connection, organizer_id: OrganizerId) -> list[Record]:
    """Return an organizer, and every owner of every letter that they work on."""
    return await conn.fetch(RECIPIENTS, organizer_id)


async def recipient(conn: Connection, organizer_id: OrganizerId) -> Record | None:
    """Return an organizer with digest, sealed address, language and time zone."""
    return await conn.fetchrow(RECIPIENT, organizer_id)


async def letter_of_both(conn: Connection, organizer_id: OrganizerId, owner_id: OrganizerId) -> str | None:
    """Return the short name of a letter on whose Members page an owner can stop the reset."""
    slug: str | None = await conn.fetchval(LETTER_OF_BOTH, organizer_id, owner_id)
    return slug


async def stop(conn: Connection, organizer_id: OrganizerId) -> list[Record]:
    """Delete the pending reset of an organizer's factors; return (letter, organizer) of it, if there was one."""
    return await conn.fetch(STOP, organizer_id)


async def stop_for_member(conn: Connection, letter_id: LetterId, organizer_id: OrganizerId) -> list[Record]:
    """Delete the pending reset of an organizer who is a member of a letter; return as ``stop``."""
    return await conn.fetch(STOP_FOR_MEMBER, letter_id, organizer_id)


async def stop_of_member(conn: Connection, letter_id: LetterId, organizer_id: OrganizerId) -> list[Record]:
    """Delete what a leaving member has asked for in a letter, or another asked for them there; return as ``stop``."""
    return await conn.fetch(STOP_OF_MEMBER, letter_id, organizer_id)


async def stop_asked_by(conn: Connection, letter_id: LetterId, organizer_id: OrganizerId) -> list[Record]:
    """Delete what an organizer has asked for as a letter's owner; return as ``stop``."""
    return await conn.fetch(STOP_ASKED_BY, letter_id, organizer_id)


async def due(conn: Connection) -> list[Record]:
    """Return (organizer, letter) of the resets whose day is over, at most 100."""
    return await conn.fetch(DUE)


async def claim(conn: Connection, organizer_id: OrganizerId, letter_id: LetterId) -> bool | None:
    """Delete a due reset; return whether it is still to be carried out, or None if it is gone."""
    stands: bool | None = await conn.fetchval(CLAIM, organizer_id, letter_id)
    return stands
