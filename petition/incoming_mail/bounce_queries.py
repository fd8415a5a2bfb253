"""SQL of mail that came back."""

from datetime import date, timedelta

from petition.core.database import Connection, Record
from petition.core.ids import LetterId, SignatureId

SUPPRESS = """
INSERT INTO bounced_mailbox AS b (letter, digest, reason, paused_until)
SELECT id, $2, $3, now() + $4::interval FROM letter WHERE id = $1 AND state <> 'gone'
ON CONFLICT (letter, digest) DO UPDATE
SET reason = CASE WHEN b.reason = 'complaint' THEN b.reason ELSE excluded.reason END,
    bounced_at = now(), paused_until = greatest(b.paused_until, excluded.paused_until)
"""

DIGEST = "SELECT digest FROM signature WHERE letter = $1 AND id = $2"

# A token of a mail from before the letter was switched to the keeper. The letter is held, so that it is not switched
# meanwhile.
IS_FORMER = """
SELECT l.kept AND k.adopted_at >= $3::date AND NOT EXISTS (
  SELECT FROM signature s WHERE s.letter = l.id AND s.kind IN ('person', 'organization') AND s.digest = $2
) AND NOT EXISTS (SELECT FROM pending p WHERE p.letter = l.id AND p.digest = $2)
FROM letter l CROSS JOIN keeper k WHERE l.id = $1 FOR KEY SHARE OF l
"""

STOP_UPDATES = """
DELETE FROM contact c USING signature s
WHERE s.letter = $1 AND s.kind IN ('person', 'organization') AND s.digest = $2
  AND c.letter = s.letter AND c.signature = s.id AND c.purpose = 'updates'
"""

# Who confirmed afterwards reads that mailbox. Digests of letters whose key is destroyed are good for nothing.
LIFT = """
WITH lifted AS (
  DELETE FROM bounced_mailbox b
  WHERE EXISTS (SELECT FROM signature s WHERE s.letter = b.letter AND s.kind IN ('person', 'organization')
                AND s.digest = b.digest AND s.state IN ('held', 'confirmed') AND s.listed_at > b.bounced_at)
     OR EXISTS (SELECT FROM letter l WHERE l.id = b.letter AND l.wrapped_digest_key IS NULL)
  RETURNING 1
) SELECT count(*) FROM lifted
"""

COUNT = """
INSERT INTO incoming_mail_count AS c (day, kind, number) VALUES ((now() AT TIME ZONE 'UTC')::date, $1, 1)
ON CONFLICT (day, kind) DO UPDATE SET number = c.number + 1
"""

COUNTS = """
SELECT kind, sum(number)::bigint AS number FROM incoming_mail_count
WHERE day > (now() AT TIME ZONE 'UTC')::date - $1::integer GROUP BY kind ORDER BY kind
"""

FORGET_COUNTS = """
WITH old AS (DELETE FROM incoming_mail_count WHERE day < (now() AT TIME ZONE 'UTC')::date - 90 RETURNING 1)
SELECT count(*) FROM old
"""


async def suppress(conn: Connection, letter_id: LetterId, digest: bytes, reason: str, pause: timedelta) -> None:
    """Send no more mail of a letter to a mailbox, and for ``pause`` not even what was asked for."""
    await conn.execute(SUPPRESS, letter_id, digest, reason, pause)


async def digest_of(conn: Connection, letter_id: LetterId, signature_id: SignatureId) -> bytes | None:
    digest: bytes | None = await conn.fetchval(DIGEST, letter_id, signature_id)
    return digest


async def is_former(conn: Connection, letter_id: LetterId, digest: bytes, day: date) -> bool:
    """Return whether the letter has been switched to the keeper since ``day``, and does not know ``digest``."""
    return bool(await conn.fetchval(IS_FORMER, letter_id, digest, day))


async def stop_updates(conn: Connection, letter_id: LetterId, digest: bytes) -> None:
    """Delete the addresses that a mailbox left for updates."""
    await conn.execute(STOP_UPDATES, letter_id, digest)


async def lift(conn: Connection) -> int:
    """Let mail go again to mailboxes that have confirmed since; return how many."""
    number: int = await conn.fetchval(LIFT)
    return number


async def count(conn: Connection, kind: str) -> None:
    await conn.execute(COUNT, kind)


async def counts(conn: Connection, days: int) -> list[Record]:
    """Return (kind, number) of the last ``days``, today included."""
    return await conn.fetch(COUNTS, days)


async def forget_counts(conn: Connection) -> int:
    number: int = await conn.fetchval(FORGET_COUNTS)
    return number
