"""All SQL of address lists encrypted to an owner's key."""

from collections.abc import Sequence
from datetime import timedelta

from petition.core.database import Connection, Record
from petition.core.ids import JobId, LetterId, OrganizerId

LONG = 3600.0  # seconds

# A key is valid only while the organizer who registered it owns the letter.
KEYS = """
SELECT k.*, k.organizer AS organizer_id, o.name AS organizer_name,
       now() >= k.usable_at AND k.revoked_at IS NULL AS usable
FROM address_key k
JOIN member m ON m.letter = k.letter AND m.organizer = k.organizer AND m.role = 'owner'
JOIN organizer o ON o.id = k.organizer
WHERE k.letter = $1 AND (k.revoked_at IS NULL OR k.revoked_at > now() - interval '30 days') ORDER BY k.id DESC LIMIT 50
"""

ADD_KEY = """
INSERT INTO address_key (letter, organizer, recipient, usable_at) VALUES ($1, $2, $3, now() + $4) RETURNING id
"""

REVOKE = "UPDATE address_key SET revoked_at = now() WHERE letter = $1 AND id = $2 AND revoked_at IS NULL"

# Lists requested and not begun: the worker skips them, and they would block further requests.
FAIL_WAITING = """
UPDATE address_job SET state = 'failed', ended_at = now() WHERE (letter, id) IN (
  SELECT letter, id FROM address_job WHERE letter = $1 AND key = $2 AND state = 'waiting' FOR UPDATE SKIP LOCKED)
"""

# Finished lists: they can no longer be downloaded.
DROP_LISTS = "DELETE FROM address_job WHERE letter = $1 AND key = $2 AND state = 'done'"

OWNERS = """
SELECT o.digest, o.sealed, o.lang FROM member m JOIN organizer o ON o.id = m.organizer
WHERE m.letter = $1 AND m.role = 'owner' ORDER BY o.id
"""

KEY_DETAILS = """
SELECT k.recipient, k.usable_at, o.name AS organizer_name, o.id AS organizer, l.slug,
       (SELECT jsonb_object_agg(t.lang, t.title) FROM translation t WHERE t.letter = l.id) AS titles
FROM address_key k JOIN letter l ON l.id = k.letter JOIN organizer o ON o.id = k.organizer
WHERE k.letter = $1 AND k.id = $2
"""

JOBS = """
SELECT j.*, j.organizer AS organizer_id, o.name AS organizer_name, k.recipient FROM address_job j
JOIN address_key k ON k.letter = j.letter AND k.id = j.key LEFT JOIN organizer o ON o.id = j.organizer
WHERE j.letter = $1 AND (k.revoked_at IS NULL OR j.state = 'failed') ORDER BY j.id DESC LIMIT 50
"""

# Only for a usable key, and one list at a time.
ADD_JOB = """
INSERT INTO address_job (letter, key, organizer)
SELECT k.letter, k.id, $3 FROM address_key k
JOIN member m ON m.letter = k.letter AND m.organizer = k.organizer AND m.role = 'owner'
WHERE k.letter = $1 AND k.id = $2 AND k.revoked_at IS NULL AND k.usable_at <= now()
  AND NOT EXISTS (SELECT FROM address_job w WHERE w.letter = k.letter AND w.state = 'waiting')
RETURNING id
"""

NEXT_JOB = """
SELECT j.letter, j.id, j.organizer, k.recipient, EXISTS (
  SELECT FROM member m WHERE m.letter = k.letter AND m.organizer = k.organizer AND m.role = 'owner') AS has_owner
FROM address_job j JOIN address_key k ON k.letter = j.letter AND k.id = j.key
WHERE j.state = 'waiting' AND k.revoked_at IS NULL ORDER BY j.id LIMIT 1 FOR UPDATE OF j SKIP LOCKED
"""

CONTACTS = """
SELECT c.signature, c.sealed, s.mail_lang, s.signed_at FROM contact c
JOIN signature s ON s.letter = c.letter AND s.id = c.signature
WHERE c.letter = $1 AND c.signature > $2 AND c.purpose = 'updates' AND (c.until IS NULL OR c.until > now())
  AND s.state = 'confirmed'
ORDER BY c.signature LIMIT $3
"""

SUPPRESSED = "SELECT digest FROM suppressed WHERE digest = ANY($1::bytea[])"

ADD_PART = "INSERT INTO address_part (letter, job, part, bytes) VALUES ($1, $2, $3, $4)"

# A download that runs when the key is revoked ends there.
PART = """
SELECT p.bytes FROM address_part p JOIN address_job j ON j.letter = p.letter AND j.id = p.job
JOIN address_key k ON k.letter = j.letter AND k.id = j.key
WHERE p.letter = $1 AND p.job = $2 AND p.part = $3 AND k.revoked_at IS NULL
"""

