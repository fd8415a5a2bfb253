"""All SQL of audits by sample, and of the auditor by which signatories may agree to be asked."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from petition.audits import draw
from petition.audits.model import AbandonReason
from petition.audits.randomness import RandomSource
from petition.core.database import Connection, Record
from petition.core.ids import LetterId, OrganizerId, QuestionId, SignatureId
from petition.count_log.checkpoints import Checkpoint

LONG = 600.0  # seconds

# A sensitive letter stores no address for audits, so no one is asked to agree.
AUDITOR = """
SELECT a.name FROM auditor a JOIN letter l ON l.id = a.letter
WHERE a.letter = $1 AND NOT l.sensitive AND l.wrapped_name_key IS NOT NULL
"""

SET_AUDITOR = """
INSERT INTO auditor (letter, name) VALUES ($1, $2)
ON CONFLICT (letter) DO UPDATE SET name = excluded.name, since = now() WHERE auditor.name <> excluded.name
RETURNING letter
"""

DROP_AUDITOR = "DELETE FROM auditor WHERE letter = $1 RETURNING letter"

# Who agreed to be asked by one auditor has not agreed to be asked by another.
DROP_CONSENTS = """
DELETE FROM contact WHERE (letter, signature, purpose) IN (
  SELECT letter, signature, purpose FROM contact WHERE letter = $1 AND purpose = 'audit' ORDER BY signature FOR UPDATE)
"""

ADD_CONSENT = """
INSERT INTO contact (letter, signature, purpose, sealed)
SELECT s.letter, s.id, 'audit', $3 FROM signature s
WHERE s.letter = $1 AND s.id = $2 AND s.kind = 'person' AND s.import IS NULL AND s.state IN ('confirmed', 'held')
ON CONFLICT (letter, signature, purpose) DO NOTHING
"""

DROP_CONSENT = "DELETE FROM contact WHERE letter = $1 AND signature = $2 AND purpose = 'audit'"

AGREED = """
SELECT s.id FROM contact c JOIN signature s ON s.letter = c.letter AND s.id = c.signature
WHERE c.letter = $1 AND c.purpose = 'audit' AND s.state = 'confirmed' AND s.kind = 'person' AND s.import IS NULL
  AND s.digest IS NOT NULL
"""

COUNT_AGREED = f"SELECT count(*) FROM ({AGREED}) AS agreed"

LETTER = """
SELECT l.sensitive, l.effective_state AS state, l.wrapped_name_key IS NULL AS burnt, l.version IS NOT NULL AS published
FROM letter l WHERE l.id = $1 FOR NO KEY UPDATE
"""

AUDITORS = """
SELECT m.organizer AS id, coalesce(nullif(o.name, ''), '#' || o.id) AS name
FROM member m JOIN organizer o ON o.id = m.organizer WHERE m.letter = $1 AND m.role = 'auditor' ORDER BY 1
"""

# What an auditor does as such, and how every member comes in.
HAS_WORKED = """
SELECT EXISTS (SELECT FROM log WHERE letter = $1 AND organizer = $2 AND act NOT LIKE 'audit.%' AND act <> 'member.join')
"""

ADD = """
INSERT INTO audit (letter, number, auditor, organizer, sample, source, round, description, draw_at)
SELECT $1, coalesce(max(number), 0) + 1, $2, $3, $4, $5, $6, $7, $8 FROM audit WHERE letter = $1
ON CONFLICT DO NOTHING RETURNING number
"""

# All but the frame's entries, which may be many.
PUBLISHED = """
SELECT number, state, reason, auditor, organizer, sample, source, round, description, draw_at, announced_at, origin,
       log_size, root, cardinality(frame) AS entries, frame_digest, recipient, value, drawn, ends_at, ended_at,
       unreached, signed, denied
FROM audit WHERE letter = $1
"""

ALL = PUBLISHED + "ORDER BY number DESC"

FRAME = "SELECT origin, log_size, root, frame FROM audit WHERE letter = $1 AND number = $2 AND frame IS NOT NULL"

LAST_DONE = PUBLISHED + "AND state = 'done' ORDER BY number DESC LIMIT 1"

LOCK = "SELECT * FROM audit WHERE letter = $1 AND number = $2 FOR UPDATE"

LOCK_ACTIVE = """
SELECT number FROM audit WHERE letter = $1 AND state NOT IN ('done', 'abandoned') ORDER BY number FOR UPDATE
"""

# Of all workers one takes each.
NEXT = """
SELECT a.*, l.slug, l.sensitive, l.wrapped_name_key IS NULL AS burnt FROM audit a JOIN letter l ON l.id = a.letter
WHERE l.state <> 'gone' AND (
  a.state IN ('preparing', 'drawing')
  OR (a.state = 'announced' AND (l.sensitive OR l.wrapped_name_key IS NULL OR a.draw_at < now() - $1::interval))
  OR (a.state = 'asking' AND (l.sensitive OR l.wrapped_name_key IS NULL OR a.ends_at <= now())))
