"""All SQL of members, invitations, and the installation's lists of organizers and letters."""

from datetime import timedelta

from petition.core.database import Connection, Record
from petition.core.ids import LetterId, OrganizerId
from petition.organizers import queries
from petition.organizers.model import Role

INVITATION = """
SELECT i.id, i.role, i.letter, i.name, nullif(o.name, '') AS invited_by
FROM invitation i LEFT JOIN organizer o ON o.id = i.invited_by WHERE i.id = $1 AND i.expires_at > now()
"""

TAKE_INVITATION = """
DELETE FROM invitation WHERE id = $1 AND expires_at > now() RETURNING letter, role, name, lang, digest, sealed
"""

# One invitation for each mailbox: a new one takes the old one's place, and the old one's link stops working.
DROP_INVITATION_OF = "DELETE FROM invitation WHERE coalesce(letter, 0) = coalesce($1, 0) AND digest = $2"

ADD_INVITATION = """
INSERT INTO invitation (id, letter, role, name, lang, digest, sealed, invited_by, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, now() + $9::interval)
"""

INVITATIONS = """
SELECT i.id, i.name, i.role, i.created_at, i.expires_at FROM invitation i
WHERE i.letter IS NOT DISTINCT FROM $1 AND i.expires_at > now() ORDER BY i.created_at DESC, i.id
"""

CANCEL_INVITATION = """
DELETE FROM invitation WHERE id = $1 AND letter IS NOT DISTINCT FROM $2 RETURNING role
"""

# A removed member does not come back by a link that was mailed before.
DROP_INVITATIONS_TO = """
DELETE FROM invitation i USING organizer o
WHERE o.id = $1 AND i.digest = o.digest AND ($2::integer IS NULL OR i.letter = $2)
  AND NOT EXISTS (SELECT FROM letter l WHERE l.id = i.letter AND l.state = 'gone')
RETURNING i.id, i.letter, i.role
"""

# A member who accepts an invitation keeps the role they have: only an owner changes it, in the list of members.
JOIN_INVITED = """
INSERT INTO member (letter, organizer, role) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING RETURNING organizer
"""

# Never takes a right away.
JOIN = """
INSERT INTO member (letter, organizer, role) VALUES ($1, $2, $3)
ON CONFLICT (letter, organizer) DO UPDATE SET role = greatest(member.role, excluded.role)
RETURNING role
"""

MEMBERS = """
SELECT m.organizer AS id, o.name, o.admin, m.role, m.since, o.seen_at,
       (EXISTS (SELECT FROM totp t WHERE t.organizer = o.id)
        OR EXISTS (SELECT FROM passkey p WHERE p.organizer = o.id)) AS has_factor
FROM member m JOIN organizer o ON o.id = m.organizer WHERE m.letter = $1
ORDER BY m.role DESC, m.since, m.organizer
"""

# Signatures go on being taken meanwhile: their foreign keys need less than this lock forbids.
LOCK_LETTER = "SELECT id FROM letter WHERE id = $1 FOR NO KEY UPDATE"

SET_ROLE = """
UPDATE member SET role = $4 WHERE letter = $1 AND organizer = $2 AND role = $3 RETURNING organizer
"""

LEAVE = "DELETE FROM member WHERE letter = $1 AND organizer = $2 AND role = $3 RETURNING organizer"

OWNERS = "SELECT count(*) FROM member WHERE letter = $1 AND role = 'owner'"

# What the log says of a member's leaving, unless they have come back since.
REMOVED_ROLE = """
SELECT g.before FROM log g JOIN organizer o ON o.id = $2
WHERE g.letter = $1 AND g.act = 'member.remove' AND g.ids = ARRAY[$2::bigint] AND g.at > now() - interval '1 hour'
  AND NOT EXISTS (SELECT FROM member m WHERE m.letter = $1 AND m.organizer = $2)
ORDER BY g.id DESC LIMIT 1
"""

ORGANIZERS = """
SELECT o.id, o.name, o.admin, o.created_at, o.seen_at,
       (EXISTS (SELECT FROM totp t WHERE t.organizer = o.id)
        OR EXISTS (SELECT FROM passkey p WHERE p.organizer = o.id)) AS has_factor,
       (SELECT count(*) FROM member m WHERE m.organizer = o.id) AS letters
FROM organizer o ORDER BY o.id
"""

