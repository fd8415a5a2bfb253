"""What moderators write down about a signature for each other: typed text, so encrypted, and gone with the person."""

from dataclasses import dataclass, field
from datetime import datetime

from petition.core import audit_log
from petition.core.audit_log import Actor
from petition.core.database import Connection
from petition.core.encryption import LetterKeys
from petition.core.errors import KeyDestroyed, Refused
from petition.core.i18n import N_
from petition.core.ids import LetterId, NoteId, SignatureId
from petition.moderation import note_queries as queries

MAX_NOTE = 2000  # characters

EMPTY = N_("Write something.")
TOO_LONG = N_("Too long: use at most 2,000 characters.")


@dataclass(frozen=True, slots=True)
class Note:
    """One note; ``text`` is None once the letter's key is destroyed."""

    id: NoteId
    who: str | None
    at: datetime
    text: str | None = field(repr=False)


def checked(typed: str, longest: int = MAX_NOTE) -> str:
    """Return text of several lines as it is kept. Raises ``Refused``."""
    text = typed.replace("\r\n", "\n").strip()
    if not text:
        raise Refused(EMPTY, "text")
    if len(text) > longest:
        raise Refused(TOO_LONG, "text")
    return text


async def add(conn: Connection, by: Actor, keys: LetterKeys, signature_id: SignatureId, typed: str) -> None:
    """Add a note. Raises ``Refused``, ``KeyDestroyed``."""
    await queries.add(conn, by.letter_id, signature_id, by.organizer_id, keys.hide({"text": checked(typed)}))
    await audit_log.record(conn, by.organizer_id, by.letter_id, "note.add", ids=[signature_id])


async def drop(conn: Connection, by: Actor, signature_id: SignatureId, note_id: NoteId) -> None:
    """Delete a note, whoever wrote it. A second time changes nothing."""
    if await queries.drop(conn, by.letter_id, signature_id, note_id):
        await audit_log.record(conn, by.organizer_id, by.letter_id, "note.drop", ids=[signature_id])


async def read(conn: Connection, letter_id: LetterId, keys: LetterKeys, signature_id: SignatureId) -> list[Note]:
    """Return the notes on a signature, the oldest first."""
    rows = await queries.read(conn, letter_id, signature_id)
    return [Note(row["id"], row["who"], row["at"], revealed(keys, row["text"])) for row in rows]


def revealed(keys: LetterKeys, hidden: bytes | None) -> str | None:
    """Return a text that was encrypted under the letter's key, or None if there is none any more."""
    try:
        return keys.reveal(hidden)["text"] if hidden is not None else None
    except KeyDestroyed:
        return None