ORDER BY a.letter, a.number LIMIT 1 FOR UPDATE OF a SKIP LOCKED
"""

SET_RECIPIENT = "UPDATE audit SET recipient = $3 WHERE letter = $1 AND number = $2"

SET_VALUE = "UPDATE audit SET value = $3, state = 'drawing' WHERE letter = $1 AND number = $2"

ABANDON = """
UPDATE audit SET state = 'abandoned', reason = $3, ended_at = now() WHERE letter = $1 AND number = $2
"""

ANNOUNCE = """
UPDATE audit SET state = 'announced', announced_at = now(), origin = $3, log_size = $4, root = $5, frame = $6,
       frame_digest = $7
WHERE letter = $1 AND number = $2
"""

ASK = """
UPDATE audit SET state = 'asking', drawn = $3, asked_at = now(), ends_at = now() + make_interval(days => $4)
WHERE letter = $1 AND number = $2
"""

RECIPIENTS = """
SELECT s.id, s.digest, c.sealed, coalesce(s.mail_lang, 'en') AS lang
FROM signature s JOIN contact c ON c.letter = s.letter AND c.signature = s.id AND c.purpose = 'audit'
WHERE s.letter = $1 AND s.id = ANY($2::bigint[]) AND s.state = 'confirmed' AND s.digest IS NOT NULL ORDER BY s.id
"""

SUPPRESSED = "SELECT digest FROM suppressed WHERE digest = ANY($1::bytea[])"

ADD_QUESTIONS = """
INSERT INTO audit_question (letter, audit, id) SELECT $1, $2, id FROM unnest($3::bigint[]) AS u (id) ORDER BY id
"""

ADD_ADDRESS_LIST = "INSERT INTO audit_address_list (letter, audit, bytes) VALUES ($1, $2, $3)"

DROP_QUESTIONS = "DELETE FROM audit_question WHERE letter = $1 AND audit = $2"

DROP_ADDRESS_LIST = "DELETE FROM audit_address_list WHERE letter = $1 AND audit = $2"

DROP_MAIL = "DELETE FROM outbox WHERE letter = $1 AND purpose = 'audit'"

# With fewer answers than $3 none are published.
FINISH = """
UPDATE audit a SET state = 'done', ended_at = now(), unreached = a.sample - q.asked,
       signed = CASE WHEN q.signed + q.denied >= $3 THEN q.signed END,
       denied = CASE WHEN q.signed + q.denied >= $3 THEN q.denied END
FROM (
  SELECT count(*) FILTER (WHERE answer IS DISTINCT FROM 'unreached') AS asked,
         count(*) FILTER (WHERE answer = 'signed') AS signed, count(*) FILTER (WHERE answer = 'denied') AS denied
  FROM audit_question WHERE letter = $1 AND audit = $2
) AS q
WHERE a.letter = $1 AND a.number = $2
"""

MOVE_REVISION = "UPDATE letter SET revision = revision + 1 WHERE id = $1"

QUESTION = """
SELECT q.answer, a.auditor, a.ends_at FROM audit_question q JOIN audit a ON a.letter = q.letter AND a.number = q.audit
WHERE q.letter = $1 AND q.id = $2 AND a.state = 'asking' AND a.ends_at > now()
"""

ANSWER = """
UPDATE audit_question q SET answer = $3 FROM audit a
WHERE q.letter = $1 AND q.id = $2 AND a.letter = q.letter AND a.number = q.audit AND a.state = 'asking'
  AND a.ends_at > now() RETURNING q.id
