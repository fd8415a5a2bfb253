"""All SQL of mailings at the desk: who would get one, starting, steering, history."""

from collections.abc import Sequence
from datetime import datetime

from petition.core.database import Connection, Record
from petition.core.ids import LetterId, MailingId, OrganizerId, UpdateId
from petition.mailings.model import STAMP_DAYS, Mailing, mailing_in

# By the language in which they signed.
SUBSCRIBERS = """
SELECT coalesce(s.mail_lang, '') AS lang, count(*) AS number
FROM contact c JOIN signature s ON s.letter = c.letter AND s.id = c.signature
WHERE c.letter = $1 AND c.purpose = 'updates' AND c.since IS NOT NULL GROUP BY 1 ORDER BY 2 DESC
"""

_MAILING = f"""
SELECT m.letter, m.id, m.news, m.organizer, coalesce(nullif(o.name, ''), '#' || o.id) AS organizer_name, m.state,
       m.reason, m.created_at, m.starts_at, m.started_at, m.ended_at, m.recipients, m.unreached, m.in_flight,
       m.accepted, m.refused, m.bounced, m.suppressed, m.cancelled, m.repeated,
       coalesce(m.ended_at > now() - interval '{STAMP_DAYS - 1} days', true) AS can_resend
FROM mailing m LEFT JOIN organizer o ON o.id = m.organizer
"""

# The newest: an earlier one of the same update was undone before its first mail.
OF_UPDATE = _MAILING + "WHERE m.letter = $1 AND m.news = $2 ORDER BY m.id DESC LIMIT 1"

OF_LETTER = _MAILING + "WHERE m.letter = $1 AND m.recipients IS NOT NULL ORDER BY m.id DESC LIMIT 100"

WAITING_OF_LETTER = """
SELECT news FROM mailing WHERE letter = $1 AND recipients IS NULL AND state = 'waiting'
"""

# For a draft only together with the time at which it is published.
ADD = """
INSERT INTO mailing (letter, news, organizer, starts_at)
SELECT letter, id, $3, $4 FROM news
WHERE letter = $1 AND id = $2 AND (state = 'published' OR (state = 'draft' AND publish_at IS NOT NULL))
ON CONFLICT DO NOTHING RETURNING id
"""

LOCK = "SELECT state FROM mailing WHERE letter = $1 AND id = $2 FOR NO KEY UPDATE"

SET_STATE = """
UPDATE mailing SET state = $4, reason = $5,
       ended_at = CASE WHEN $4 IN ('cancelled', 'done') THEN now() END,
       judged = accepted + refused + bounced, judged_refused = refused + bounced
WHERE letter = $1 AND id = $2 AND state = ANY($3::text[]) RETURNING id
"""

STOP_REMOVED = """
UPDATE mailing SET state = CASE WHEN recipients IS NULL THEN 'cancelled' ELSE 'paused' END,
       reason = CASE WHEN recipients IS NOT NULL THEN 'removed' END,
       ended_at = CASE WHEN recipients IS NULL THEN now() END
WHERE letter = $1 AND news = $2 AND state IN ('waiting', 'sending') RETURNING id
"""

# What a relay has been given already is settled by its answer. Locked rows are being settled at this moment: the worker
# sees to those that stay in flight.
DROP_UNSENT = """
UPDATE mailing_stamp SET state = 'suppressed', lease = NULL WHERE (letter, mailing, signature) IN (
  SELECT letter, mailing, signature FROM mailing_stamp
  WHERE letter = $1 AND mailing = $2 AND state = 'in_flight' AND NOT begun FOR UPDATE SKIP LOCKED)
"""

CANCEL_REST = """
UPDATE mailing SET suppressed = suppressed + unreached, cancelled = cancelled + unreached + $3, unreached = 0,
       walked = true
WHERE letter = $1 AND id = $2
"""

RESEND = """
UPDATE mailing_stamp SET state = 'in_flight', code = NULL, attempts = 0, due_at = now(), first_at = now()
WHERE letter = $1 AND mailing = $2 AND state = 'refused'
"""

JUDGE_ANEW = """
UPDATE mailing SET judged = accepted + refused + bounced, judged_refused = refused + bounced
WHERE letter = $1 AND id = $2
"""

RESCHEDULE = """
UPDATE mailing SET starts_at = $3 WHERE letter = $1 AND news = $2 AND state = 'waiting' RETURNING id
"""

ORGANIZER = "SELECT digest, sealed, lang FROM organizer WHERE id = $1"

