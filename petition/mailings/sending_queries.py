"""All SQL of the worker's side of mailings: starting, walking, leases, stamps, ending.

Locks: a claim takes the mailing, then stamps that no other holds; settling takes stamps, then the mailing, by the
trigger that moves its numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from petition.core.database import Connection, Record
from petition.core.ids import LetterId, MailingId, SignatureId
from petition.mailings.model import MAX_REFUSED, MIN_JUDGED, MIN_REFUSED, STAMP_DAYS

Key = tuple[LetterId, MailingId, SignatureId]

NOTHING_DUE = timedelta(seconds=2)  # until the mails that wait for another attempt are looked at again
START_LOCK = 1835100524  # "mail": see the trigger of contact

DUE = """
SELECT m.letter, m.id FROM mailing m JOIN news n ON n.letter = m.letter AND n.id = m.news
WHERE m.state = 'waiting' AND m.starts_at <= now() AND n.state = 'published' LIMIT 20
"""

HOLD_SUBSCRIBERS = "SELECT pg_advisory_xact_lock($1, $2)"

LOCK_WAITING = """
SELECT m.letter, m.id, m.news, m.organizer, n.shown FROM mailing m
JOIN news n ON n.letter = m.letter AND n.id = m.news
WHERE m.letter = $1 AND m.id = $2 AND m.state = 'waiting' AND n.state = 'published' FOR NO KEY UPDATE OF m
"""

# One statement, so that those counted are those who are visible in the snapshot.
START = """
UPDATE mailing m SET state = 'sending', started_at = now(), next_at = now(), texts = $3, taken = pg_current_snapshot(),
       recipients = n.number, unreached = n.number
FROM (SELECT count(*)::integer AS number FROM contact
      WHERE letter = $1 AND purpose = 'updates'
        AND was_subscriber(since, added_in, now(), pg_current_snapshot())) n
WHERE m.letter = $1 AND m.id = $2
"""

NEXT_CHUNK = """
SELECT m.letter, m.id, extract(epoch FROM m.next_at - now())::float AS wait
FROM mailing m JOIN letter l ON l.id = m.letter
WHERE m.state = 'sending' AND l.state <> 'gone' ORDER BY m.next_at LIMIT 1
"""

LOCK_READY = """
SELECT reached, walked FROM mailing
WHERE letter = $1 AND id = $2 AND state = 'sending' AND next_at <= now() FOR NO KEY UPDATE
"""

# A stamp of a worker that was killed is due when its lease ends. Its relay may have taken the mail already if it was
# begun: that mail may come twice, and is counted.
TAKE_DUE = """
WITH due AS MATERIALIZED (
  SELECT signature, begun FROM mailing_stamp
  WHERE letter = $1 AND mailing = $2 AND state = 'in_flight' AND due_at <= now()
  ORDER BY due_at LIMIT $5 FOR UPDATE SKIP LOCKED
), taken AS (
  UPDATE mailing_stamp t SET lease = $3, due_at = now() + $4::interval, begun = false
  FROM due WHERE t.letter = $1 AND t.mailing = $2 AND t.signature = due.signature RETURNING t.signature
), counted AS (
  UPDATE mailing SET repeated = repeated + (SELECT count(*) FROM due WHERE begun)
  WHERE letter = $1 AND id = $2 AND EXISTS (SELECT FROM due WHERE begun)
)
SELECT signature FROM taken
"""

WALK = """
SELECT c.signature FROM contact c JOIN mailing m ON m.letter = $1 AND m.id = $2
WHERE c.letter = $1 AND c.signature > $3 AND c.purpose = 'updates'
  AND was_subscriber(c.since, c.added_in, m.started_at, m.taken)
ORDER BY c.signature LIMIT $4
"""

# Those of a chunk whose mailbox is mailed already, under an earlier signature: it signed as a person and for an
# organization, and gets one mail.
SECONDS = """
SELECT s.id FROM signature s JOIN mailing m ON m.letter = $1 AND m.id = $2
WHERE s.letter = $1 AND s.id = ANY($3::bigint[]) AND EXISTS (
  SELECT FROM signature o
  LEFT JOIN mailing_stamp t ON t.letter = o.letter AND t.mailing = m.id AND t.signature = o.id
  LEFT JOIN contact c ON c.letter = o.letter AND c.signature = o.id AND c.purpose = 'updates'
  WHERE o.letter = s.letter AND o.kind IN ('person', 'organization') AND o.digest = s.digest AND o.id < s.id
    AND coalesce(t.state <> 'suppressed', was_subscriber(c.since, c.added_in, m.started_at, m.taken)))
