"""What is deleted when, and what becomes of a letter by itself. Each act is short, and harmless when done twice.

Rows that somebody works on at this moment are skipped: the next minute will do.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from petition.core.database import Connection, Database
from petition.core.encryption import Wrapper
from petition.core.errors import SettingsError

BATCH = 5000  # rows a transaction, so that nobody waits long for one

DROP_EXPIRED_PENDING = """
DELETE FROM pending WHERE (letter, id) IN (
  SELECT letter, id FROM pending WHERE created_at <= now() - interval '7 days' LIMIT $1 FOR UPDATE SKIP LOCKED
)
"""

# Nobody can confirm these any more; what was typed in them goes at once.
DROP_LATE_PENDING = """
DELETE FROM pending WHERE (letter, id) IN (
  SELECT p.letter, p.id FROM pending p
  WHERE p.letter IN (SELECT l.id FROM letter l WHERE l.state <> 'draft' AND NOT l.takes_confirmations)
  LIMIT $1 FOR UPDATE SKIP LOCKED
)
"""

DROP_CONTACTS = """
DELETE FROM contact WHERE (letter, signature, purpose) IN (
  SELECT letter, signature, purpose FROM contact WHERE until <= now() LIMIT $1 FOR UPDATE SKIP LOCKED
)
"""

# An hour later than the web refuses them as expired: its clock may be behind the database's, and a challenge that is
# forgotten too early could be used once more.
DROP_CHALLENGES = """
DELETE FROM used_challenge WHERE nonce IN (
  SELECT nonce FROM used_challenge WHERE expires_at <= now() - interval '1 hour' LIMIT $1 FOR UPDATE SKIP LOCKED
)
"""

DROP_LIMITS = """
DELETE FROM limit_use WHERE key IN (
  SELECT key FROM limit_use WHERE expires_at <= now() LIMIT $1 FOR UPDATE SKIP LOCKED
)
"""

# What stands for a network goes before the key of its day does: without the key it says nothing about the network, yet
# it would still say who signed from the same one. The last condition has the rows looked through once a day only.
FORGET_NETWORKS_OF_PENDING = """
UPDATE pending SET network = NULL WHERE (letter, id) IN (
  SELECT letter, id FROM pending
  WHERE network IS NOT NULL AND created_at < ((now() AT TIME ZONE 'UTC')::date - 1)::timestamp AT TIME ZONE 'UTC'
    AND EXISTS (SELECT FROM day_key WHERE day < (now() AT TIME ZONE 'UTC')::date - 1)
  LIMIT $1 FOR UPDATE SKIP LOCKED
)
"""

FORGET_NETWORKS = """
UPDATE signature SET network = NULL WHERE (letter, id) IN (
  SELECT letter, id FROM signature
  WHERE network IS NOT NULL AND signed_at < ((now() AT TIME ZONE 'UTC')::date - 1)::timestamp AT TIME ZONE 'UTC'
    AND EXISTS (SELECT FROM day_key WHERE day < (now() AT TIME ZONE 'UTC')::date - 1)
  LIMIT $1 FOR UPDATE SKIP LOCKED
)
"""

DROP_DAY_KEYS = """
DELETE FROM day_key WHERE day IN (
  SELECT day FROM day_key WHERE day < (now() AT TIME ZONE 'UTC')::date - 1 LIMIT $1 FOR UPDATE SKIP LOCKED
)
"""

DROP_ENTRIES = """
DELETE FROM entry WHERE digest IN (
  SELECT digest FROM entry WHERE expires_at <= now() LIMIT $1 FOR UPDATE SKIP LOCKED
)
"""

DROP_INVITATIONS = """
DELETE FROM invitation WHERE id IN (
  SELECT id FROM invitation WHERE expires_at <= now() LIMIT $1 FOR UPDATE SKIP LOCKED
)
"""

DROP_PREVIEW_LINKS = """
DELETE FROM preview_link WHERE id IN (
  SELECT id FROM preview_link WHERE expires_at <= now() LIMIT $1 FOR UPDATE SKIP LOCKED
)
"""

# The same times as in ``organizers.queries.LIVE``.
DROP_SESSIONS = """
DELETE FROM session WHERE id IN (
  SELECT id FROM session
  WHERE seen_at <= now() - interval '12 hours' OR created_at <= now() - interval '7 days'
     OR (proved_at IS NULL AND created_at <= now() - interval '1 hour')
  LIMIT $1 FOR UPDATE SKIP LOCKED
)
"""

CLOSE_LETTERS = """
UPDATE letter SET state = 'closed', closed_at = closes_at, revision = revision + 1
WHERE state = 'open' AND closes_at <= now()
"""

# The revision moves so that every web process forgets the key as well.
DESTROY_DIGEST_KEYS = """
UPDATE letter SET wrapped_digest_key = NULL, revision = revision + 1
WHERE wrapped_digest_key IS NOT NULL AND state IN ('closed', 'archived') AND closed_at <= now() - interval '30 days'
"""

BATCHED = {
    "pending": (DROP_EXPIRED_PENDING, DROP_LATE_PENDING),
    "contact": (DROP_CONTACTS,),
    "used_challenge": (DROP_CHALLENGES,),
    "limit_use": (DROP_LIMITS,),
    "day_key": (FORGET_NETWORKS_OF_PENDING, FORGET_NETWORKS, DROP_DAY_KEYS),
    "entry": (DROP_ENTRIES,),
    "invitation": (DROP_INVITATIONS,),
    "preview_link": (DROP_PREVIEW_LINKS,),
    "session": (DROP_SESSIONS,),
}


async def close_letters(database: Database) -> int:
    """Write down that letters past their closing time are closed; return how many."""
    return await _execute(database, CLOSE_LETTERS)


async def destroy_digest_keys(database: Database) -> int:
    """Destroy the digest keys of letters closed for 30 days: their digests mean nothing from then on."""
    return await _execute(database, DESTROY_DIGEST_KEYS)


async def drop_expired(database: Database, table: str) -> int:
    """Delete what has expired in ``table``, in batches; return how many rows. Raises ``Unavailable``."""
    total = 0
    for statement in BATCHED[table]:
        dropped = BATCH
        while dropped == BATCH:
            dropped = await _execute(database, statement, BATCH)
            total += dropped
    return total


async def _execute(database: Database, statement: str, *arguments: object) -> int:
    async with database.transaction() as conn:
        status = await conn.execute(statement, *arguments)
    return int(status.split()[-1])


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A column of wrapped keys: how to read all, and how to replace one that is still the same."""

    read: str
    replace: str