LANGUAGES = "SELECT coalesce(shown, texts) AS texts FROM news WHERE letter = $1 AND id = $2"


# Off for a sensitive letter unless it was turned on.
REMINDER = "SELECT coalesce(reminder, NOT sensitive) FROM letter WHERE id = $1"

SET_REMINDER = """
UPDATE letter SET reminder = $2 WHERE id = $1 AND coalesce(reminder, NOT sensitive) <> $2 RETURNING id
"""


async def subscribers(conn: Connection, letter_id: LetterId) -> dict[str, int]:
    """Return how many would get an update now, by the language in which they signed ("" for unknown)."""
    return {row["lang"]: row["number"] for row in await conn.fetch(SUBSCRIBERS, letter_id)}


async def of_update(conn: Connection, letter_id: LetterId, update_id: UpdateId) -> Mailing | None:
    row = await conn.fetchrow(OF_UPDATE, letter_id, update_id)
    return None if row is None else mailing_in(row)


async def of_letter(conn: Connection, letter_id: LetterId) -> list[Mailing]:
    """Return the newest 100 mailings that have begun."""
    return [mailing_in(row) for row in await conn.fetch(OF_LETTER, letter_id)]


async def waiting_updates(conn: Connection, letter_id: LetterId) -> frozenset[UpdateId]:
    """Return the updates that will be mailed at a time."""
    return frozenset(row["news"] for row in await conn.fetch(WAITING_OF_LETTER, letter_id))


async def add(
    conn: Connection, letter_id: LetterId, update_id: UpdateId, organizer_id: OrganizerId | None, at: datetime
) -> MailingId | None:
    """Add a mailing that starts at ``at``; None if there is one, or the update is not for readers then."""
    mailing_id: MailingId | None = await conn.fetchval(ADD, letter_id, update_id, organizer_id, at)
    return mailing_id


async def reschedule(conn: Connection, letter_id: LetterId, update_id: UpdateId, at: datetime) -> bool:
    return await conn.fetchval(RESCHEDULE, letter_id, update_id, at) is not None


async def set_state(
    conn: Connection, mailing: Mailing, before: Sequence[str], after: str, reason: str | None = None
) -> bool:
    """Move a mailing; return whether it still was in one of the states ``before``. Its refusals are judged anew."""
    values = mailing.letter_id, mailing.id, list(before), after, reason
    return await conn.fetchval(SET_STATE, *values) is not None


async def lock(conn: Connection, mailing: Mailing) -> str | None:
    """Lock a mailing; return its state."""
    state: str | None = await conn.fetchval(LOCK, mailing.letter_id, mailing.id)
    return state


async def cancel_rest(conn: Connection, mailing: Mailing) -> None:
    """Suppress those who have not been mailed. The mailing must be locked."""
    dropped = int((await conn.execute(DROP_UNSENT, mailing.letter_id, mailing.id)).split()[-1])
    await conn.execute(CANCEL_REST, mailing.letter_id, mailing.id, dropped)


async def resend(conn: Connection, mailing: Mailing) -> None:
    """Put the refused ones in flight again. The mailing must be one that is being sent."""
    await conn.execute(RESEND, mailing.letter_id, mailing.id)
    await conn.execute(JUDGE_ANEW, mailing.letter_id, mailing.id)


async def stop_removed(conn: Connection, letter_id: LetterId, update_id: UpdateId) -> bool:
    """Pause the mailing of a removed update, or cancel one that has not begun; return whether there was one."""
    return await conn.fetchval(STOP_REMOVED, letter_id, update_id) is not None


async def organizer(conn: Connection, organizer_id: OrganizerId) -> Record:
    """Return digest, sealed address and language of an organizer."""
    row = await conn.fetchrow(ORGANIZER, organizer_id)
    if row is None:
        raise LookupError("there is no such organizer")
    return row


async def languages(conn: Connection, letter_id: LetterId, update_id: UpdateId) -> tuple[str, ...]:
    """Return the languages of an update, in order."""
    texts = await conn.fetchval(LANGUAGES, letter_id, update_id)
    return tuple(sorted(texts or ()))


async def reminder(conn: Connection, letter_id: LetterId) -> bool:
    """Return whether those who do not confirm are reminded."""
    is_on: bool = await conn.fetchval(REMINDER, letter_id)
    return is_on


async def set_reminder(conn: Connection, letter_id: LetterId, *, is_on: bool) -> bool:
    """Turn the reminder on or off; return whether that changed anything."""
    return await conn.fetchval(SET_REMINDER, letter_id, is_on) is not None