ALL_LETTERS = """
SELECT l.id, l.slug, l.effective_state AS state, l.created_at, coalesce(c.people + c.organizations, 0) AS total,
       (SELECT jsonb_object_agg(t.lang, t.title) FROM translation t WHERE t.letter = l.id) AS titles,
       coalesce((SELECT array_agg(CASE WHEN o.name = '' THEN '#' || o.id ELSE o.name END ORDER BY m.since)
                 FROM member m JOIN organizer o ON o.id = m.organizer
                 WHERE m.letter = l.id AND m.role = 'owner'), '{}') AS owners,
       EXISTS (SELECT FROM member m WHERE m.letter = l.id AND m.organizer = $1 AND m.role = 'owner') AS mine
FROM letter l LEFT JOIN count c ON c.letter = l.id WHERE l.state <> 'gone' ORDER BY l.created_at DESC, l.id DESC
"""

LETTER_ID = "SELECT id FROM letter WHERE slug = $1 AND state <> 'gone'"

# Serializes everything that may take an admin's or an organizer's rights away.
LOCK_ADMINS = "SELECT id FROM organizer WHERE admin ORDER BY id FOR NO KEY UPDATE"

SET_ADMIN = "UPDATE organizer SET admin = $2 WHERE id = $1 AND admin <> $2 RETURNING id"

LOCK_LETTERS_OF = """
SELECT l.id FROM letter l JOIN member m ON m.letter = l.id AND m.organizer = $1 ORDER BY l.id FOR NO KEY UPDATE OF l
"""

ONLY_OWNER_OF = """
SELECT l.slug FROM member m JOIN letter l ON l.id = m.letter
WHERE m.organizer = $1 AND m.role = 'owner'
  AND NOT EXISTS (
    SELECT FROM member other WHERE other.letter = m.letter AND other.role = 'owner' AND other.organizer <> $1
  )
ORDER BY l.slug
"""

# Pages that name the account as vouching for an organization are evicted, with stale copies.
REMOVE_ORGANIZER = """
WITH pages AS (
  UPDATE letter SET revision = revision + 1, purges = purges + 1
  WHERE id IN (SELECT letter FROM voucher WHERE organizer = $1)
)
DELETE FROM organizer WHERE id = $1 RETURNING admin
"""

IS_MEMBER = """
SELECT EXISTS (SELECT FROM member m JOIN organizer o ON o.id = m.organizer WHERE m.letter = $1 AND o.digest = $2)
"""


async def is_member(conn: Connection, letter_id: LetterId, digest: bytes) -> bool:
    """Return whether a mailbox is a member's of the letter."""
    return bool(await conn.fetchval(IS_MEMBER, letter_id, digest))


async def invitation(conn: Connection, number: int) -> Record | None:
    """Return an invitation that still stands, with the name of its author."""
    return await conn.fetchrow(INVITATION, number)


async def take_invitation(conn: Connection, number: int) -> Record | None:
    return await conn.fetchrow(TAKE_INVITATION, number)


async def add_invitation(
    conn: Connection,
    number: int,
    letter_id: LetterId | None,
    role: Role | None,
    invitee: tuple[str, str, bytes, bytes],
    actor_id: OrganizerId | None,
    length: timedelta,
) -> None:
    """Add an invitation, in the place of an earlier one; ``invitee`` is (name, language, digest, sealed address)."""
    name, lang, digest, sealed = invitee
    await conn.execute(DROP_INVITATION_OF, letter_id, digest)
    await conn.execute(ADD_INVITATION, number, letter_id, role, name, lang, digest, sealed, actor_id, length)


async def invitations(conn: Connection, letter_id: LetterId | None) -> list[Record]:
    """Return the invitations that stand, the newest first; None: to the installation."""
    return await conn.fetch(INVITATIONS, letter_id)


async def cancel_invitation(conn: Connection, number: int, letter_id: LetterId | None) -> Record | None:
    """Delete an invitation; return its role, or None if it was gone."""
    return await conn.fetchrow(CANCEL_INVITATION, number, letter_id)


