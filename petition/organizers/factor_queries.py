"""All SQL of second factors: codes from an app, passkeys, recovery codes, and challenges waiting for an answer."""

from collections.abc import Sequence

from petition.core.database import Connection, Record
from petition.core.ids import OrganizerId, SessionId

# Serializes changes of one organizer's factors.
LOCK = "SELECT id FROM organizer WHERE id = $1 FOR NO KEY UPDATE"

SET_BEGUN = "UPDATE session SET wrapped_totp = $2 WHERE id = $1"

BEGUN = "SELECT wrapped_totp FROM session WHERE id = $1"

SET_TOTP = """
INSERT INTO totp (organizer, wrapped_secret, last_step) VALUES ($1, $2, $3)
ON CONFLICT (organizer) DO UPDATE
SET wrapped_secret = excluded.wrapped_secret, last_step = excluded.last_step, since = now()
"""

TOTP = "SELECT wrapped_secret, since FROM totp WHERE organizer = $1"

# A code passes once, and none older than one that has passed.
USE_STEP = "UPDATE totp SET last_step = $2 WHERE organizer = $1 AND last_step < $2 RETURNING organizer"

DROP_TOTP = "DELETE FROM totp WHERE organizer = $1 RETURNING organizer"

SET_CHALLENGE = "UPDATE session SET challenge = $2, challenged_at = now() WHERE id = $1"

TAKE_CHALLENGE = """
WITH old AS (SELECT id, challenge, challenged_at FROM session WHERE id = $1 FOR UPDATE)
UPDATE session s SET challenge = NULL, challenged_at = NULL FROM old WHERE s.id = old.id
RETURNING CASE WHEN old.challenged_at > now() - interval '5 minutes' THEN old.challenge END
"""

ADD_PASSKEY = """
INSERT INTO passkey (id, organizer, public_key, uses, browser) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT DO NOTHING RETURNING id
"""

PASSKEYS = "SELECT id, public_key, uses, browser, since, used_at FROM passkey WHERE organizer = $1 ORDER BY since, id"

USE_PASSKEY = """
UPDATE passkey SET uses = $3, used_at = now() WHERE id = $1 AND organizer = $2 AND (uses < $3 OR $3 = 0) RETURNING id
"""

DROP_PASSKEY = "DELETE FROM passkey WHERE organizer = $1 AND id = $2 RETURNING id"

DROP_PASSKEYS = "DELETE FROM passkey WHERE organizer = $1"

FACTORS = """
SELECT (SELECT count(*) FROM totp WHERE organizer = $1) + (SELECT count(*) FROM passkey WHERE organizer = $1)
"""

DROP_CODES = "DELETE FROM recovery_code WHERE organizer = $1"

ADD_CODES = "INSERT INTO recovery_code (organizer, digest, salt) SELECT $1, unnest($2::bytea[]), $3"

USE_CODE = "DELETE FROM recovery_code WHERE organizer = $1 AND digest = ANY($2::bytea[]) RETURNING organizer"

SALTS = "SELECT DISTINCT salt FROM recovery_code WHERE organizer = $1"

# Codes that an older version stored; ten to an organizer.
UNHASHED_CODES = "SELECT organizer, digest FROM recovery_code WHERE salt IS NULL ORDER BY organizer LIMIT 500"

# Compare-and-set: a code may be used, or all of them replaced, while they are being hashed.
HASH_CODES = """
UPDATE recovery_code c SET digest = u.new, salt = $4
FROM unnest($2::bytea[], $3::bytea[]) AS u (old, new)
WHERE c.organizer = $1 AND c.digest = u.old AND c.salt IS NULL RETURNING c.organizer
"""

CODES = "SELECT count(*) FROM recovery_code WHERE organizer = $1"


async def drop_all(conn: Connection, organizer_id: OrganizerId) -> None:
    """Delete every second factor of an organizer, and the recovery codes."""
    for statement in (DROP_TOTP, DROP_PASSKEYS, DROP_CODES):
        await conn.execute(statement, organizer_id)


async def lock(conn: Connection, organizer_id: OrganizerId) -> None:
    """Lock this organizer's factors until the transaction ends."""
    await conn.execute(LOCK, organizer_id)


async def set_new_secret(conn: Connection, session_id: SessionId, wrapped: bytes | None) -> None:
    """Keep the secret that a session is setting up; it goes with the session."""
    await conn.execute(SET_BEGUN, session_id, wrapped)


