"""All SQL of organizers, their one-time links and sessions, and of letters as the desk looks them up."""

from datetime import timedelta

from petition.core.database import Connection, Record
from petition.core.ids import InvitationId, LetterId, OrganizerId
from petition.organizers.model import DeskLetter, Organizer, Role, Session

DESK_KEY = "SELECT wrapped FROM desk_key"

ADD_DESK_KEY = "INSERT INTO desk_key (wrapped) VALUES ($1) ON CONFLICT DO NOTHING"

ADD_ORGANIZER = """
INSERT INTO organizer (name, lang, admin, digest, sealed) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (digest) DO UPDATE SET admin = organizer.admin OR excluded.admin
RETURNING id, name, lang, admin
"""

ORGANIZER_OF = "SELECT id, name, lang, admin FROM organizer WHERE digest = $1"

HAS_ENTERED = "SELECT seen_at IS NOT NULL FROM organizer WHERE id = $1"

SET_NAME = "UPDATE organizer SET name = $2 WHERE id = $1"

SET_LANG = "UPDATE organizer SET lang = $2 WHERE id = $1"

# An organizer added by a command has chosen no language yet.
SET_FIRST_LANG = "UPDATE organizer SET lang = $2 WHERE id = $1 AND seen_at IS NULL"

MAX_TRIES = 5  # at the code of a link that is opened in another browser

ADD_ENTRY = """
INSERT INTO entry (digest, organizer, invitation, expires_at, nonce) VALUES ($1, $2, $3, now() + $4::interval, $5)
"""

LIVE_NONCE = f"""
SELECT nonce FROM entry
WHERE organizer = $1 AND digest = $2 AND expires_at > now() + make_interval(mins => $3) AND tries < {MAX_TRIES}
"""

COUNT_TRY = f"""
UPDATE entry SET tries = tries + 1 WHERE digest = $1 AND expires_at > now() AND tries < {MAX_TRIES} RETURNING tries
"""

SEE_ENTRY = """
SELECT e.organizer, e.nonce IS NOT NULL AS bound, i.id AS invitation, i.role, i.letter, i.lang, i.name,
       CASE WHEN o.seen_at IS NOT NULL THEN o.lang END AS organizer_lang
FROM entry e LEFT JOIN invitation i ON i.id = e.invitation LEFT JOIN organizer o ON o.id = e.organizer
WHERE e.digest = $1 AND e.expires_at > now() AND (i.id IS NULL OR i.expires_at > now())
"""

# Two links of one organizer, or a link and the cancelling of its invitation, at once: the second waits here,
# with nothing in hand that the first one needs.
LOCK_ENTERING = """
SELECT o.id FROM organizer o WHERE o.id = (SELECT organizer FROM entry WHERE digest = $1) FOR NO KEY UPDATE
"""

LOCK_INVITED = """
SELECT i.id FROM invitation i WHERE i.id = (SELECT invitation FROM entry WHERE digest = $1) FOR UPDATE
"""

USE_ENTRY = """
DELETE FROM entry e WHERE e.digest = $1 AND e.expires_at > now() RETURNING e.organizer, e.invitation
"""

DROP_ENTRY = "DELETE FROM entry WHERE digest = $1"

DROP_ENTRIES = "DELETE FROM entry WHERE organizer = $1"

DROP_ASKS = "DELETE FROM sign_in_ask WHERE mailbox = (SELECT digest FROM organizer WHERE id = $1)"

# The first look of an organizer who has only just entered lasts an hour; with the second factor proved, twelve hours
# without a visit, and a week at most.
LIVE = """
s.seen_at > now() - interval '12 hours' AND s.created_at > now() - interval '7 days'
AND (s.proved_at IS NOT NULL OR s.created_at > now() - interval '1 hour')
"""

# Who shows the second factor anew may change it for a while.
FRESH = "coalesce(s.proved_at > now() - interval '15 minutes', false)"

HAS_FACTOR = """
(EXISTS (SELECT FROM totp t WHERE t.organizer = s.organizer)
 OR EXISTS (SELECT FROM passkey p WHERE p.organizer = s.organizer))
"""

SESSION = f"""
SELECT s.id, s.browser, s.created_at, s.seen_at, s.proved_at, {FRESH} AS fresh, {HAS_FACTOR} AS has_factor,
       o.id AS organizer, o.name, o.lang, o.admin, o.zone, o.waiting_mail, s.renew,
       s.seen_at < now() - interval '1 minute' AS unseen
FROM session s JOIN organizer o ON o.id = s.organizer
WHERE s.digest = $1 AND {LIVE}
"""