"""

SUPPRESS = """
UPDATE mailing_stamp SET state = 'suppressed', lease = NULL
WHERE letter = $1 AND mailing = $2 AND signature = ANY($3::bigint[])
"""

STAMP = """
INSERT INTO mailing_stamp (letter, mailing, signature, lease, due_at)
SELECT $1, $2, u, $4, now() + $5::interval FROM unnest($3::bigint[]) AS u
"""

MOVE_ON = """
UPDATE mailing SET reached = $3, walked = $4, next_at = greatest(next_at, now() - interval '1 second') + $5::interval
WHERE letter = $1 AND id = $2
"""

# Mailboxes that returned mail of this letter are left out (docs/decisions/bounces.md).
FACTS = """
SELECT t.signature, t.attempts, t.first_at, c.sealed, s.mail_lang
FROM mailing_stamp t
JOIN contact c ON c.letter = t.letter AND c.signature = t.signature AND c.purpose = 'updates' AND c.since IS NOT NULL
JOIN signature s ON s.letter = t.letter AND s.id = t.signature
WHERE t.letter = $1 AND t.mailing = $2 AND t.signature = ANY($3::bigint[])
  AND NOT EXISTS (SELECT FROM bounced_mailbox b WHERE b.letter = s.letter AND b.digest = s.digest)
"""

MAILING = "SELECT letter, id, news, texts, started_at FROM mailing WHERE letter = $1 AND id = $2"

SUPPRESSED = "SELECT digest FROM suppressed WHERE digest = ANY($1::bytea[])"

RENEW = """
UPDATE mailing_stamp SET due_at = now() + $2::interval
WHERE (letter, mailing, signature) IN (SELECT * FROM unnest($3::integer[], $4::bigint[], $5::bigint[]))
  AND state = 'in_flight' AND lease = $1
"""

# The last look before a mail is handed over: is the mailing still to be sent, and does the recipient still want it? The
# rows of a letter that was taken down go piece by piece, its mail stops at once.
BEGIN = """
WITH asked AS (
  SELECT u.letter, u.mailing, u.signature, m.state = 'sending' AND l.state <> 'gone' AS goes,
         EXISTS (SELECT FROM contact c WHERE c.letter = u.letter AND c.signature = u.signature
                 AND c.purpose = 'updates' AND c.since IS NOT NULL) AS subscribed
  FROM unnest($2::integer[], $3::bigint[], $4::bigint[]) AS u (letter, mailing, signature)
  JOIN mailing m ON m.letter = u.letter AND m.id = u.mailing JOIN letter l ON l.id = u.letter
), begun AS (
  UPDATE mailing_stamp t SET begun = true, due_at = now() + $5::interval FROM asked a
  WHERE t.letter = a.letter AND t.mailing = a.mailing AND t.signature = a.signature AND t.state = 'in_flight'
    AND t.lease = $1 AND a.goes AND a.subscribed
  RETURNING t.letter, t.mailing, t.signature
)
SELECT a.letter, a.mailing, a.signature, a.goes, a.subscribed, b.signature IS NOT NULL AS begun
FROM asked a LEFT JOIN begun b USING (letter, mailing, signature)
"""

# An accepted mail is accepted whichever worker holds the stamp by now: it must not be sent again.
SETTLE = """
UPDATE mailing_stamp t SET state = u.state, code = u.code, attempts = t.attempts + u.failed, begun = false,
       lease = NULL, due_at = now() + u.pause
FROM unnest($2::integer[], $3::bigint[], $4::bigint[], $5::text[], $6::smallint[], $7::smallint[], $8::interval[])
  AS u (letter, mailing, signature, state, code, failed, pause)
WHERE t.letter = u.letter AND t.mailing = u.mailing AND t.signature = u.signature AND t.state = 'in_flight'
  AND (t.lease = $1 OR u.state = 'accepted')
