"""All SQL of moderators' notes."""

from petition.core.database import Connection, Record
from petition.core.ids import LetterId, NoteId, OrganizerId, SignatureId

ADD = "INSERT INTO note (letter, signature, organizer, text) VALUES ($1, $2, $3, $4)"

DROP = "DELETE FROM note WHERE letter = $1 AND signature = $2 AND id = $3 RETURNING id"

READ = """
SELECT n.id, n.text, n.at, o.name AS who FROM note n LEFT JOIN organizer o ON o.id = n.organizer
WHERE n.letter = $1 AND n.signature = $2 ORDER BY n.id
"""


async def add(
    conn: Connection, letter_id: LetterId, signature_id: SignatureId, organizer_id: OrganizerId | None, text: bytes
) -> None:
    """Add an encrypted note."""
    await conn.execute(ADD, letter_id, signature_id, organizer_id, text)


async def drop(conn: Connection, letter_id: LetterId, signature_id: SignatureId, note_id: NoteId) -> bool:
    """Delete a note; tell whether it was there."""
    return await conn.fetchval(DROP, letter_id, signature_id, note_id) is not None


async def read(conn: Connection, letter_id: LetterId, signature_id: SignatureId) -> list[Record]:
    """Return the notes on a signature, the oldest first."""
    return await conn.fetch(READ, letter_id, signature_id)
