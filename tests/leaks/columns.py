"""What each column holds: as it is, and opened with every key that the installation has."""

import base64
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, SealedBox

from petition.core.database import Database
from petition.core.encryption import LetterKeys, Wrapper
from petition.core.errors import KeyDestroyed
from petition.core.ids import LetterId
from petition.letters.keys import keys_for
from petition.stored_data.model import Form
from tests.leaks.search import squeezed
from tests.running import KEY, PRIVATE_KEY

NAMES = """
SELECT relname AS name FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
"""
Column = tuple[str, str]


@dataclass(frozen=True)
class ColumnContent:
    """All values of a column in one form."""

    table: str
    column: str
    form: Form
    content: bytes


class Keys:
    """All that opens anything: of each letter, and the worker's."""

    def __init__(self, letters: Mapping[int, LetterKeys]) -> None:
        self._letters = letters
        self._box = SealedBox(PrivateKey(bytes.fromhex(PRIVATE_KEY)))

    @classmethod
    async def of(cls, database: Database) -> "Keys":
        async with database.connection() as conn:
            ids = [row["id"] for row in await conn.fetch("SELECT id FROM letter WHERE state <> 'gone'")]
            return cls({id: await keys_for(conn, LetterId(id), Wrapper([KEY])) for id in ids})

    def opened(self, letter_id: int | None, content: bytes) -> Iterator[tuple[Form, bytes]]:
        """Yield what is in ``content``, and in what is encrypted within it."""
        try:
            sealed = self._box.decrypt(content)
        except CryptoError:
            pass
        else:
            yield Form.SEALED, sealed
        keys = self._letters.get(letter_id or 0)
        if keys is None:
            return
        try:
            plain = keys.decrypt(content)
        except (KeyDestroyed, CryptoError, ValueError):
            return
        yield Form.ENCRYPTED, plain
        yield from self._within(plain)

    def _within(self, plain: bytes) -> Iterator[tuple[Form, bytes]]:
        """Yield the names that are sealed within encrypted fields."""
        try:
            fields = json.loads(plain)
        except ValueError:
            return
        if isinstance(fields, dict) and "sealed" in fields:
            yield Form.SEALED, self._box.decrypt(base64.b64decode(fields["sealed"]))


def opens(private_key: str, sealed: bytes) -> bool:
    try:
        SealedBox(PrivateKey(bytes.fromhex(private_key))).decrypt(sealed)
    except CryptoError:
        return False
    return True


async def contents_of(database: Database, keys: Keys) -> list[ColumnContent]:
    """Return the contents of all columns of all tables."""
    contents: dict[tuple[str, str, Form], list[bytes]] = defaultdict(list)
    async with database.connection() as conn:
        for (table,) in await conn.fetch(NAMES):
            for row in await conn.fetch(f'SELECT * FROM "{table}"'):
                for column, value in row.items():
                    for form, content in _forms(keys, row.get("letter"), value):
                        contents[table, column, form].append(content)
    return [ColumnContent(*key, b"\n".join(parts)) for key, parts in contents.items()]


def _forms(keys: Keys, letter_id: int | None, value: Any) -> Iterator[tuple[Form, bytes]]:
    if isinstance(value, bytes):
        yield Form.CLEAR, value
        yield from keys.opened(letter_id, value)
    elif value is not None:
        yield Form.CLEAR, json.dumps(value, ensure_ascii=False, default=str).encode()


async def dump(database: Database) -> bytes:
    """Return every table as text, as pg_dump writes it, ready to be searched."""
    pieces: list[bytes] = []

    async def take(data: bytes) -> None:
        pieces.append(data)

    async with database.connection() as conn:
        for row in await conn.fetch(NAMES):
            await conn.copy_from_query(f'TABLE "{row["name"]}"', output=take)
    return squeezed(b"".join(pieces))
