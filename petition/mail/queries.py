"""All SQL of mail: the outbox, what decides which mail goes out, and who never wants one again."""

from collections.abc import Sequence
from datetime import timedelta

from petition.core.database import Connection, Record
from petition.core.ids import JobId
from petition.mail.model import MailboxNote, MailJob, Purpose

Contact = tuple[int, int, str]  # letter, signature, purpose

# While a job is leased, due_at is when the lease ends: a worker that dies leaves nothing to clean up. Mail in bulk
# (priority 1) is leased by itself, so that any amount of it costs the other mail nothing.
LEASE = """
WITH urgent AS MATERIALIZED (
  SELECT id FROM outbox WHERE priority = 0 AND due_at <= now() ORDER BY due_at, id LIMIT $1 FOR UPDATE SKIP LOCKED
), bulk AS MATERIALIZED (
  SELECT id FROM outbox WHERE priority = 1 AND due_at <= now() ORDER BY due_at, id LIMIT $4 FOR UPDATE SKIP LOCKED
)
UPDATE outbox o SET lease = $2, due_at = now() + $3::interval
FROM (SELECT id FROM urgent UNION ALL SELECT id FROM bulk) AS due WHERE o.id = due.id
RETURNING o.id, o.letter, o.purpose, o.pending, o.digest, o.sealed, o.lang, o.attempts, o.lease, o.created_at,
          o.details, o.priority, o.relay
"""

EXTEND = "UPDATE outbox SET due_at = now() + $3::interval WHERE id = $1 AND lease = $2 RETURNING id"

# A row that is locked is just being settled; waiting for it could be a deadlock.
RENEW = """
WITH mine AS (
  SELECT o.id FROM outbox o, unnest($1::bigint[], $2::bigint[]) AS u (id, lease)
  WHERE o.id = u.id AND o.lease = u.lease FOR UPDATE OF o SKIP LOCKED
)
UPDATE outbox o SET due_at = now() + $3::interval FROM mine WHERE o.id = mine.id RETURNING o.id
"""

RELEASE = """
UPDATE outbox o SET due_at = now() + $3::interval, lease = NULL
FROM unnest($1::bigint[], $2::bigint[]) AS u (id, lease) WHERE o.id = u.id AND o.lease = u.lease
"""

DONE = "DELETE FROM outbox WHERE id = ANY($1::bigint[])"

REFUSED = """
WITH gone AS (DELETE FROM outbox WHERE id = $1 RETURNING letter)
INSERT INTO refused_mail (letter, code, job) SELECT letter, $2::smallint, $1 FROM gone WHERE letter IS NOT NULL
"""

# Given up if the next attempt would come later than $4 after the job was written.
# Code 0: not refused, yet never accepted.
RETRY = """
WITH mine AS (
  SELECT id, created_at <= now() + $3::interval - $4::interval AS old
  FROM outbox WHERE id = $1 AND lease = $2 FOR UPDATE
), gone AS (
  DELETE FROM outbox o USING mine WHERE o.id = mine.id AND mine.old RETURNING o.letter
), given_up AS (
  INSERT INTO refused_mail (letter, code, job) SELECT letter, 0, $1 FROM gone WHERE letter IS NOT NULL
), later AS (
  UPDATE outbox o SET attempts = attempts + 1, due_at = now() + $3::interval, lease = NULL, relay = $5
  FROM mine WHERE o.id = mine.id AND NOT mine.old RETURNING o.id
)
SELECT EXISTS (SELECT FROM gone)
"""

SIGN_FACTS = """
SELECT u.job, p.id, p.sealed, p.kind, p.fields, p.signals,
       l.takes_confirmations AND p.created_at > now() - interval '7 days' AS confirmable,
       p.created_at > now() - interval '24 hours' AS code_works,
       EXISTS (SELECT FROM bar b WHERE b.letter = l.id AND b.digest = u.digest) AS barred,
       s.id AS signature, s.state, s.name, s.private, o.name_en, o.name_ru
FROM unnest($1::bigint[], $2::integer[], $3::bigint[], $4::bytea[]) AS u (job, letter, pending, digest)
JOIN letter l ON l.id = u.letter
JOIN pending p ON p.letter = l.id AND p.id = u.pending
LEFT JOIN signature s ON s.letter = l.id AND s.kind = p.kind AND s.digest = u.digest
LEFT JOIN organization o ON o.letter = s.letter AND o.id = s.organization
"""

# Both kinds are named so that the unique index is used whole.
SIGNATURES = """
SELECT s.id, s.kind, s.name, s.private, o.name_en, o.name_ru
FROM signature s LEFT JOIN organization o ON o.letter = s.letter AND o.id = s.organization
WHERE s.letter = $1 AND s.kind IN ('person', 'organization') AND s.digest = $2 AND s.state <> 'withdrawn'
ORDER BY s.kind
"""