FINISH = "UPDATE address_job SET state = $3, addresses = $4, ended_at = now() WHERE letter = $1 AND id = $2"

JOB_STATE = """
SELECT j.state FROM address_job j JOIN address_key k ON k.letter = j.letter AND k.id = j.key
JOIN member m ON m.letter = k.letter AND m.organizer = k.organizer AND m.role = 'owner'
WHERE j.letter = $1 AND j.id = $2 AND k.revoked_at IS NULL
"""

# A list made while its key was being revoked is deleted here.
DROP_EXPIRED = """
DELETE FROM address_job j USING address_key k WHERE k.letter = j.letter AND k.id = j.key
  AND (j.created_at < now() - interval '7 days' OR (j.state = 'done' AND k.revoked_at IS NOT NULL))
"""


async def load_keys(conn: Connection, letter_id: LetterId) -> list[Record]:
    """Return the keys of a letter's owners, including those revoked in the last 30 days."""
    return await conn.fetch(KEYS, letter_id)


async def add_key(
    conn: Connection, letter_id: LetterId, organizer_id: OrganizerId | None, recipient: str, wait: timedelta
) -> int:
    """Add a key that can be used after ``wait``; return its id."""
    return int(await conn.fetchval(ADD_KEY, letter_id, organizer_id, recipient, wait))


async def revoke(conn: Connection, letter_id: LetterId, key_id: int) -> bool:
    """Revoke a key and its lists, finished or requested; return False if it was revoked before."""
    revoked = (await conn.execute(REVOKE, letter_id, key_id)).endswith(" 1")
    if revoked:
        await conn.execute(FAIL_WAITING, letter_id, key_id)
        await conn.execute(DROP_LISTS, letter_id, key_id, timeout=LONG)
    return revoked


async def load_owners(conn: Connection, letter_id: LetterId) -> list[Record]:
    """Return digest, sealed address and language of every owner."""
    return await conn.fetch(OWNERS, letter_id)


async def load_key_details(conn: Connection, letter_id: LetterId, key_id: int) -> Record | None:
    """Return the details of a key that its mail shows."""
    return await conn.fetchrow(KEY_DETAILS, letter_id, key_id)


async def load_jobs(conn: Connection, letter_id: LetterId) -> list[Record]:
    """Return the newest 50 lists."""
    return await conn.fetch(JOBS, letter_id)


async def add_job(conn: Connection, letter_id: LetterId, key_id: int, organizer_id: OrganizerId | None) -> JobId | None:
    """Request a list; return its id, or None if the key is not usable or another list waits."""
    job_id: JobId | None = await conn.fetchval(ADD_JOB, letter_id, key_id, organizer_id)
    return job_id


async def lock_next_job(conn: Connection) -> Record | None:
    """Return a list that waits to be made, locked; ``has_owner``: does the key's organizer still own the letter?"""
    return await conn.fetchrow(NEXT_JOB)


async def load_contacts(conn: Connection, letter_id: LetterId, after: int, limit: int) -> list[Record]:
    """Return signatories who asked for updates, by id of the signature, from behind ``after`` on."""
    return await conn.fetch(CONTACTS, letter_id, after, limit, timeout=LONG)


async def load_suppressed(conn: Connection, digests: Sequence[bytes]) -> set[bytes]:
    """Return the digests of suppressed addresses among ``digests``."""
    return {row["digest"] for row in await conn.fetch(SUPPRESSED, digests)}


async def add_part(conn: Connection, letter_id: LetterId, job_id: JobId, part: int, content: bytes) -> None:
    await conn.execute(ADD_PART, letter_id, job_id, part, content, timeout=LONG)


async def load_part(conn: Connection, letter_id: LetterId, job_id: JobId, number: int) -> bytes | None:
    """Return a piece of ciphertext; None after the last one, or if the key was revoked."""
    content: bytes | None = await conn.fetchval(PART, letter_id, job_id, number)
    return content


async def finish(conn: Connection, letter_id: LetterId, job_id: JobId, state: str, addresses: int | None) -> None:
    """Store whether a list is ``done`` or ``failed``."""
    await conn.execute(FINISH, letter_id, job_id, state, addresses)


async def load_state(conn: Connection, letter_id: LetterId, job_id: JobId) -> str | None:
    """Return the state of a list; None if there is none, its key was revoked, or the key's organizer owns no more."""
    state: str | None = await conn.fetchval(JOB_STATE, letter_id, job_id)
    return state


async def drop_expired(conn: Connection) -> int:
    """Delete lists older than a week, or of a revoked key; return how many."""
    return int((await conn.execute(DROP_EXPIRED, timeout=LONG)).split()[-1])