"""

SET_UNREACHED = """
UPDATE audit_question SET answer = 'unreached' WHERE letter = $1 AND id = $2 AND answer IS NULL
"""

ADDRESS_LIST = """
SELECT p.bytes FROM audit_address_list p JOIN audit a ON a.letter = p.letter AND a.number = p.audit
WHERE p.letter = $1 AND p.audit = $2 AND a.organizer = $3 AND p.made_at > now() - make_interval(days => $4)
"""

LISTS = """
SELECT p.audit, p.made_at + make_interval(days => $2) AS until FROM audit_address_list p
WHERE p.letter = $1 AND p.made_at > now() - make_interval(days => $2)
"""


async def auditor(conn: Connection, letter_id: LetterId) -> str | None:
    """Return the auditor by which signatories may agree to be asked; None if no one is asked to agree."""
    name: str | None = await conn.fetchval(AUDITOR, letter_id)
    return name


async def set_auditor(conn: Connection, letter_id: LetterId, name: str) -> bool:
    """Name the auditor; return whether that is another than before, for which no one has agreed yet."""
    if await conn.fetchval(SET_AUDITOR, letter_id, name) is None:
        return False
    await conn.execute(DROP_CONSENTS, letter_id)
    return True


async def drop_auditor(conn: Connection, letter_id: LetterId) -> bool:
    """Ask no one any more, and delete the addresses; return whether an auditor was named."""
    if await conn.fetchval(DROP_AUDITOR, letter_id) is None:
        return False
    await conn.execute(DROP_CONSENTS, letter_id)
    return True


async def add_consent(conn: Connection, letter_id: LetterId, signature_id: SignatureId, sealed: bytes) -> None:
    """Store the sealed address of a person who agreed; a second time changes nothing."""
    await conn.execute(ADD_CONSENT, letter_id, signature_id, sealed)


async def drop_consent(conn: Connection, letter_id: LetterId, signature_id: SignatureId) -> None:
    await conn.execute(DROP_CONSENT, letter_id, signature_id)


async def agreed(conn: Connection, letter_id: LetterId) -> list[SignatureId]:
    """Return the counted people who agreed to be asked."""
    return [row["id"] for row in await conn.fetch(AGREED, letter_id, timeout=LONG)]


async def count_agreed(conn: Connection, letter_id: LetterId) -> int:
    number: int = await conn.fetchval(COUNT_AGREED, letter_id)
    return number


async def has_active(conn: Connection, letter_id: LetterId) -> bool:
    """Return whether an audit of the letter is not over; that one is locked."""
    return await conn.fetchval(LOCK_ACTIVE, letter_id) is not None


async def lock_letter(conn: Connection, letter_id: LetterId) -> Record:
    """Return sensitive, state, burnt, published; audits of the letter are announced one after the other."""
    row = await conn.fetchrow(LETTER, letter_id)
    if row is None:
        raise LookupError("there is no such letter")
    return row


async def auditors(conn: Connection, letter_id: LetterId) -> list[Record]:
    """Return the members who are auditors: id, name."""
    return await conn.fetch(AUDITORS, letter_id)


async def has_worked(conn: Connection, letter_id: LetterId, organizer_id: OrganizerId) -> bool:
    """Return whether an organizer has ever done anything on the letter but auditing."""
    return bool(await conn.fetchval(HAS_WORKED, letter_id, organizer_id))


async def add(
    conn: Connection,
    letter_id: LetterId,
    auditor_name: str,
    organizer_id: OrganizerId,
    sample: int,
    randomness: tuple[RandomSource, int | None, str | None, datetime],
) -> int | None:
    """Add an audit; return its number, None if another one is not over. ``randomness``: source, round, words, time."""
    source, number, description, draw_at = randomness
    values = auditor_name, organizer_id, sample, source.value, number, description, draw_at
    added: int | None = await conn.fetchval(ADD, letter_id, *values)
    return added


async def rows(conn: Connection, letter_id: LetterId) -> list[Record]:
    """Return all audits of a letter, the newest first."""
    return await conn.fetch(ALL, letter_id)


async def frame_text(conn: Connection, letter_id: LetterId, number: int) -> str | None:
    """Return the entries that an audit draws from, as they were published; None if there is no such audit."""
    row = await conn.fetchrow(FRAME, letter_id, number)
    return None if row is None else draw.frame_text(row["origin"], row["log_size"], row["root"], row["frame"])


async def last_done(conn: Connection, letter_id: LetterId) -> Record | None:
    return await conn.fetchrow(LAST_DONE, letter_id)


async def lock(conn: Connection, letter_id: LetterId, number: int) -> Record | None:
    return await conn.fetchrow(LOCK, letter_id, number)


async def abandon(conn: Connection, letter_id: LetterId, number: int, reason: AbandonReason) -> None:
    """Give an audit up, and delete what belongs to its questions."""
    await conn.execute(ABANDON, letter_id, number, reason.value)
    await conn.execute(DROP_QUESTIONS, letter_id, number)
    await conn.execute(DROP_ADDRESS_LIST, letter_id, number)
    await conn.execute(DROP_MAIL, letter_id)
    await conn.execute(MOVE_REVISION, letter_id)


async def set_recipient(conn: Connection, letter_id: LetterId, number: int, recipient: str) -> None:
    await conn.execute(SET_RECIPIENT, letter_id, number, recipient)


async def set_value(conn: Connection, letter_id: LetterId, number: int, value: str) -> None:
    """Store the value that is drawn with; the worker draws."""
    await conn.execute(SET_VALUE, letter_id, number, value)


async def lock_next(conn: Connection, draw_within: timedelta) -> Record | None:
    """Return an audit that has a step to be taken, locked, with slug, sensitive and burnt of its letter."""
    return await conn.fetchrow(NEXT, draw_within)


async def recipients(conn: Connection, letter_id: LetterId, ids: Sequence[SignatureId]) -> list[Record]:
    """Return id, digest, sealed, lang of those who still agree and count."""
    return await conn.fetch(RECIPIENTS, letter_id, ids, timeout=LONG)


async def suppressed(conn: Connection, digests: Sequence[bytes]) -> set[bytes]:
    """Return the digests of suppressed addresses among ``digests``."""
    return {row["digest"] for row in await conn.fetch(SUPPRESSED, digests)}


async def ask(conn: Connection, letter_id: LetterId, number: int, drawn: Sequence[int], days: int) -> None:
    """Note which entries were drawn; those who were asked answer within ``days``."""
    await conn.execute(ASK, letter_id, number, list(drawn), days)
    await conn.execute(MOVE_REVISION, letter_id)


async def add_questions(
    conn: Connection, letter_id: LetterId, number: int, ids: Sequence[QuestionId], address_list: bytes
) -> None:
    """Add the questions, and the addresses encrypted to the auditor."""
    await conn.execute(ADD_QUESTIONS, letter_id, number, ids)
    await conn.execute(ADD_ADDRESS_LIST, letter_id, number, address_list)


async def set_unreached(conn: Connection, letter_id: LetterId, question_id: QuestionId) -> None:
    await conn.execute(SET_UNREACHED, letter_id, question_id)


async def address_list(
    conn: Connection, letter_id: LetterId, number: int, organizer_id: OrganizerId, days: int
) -> bytes | None:
    """Return the addresses encrypted to the auditor; None for other organizers, and after ``days``."""
    content: bytes | None = await conn.fetchval(ADDRESS_LIST, letter_id, number, organizer_id, days)
    return content


async def lists(conn: Connection, letter_id: LetterId, days: int) -> dict[int, datetime]:
    """Return until when each audit's list can be downloaded."""
    return {row["audit"]: row["until"] for row in await conn.fetch(LISTS, letter_id, days)}


