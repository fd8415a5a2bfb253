"""All SQL of addresses that leave encrypted to an owner's own key."""

from collections.abc import Sequence
from datetime import timedelta

from petition.core.database import Connection, Record
from petition.core.ids import JobId, LetterId, OrganizerId

LONG = 3600.0  # seconds

# A key counts only as long as whoever registered it owns the letter.
KEYS = """
SELECT k.*, k.organizer AS organizer_id, o.name AS who, now() >= k.usable_at AND k.revoked_at IS NULL AS usable
FROM address_key k
JOIN member m ON m.letter = k.letter AND m.organizer = k.organizer AND m.role = 'owner'
JOIN organizer o ON o.id = k.organizer
WHERE k.letter = $1 AND (k.revoked_at IS NULL OR k.revoked_at > now() - interval '30 days') ORDER BY k.id DESC LIMIT 50
"""

ADD_KEY = """
INSERT INTO address_key (letter, organizer, recipient, usable_at) VALUES ($1, $2, $3, now() + $4) RETURNING id
"""

REVOKE = "UPDATE address_key SET revoked_at = now() WHERE letter = $1 AND id = $2 AND revoked_at IS NULL"

# What was asked for and not begun: the worker passes it over, and nobody could ask for another list meanwhile.
FAIL_WAITING = """
UPDATE address_job SET state = 'failed', ended_at = now() WHERE (letter, id) IN (
  SELECT letter, id FROM address_job WHERE letter = $1 AND key = $2 AND state = 'waiting' FOR UPDATE SKIP LOCKED)
"""

# What was made for it: nobody is to take it any more.
DROP_LISTS = "DELETE FROM address_job WHERE letter = $1 AND key = $2 AND state = 'done'"

OWNERS = """
SELECT o.digest, o.sealed, o.lang FROM member m JOIN organizer o ON o.id = m.organizer
WHERE m.letter = $1 AND m.role = 'owner' ORDER BY o.id
"""

ABOUT_KEY = """
SELECT k.recipient, k.usable_at, o.name AS who, o.id AS organizer, l.slug,
       (SELECT jsonb_object_agg(t.lang, t.title) FROM translation t WHERE t.letter = l.id) AS titles
FROM address_key k JOIN letter l ON l.id = k.letter JOIN organizer o ON o.id = k.organizer
WHERE k.letter = $1 AND k.id = $2
"""

JOBS = """
SELECT j.*, j.organizer AS organizer_id, o.name AS who, k.recipient FROM address_job j
JOIN address_key k ON k.letter = j.letter AND k.id = j.key LEFT JOIN organizer o ON o.id = j.organizer
WHERE j.letter = $1 AND (k.revoked_at IS NULL OR j.state = 'failed') ORDER BY j.id DESC LIMIT 50
"""

# Only to a key whose time has come, and one list at a time.
ASK = """
INSERT INTO address_job (letter, key, organizer)
SELECT k.letter, k.id, $3 FROM address_key k
JOIN member m ON m.letter = k.letter AND m.organizer = k.organizer AND m.role = 'owner'
WHERE k.letter = $1 AND k.id = $2 AND k.revoked_at IS NULL AND k.usable_at <= now()
  AND NOT EXISTS (SELECT FROM address_job w WHERE w.letter = k.letter AND w.state = 'waiting')
RETURNING id
"""

TAKE = """
SELECT j.letter, j.id, j.organizer, k.recipient FROM address_job j
JOIN address_key k ON k.letter = j.letter AND k.id = j.key
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

# Whoever downloads while the key is revoked gets no more of it.
PART = """
SELECT p.bytes FROM address_part p JOIN address_job j ON j.letter = p.letter AND j.id = p.job
JOIN address_key k ON k.letter = j.letter AND k.id = j.key
WHERE p.letter = $1 AND p.job = $2 AND p.part = $3 AND k.revoked_at IS NULL
"""

MADE = "UPDATE address_job SET state = $3, addresses = $4, ended_at = now() WHERE letter = $1 AND id = $2"

ONE_JOB = """
SELECT j.state FROM address_job j JOIN address_key k ON k.letter = j.letter AND k.id = j.key
WHERE j.letter = $1 AND j.id = $2 AND k.revoked_at IS NULL
"""

# A list that was being made while its key was revoked goes here.
FORGET = """
DELETE FROM address_job j USING address_key k WHERE k.letter = j.letter AND k.id = j.key
  AND (j.created_at < now() - interval '7 days' OR (j.state = 'done' AND k.revoked_at IS NOT NULL))