async def new_secret(conn: Connection, session_id: SessionId) -> bytes | None:
    """Return the wrapped secret that a session is setting up."""
    wrapped: bytes | None = await conn.fetchval(BEGUN, session_id)
    return wrapped


async def set_totp(conn: Connection, organizer_id: OrganizerId, wrapped: bytes, step: int) -> None:
    """Make a wrapped secret the organizer's; the code of ``step`` has just passed."""
    await conn.execute(SET_TOTP, organizer_id, wrapped, step)


async def totp(conn: Connection, organizer_id: OrganizerId) -> Record | None:
    """Return the organizer's wrapped secret and since when."""
    return await conn.fetchrow(TOTP, organizer_id)


async def pass_step(conn: Connection, organizer_id: OrganizerId, step: int) -> bool:
    """Let the code of ``step`` pass; tell whether neither it nor a later one had."""
    return await conn.fetchval(USE_STEP, organizer_id, step) is not None


async def drop_totp(conn: Connection, organizer_id: OrganizerId) -> bool:
    """Delete the organizer's secret; tell whether there was one."""
    return await conn.fetchval(DROP_TOTP, organizer_id) is not None


async def set_challenge(conn: Connection, session_id: SessionId, challenge: bytes) -> None:
    """Store the challenge that a session's browser has to answer, in place of an earlier one."""
    await conn.execute(SET_CHALLENGE, session_id, challenge)


async def take_challenge(conn: Connection, session_id: SessionId) -> bytes | None:
    """Use up and return a session's challenge; None if there is none or it is older than five minutes."""
    challenge: bytes | None = await conn.fetchval(TAKE_CHALLENGE, session_id)
    return challenge


async def add_passkey(
    conn: Connection, organizer_id: OrganizerId, number: bytes, public_key: bytes, uses: int, browser: str
) -> bool:
    """Add a passkey; return whether it is new to this installation."""
    return await conn.fetchval(ADD_PASSKEY, number, organizer_id, public_key, uses, browser) is not None


async def passkeys(conn: Connection, organizer_id: OrganizerId) -> list[Record]:
    """Return the organizer's passkeys, the oldest first."""
    return await conn.fetch(PASSKEYS, organizer_id)


async def use_passkey(conn: Connection, organizer_id: OrganizerId, number: bytes, uses: int) -> bool:
    """Note that a passkey was used; tell whether its counter had moved on (or it has none)."""
    return await conn.fetchval(USE_PASSKEY, number, organizer_id, uses) is not None


async def drop_passkey(conn: Connection, organizer_id: OrganizerId, number: bytes) -> bool:
    """Delete a passkey; tell whether there was one."""
    return await conn.fetchval(DROP_PASSKEY, organizer_id, number) is not None


async def factors(conn: Connection, organizer_id: OrganizerId) -> int:
    """Return how many second factors an organizer has, recovery codes aside."""
    return int(await conn.fetchval(FACTORS, organizer_id))


async def set_codes(conn: Connection, organizer_id: OrganizerId, hashes: Sequence[bytes], salt: bytes) -> None:
    """Replace the organizer's recovery codes."""
    await conn.execute(DROP_CODES, organizer_id)
    await conn.execute(ADD_CODES, organizer_id, hashes, salt)


async def salts(conn: Connection, organizer_id: OrganizerId) -> list[bytes | None]:
    """Return the salts of the organizer's recovery codes, usually one; None stands for codes not hashed yet."""
    return [row["salt"] for row in await conn.fetch(SALTS, organizer_id)]


async def use_code(conn: Connection, organizer_id: OrganizerId, forms: Sequence[bytes]) -> bool:
    """Use up the recovery code that is stored in one of these forms; return whether there was one."""
    return await conn.fetchval(USE_CODE, organizer_id, forms) is not None


async def unhashed_codes(conn: Connection) -> list[Record]:
    """Return up to 500 codes (organizer, digest) that an older version stored under the desk's key only."""
    return await conn.fetch(UNHASHED_CODES)


async def hash_codes(
    conn: Connection, organizer_id: OrganizerId, old: Sequence[bytes], new: Sequence[bytes], salt: bytes
) -> int:
    """Replace stored digests by their hashes, pair by pair; return how many were still there."""
    return len(await conn.fetch(HASH_CODES, organizer_id, old, new, salt))


async def codes(conn: Connection, organizer_id: OrganizerId) -> int:
    """Return how many recovery codes are left."""
    return int(await conn.fetchval(CODES, organizer_id))