"""

_TOO_MANY_REFUSED = f"""
accepted + refused + bounced - judged >= {MIN_JUDGED} AND refused + bounced - judged_refused >= {MIN_REFUSED}
AND refused + bounced - judged_refused > {MAX_REFUSED} * (accepted + refused + bounced - judged)
"""

# Ended, or paused by itself.
MOVE_STATE = f"""
UPDATE mailing SET state = CASE WHEN walked AND in_flight = 0 THEN 'done' ELSE 'paused' END,
       reason = CASE WHEN walked AND in_flight = 0 THEN NULL ELSE 'refusals' END,
       ended_at = CASE WHEN walked AND in_flight = 0 THEN now() END
WHERE (letter, id) IN (SELECT * FROM unnest($1::integer[], $2::bigint[])) AND state = 'sending'
  AND ((walked AND in_flight = 0) OR ({_TOO_MANY_REFUSED}))
RETURNING letter, id, news, state, recipients
"""

# Of cancelled mailings: no worker has them any more.
DROP_LEFT = """
UPDATE mailing_stamp SET state = 'suppressed', lease = NULL WHERE (letter, mailing, signature) IN (
  SELECT t.letter, t.mailing, t.signature FROM mailing m
  JOIN mailing_stamp t ON t.letter = m.letter AND t.mailing = m.id AND t.state = 'in_flight' AND t.due_at <= now()
  WHERE m.state = 'cancelled' AND m.in_flight > 0 LIMIT 5000 FOR UPDATE OF t SKIP LOCKED)
"""

DROP_STAMPS = f"""
DELETE FROM mailing_stamp WHERE (letter, mailing, signature) IN (
  SELECT t.letter, t.mailing, t.signature FROM mailing m
  JOIN mailing_stamp t ON t.letter = m.letter AND t.mailing = m.id
  WHERE m.ended_at < now() - interval '{STAMP_DAYS} days' AND m.in_flight = 0 LIMIT $1 FOR UPDATE OF t SKIP LOCKED)
