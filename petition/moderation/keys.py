"""A letter's keys, for those who may read the names that only organizers see."""

from petition.database import Connection
from petition.errors import NotFound
from petition.letters.board import keys_of
from petition.moderation import queries
from petition.sealing import LetterKeys, Wrapper


async def keys_for(conn: Connection, letter: int, wrapper: Wrapper) -> LetterKeys:
    """Return a letter's keys. Raises ``NotFound``."""
    row = await queries.letter_keys(conn, letter)
    if row is None:
        raise NotFound("there is no such letter")
    return keys_of(row, wrapper)
