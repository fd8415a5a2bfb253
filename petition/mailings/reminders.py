"""One reminder to those who have signed and not confirmed, a day later. It is a switch of the letter.

All pending signatures are walked once, in the order of their times; what is walked past is not looked at again, so that
no mark on a signature is needed. Whether a mail goes out is decided once more when it is written (``mail.choosing``):
none to a mailbox that has confirmed, is barred, or wants no more mail.
"""

from petition.core.database import Connection, Database

BATCH = 2000  # signatures walked in a transaction
PURPOSE = "remind"  # the outbox's

LOCK = "SELECT until FROM reminded FOR UPDATE SKIP LOCKED"

# Where a batch ends: signatures of one moment are walked together.
END = """
SELECT max(created_at) FROM (
  SELECT created_at FROM pending WHERE created_at > $1 AND created_at <= now() - interval '1 day'
  ORDER BY created_at LIMIT $2) AS batch
"""

# Once for a mailbox: not for a form that another followed, nor for one that followed a day after another.
ENQUEUE = """
INSERT INTO outbox (letter, purpose, kind, pending, digest, sealed, lang)
SELECT p.letter, 'remind', p.kind, p.id, p.digest, p.sealed, p.mail_lang
FROM pending p JOIN letter l ON l.id = p.letter
WHERE p.created_at > $1 AND p.created_at <= $2 AND p.created_at > now() - interval '6 days'
  AND l.takes_confirmations AND coalesce(l.reminder, NOT l.sensitive)
  AND NOT EXISTS (SELECT FROM pending o WHERE o.letter = p.letter AND o.digest = p.digest
                  AND (o.created_at, o.id) > (p.created_at, p.id))
  AND NOT EXISTS (SELECT FROM pending o WHERE o.letter = p.letter AND o.digest = p.digest
                  AND o.created_at <= p.created_at - interval '1 day')
ORDER BY p.letter, p.id
"""

MOVE_ON = "UPDATE reminded SET until = $1"


async def enqueue_due(database: Database) -> int:
    """Ask for the reminders that are due; return how many. Raises ``Unavailable``."""
    total = 0
    while True:
        async with database.transaction() as conn:
            added = await _enqueue_batch(conn)
        if added is None:
            return total
        total += added


async def _enqueue_batch(conn: Connection) -> int | None:
    """Walk one batch; return how many reminders it has, or None if there was nothing to walk."""
    until = await conn.fetchval(LOCK)
    end = None if until is None else await conn.fetchval(END, until, BATCH)
    if end is None:
        return None
    added = int((await conn.execute(ENQUEUE, until, end)).split()[-1])
    await conn.execute(MOVE_ON, end)
    return added