"""

EDITORS = """
SELECT o.digest, o.sealed, o.lang FROM member m JOIN organizer o ON o.id = m.organizer
WHERE m.letter = $1 AND m.role IN ('owner', 'editor') ORDER BY o.id
"""


@dataclass(frozen=True, slots=True)
class Settlement:
    """What became of one stamp. ``state`` "in_flight" puts it off by ``pause``, counted if it ``failed``."""

    key: Key
    state: str
    code: int | None = None
    failed: bool = False
    pause: timedelta = timedelta()


@dataclass(frozen=True, slots=True)
class NextChunk:
    """A mailing, and in how many seconds its speed limit lets it go on."""

    key: tuple[LetterId, MailingId]
    wait: float


async def due(conn: Connection) -> list[tuple[LetterId, MailingId]]:
    """Return the mailings whose time has come."""
    return [(row["letter"], row["id"]) for row in await conn.fetch(DUE)]


async def lock_waiting(conn: Connection, letter_id: LetterId, mailing_id: MailingId) -> Record | None:
    """Lock a mailing that is to start, and let no subscriber of its letter leave before the transaction ends."""
    await conn.execute(HOLD_SUBSCRIBERS, START_LOCK, letter_id)
    return await conn.fetchrow(LOCK_WAITING, letter_id, mailing_id)


async def start(conn: Connection, letter_id: LetterId, mailing_id: MailingId, texts: object) -> None:
    """Begin a mailing with those who are subscribers now."""
    await conn.execute(START, letter_id, mailing_id, texts)


async def next_chunk(conn: Connection) -> NextChunk | None:
    """Return the mailing that has waited the longest for its next chunk, or will be the first to have waited."""
    row = await conn.fetchrow(NEXT_CHUNK)
    return None if row is None else NextChunk((row["letter"], row["id"]), row["wait"])


async def claim(
    conn: Connection, mailing: tuple[LetterId, MailingId], lease: int, length: timedelta, limit: int, pace: timedelta
) -> list[SignatureId]:
    """Lease up to ``limit`` stamps: those that are due, then new ones of the next subscribers. In one transaction.

    ``pace`` is how long a mail takes at the speed limit.
    """
    row = await conn.fetchrow(LOCK_READY, *mailing)
    if row is None:
        return []
    taken = [stamp["signature"] for stamp in await conn.fetch(TAKE_DUE, *mailing, lease, length, limit)]
    reached, walked, free = row["reached"], row["walked"], limit - len(taken)
    if not walked and free:
        new = [contact["signature"] for contact in await conn.fetch(WALK, *mailing, reached, free)]
        seconds = await _stamp(conn, mailing, new, lease, length) if new else frozenset()
        reached, walked = new[-1] if new else reached, len(new) < free
        taken += [signature_id for signature_id in new if signature_id not in seconds]
    await conn.execute(MOVE_ON, *mailing, reached, walked, pace * len(taken) if taken else NOTHING_DUE)
    return taken


async def _stamp(
    conn: Connection, mailing: tuple[LetterId, MailingId], new: Sequence[SignatureId], lease: int, length: timedelta
) -> frozenset[SignatureId]:
    """Stamp subscribers; return those that are suppressed at once, because their mailbox is mailed already."""
    seconds = [row["id"] for row in await conn.fetch(SECONDS, *mailing, new)]
    await conn.execute(STAMP, *mailing, new, lease, length)
    if seconds:
        await conn.execute(SUPPRESS, *mailing, seconds)
    return frozenset(seconds)


async def load_mailing(conn: Connection, mailing: tuple[LetterId, MailingId]) -> Record | None:
    """Return number, texts and start of a mailing."""
    return await conn.fetchrow(MAILING, *mailing)


async def facts(
    conn: Connection, mailing: tuple[LetterId, MailingId], signature_ids: Sequence[SignatureId]
) -> list[Record]:
    """Return sealed address, language and attempts of those who still are subscribers."""
    return await conn.fetch(FACTS, *mailing, list(signature_ids))


async def suppressed(conn: Connection, digests: Sequence[bytes]) -> set[bytes]:
    """Return those of ``digests`` that asked for no more mail."""
    return {row["digest"] for row in await conn.fetch(SUPPRESSED, list(digests))}


async def renew(conn: Connection, lease: int, length: timedelta, keys: Sequence[Key]) -> None:
    """Extend the leases of what this worker holds."""
    await conn.execute(RENEW, lease, length, *_columns(keys))


async def begin(conn: Connection, lease: int, length: timedelta, keys: Sequence[Key]) -> dict[Key, Record]:
    """Mark stamps as begun; return for each whether it was, the mailing goes on, and the recipient is subscribed."""
    rows = await conn.fetch(BEGIN, lease, *_columns(keys), length)
    return {(row["letter"], row["mailing"], row["signature"]): row for row in rows}


async def settle(conn: Connection, lease: int, settlements: Sequence[Settlement]) -> list[Record]:
    """Store what became of stamps; return the mailings that ended or paused themselves by it."""
    ordered = sorted(settlements, key=lambda settlement: settlement.key)
    await conn.execute(
        SETTLE,
        lease,
        *_columns([settlement.key for settlement in ordered]),
        [settlement.state for settlement in ordered],
        [settlement.code for settlement in ordered],
        [int(settlement.failed) for settlement in ordered],
        [settlement.pause for settlement in ordered],
    )
    return await move_states(conn, sorted({settlement.key[:2] for settlement in ordered}))


async def move_states(conn: Connection, mailings: Sequence[tuple[LetterId, MailingId]]) -> list[Record]:
    """End mailings that are through, pause those that are refused too often; return these."""
    return await conn.fetch(MOVE_STATE, [letter for letter, _ in mailings], [mailing for _, mailing in mailings])


async def drop_left(conn: Connection) -> int:
    """Suppress what cancelled mailings have left in flight; return how many."""
    return int((await conn.execute(DROP_LEFT)).split()[-1])


async def drop_stamps(conn: Connection, limit: int) -> int:
    """Delete up to ``limit`` stamps of mailings that ended long ago; return how many."""
    return int((await conn.execute(DROP_STAMPS, limit)).split()[-1])


async def editors(conn: Connection, letter_id: LetterId) -> list[Record]:
    """Return digest, sealed address and language of the letter's owners and editors."""
    return await conn.fetch(EDITORS, letter_id)


def _columns(keys: Sequence[Key]) -> tuple[list[LetterId], list[MailingId], list[SignatureId]]:
    letters, mailings, signatures = [], [], []
    for letter, mailing, signature in keys:
        letters.append(letter)
        mailings.append(mailing)
        signatures.append(signature)
    return letters, mailings, signatures