NEWEST_PENDING = """
SELECT p.id, p.kind, p.fields, p.created_at > now() - interval '24 hours' AS code_works
FROM pending p JOIN letter l ON l.id = p.letter
WHERE p.letter = $1 AND p.digest = $2 AND p.created_at > now() - interval '7 days' AND l.takes_confirmations
  AND NOT EXISTS (SELECT FROM bar b WHERE b.letter = p.letter AND b.digest = p.digest)
ORDER BY p.created_at DESC, p.id DESC LIMIT 1
"""

# Once: another mail with the same link must not count the mailbox on another day. Asked in a way of which the planner
# has no statistics: where nearly all are noted it expects one that is not, and compares all that wait with each note.
NOTE_MAILBOXES = """
UPDATE pending p SET domain = CASE WHEN n.is_trusted THEN NULL ELSE n.domain END,
       mail_host = CASE WHEN n.is_trusted THEN NULL ELSE n.mail_host END, provider = n.provider
FROM (
  SELECT u.*, EXISTS (SELECT FROM unnest($6::bigint[], $7::bytea[]) AS v (pending, digest)
                      JOIN trusted_domain t ON t.letter = u.letter AND t.digest = v.digest
                      WHERE v.pending = u.pending) AS is_trusted
  FROM unnest($1::integer[], $2::bigint[], $3::bytea[], $4::bytea[], $5::text[])
    AS u (letter, pending, domain, mail_host, provider)
) AS n
WHERE p.letter = n.letter AND p.id = n.pending AND CASE WHEN p.provider IS NULL THEN true ELSE false END
"""

SUPPRESSION_KEY = "SELECT wrapped_suppression_key FROM installation"

ADD_SUPPRESSION_KEY = "INSERT INTO installation (wrapped_suppression_key) VALUES ($1) ON CONFLICT DO NOTHING"

# A mailbox that bounced gets no mail of that letter; what was just asked for waits for a pause only.
SUPPRESSED = """
SELECT u.job FROM unnest($1::bigint[], $2::bytea[], $3::integer[], $4::bytea[], $5::boolean[])
  AS u (job, never, letter, digest, is_asked_for)
WHERE EXISTS (SELECT FROM suppressed s WHERE s.digest = u.never)
   OR EXISTS (SELECT FROM bounced_mailbox b
              WHERE b.letter = u.letter AND b.digest = u.digest AND (NOT u.is_asked_for OR b.paused_until > now()))
"""

# A mailbox may be suppressed while a confirmation is still open for a week, and confirming stores an address: so each
# digest is searched for once at once, and then once a day for eight days.
UNSWEPT = """
SELECT digest FROM suppressed
WHERE swept_at IS NULL OR since > now() - interval '8 days' AND swept_at < now() - interval '1 day'
ORDER BY since LIMIT 10000
"""

SWEPT = "UPDATE suppressed SET swept_at = now() WHERE digest = ANY($1::bytea[])"

CONTACTS = """
SELECT letter, signature, purpose, sealed FROM contact
WHERE (letter, signature, purpose) > ($1::integer, $2::bigint, $3::text) ORDER BY letter, signature, purpose LIMIT $4
"""

DROP_CONTACTS = """
DELETE FROM contact c USING unnest($1::integer[], $2::bigint[], $3::text[]) AS u (letter, signature, purpose)
WHERE c.letter = u.letter AND c.signature = u.signature AND c.purpose = u.purpose
"""


async def lease(
    conn: Connection, limit: int, lease_number: int, length: timedelta, limit_in_bulk: int = 0
) -> list[MailJob]:
    """Lease up to ``limit`` due jobs and ``limit_in_bulk`` of those in bulk, the longest due first, exclusively.

    Those that have failed come last: a mail that no relay takes must not be the one that tries a rested relay again.
    """
    rows = await conn.fetch(LEASE, limit, lease_number, length, limit_in_bulk)
    return [_job(row) for row in sorted(rows, key=lambda row: (row["priority"], row["attempts"], row["id"]))]


async def extend(conn: Connection, job: MailJob, length: timedelta) -> bool:
    """Extend the lease to ``length`` from now; return whether this worker still held it."""
    return await conn.fetchval(EXTEND, job.id, job.lease, length) is not None


async def renew(conn: Connection, jobs: Sequence[MailJob], length: timedelta) -> list[JobId]:
    """Extend the leases of ``jobs``; return the ids of those that are still leased to this worker."""
    rows = await conn.fetch(RENEW, [job.id for job in jobs], [job.lease for job in jobs], length)
    return [JobId(row["id"]) for row in rows]


async def release(conn: Connection, jobs: Sequence[MailJob], after: timedelta = timedelta()) -> None:
    """Give leased jobs back as they were, due at once or ``after`` from now."""
    await conn.execute(RELEASE, [job.id for job in jobs], [job.lease for job in jobs], after)