ROLE_OF_SESSION = f"""
SELECT m.role FROM session s JOIN member m ON m.organizer = s.organizer AND m.letter = $2
JOIN letter l ON l.id = m.letter AND l.state <> 'gone' WHERE s.id = $1 AND {LIVE}
"""

SESSIONS = f"""
SELECT s.id, s.browser, s.created_at, s.seen_at, s.proved_at, {FRESH} AS fresh, {HAS_FACTOR} AS has_factor, s.renew
FROM session s WHERE s.organizer = $1 AND {LIVE} ORDER BY s.seen_at DESC, s.id
"""

# Two statements, not one: an organizer is locked before that organizer's sessions.
SEEN = "UPDATE session SET seen_at = now() WHERE id = $1"

SEEN_ORGANIZER = "UPDATE organizer SET seen_at = now() WHERE id = $1"

ADD_SESSION = "INSERT INTO session (id, digest, organizer, browser) VALUES ($1, $2, $3, $4)"

# A new id at every change of rights: the old one is worth nothing.
RENEW = """
UPDATE session SET digest = $2, proved_at = now(), renew = false, challenge = NULL, challenged_at = NULL WHERE id = $1
RETURNING id
"""

# The cookie is renewed with the response of the request that proved the factor; its challenge is another form's.
PROVE = "UPDATE session SET proved_at = now(), renew = true WHERE id = $1 RETURNING id"

# The cookies are in other browsers: each gets its new one with its next response.
RIGHTS_CHANGED = """
UPDATE session SET renew = true
WHERE id IN (SELECT id FROM session WHERE organizer = $1 ORDER BY id FOR NO KEY UPDATE)
"""

# Of several requests at once one brings the new id.
FOLLOW_RIGHTS = "UPDATE session SET digest = $3, renew = false WHERE id = $1 AND digest = $2 AND renew RETURNING id"

END = "DELETE FROM session WHERE organizer = $1 AND id = $2 RETURNING id"

END_BY_DIGEST = "DELETE FROM session WHERE digest = $1 RETURNING id, organizer"

# All are locked in their order, the one that stays too: it is changed right after, as others may be changing all.
END_OTHERS = """
WITH mine AS MATERIALIZED (SELECT id FROM session WHERE organizer = $1 ORDER BY id FOR UPDATE)
DELETE FROM session s USING mine WHERE s.id = mine.id AND s.id <> $2 RETURNING s.id
"""

LETTER_COLUMNS = """
l.id, l.slug, l.effective_state AS state, l.revision, l.version, l.goal, l.created_at, l.opened_at, l.closes_at,
l.next_goals, l.closed_at,
(SELECT jsonb_object_agg(t.lang, t.title) FROM translation t WHERE t.letter = l.id) AS titles,
l.wrapped_digest_key IS NOT NULL AS has_digest_key,
ARRAY(SELECT CASE WHEN w.letter IS NULL THEN 'all:' || w.name ELSE w.name END FROM switch w
      WHERE w.value <> 'off' AND (w.letter = l.id OR w.letter IS NULL) ORDER BY w.letter, w.name) AS switched
"""

LETTER = f"""
SELECT {LETTER_COLUMNS}, m.role
FROM letter l LEFT JOIN member m ON m.letter = l.id AND m.organizer = $2 WHERE l.slug = $1
"""

WAS_MEMBER = """
SELECT EXISTS (SELECT FROM log WHERE letter = $1 AND act = 'member.remove' AND ids @> ARRAY[$2::bigint])
"""

LETTERS = f"""
SELECT {LETTER_COLUMNS}, m.role, coalesce(c.people, 0) AS people, coalesce(c.organizations, 0) AS organizations,
       (SELECT count(*) FROM (
          SELECT FROM signature s WHERE s.letter = l.id AND s.state = 'held' LIMIT 1000
        ) waiting) AS held
FROM member m JOIN letter l ON l.id = m.letter LEFT JOIN count c ON c.letter = l.id
WHERE m.organizer = $1 AND l.state <> 'gone' ORDER BY l.created_at DESC, l.id DESC
"""

COUNTS = """
SELECT coalesce(c.people, 0) AS people, coalesce(c.organizations, 0) AS organizations, coalesce(c.hidden, 0) AS hidden,
       coalesce(c.imported, 0) AS imported, coalesce(c.listed_people, 0) AS listed_people,
       coalesce(c.listed_organizations, 0) AS listed_organizations, c.changed_at,
       (SELECT count(*) FROM (
          SELECT FROM signature s WHERE s.letter = $1 AND s.state = 'held' LIMIT 1000
        ) waiting) AS held,
       (SELECT count(*) FROM member m WHERE m.letter = $1) AS members
FROM (SELECT $1::integer AS letter) l LEFT JOIN count c USING (letter)
"""