async def finish(conn: Connection, letter_id: LetterId, number: int, min_answers: int) -> None:
    """Store the result, and delete the questions."""
    await conn.execute(FINISH, letter_id, number, min_answers)
    await conn.execute(DROP_QUESTIONS, letter_id, number)
    await conn.execute(DROP_MAIL, letter_id)
    await conn.execute(MOVE_REVISION, letter_id)


async def announce(
    conn: Connection, letter_id: LetterId, number: int, checkpoint: Checkpoint, indexes: Sequence[int]
) -> None:
    """Publish the entries that are drawn from, of a log at a checkpoint."""
    log = checkpoint.origin, checkpoint.size, checkpoint.root
    digest = draw.frame_digest(draw.frame_text(*log, indexes))
    await conn.execute(ANNOUNCE, letter_id, number, *log, list(indexes), digest)
    await conn.execute(MOVE_REVISION, letter_id)


async def question(conn: Connection, letter_id: LetterId, question_id: QuestionId) -> Record | None:
    """Return the answer so far, the auditor and the end; None if the audit is over."""
    return await conn.fetchrow(QUESTION, letter_id, question_id)


async def answer(conn: Connection, letter_id: LetterId, question_id: QuestionId, text: str) -> bool:
    """Store ``signed`` or ``denied``; return False if the audit is over."""
    return await conn.fetchval(ANSWER, letter_id, question_id, text) is not None