async def done(conn: Connection, job_ids: Sequence[JobId]) -> None:
    """Delete jobs whose mails were accepted, or that need none.

    Whichever worker holds the lease by now: the mail must not be sent again.
    """
    await conn.execute(DONE, job_ids)


async def refused(conn: Connection, job: MailJob, code: int) -> None:
    """Delete a job that was refused for good and record the reply code, without the address."""
    await conn.execute(REFUSED, job.id, code)


async def retry(conn: Connection, job: MailJob, after: timedelta, limit: timedelta, relay: str | None = None) -> bool:
    """Make a leased job due again ``after`` from now; return whether it was given up instead, being too old by then.

    ``limit`` is how long after it was written a job may still be tried; ``relay`` is to be asked first then.
    """
    given_up: bool = await conn.fetchval(RETRY, job.id, job.lease, after, limit, relay)
    return given_up


async def sign_facts(conn: Connection, jobs: Sequence[MailJob]) -> dict[JobId, Record]:
    """Return what decides the mails of "sign" jobs; nothing for one whose pending row is gone."""
    columns = zip(*((job.id, job.letter_id, job.pending_id, job.digest) for job in jobs), strict=True)
    return {row["job"]: row for row in await conn.fetch(SIGN_FACTS, *map(list, columns))}


async def signatures(conn: Connection, job: MailJob) -> list[Record]:
    """Return every signature of the job's mailbox on its letter (id, kind, names), removed ones too."""
    return await conn.fetch(SIGNATURES, job.letter_id, job.digest)


async def newest_pending(conn: Connection, job: MailJob) -> Record | None:
    """Return the newest pending signature of the job's mailbox that can still be confirmed (id, kind, encrypted
    fields), and whether its code can.

    None if there is none, or the mailbox is barred from the letter.
    """
    return await conn.fetchrow(NEWEST_PENDING, job.letter_id, job.digest)


async def note_mailboxes(conn: Connection, notes: Sequence[MailboxNote]) -> None:
    """Note what is known of the mailboxes of pending rows; no digests where one of ``trust`` is a trusted domain's."""
    ordered = sorted(notes, key=lambda note: (note.letter_id, note.pending_id))
    rows = zip(
        *((note.letter_id, note.pending_id, note.domain, note.mail_host, note.provider) for note in ordered),
        strict=True,
    )
    trust = [(note.pending_id, digest) for note in ordered for digest in note.trust]
    pending_ids, digests = zip(*trust, strict=True) if trust else ((), ())
    await conn.execute(NOTE_MAILBOXES, *map(list, rows), list(pending_ids), list(digests))


async def suppression_key(conn: Connection) -> bytes | None:
    """Return the wrapped key of this installation's suppression digests, once there is one."""
    wrapped: bytes | None = await conn.fetchval(SUPPRESSION_KEY)
    return wrapped


async def add_suppression_key(conn: Connection, wrapped: bytes) -> None:
    """Keep a wrapped key, unless another process was first."""
    await conn.execute(ADD_SUPPRESSION_KEY, wrapped)


async def suppressed(conn: Connection, jobs: Sequence[tuple[MailJob, bytes]]) -> set[JobId]:
    """Return the jobs, each with the digest of its address, whose address asked for no mail or returned mail of their
    letter.
    """
    if not jobs:
        return set()
    asked_for = {Purpose.SIGN, Purpose.FIND}
    rows = ((job.id, digest, job.letter_id, job.digest, job.purpose in asked_for) for job, digest in jobs)
    return {row["job"] for row in await conn.fetch(SUPPRESSED, *map(list, zip(*rows, strict=True)))}


async def unswept(conn: Connection) -> list[bytes]:
    """Return the digests of suppressed mailboxes whose stored addresses are to be searched for."""
    return [row["digest"] for row in await conn.fetch(UNSWEPT)]


async def swept(conn: Connection, digests: Sequence[bytes]) -> None:
    """Record that all stored addresses have been searched for these."""
    await conn.execute(SWEPT, digests)


async def contacts(conn: Connection, after: Contact, limit: int) -> list[Record]:
    """Return up to ``limit`` stored addresses (letter, signature, purpose, sealed) after a key, in order."""
    return await conn.fetch(CONTACTS, *after, limit)


async def drop_contacts(conn: Connection, contacts: Sequence[Contact]) -> None:
    """Delete stored addresses."""
    await conn.execute(DROP_CONTACTS, *zip(*contacts, strict=True))


def _job(row: Record) -> MailJob:
    return MailJob(
        id=row["id"],
        letter_id=row["letter"],
        purpose=row["purpose"],
        pending_id=row["pending"],
        digest=row["digest"],
        sealed=row["sealed"],
        lang=row["lang"],
        attempts=row["attempts"],
        lease=row["lease"],
        created_at=row["created_at"],
        details=row["details"] or {},
        bulk=row["priority"] > 0,
        relay=row["relay"],
    )
