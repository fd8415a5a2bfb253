"""After ``petition keys rotate --contact``: what is sealed to a former contact pair is sealed to the present one.

Table by table, in batches; each is one short transaction, and skips rows that others hold. A worker that is killed is
followed by one that begins anew, and leaves what is done as it is. A walk is repeated each hour while former keys are
configured: a form may bring what an older web process has sealed.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from petition.core.database import Database, Record
from petition.core.decryptions import DecryptedContent
from petition.core.encryption import Opener

BATCH = 500  # rows; opening one takes a tenth of a millisecond
PAUSE = 3600.0  # seconds between two walks


@dataclass(frozen=True, slots=True)
class SealedColumn:
    """A column of what is sealed to the contact pair; ``key`` is the primary key with its types."""

    key: Mapping[str, str]
    has_letter: bool = True
    content: DecryptedContent = DecryptedContent.ADDRESS


_OF_LETTER = {"letter": "integer", "id": "bigint"}
SEALED_COLUMNS: Mapping[str, SealedColumn] = {
    "contact": SealedColumn({"letter": "integer", "signature": "bigint", "purpose": "text"}),
    "signature": SealedColumn(_OF_LETTER, content=DecryptedContent.NAME),
    "pending": SealedColumn(_OF_LETTER),
    "outbox": SealedColumn({"id": "bigint"}),
    "addressee": SealedColumn({"letter": "integer", "id": "integer"}),
    "organizer": SealedColumn({"id": "integer"}, has_letter=False),
    "invitation": SealedColumn({"id": "bigint"}),
}


def _first(table: str, column: SealedColumn, condition: str = "") -> str:
    """Return SQL that reads up to $1 rows."""
    letter = "letter" if column.has_letter else "NULL::integer AS letter"
    keys = ", ".join(f"{name} AS key_{number}" for number, name in enumerate(column.key))
    order = ", ".join(column.key)
    return f"""
SELECT {keys}, {letter}, sealed FROM {table} WHERE sealed IS NOT NULL{condition} ORDER BY {order} LIMIT $1
"""  # noqa: S608 - constants


def _next(table: str, column: SealedColumn) -> str:
    """Return SQL that reads up to $1 rows behind the key in the other parameters."""
    after = ", ".join(f"${number}::{kind}" for number, kind in enumerate(column.key.values(), 2))
    return _first(table, column, f" AND ({', '.join(column.key)}) > ({after})")


def _replace(table: str, column: SealedColumn) -> str:
    """Return SQL that replaces values: $1 the former, $2 the new ones; the keys in the other parameters."""
    names = ", ".join(f"key_{number}" for number in range(len(column.key)))
    keys = ", ".join(f"${number}::{kind}[]" for number, kind in enumerate(column.key.values(), 3))
    same = " AND ".join(f"t.{name} = u.key_{number}" for number, name in enumerate(column.key))
    again = " AND ".join(f"t.{name} = r.{name}" for name in column.key)
    return f"""
WITH r AS (
  SELECT {", ".join(f"t.{name}" for name in column.key)}, u.new FROM {table} t
  JOIN unnest($1::bytea[], $2::bytea[], {keys}) AS u (former, new, {names}) ON {same} AND t.sealed = u.former
  ORDER BY {", ".join(f"t.{name}" for name in column.key)} FOR UPDATE OF t SKIP LOCKED
)
UPDATE {table} t SET sealed = r.new FROM r WHERE {again}
"""  # noqa: S608 - constants


FIRST = {table: _first(table, column) for table, column in SEALED_COLUMNS.items()}
NEXT = {table: _next(table, column) for table, column in SEALED_COLUMNS.items()}
REPLACE = {table: _replace(table, column) for table, column in SEALED_COLUMNS.items()}


class Resealer:
    """Walks through everything that is sealed. One object per worker."""

    def __init__(self, opener: Opener) -> None:
        self._opener = opener
        self._walked_at = float("-inf")

    async def walk(self, database: Database) -> int:
        """Seal anew what a former key opens, if it is time; return how many values. Raises ``Unavailable``."""
        if time.monotonic() - self._walked_at < PAUSE:
            return 0
        total = sum([await self._walk_table(database, table) for table in SEALED_COLUMNS])
        self._walked_at = time.monotonic()
        return total

    async def _walk_table(self, database: Database, table: str) -> int:
        total, number = 0, len(SEALED_COLUMNS[table].key)
        after: tuple[object, ...] = ()
        while True:
            async with database.connection() as conn:
                rows = await conn.fetch(NEXT[table] if after else FIRST[table], BATCH, *after)
            total += await self._replace(database, table, rows)
            if len(rows) < BATCH:
                return total
            after = tuple(rows[-1])[:number]

    async def _replace(self, database: Database, table: str, rows: Sequence[Record]) -> int:
        column = SEALED_COLUMNS[table]
        new = await asyncio.to_thread(
            lambda: [self._opener.reseal(row["sealed"], row["letter"], column.content) for row in rows]
        )
        changed = [(row, sealed) for row, sealed in zip(rows, new, strict=True) if sealed is not None]
        if not changed:
            return 0
        keys = zip(*(tuple(row)[: len(column.key)] for row, _ in changed), strict=True)
        former, sealed = [row["sealed"] for row, _ in changed], [sealed for _, sealed in changed]
        async with database.transaction() as conn:
            status = await conn.execute(REPLACE[table], former, sealed, *map(list, keys))
        return int(status.split()[-1])