async def drop_invitations_to(conn: Connection, organizer_id: OrganizerId, letter_id: LetterId | None) -> list[Record]:
    """Delete the invitations of an organizer's mailbox, to one letter or (None) anywhere; return them."""
    return await conn.fetch(DROP_INVITATIONS_TO, organizer_id, letter_id)


async def join(conn: Connection, letter_id: LetterId, organizer_id: OrganizerId, role: str) -> Role:
    """Make an organizer a member, or give a member more; return the role they have then."""
    after = Role(await conn.fetchval(JOIN, letter_id, organizer_id, role))
    await queries.rights_changed(conn, organizer_id)
    return after


async def join_invited(conn: Connection, letter_id: LetterId, organizer_id: OrganizerId, role: str) -> bool:
    """Make an organizer a member; return False, and change nothing, if they are one already."""
    return await _followed(conn, organizer_id, await conn.fetchval(JOIN_INVITED, letter_id, organizer_id, role))


async def members(conn: Connection, letter_id: LetterId) -> list[Record]:
    """Return everyone with a role in a letter, owners first."""
    return await conn.fetch(MEMBERS, letter_id)


async def lock_letter(conn: Connection, letter_id: LetterId) -> None:
    """Lock a letter and its members until the transaction ends."""
    await conn.execute(LOCK_LETTER, letter_id)


async def set_role(conn: Connection, letter_id: LetterId, organizer_id: OrganizerId, before: Role, after: Role) -> bool:
    """Give a member another role, if they have still the one ``before``; tell whether it was so."""
    return await _followed(conn, organizer_id, await conn.fetchval(SET_ROLE, letter_id, organizer_id, before, after))


async def leave(conn: Connection, letter_id: LetterId, organizer_id: OrganizerId, before: Role) -> bool:
    """Take a member out, if they have still the role ``before``; tell whether it was so."""
    return await _followed(conn, organizer_id, await conn.fetchval(LEAVE, letter_id, organizer_id, before))


async def owners(conn: Connection, letter_id: LetterId) -> int:
    return int(await conn.fetchval(OWNERS, letter_id))


async def removed_role(conn: Connection, letter_id: LetterId, organizer_id: OrganizerId) -> Role | None:
    """Return the role of a member who was removed in the last hour and has not come back."""
    role: str | None = await conn.fetchval(REMOVED_ROLE, letter_id, organizer_id)
    return Role(role) if role else None


async def organizers(conn: Connection) -> list[Record]:
    return await conn.fetch(ORGANIZERS)


async def all_letters(conn: Connection, organizer_id: OrganizerId | None) -> list[Record]:
    """Return every letter of the installation with its owners' names; ``mine``: is ``organizer_id`` one of them?"""
    return await conn.fetch(ALL_LETTERS, organizer_id)


async def letter_id(conn: Connection, slug: str) -> LetterId | None:
    letter_id: LetterId | None = await conn.fetchval(LETTER_ID, slug)
    return letter_id


async def lock_admins(conn: Connection) -> int:
    """Lock the set of admins until the transaction ends; return how many there are."""
    return len(await conn.fetch(LOCK_ADMINS))


async def set_admin(conn: Connection, organizer_id: OrganizerId, admin: bool) -> bool:
    """Make an organizer an admin, or no longer one; tell whether that was a change."""
    return await _followed(conn, organizer_id, await conn.fetchval(SET_ADMIN, organizer_id, admin))


async def _followed(conn: Connection, organizer_id: OrganizerId, changed: int | None) -> bool:
    """Return whether rights were changed; if so, the organizer's sessions get new cookies."""
    if changed is not None:
        await queries.rights_changed(conn, organizer_id)
    return changed is not None


async def only_owner_of(conn: Connection, organizer_id: OrganizerId) -> list[str]:
    """Lock an organizer's letters; return the short names of those that have no other owner."""
    await conn.fetch(LOCK_LETTERS_OF, organizer_id)
    return [row["slug"] for row in await conn.fetch(ONLY_OWNER_OF, organizer_id)]


async def remove_organizer(conn: Connection, organizer_id: OrganizerId) -> Record | None:
    """Delete an organizer with sessions, second factor and roles; return whether they were an admin."""
    return await conn.fetchrow(REMOVE_ORGANIZER, organizer_id)
