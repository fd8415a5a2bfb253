"""All SQL of deliveries, answers, links to answer and objections."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime, timedelta

from petition.addressees.model import DeliveryWay, DeskAddressee, RecordedEvent, TypedEvent, WaitingAnswer
from petition.core.audit_log import Actor
from petition.core.database import Connection, Record
from petition.core.encryption import LetterKeys
from petition.core.errors import KeyDestroyed
from petition.core.ids import AddresseeId, AnswerId, LetterId, ResponseId
from petition.letters.parties import Party

# An objection is one made here, or by the mail's link that stops all mail of this installation.
ADDRESSEES = """
SELECT a.id, a.position, a.names, a.url, a.way, a.lang, a.sealed IS NOT NULL AS has_address,
       coalesce(a.objected_at, s.since) AS objected_at, a.link, a.link_until, a.revision
FROM addressee a LEFT JOIN suppressed s ON s.digest = a.never
WHERE a.letter = $1 AND ($2::integer IS NULL OR a.id = $2) ORDER BY a.position NULLS LAST, a.id
"""

EVENTS = """
SELECT e.*, coalesce(nullif(o.name, ''), '#' || o.id) AS organizer_name
FROM addressee_event e LEFT JOIN organizer o ON o.id = e.organizer
WHERE e.letter = $1 AND ($2::integer IS NULL OR e.addressee = $2) ORDER BY e.at, e.id
"""

ANSWERS = """
SELECT * FROM addressee_answer WHERE letter = $1 AND ($2::integer IS NULL OR addressee = $2) ORDER BY id
"""

WAITING = """
SELECT w.id, w.addressee, w.at, a.names FROM addressee_answer w
JOIN addressee a ON a.letter = w.letter AND a.id = w.addressee
WHERE w.letter = $1 AND w.state = 'waiting' ORDER BY w.id LIMIT 100
"""

# The letter first, as editing it does (lock order: see docs/decisions/lock-order.md).
LOCK_LETTER = "SELECT state, version IS NOT NULL AS is_published FROM letter WHERE id = $1 FOR NO KEY UPDATE"

LOCK = "SELECT revision FROM addressee WHERE letter = $1 AND id = $2 FOR UPDATE"

TOUCH = "UPDATE addressee SET revision = revision + 1 WHERE letter = $1 AND id = $2"

SET_CONTACT = """
UPDATE addressee SET way = $3, lang = $4, digest = coalesce($5, digest), sealed = coalesce($6, sealed)
WHERE letter = $1 AND id = $2
"""

# By the letter's own digest: the address itself is gone.
HAS_OBJECTED = """
SELECT EXISTS (SELECT FROM addressee WHERE letter = $1 AND digest = $2 AND objected_at IS NOT NULL)
"""

ADD_EVENT = """
INSERT INTO addressee_event (letter, addressee, state, way, at, private, summary, url, file, organizer)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING id
"""

ENQUEUE = """
WITH job AS (
  INSERT INTO outbox (letter, purpose, digest, sealed, lang, details)
  SELECT a.letter, 'addressee', a.digest, a.sealed, a.lang, jsonb_build_object('addressee', a.id, 'kind', $3::text)
  FROM addressee a WHERE a.letter = $1 AND a.id = $2 AND a.sealed IS NOT NULL AND a.objected_at IS NULL RETURNING id
)
INSERT INTO addressee_event (letter, addressee, state, way, at, job, sent, organizer)
SELECT $1, $2, $3, 'mail', now(), job.id, false, $4 FROM job RETURNING id
"""

SET_UNDONE = """
UPDATE addressee_event SET undone_at = CASE WHEN $4 THEN now() END
WHERE letter = $1 AND addressee = $2 AND id = $3 AND (undone_at IS NULL) = $4 RETURNING state, job
"""

# A mail that a worker is sending at this moment cannot be called back.
CALL_BACK = """
DELETE FROM outbox WHERE id IN (
  SELECT id FROM outbox WHERE id = $1 AND lease IS NULL FOR UPDATE SKIP LOCKED) RETURNING id
