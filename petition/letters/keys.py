"""A letter's keys, for those who may read the names that only organizers see."""

from petition.core.database import Connection, Record
from petition.core.encryption import LetterKeys, Wrapper
from petition.core.errors import NotFound
from petition.core.ids import LetterId
from petition.letters import queries


async def keys_for(conn: Connection, letter_id: LetterId, wrapper: Wrapper) -> LetterKeys:
    """Return a letter's keys. Raises ``NotFound``."""
    row = await queries.letter_keys(conn, letter_id)
    if row is None:
        raise NotFound("there is no such letter")
    return keys_of(row, wrapper, letter_id)


def keys_of(row: Record, wrapper: Wrapper, letter_id: int) -> LetterKeys:
    wrapped = row["wrapped_digest_key"], row["wrapped_name_key"]
    digest_key, name_key = (None if key is None else wrapper.unwrap(key) for key in wrapped)
    return LetterKeys(digest_key, name_key, letter_id, row["kept"])
