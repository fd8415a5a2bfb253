"""Files about an addressee: a receipt of a delivery, the document of an answer. Of few types, and only to be saved."""

from petition.core.database import Connection
from petition.core.encryption import LetterKeys
from petition.core.errors import NotFound, Refused
from petition.core.i18n import N_
from petition.core.ids import LetterId
from petition.drafts import pictures
from petition.drafts.pictures import BadPicture

MAX_BYTES = 5 * 1024 * 1024
PDF = "application/pdf"
MAX_SIDE = 2400  # pixels: a page of A4 at 200 dots an inch

NOT_TAKEN = N_("Use a PDF, PNG or JPEG file.")
TOO_BIG = N_("The file must be 5 MB or smaller.")

_PICTURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")

ADD = "INSERT INTO addressee_file (letter, type, content, hidden) VALUES ($1, $2, $3, $4) RETURNING id"

FILE = "SELECT type, content, hidden FROM addressee_file WHERE letter = $1 AND id = $2"

SHOW = "UPDATE addressee_file SET content = $3, hidden = false WHERE letter = $1 AND id = $2"

File = tuple[str, bytes]  # media type, content


def checked(content: bytes) -> File:
    """Return a file as it is stored; pictures are drawn anew, so that nothing else travels in them.

    Decodes pictures: call it in a thread. Raises ``Refused``.
    """
    if len(content) > MAX_BYTES:
        raise Refused(TOO_BIG, "file")
    if content.startswith(b"%PDF-"):
        return PDF, content
    if not content.startswith(_PICTURES):
        raise Refused(NOT_TAKEN, "file")
    try:
        return pictures.redraw(content, max_bytes=MAX_BYTES, max_side=MAX_SIDE)
    except BadPicture as bad:
        raise Refused(NOT_TAKEN if bad.message == pictures.NO_PICTURE else bad.message, "file") from None


async def add(conn: Connection, letter_id: LetterId, keys: LetterKeys, file: File, *, hidden: bool) -> int:
    """Store a file; a ``hidden`` one encrypted, for organizers only. Return its id. Raises ``KeyDestroyed``."""
    media_type, content = file
    stored = keys.encrypt(content) if hidden else content
    return int(await conn.fetchval(ADD, letter_id, media_type, stored, hidden))


async def load(conn: Connection, letter_id: LetterId, keys: LetterKeys, file_id: int) -> File:
    """Return a file for organizers. Raises ``NotFound``, ``KeyDestroyed``."""
    row = await conn.fetchrow(FILE, letter_id, file_id)
    if row is None:
        raise NotFound("there is no such file")
    return row["type"], keys.decrypt(row["content"]) if row["hidden"] else row["content"]


async def show(conn: Connection, letter_id: LetterId, keys: LetterKeys, file_id: int) -> None:
    """Let readers have a file that waited, encrypted. Raises ``NotFound``, ``KeyDestroyed``."""
    _, content = await load(conn, letter_id, keys, file_id)
    await conn.execute(SHOW, letter_id, file_id, content)
