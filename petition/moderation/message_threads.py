"""Messages between the organizers and an organization's representative, as a thread at the signature.

The organizers' messages go by mail, the answers come by the form that the mail links to. Neither side sees an address.
Texts are encrypted as notes are, and deleted with the signature.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from petition.core import audit_log
from petition.core.audit_log import Actor
from petition.core.database import Connection, Record
from petition.core.encryption import LetterKeys
from petition.core.errors import NotFound, Refused
from petition.core.i18n import N_
from petition.core.ids import LetterId, MessageId, SignatureId
from petition.moderation import notes
from petition.moderation.notes import revealed
from petition.signatures.flags import Flag

ANSWERABLE = timedelta(days=60)  # how long the link to the form works
MAX_ANSWER = 5000  # characters
MAX_ANSWERS_A_DAY = 10  # to one message

TOO_LONG = N_("Too long: use at most 5,000 characters.")
ENOUGH = N_("You have sent many answers today. Send the next one tomorrow.")

READY_SENTENCES = (
    N_("Please confirm that you may sign for the organization, and tell us your position there."),
    N_("Is there a public page that names you or the head of the organization? Please send us its address."),
    N_("Please send us the organization’s full name in English and in Russian, as it should appear in the list."),
    N_("At which address on your website’s domain may we ask whether the organization has signed?"),
)

ADD = "INSERT INTO message (letter, signature, organizer, text) VALUES ($1, $2, $3, $4) RETURNING id"

THREAD = """
SELECT m.id, m.answers IS NOT NULL AS is_answer, m.text, m.at, o.name AS organizer_name
FROM message m LEFT JOIN organizer o ON o.id = m.organizer
WHERE m.letter = $1 AND m.signature = $2 ORDER BY m.id
"""

SENT = "SELECT id, signature, text FROM message WHERE letter = $1 AND id = $2 AND answers IS NULL"

# With the answers to it, so that the holder of the link sees what has been sent.
BY_LINK = """
SELECT m.signature, m.text, m.at,
       ARRAY(SELECT a.text FROM message a WHERE a.letter = m.letter AND a.answers = m.id ORDER BY a.id) AS answers,
       (SELECT count(*) FROM message a WHERE a.letter = m.letter AND a.answers = m.id
          AND a.at > now() - interval '1 day') AS today
FROM message m
WHERE m.letter = $1 AND m.id = $2 AND m.answers IS NULL AND m.at > now() - $3::interval
"""

LOCK_SIGNATURE = "SELECT id FROM signature WHERE letter = $1 AND id = $2 FOR UPDATE"

ADD_FLAG = """
UPDATE signature SET flags = array_append(array_remove(flags, $3), $3) WHERE letter = $1 AND id = $2
"""

DROP_FLAG = """
UPDATE signature SET flags = array_remove(flags, $3) WHERE letter = $1 AND id = $2 AND $3 = ANY(flags) RETURNING id
"""

ADD_ANSWER = "INSERT INTO message (letter, signature, answers, text) VALUES ($1, $2, $3, $4)"

DROP = "DELETE FROM message WHERE letter = $1 AND signature = $2 AND id = $3 RETURNING id"

WAITING = "SELECT count(*) FROM signature WHERE letter = $1 AND flags @> '{answered}'"


@dataclass(frozen=True, slots=True)
class ThreadMessage:
    """One message; ``text`` is None once the letter's key is destroyed."""

    id: MessageId
    is_answer: bool
    organizer_name: str | None
    at: datetime
    text: str | None = field(repr=False)

    def as_json(self) -> dict[str, object]:
        """Return it for the representative to download, without the organizer's name; the time as ISO 8601 in UTC."""
        sender = "representative" if self.is_answer else "organizers"
        return {"at": self.at.isoformat().replace("+00:00", "Z"), "from": sender, "text": self.text}


@dataclass(frozen=True, slots=True)
class OpenMessage:
    """A message that can be answered, with the answers so far."""

    signature_id: SignatureId
    at: datetime
    answers_today: int
    text: str = field(repr=False)
    answers: tuple[str, ...] = field(repr=False)