"""

IS_WAITING = "SELECT EXISTS (SELECT FROM outbox WHERE id = $1)"

SET_LINK = """
UPDATE addressee SET link_until = $3, link = link + $4::integer::smallint WHERE letter = $1 AND id = $2
"""

EXTEND_LINK = """
UPDATE addressee SET link_until = greatest(link_until, now() + $3::interval) WHERE letter = $1 AND id = $2
RETURNING link
"""

SET_ANSWER = """
UPDATE addressee_answer SET state = $4, event = $5 WHERE letter = $1 AND id = $2 AND state = $3 RETURNING addressee
"""

ANSWER_OF_EVENT = """
UPDATE addressee_answer SET state = 'waiting', event = NULL WHERE letter = $1 AND event = $2
"""

MOVE_REVISION = "UPDATE letter SET revision = revision + 1, purges = purges + $2::integer WHERE id = $1"

BY_LINK = """
SELECT a.id, a.names, a.lang, a.link, a.objected_at, a.never, coalesce(a.link_until > now(), false) AS works
FROM addressee a WHERE a.letter = $1 AND a.id = $2
"""

SENT_BY_LINK = """
SELECT count(*) FILTER (WHERE at > now() - interval '1 day') AS today, count(*) AS total
FROM addressee_answer WHERE letter = $1 AND addressee = $2
"""

ADD_ANSWER = """
INSERT INTO addressee_answer (letter, addressee, private, digest, lang, file) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT DO NOTHING RETURNING id
"""

OBJECT = """
UPDATE addressee SET objected_at = now(), sealed = NULL, revision = revision + 1
WHERE letter = $1 AND id = $2 AND objected_at IS NULL RETURNING never
"""

ALLOW = """
UPDATE addressee SET objected_at = NULL, revision = revision + 1
WHERE letter = $1 AND id = $2 AND objected_at IS NOT NULL RETURNING never
"""

FAIL_JOBS = """
UPDATE addressee_event SET failed = $3 WHERE letter = $1 AND addressee = $2 AND NOT sent AND failed IS NULL
"""

NOTE_NEVER = "UPDATE addressee SET never = $3 WHERE letter = $1 AND id = $2 AND never IS DISTINCT FROM $3"

MAIL_FACTS = """
SELECT a.names, a.lang, a.link, a.objected_at, v.texts, l.slug, c.people, c.organizations, now() AS now
FROM addressee a JOIN letter l ON l.id = a.letter JOIN version v ON v.letter = l.id AND v.number = l.version
JOIN published_count c ON c.letter = l.id WHERE a.letter = $1 AND a.id = $2 AND l.state <> 'gone'
"""


async def load(conn: Connection, letter_id: LetterId, keys: LetterKeys) -> list[DeskAddressee]:
    """Return the addressees as the letter names them, then those that it named once."""
    return await _load(conn, letter_id, keys, None)


async def one(conn: Connection, letter_id: LetterId, keys: LetterKeys, addressee_id: int) -> DeskAddressee | None:
    return next(iter(await _load(conn, letter_id, keys, addressee_id)), None)


async def _load(conn: Connection, letter_id: LetterId, keys: LetterKeys, only: int | None) -> list[DeskAddressee]:
    events: dict[AddresseeId, list[RecordedEvent]] = defaultdict(list)
    for row in await conn.fetch(EVENTS, letter_id, only):
        events[row["addressee"]].append(_event(row, keys))
    rows = await conn.fetch(ADDRESSEES, letter_id, only)
    return [_addressee(row, tuple(events[row["id"]])) for row in rows]


def _addressee(row: Record, events: tuple[RecordedEvent, ...]) -> DeskAddressee:
    return DeskAddressee(
        id=row["id"],
        party=Party(row["names"], row["url"]),
        is_named=row["position"] is not None,
        way=DeliveryWay(row["way"]),
        lang=row["lang"],
        has_address=row["has_address"],
        objected_at=row["objected_at"],
        link=row["link"],
        link_until=row["link_until"],
        revision=row["revision"],
        events=events,
    )


def _event(row: Record, keys: LetterKeys) -> RecordedEvent:
    return RecordedEvent(
        id=row["id"],
        state=row["state"],
        way=DeliveryWay(row["way"]),
        at=row["at"],
        summary=row["summary"],
        url=row["url"],
        file_id=row["file"],
        organizer=row["organizer_name"],
        is_sent=row["sent"],
        failed=row["failed"],
        undone_at=row["undone_at"],
        note=_revealed(keys, row["private"]).get("note", ""),
    )


def _revealed(keys: LetterKeys, hidden: bytes | None) -> Mapping[str, str]:
    try:
        return {} if hidden is None else keys.reveal(hidden)
    except KeyDestroyed:
        return {}


async def answers(
    conn: Connection, letter_id: LetterId, keys: LetterKeys, addressee_id: AddresseeId | None = None
) -> list[WaitingAnswer]:
    """Return what addressees have sent by their links, the oldest first."""
    rows = await conn.fetch(ANSWERS, letter_id, addressee_id)
    return [_answer(row, _revealed(keys, row["private"])) for row in rows]


def _answer(row: Record, texts: Mapping[str, str]) -> WaitingAnswer:
    return WaitingAnswer(
        id=row["id"],
        addressee_id=row["addressee"],
        at=row["at"],
        state=row["state"],
        lang=row["lang"],
        file_id=row["file"],
        name=texts.get("name", ""),
        role=texts.get("role", ""),
        text=texts.get("text", ""),
        url=texts.get("url", ""),
    )


async def waiting(conn: Connection, letter_id: LetterId) -> list[Record]:
    """Return (id, addressee, at, names) of the answers that no organizer has looked at; at most 100."""
    return await conn.fetch(WAITING, letter_id)


async def lock_letter(conn: Connection, letter_id: LetterId) -> Record | None:
    """Lock the letter against editors; return (state, is_published)."""
    return await conn.fetchrow(LOCK_LETTER, letter_id)


async def lock(conn: Connection, letter_id: LetterId, addressee_id: AddresseeId) -> int | None:
    """Lock an addressee; return its revision, None if there is none."""
    revision: int | None = await conn.fetchval(LOCK, letter_id, addressee_id)
    return revision


async def touch(conn: Connection, letter_id: LetterId, addressee_id: AddresseeId) -> None:
    """Let forms that show the addressee as it was be refused."""
    await conn.execute(TOUCH, letter_id, addressee_id)


async def set_contact(
    conn: Connection,
    letter_id: LetterId,
    addressee_id: AddresseeId,
    way: DeliveryWay,
    lang: str,
    *,
    digest: bytes | None,
    sealed: bytes | None,
) -> None:
    """Store how the letter reaches it; the address stays if ``digest`` and ``sealed`` are None."""
    await conn.execute(SET_CONTACT, letter_id, addressee_id, way.value, lang, digest, sealed)


async def has_objected(conn: Connection, letter_id: LetterId, digest: bytes) -> bool:
    """Return whether the owner of this address wants no mail about the letter."""
    known: bool = await conn.fetchval(HAS_OBJECTED, letter_id, digest)
    return known


async def add_event(
    conn: Connection,
    actor: Actor,
    addressee_id: AddresseeId,
    event: TypedEvent,
    *,
    private: bytes | None,
    file_id: int | None,
) -> ResponseId:
    values = event.state.value, event.way.value, event.at, private, dict(event.summary), event.url, file_id
    return ResponseId(await conn.fetchval(ADD_EVENT, actor.letter_id, addressee_id, *values, actor.organizer_id))


async def enqueue(conn: Connection, actor: Actor, addressee_id: AddresseeId, state: str) -> ResponseId | None:
    """Ask the worker for a mail; return its event, or None if there is no address."""
    event: ResponseId | None = await conn.fetchval(ENQUEUE, actor.letter_id, addressee_id, state, actor.organizer_id)
    return event


async def set_undone(
    conn: Connection, letter_id: LetterId, addressee_id: AddresseeId, event_id: ResponseId, *, undone: bool
) -> Record | None:
    """Take an event back, or bring it back; return (state, job), None if it was so already."""
    return await conn.fetchrow(SET_UNDONE, letter_id, addressee_id, event_id, undone)


async def call_back(conn: Connection, job: int) -> bool:
    """Delete a mail that waits; return whether it is gone for another reason, or was called back."""
    return await conn.fetchval(CALL_BACK, job) is not None or not await conn.fetchval(IS_WAITING, job)


async def set_link(
    conn: Connection, letter_id: LetterId, addressee_id: AddresseeId, until: datetime | None, *, renew: bool
) -> None:
    """Set until when the link to answer works, None to revoke it; ``renew`` makes all former ones invalid."""
    await conn.execute(SET_LINK, letter_id, addressee_id, until, int(renew))


async def extend_link(conn: Connection, letter_id: LetterId, addressee_id: AddresseeId, length: timedelta) -> int:
    """Have the link work for ``length`` from now at least; return its number."""
    return int(await conn.fetchval(EXTEND_LINK, letter_id, addressee_id, length))


async def set_answer(
    conn: Connection,
    letter_id: LetterId,
    answer_id: AnswerId,
    before: str,
    after: str,
    event_id: ResponseId | None = None,
) -> AddresseeId | None:
    """Move a sent answer on; return its addressee, None if it was not in the state ``before``."""
    addressee_id: AddresseeId | None = await conn.fetchval(SET_ANSWER, letter_id, answer_id, before, after, event_id)
    return addressee_id


async def answer_waits_again(conn: Connection, letter_id: LetterId, event_id: ResponseId) -> None:
    """Let the answer wait that was published as this event, if there is one."""
    await conn.execute(ANSWER_OF_EVENT, letter_id, event_id)


async def move_revision(conn: Connection, letter_id: LetterId, *, purge: bool = False) -> None:
    """Invalidate the letter's cached pages; ``purge`` stale copies too, if something on them was taken back."""
    await conn.execute(MOVE_REVISION, letter_id, int(purge))


