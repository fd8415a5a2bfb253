"""Moderators' notes on a signature: typed text, so it is encrypted, and deleted with the signature."""

from dataclasses import dataclass, field
from datetime import datetime

from petition.core import audit_log
from petition.core.audit_log import Actor
from petition.core.database import Connection
from petition.core.encryption import LetterKeys
from petition.core.errors import KeyDestroyed, Refused
from petition.core.i18n import N_
from petition.core.ids import LetterId, NoteId, SignatureId

MAX_NOTE = 2000  # characters

EMPTY = N_("Write something.")
TOO_LONG = N_("Too long: use at most 2,000 characters.")


ADD_NOTE = "INSERT INTO note (letter, signature, organizer, text) VALUES ($1, $2, $3, $4)"

DELETE_NOTE = "DELETE FROM note WHERE letter = $1 AND signature = $2 AND id = $3 RETURNING id"

NOTES = """
SELECT n.id, n.text, n.at, coalesce(nullif(o.name, ''), '#' || o.id) AS organizer_name
FROM note n LEFT JOIN organizer o ON o.id = n.organizer
WHERE n.letter = $1 AND n.signature = $2 ORDER BY n.id
"""


@dataclass(frozen=True, slots=True)
class Note:
    """One note; ``text`` is None once the letter's key is destroyed."""

    id: NoteId
    organizer_name: str | None
    at: datetime
    text: str | None = field(repr=False)


def checked(typed: str, limit: int = MAX_NOTE, too_long: str = TOO_LONG) -> str:
    """Return text of several lines, at most ``limit`` characters, as it is stored. Raises ``Refused``."""
    text = typed.replace("\r\n", "\n").strip()
    if not text:
        raise Refused(EMPTY, "text")
    if len(text) > limit:
        raise Refused(too_long, "text")
    return text


async def add(conn: Connection, actor: Actor, keys: LetterKeys, signature_id: SignatureId, typed: str) -> None:
    """Raises ``Refused``, ``KeyDestroyed``."""
    hidden = keys.hide({"text": checked(typed)})
    await conn.execute(ADD_NOTE, actor.letter_id, signature_id, actor.organizer_id, hidden)
    await audit_log.record_by(conn, actor, "note.add", ids=[signature_id])


async def delete(conn: Connection, actor: Actor, signature_id: SignatureId, note_id: NoteId) -> None:
    """Delete a note by any organizer. A second time changes nothing."""
    if await conn.fetchval(DELETE_NOTE, actor.letter_id, signature_id, note_id) is not None:
        await audit_log.record_by(conn, actor, "note.drop", ids=[signature_id])


async def load(conn: Connection, letter_id: LetterId, keys: LetterKeys, signature_id: SignatureId) -> list[Note]:
    rows = await conn.fetch(NOTES, letter_id, signature_id)
    return [Note(row["id"], row["organizer_name"], row["at"], revealed(keys, row["text"])) for row in rows]


def revealed(keys: LetterKeys, hidden: bytes | None) -> str | None:
    """Decrypt a text; None if there is none, or the letter's key is destroyed."""
    try:
        return keys.reveal(hidden)["text"] if hidden is not None else None
    except KeyDestroyed:
        return None
