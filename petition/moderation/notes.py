"""What moderators write down about a signature for each other: typed text, so encrypted, and gone with the person."""

from dataclasses import dataclass, field
from datetime import datetime

from petition.core import audit_log
from petition.core.audit_log import By
from petition.core.database import Connection
from petition.core.encryption import LetterKeys
from petition.core.errors import KeyDestroyed, Refused
from petition.core.i18n import N_
from petition.moderation import note_queries as queries

LONGEST = 2000  # characters

EMPTY = N_("Write something.")
TOO_LONG = N_("Too long: use at most 2,000 characters.")


@dataclass(frozen=True, slots=True)
class Note:
    """One note; ``text`` is None once the letter's key is destroyed."""

    id: int
    who: str | None
    at: datetime
    text: str | None = field(repr=False)


def checked(typed: str, longest: int = LONGEST) -> str:
    """Return text of several lines as it is kept. Raises ``Refused``."""
    text = typed.replace("\r\n", "\n").strip()
    if not text:
        raise Refused(EMPTY, "text")
    if len(text) > longest:
        raise Refused(TOO_LONG, "text")
    return text


async def add(conn: Connection, by: By, keys: LetterKeys, signature: int, typed: str) -> None:
    """Add a note. Raises ``Refused``, ``KeyDestroyed``."""
    await queries.add(conn, by.letter, signature, by.organizer, keys.hide({"text": checked(typed)}))
    await audit_log.write(conn, by.organizer, by.letter, "note.add", ids=[signature])


async def drop(conn: Connection, by: By, signature: int, note: int) -> None:
    """Delete a note, whoever wrote it. A second time changes nothing."""
    if await queries.drop(conn, by.letter, signature, note):
        await audit_log.write(conn, by.organizer, by.letter, "note.drop", ids=[signature])


async def read(conn: Connection, letter: int, keys: LetterKeys, signature: int) -> list[Note]:
    """Return the notes on a signature, the oldest first."""
    rows = await queries.read(conn, letter, signature)
    return [Note(row["id"], row["who"], row["at"], revealed(keys, row["text"])) for row in rows]


def revealed(keys: LetterKeys, hidden: bytes | None) -> str | None:
    """Return a text that was encrypted under the letter's key, or None if there is none any more."""
    try:
        return keys.reveal(hidden)["text"] if hidden is not None else None
    except KeyDestroyed:
        return None