async def load(
    conn: Connection, letter_id: LetterId, keys: LetterKeys, signature_id: SignatureId
) -> list[ThreadMessage]:
    """Return the thread of a signature, the oldest first."""
    rows = await conn.fetch(THREAD, letter_id, signature_id)
    return [
        ThreadMessage(row["id"], row["is_answer"], row["organizer_name"], row["at"], revealed(keys, row["text"]))
        for row in rows
    ]


async def count_waiting(conn: Connection, letter_id: LetterId) -> int:
    """Return how many signatures have an answer that no moderator has read."""
    number: int = await conn.fetchval(WAITING, letter_id)
    return number


async def add_sent(conn: Connection, actor: Actor, keys: LetterKeys, signature_id: SignatureId, text: str) -> MessageId:
    """Store a message of the organizers; what was answered before has been read. Raises ``KeyDestroyed``."""
    hidden = keys.hide({"text": text})
    await conn.execute(DROP_FLAG, actor.letter_id, signature_id, Flag.ANSWERED.value)
    return MessageId(await conn.fetchval(ADD, actor.letter_id, signature_id, actor.organizer_id, hidden))


async def sent(conn: Connection, letter_id: LetterId, message_id: MessageId) -> Record | None:
    """Return a message of the organizers (id, signature, encrypted text), unless it was deleted."""
    return await conn.fetchrow(SENT, letter_id, message_id)


async def open_message(conn: Connection, letter_id: LetterId, keys: LetterKeys, message_id: MessageId) -> OpenMessage:
    """Return a message to answer. Raises ``NotFound`` if it is older than ``ANSWERABLE``, or deleted."""
    row = await conn.fetchrow(BY_LINK, letter_id, message_id, ANSWERABLE)
    text = revealed(keys, row["text"]) if row else None
    if row is None or text is None:
        raise NotFound("this message no longer exists")
    answers = tuple(filter(None, (revealed(keys, answer) for answer in row["answers"])))
    return OpenMessage(row["signature"], row["at"], row["today"], text, answers)


async def answer(conn: Connection, letter_id: LetterId, keys: LetterKeys, message_id: MessageId, typed: str) -> None:
    """Store an answer and mark its signature for the moderators. The same text again changes nothing.

    Raises ``Refused``, ``NotFound``, ``Gone``.
    """
    # lock order: see docs/decisions/lock-order.md
    await audit_log.hold_letter(conn, letter_id)
    text = notes.checked(typed, MAX_ANSWER, TOO_LONG)
    message = await open_message(conn, letter_id, keys, message_id)
    await conn.execute(LOCK_SIGNATURE, letter_id, message.signature_id)
    message = await open_message(conn, letter_id, keys, message_id)  # as others have left it
    if text in message.answers:
        return
    if message.answers_today >= MAX_ANSWERS_A_DAY:
        raise Refused(ENOUGH, "text")
    await conn.execute(ADD_FLAG, letter_id, message.signature_id, Flag.ANSWERED.value)
    await conn.execute(ADD_ANSWER, letter_id, message.signature_id, message_id, keys.hide({"text": text}))
    await audit_log.record(conn, None, letter_id, "message.answer", ids=[message.signature_id])


async def mark_read(conn: Connection, actor: Actor, signature_id: SignatureId) -> None:
    """Take the flag of a new answer off. A second time changes nothing."""
    if await conn.fetchval(DROP_FLAG, actor.letter_id, signature_id, Flag.ANSWERED.value) is not None:
        await audit_log.record_by(conn, actor, "message.read", ids=[signature_id])


async def delete(conn: Connection, actor: Actor, signature_id: SignatureId, message_id: MessageId) -> None:
    """Delete a message. One that was not mailed yet is not mailed any more. A second time changes nothing."""
    if await conn.fetchval(DROP, actor.letter_id, signature_id, message_id) is not None:
        await audit_log.record_by(conn, actor, "message.drop", ids=[signature_id])