async def by_link(conn: Connection, letter_id: LetterId, addressee_id: AddresseeId) -> Record | None:
    return await conn.fetchrow(BY_LINK, letter_id, addressee_id)


async def sent_by_link(conn: Connection, letter_id: LetterId, addressee_id: AddresseeId) -> tuple[int, int]:
    """Return how many answers came by the link (today, in all)."""
    row = await conn.fetchrow(SENT_BY_LINK, letter_id, addressee_id)
    return (row["today"], row["total"]) if row else (0, 0)


async def add_answer(
    conn: Connection,
    letter_id: LetterId,
    addressee_id: AddresseeId,
    *,
    private: bytes,
    digest: bytes,
    lang: str,
    file_id: int | None,
) -> AnswerId | None:
    """Store an answer that waits; None if the same form was sent before."""
    values = private, digest, lang, file_id
    answer_id: AnswerId | None = await conn.fetchval(ADD_ANSWER, letter_id, addressee_id, *values)
    return answer_id


async def set_objection(
    conn: Connection, letter_id: LetterId, addressee_id: AddresseeId, *, objects: bool
) -> tuple[bool, bytes | None]:
    """Note an objection, or that it was taken back; return whether that is new, and the suppression digest."""
    row = await conn.fetchrow(OBJECT if objects else ALLOW, letter_id, addressee_id)
    return (False, None) if row is None else (True, row["never"])


async def fail_jobs(conn: Connection, letter_id: LetterId, addressee_id: AddresseeId, code: int) -> None:
    """Note that mails on their way will not go."""
    await conn.execute(FAIL_JOBS, letter_id, addressee_id, code)


async def note_never(conn: Connection, letter_id: LetterId, addressee_id: AddresseeId, digest: bytes) -> None:
    """Note under which digest the address would be suppressed."""
    await conn.execute(NOTE_NEVER, letter_id, addressee_id, digest)


async def mail_facts(conn: Connection, letter_id: LetterId, addressee_id: AddresseeId) -> Record | None:
    return await conn.fetchrow(MAIL_FACTS, letter_id, addressee_id)