async def desk_key(conn: Connection) -> bytes | None:
    """Return the desk's wrapped key, once there is one."""
    wrapped: bytes | None = await conn.fetchval(DESK_KEY)
    return wrapped


async def add_desk_key(conn: Connection, wrapped: bytes) -> None:
    """Keep a wrapped key, unless another process was first."""
    await conn.execute(ADD_DESK_KEY, wrapped)


async def add_organizer(
    conn: Connection, digest: bytes, sealed: bytes, *, name: str = "", lang: str, admin: bool = False
) -> Organizer:
    """Add an organizer, or return the one with that mailbox; ``admin`` can only be granted here, not revoked."""
    row = await conn.fetchrow(ADD_ORGANIZER, name, lang, admin, digest, sealed)
    if row is None:
        raise LookupError("an upsert returned nothing")
    return organizer_in(row)


async def organizer_of(conn: Connection, digest: bytes) -> Organizer | None:
    row = await conn.fetchrow(ORGANIZER_OF, digest)
    return organizer_in(row) if row else None


async def has_entered(conn: Connection, organizer_id: OrganizerId) -> bool:
    """Return whether an organizer has ever been at the desk."""
    return bool(await conn.fetchval(HAS_ENTERED, organizer_id))


async def set_name(conn: Connection, organizer_id: OrganizerId, name: str) -> None:
    """Keep the name that colleagues see."""
    await conn.execute(SET_NAME, organizer_id, name)


async def set_lang(conn: Connection, organizer_id: OrganizerId, lang: str) -> None:
    """Keep the language of the desk's pages."""
    await conn.execute(SET_LANG, organizer_id, lang)


async def set_first_lang(conn: Connection, organizer_id: OrganizerId, lang: str) -> None:
    """Store the language of an organizer who signs in for the first time."""
    await conn.execute(SET_FIRST_LANG, organizer_id, lang)


async def add_entry(
    conn: Connection,
    digest: bytes,
    length: timedelta,
    *,
    organizer_id: OrganizerId | None = None,
    invitation_id: InvitationId | None = None,
    nonce: bytes | None = None,
) -> None:
    """Keep the digest of a one-time link of an organizer, or of an invitation, for ``length``.

    A link with a ``nonce`` works only for the asks that it is bound to (``sign_in_asks``).
    """
    await conn.execute(ADD_ENTRY, digest, organizer_id, invitation_id, length, nonce)


async def live_nonce(conn: Connection, organizer_id: OrganizerId, digest: bytes | None, minutes: int) -> bytes | None:
    """Return the nonce of a bound link that lives for so many minutes more."""
    nonce: bytes | None = await conn.fetchval(LIVE_NONCE, organizer_id, digest, minutes)
    return nonce


async def count_try(conn: Connection, digest: bytes) -> int | None:
    """Count a code that was typed for a link; return how many there were, or None if the link takes no more."""
    tries: int | None = await conn.fetchval(COUNT_TRY, digest)
    return tries


async def load_sign_in_link(conn: Connection, digest: bytes) -> Record | None:
    """Return what a one-time link would do, without using it up."""
    return await conn.fetchrow(SEE_ENTRY, digest)


async def drop_sign_in_link(conn: Connection, digest: bytes) -> None:
    """Let a link open nothing any more."""
    await conn.execute(DROP_ENTRY, digest)


async def use_sign_in_link(conn: Connection, digest: bytes) -> tuple[OrganizerId | None, InvitationId | None] | None:
    """Use a one-time link up; return (organizer, invitation), one of them None, or None if it opens nothing.

    The organizer's other links stop working with it, and so does what other browsers have asked for.
    """
    await conn.execute(LOCK_ENTERING, digest)
    await conn.execute(LOCK_INVITED, digest)
    row = await conn.fetchrow(USE_ENTRY, digest)
    if row is None:
        return None
    await conn.execute(DROP_ENTRIES, row["organizer"])
    await conn.execute(DROP_ASKS, row["organizer"])
    return row["organizer"], row["invitation"]


async def role_of_session(conn: Connection, session_id: int, letter_id: LetterId) -> Role | None:
    """Return the role that a session has in a letter now; None if it has ended, or has none."""
    role: str | None = await conn.fetchval(ROLE_OF_SESSION, session_id, letter_id)
    return Role(role) if role else None


