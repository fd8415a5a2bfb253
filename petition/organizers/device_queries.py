"""All SQL of remembered devices: browsers in which an organizer has signed in."""

from datetime import timedelta

from petition.core.database import Connection
from petition.core.ids import OrganizerId

ADD = """
INSERT INTO remembered_device (digest, organizer, session, expires_at)
SELECT $1, $2, $3, now() + $4::interval WHERE NOT EXISTS (
  SELECT FROM remembered_device WHERE organizer = $2 AND session = $3
) RETURNING digest
"""

DROP_OLDEST = """
DELETE FROM remembered_device WHERE digest IN (
  SELECT digest FROM remembered_device WHERE organizer = $1 ORDER BY expires_at DESC, digest OFFSET $2
)
"""

ADOPT = """
UPDATE remembered_device SET session = $3, expires_at = now() + $4::interval
WHERE digest = $1 AND organizer = $2 AND expires_at > now() RETURNING digest
"""

KNOWS = """
SELECT EXISTS (
  SELECT FROM remembered_device d JOIN organizer o ON o.id = d.organizer
  WHERE d.digest = $1 AND o.digest = $2 AND d.expires_at > now()
)
"""

OF_SESSION = """
SELECT digest FROM remembered_device WHERE organizer = $1 AND session = $2 AND expires_at > now() LIMIT 1
"""

OTHERS = "SELECT count(*) FROM remembered_device WHERE organizer = $1 AND session <> $2 AND expires_at > now()"

FORGET = "DELETE FROM remembered_device WHERE organizer = $1 AND session = $2"

FORGET_OTHERS = "DELETE FROM remembered_device WHERE organizer = $1 AND session <> $2"


async def add(
    conn: Connection, digest: bytes, organizer_id: OrganizerId, session_id: int, length: timedelta, limit: int
) -> bool:
    """Remember the browser of a session unless it is; an organizer has ``limit``. Return whether it was added."""
    if await conn.fetchval(ADD, digest, organizer_id, session_id, length) is None:
        return False
    await conn.execute(DROP_OLDEST, organizer_id, limit)
    return True


async def adopt(conn: Connection, digest: bytes, organizer_id: OrganizerId, session_id: int, length: timedelta) -> bool:
    """Let a device of the organizer's belong to a new session; return whether it is one."""
    return await conn.fetchval(ADOPT, digest, organizer_id, session_id, length) is not None


async def knows(conn: Connection, digest: bytes, mailbox: bytes) -> bool:
    """Return whether the organizer with this mailbox has signed in from the device."""
    return bool(await conn.fetchval(KNOWS, digest, mailbox))


async def of_session(conn: Connection, organizer_id: OrganizerId, session_id: int) -> bytes | None:
    """Return the digest of the device that a session runs in, if it is remembered."""
    digest: bytes | None = await conn.fetchval(OF_SESSION, organizer_id, session_id)
    return digest


async def others(conn: Connection, organizer_id: OrganizerId, session_id: int) -> int:
    """Return how many devices are remembered beside that of a session."""
    return int(await conn.fetchval(OTHERS, organizer_id, session_id))


async def forget(conn: Connection, organizer_id: OrganizerId, session_id: int) -> None:
    """Forget the device of a session."""
    await conn.execute(FORGET, organizer_id, session_id)


async def forget_others(conn: Connection, organizer_id: OrganizerId, session_id: int) -> None:
    """Forget every device of an organizer but that of a session (0: all of them)."""
    await conn.execute(FORGET_OTHERS, organizer_id, session_id)
