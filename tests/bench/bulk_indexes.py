"""Indexes that are dropped while a table is filled, and built like those of a table that was signed row by row."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncpg

    Conn = asyncpg.Connection[asyncpg.Record]

LONG = 3600.0  # seconds
OF_TABLE = """
SELECT i.indexrelid::regclass::text AS name, pg_get_indexdef(i.indexrelid) AS definition, k.conname AS key
FROM pg_index i LEFT JOIN pg_constraint k ON k.conindid = i.indexrelid AND k.contype = 'p'
WHERE i.indrelid = $1::regclass ORDER BY k.conname IS NULL, i.indexrelid
"""
REFERRING = """
SELECT conrelid::regclass::text AS referring, quote_ident(conname) AS name, pg_get_constraintdef(oid) AS definition
FROM pg_constraint WHERE contype = 'f' AND confrelid = ANY($1::regclass[]) ORDER BY 1, 2
"""
# What is inserted at random places leaves pages of a B-tree 69 % full (Yao 1978); what is built at once, 90 %.
RANDOM = ("signature_pkey", "signature_one_per_mailbox", "contact_pkey", "name_word_pkey")
FULL = 69


@dataclass
class Indexes:
    """What was taken from some tables, and the foreign keys to them."""

    of_tables: "dict[str, list[asyncpg.Record]]"
    referring: "list[asyncpg.Record]"

    @classmethod
    async def taken(cls, conn: "Conn", tables: Sequence[str]) -> "Indexes":
        """Drop all indexes of some tables, and what depends on them; return them."""
        referring = await conn.fetch(REFERRING, tables)
        for key in referring:
            await conn.execute(f"ALTER TABLE {key['referring']} DROP CONSTRAINT {key['name']}")
        of_tables = {}
        for table in tables:
            of_tables[table] = await conn.fetch(OF_TABLE, table)
            for index in of_tables[table]:
                drop = f"ALTER TABLE {table} DROP CONSTRAINT {index['key']}" if index["key"] else None
                await conn.execute(drop or f"DROP INDEX {index['name']}")
        return cls(of_tables, referring)

    async def build(self, conn: "Conn", table: str) -> None:
        """Build the indexes of a table."""
        for index in self.of_tables[table]:
            await conn.execute(_like_grown(index["name"], index["definition"]), timeout=LONG)
            if index["name"] in RANDOM:
                await conn.execute(f"ALTER INDEX {index['name']} RESET (fillfactor)")
            if index["key"]:
                name = index["name"]
                await conn.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} PRIMARY KEY USING INDEX {name}")

    async def refer(self, conn: "Conn") -> None:
        """Add the foreign keys again."""
        for key in self.referring:
            definition = key["definition"]
            await conn.execute(
                f"ALTER TABLE {key['referring']} ADD CONSTRAINT {key['name']} {definition}", timeout=LONG
            )


def _like_grown(name: str, definition: str) -> str:
    if name not in RANDOM:
        return definition
    before, where, condition = definition.partition(" WHERE ")
    return f"{before} WITH (fillfactor = {FULL}){where}{condition}"