WRAPPED = (
    Wrapped(
        "SELECT id::text, wrapped_digest_key FROM letter WHERE wrapped_digest_key IS NOT NULL",
        "UPDATE letter SET wrapped_digest_key = $3 WHERE id = $1::text::integer AND wrapped_digest_key = $2",
    ),
    Wrapped(
        "SELECT id::text, wrapped_name_key FROM letter WHERE wrapped_name_key IS NOT NULL",
        "UPDATE letter SET wrapped_name_key = $3 WHERE id = $1::text::integer AND wrapped_name_key = $2",
    ),
    Wrapped(
        "SELECT one::text, wrapped_suppression_key FROM installation",
        "UPDATE installation SET wrapped_suppression_key = $3"
        " WHERE one = $1::text::boolean AND wrapped_suppression_key = $2",
    ),
    Wrapped(
        "SELECT day::text, wrapped FROM day_key",
        "UPDATE day_key SET wrapped = $3 WHERE day = $1::text::date AND wrapped = $2",
    ),
    Wrapped(
        "SELECT one::text, wrapped FROM desk_key",
        "UPDATE desk_key SET wrapped = $3 WHERE one = $1::text::boolean AND wrapped = $2",
    ),
    Wrapped(
        "SELECT organizer::text, wrapped_secret FROM totp",
        "UPDATE totp SET wrapped_secret = $3 WHERE organizer = $1::text::integer AND wrapped_secret = $2",
    ),
    Wrapped(
        "SELECT id::text, wrapped_totp FROM session WHERE wrapped_totp IS NOT NULL",
        "UPDATE session SET wrapped_totp = $3 WHERE id = $1::text::bigint AND wrapped_totp = $2",
    ),
)


async def rewrap(database: Database, secrets_newest_first: Sequence[str]) -> int:
    """Wrap every stored key under the newest ``SECRET_KEY``, so that the older ones can be dropped; return how many.

    Raises ``SettingsError`` if a key was wrapped under a secret that is not among them.
    """
    if len(secrets_newest_first) < 2:
        return 0
    newest, any_of_them = Wrapper(secrets_newest_first[:1]), Wrapper(secrets_newest_first)
    total = 0
    for column in WRAPPED:
        async with database.transaction() as conn:
            total += await _rewrap(conn, column, newest, any_of_them)
    return total


async def _rewrap(conn: Connection, column: Wrapped, newest: Wrapper, any_of_them: Wrapper) -> int:
    changed = 0
    for row, wrapped in await conn.fetch(column.read):
        if not _opens(newest, wrapped):
            await conn.execute(column.replace, row, wrapped, newest.wrap(any_of_them.unwrap(wrapped)))
            changed += 1
    return changed


def _opens(wrapper: Wrapper, wrapped: bytes) -> bool:
    try:
        wrapper.unwrap(wrapped)
    except SettingsError:
        return False
    return True