"""


async def keys(conn: Connection, letter_id: LetterId) -> list[Record]:
    """Return the keys of a letter's owners, those revoked lately too."""
    return await conn.fetch(KEYS, letter_id)


async def add_key(
    conn: Connection, letter_id: LetterId, organizer_id: OrganizerId | None, recipient: str, wait: timedelta
) -> int:
    """Add a key that can be used after ``wait``; return its id."""
    added: int = await conn.fetchval(ADD_KEY, letter_id, organizer_id, recipient, wait)
    return added


async def revoke(conn: Connection, letter_id: LetterId, key: int) -> bool:
    """Revoke a key, and with it the lists made and asked for; tell whether it was not revoked yet."""
    revoked = (await conn.execute(REVOKE, letter_id, key)).endswith(" 1")
    if revoked:
        await conn.execute(FAIL_WAITING, letter_id, key)
        await conn.execute(DROP_LISTS, letter_id, key, timeout=LONG)
    return revoked


async def owners(conn: Connection, letter_id: LetterId) -> list[Record]:
    """Return digest, sealed address and language of every owner."""
    return await conn.fetch(OWNERS, letter_id)


async def about_key(conn: Connection, letter_id: LetterId, key: int) -> Record | None:
    """Return what a mail tells of a key."""
    return await conn.fetchrow(ABOUT_KEY, letter_id, key)


async def jobs(conn: Connection, letter_id: LetterId) -> list[Record]:
    """Return the newest lists of addresses."""
    return await conn.fetch(JOBS, letter_id)


async def ask(conn: Connection, letter_id: LetterId, key: int, organizer_id: OrganizerId | None) -> JobId | None:
    """Ask for a list; return its id, or None if the key cannot be used or another list waits."""
    added: JobId | None = await conn.fetchval(ASK, letter_id, key, organizer_id)
    return added


async def take(conn: Connection) -> Record | None:
    """Return a list that waits to be made, locked."""
    return await conn.fetchrow(TAKE)


async def contacts(conn: Connection, letter_id: LetterId, after: int, limit: int) -> list[Record]:
    """Return who wants updates, by id of the signature, from behind ``after`` on."""
    return await conn.fetch(CONTACTS, letter_id, after, limit, timeout=LONG)


async def suppressed(conn: Connection, digests: Sequence[bytes]) -> set[bytes]:
    """Return those that never want mail again."""
    return {row["digest"] for row in await conn.fetch(SUPPRESSED, digests)}


async def add_part(conn: Connection, letter_id: LetterId, job_id: JobId, part: int, content: bytes) -> None:
    """Keep a piece of ciphertext."""
    await conn.execute(ADD_PART, letter_id, job_id, part, content, timeout=LONG)


async def part(conn: Connection, letter_id: LetterId, job_id: JobId, number: int) -> bytes | None:
    """Return a piece of ciphertext."""
    found: bytes | None = await conn.fetchval(PART, letter_id, job_id, number)
    return found


async def made(conn: Connection, letter_id: LetterId, job_id: JobId, state: str, addresses: int | None) -> None:
    """Say that a list has been made, or cannot be."""
    await conn.execute(MADE, letter_id, job_id, state, addresses)


async def state(conn: Connection, letter_id: LetterId, job_id: JobId) -> str | None:
    """Return where a list stands; None if there is none, or its key was revoked."""
    found: str | None = await conn.fetchval(ONE_JOB, letter_id, job_id)
    return found


async def forget(conn: Connection) -> int:
    """Delete lists that are older than a week, or whose key was revoked; return how many."""
    return int((await conn.execute(FORGET, timeout=LONG)).split()[-1])