async def session(conn: Connection, digest: bytes) -> tuple[Organizer, Session] | None:
    """Return the organizer and the session of a cookie, recording the visit (once a minute at most)."""
    row = await conn.fetchrow(SESSION, digest)
    if row is None:
        return None
    if row["unseen"]:
        await conn.execute(SEEN, row["id"])
        await conn.execute(SEEN_ORGANIZER, row["organizer"])
    organizer = Organizer(
        row["organizer"], row["name"], row["lang"], row["admin"], zone=row["zone"], waiting_mail=row["waiting_mail"]
    )
    return organizer, _session(row)


async def sessions(conn: Connection, organizer_id: OrganizerId) -> list[Session]:
    """Return where an organizer has entered, the latest seen first."""
    return [_session(row) for row in await conn.fetch(SESSIONS, organizer_id)]


async def add_session(conn: Connection, number: int, digest: bytes, organizer_id: OrganizerId, browser: str) -> None:
    """Begin a session whose second factor has not been proved yet."""
    await conn.execute(ADD_SESSION, number, digest, organizer_id, browser)
    await conn.execute(SEEN_ORGANIZER, organizer_id)


async def renew_session(conn: Connection, number: int, digest: bytes) -> bool:
    """Give a session a new cookie, its second factor proved just now; return whether it still existed."""
    return await conn.fetchval(RENEW, number, digest) is not None


async def prove_session(conn: Connection, number: int) -> bool:
    """Record the second factor as proved just now, and the cookie as due; return whether the session still existed."""
    return await conn.fetchval(PROVE, number) is not None


async def rights_changed(conn: Connection, organizer_id: OrganizerId) -> None:
    """Have every session of an organizer get a new cookie with the next answer."""
    await conn.execute(RIGHTS_CHANGED, organizer_id)


async def follow_rights(conn: Connection, number: int, before: bytes, after: bytes) -> bool:
    """Give a session a new cookie if one is due and it still has the one ``before``; tell whether it was so."""
    return await conn.fetchval(FOLLOW_RIGHTS, number, before, after) is not None


async def end_session(conn: Connection, organizer_id: OrganizerId, number: int) -> bool:
    """End one session of an organizer; tell whether there was one."""
    return await conn.fetchval(END, organizer_id, number) is not None


async def end_by_digest(conn: Connection, digest: bytes) -> Record | None:
    """End the session of a cookie; return its id and organizer if there was one."""
    return await conn.fetchrow(END_BY_DIGEST, digest)


async def end_others(conn: Connection, organizer_id: OrganizerId, number: int) -> list[int]:
    """End every session of an organizer but one; return their ids."""
    return [row["id"] for row in await conn.fetch(END_OTHERS, organizer_id, number)]


async def was_member(conn: Connection, letter_id: LetterId, organizer_id: OrganizerId) -> bool:
    """Return whether an organizer was once taken out of a letter."""
    return bool(await conn.fetchval(WAS_MEMBER, letter_id, organizer_id))


async def letter(conn: Connection, slug: str, organizer_id: OrganizerId) -> tuple[DeskLetter, Role | None] | None:
    """Return a letter, drafts too, and the organizer's role there."""
    row = await conn.fetchrow(LETTER, slug, organizer_id)
    return (letter_in(row), Role(row["role"]) if row["role"] else None) if row else None


async def letters(conn: Connection, organizer_id: OrganizerId) -> list[Record]:
    """Return an organizer's letters, newest first, each with role, count, and held organizations (up to 1,000)."""
    return await conn.fetch(LETTERS, organizer_id)


async def letter_counts(conn: Connection, letter_id: LetterId) -> Record | None:
    """Return a letter's count, with how many organizations are held (up to 1,000) and how many members it has."""
    return await conn.fetchrow(COUNTS, letter_id)


def organizer_in(row: Record) -> Organizer:
    return Organizer(row["id"], row["name"], row["lang"], row["admin"])


def letter_in(row: Record) -> DeskLetter:
    """Read a letter out of a row with ``LETTER_COLUMNS``."""
    return DeskLetter(
        id=row["id"],
        slug=row["slug"],
        state=row["state"],
        titles=row["titles"] or {},
        revision=row["revision"],
        version=row["version"],
        goal=row["goal"],
        created_at=row["created_at"],
        opened_at=row["opened_at"],
        closes_at=row["closes_at"],
        closed_at=row["closed_at"],
        has_digest_key=row["has_digest_key"],
        switched=tuple(row["switched"]),
        next_goals=tuple(row["next_goals"]),
    )


def _session(row: Record) -> Session:
    return Session(
        id=row["id"],
        browser=row["browser"],
        created_at=row["created_at"],
        seen_at=row["seen_at"],
        proved_at=row["proved_at"],
        fresh=row["fresh"],
        has_factor=row["has_factor"],
        renew=row["renew"],
    )
