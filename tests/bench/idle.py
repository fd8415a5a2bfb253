"""An installation with very many letters on which nothing happens: what a web process costs then."""

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from petition.core.database import connect
from tests.bench.place import Web
from tests.running import SLUG

if TYPE_CHECKING:
    import asyncpg

    Conn = asyncpg.Connection[asyncpg.Record]

SETTLED = 6.0  # seconds until a process that has just started does nothing but wait
# Copies of the sample letter under names and times of their own: half of them open, a third closed, the rest archived.
# Their counts are made up, and none has a signature.
ADD_LETTERS = f"""
WITH model AS (SELECT * FROM letter WHERE slug = '{SLUG}'), added AS (
  INSERT INTO letter (slug, state, version, opened_at, closed_at, goal, rules_version, wrapped_digest_key,
                      wrapped_name_key)
  SELECT 'letter-' || lpad(i::text, 6, '0'),
         (CASE WHEN i % 6 < 3 THEN 'open' WHEN i % 6 < 5 THEN 'closed' ELSE 'archived' END)::letter_state, 1,
         now() - i * interval '1 hour', CASE WHEN i % 6 >= 3 THEN now() - interval '1 minute' END, 1000 + i,
         rules_version, wrapped_digest_key, wrapped_name_key
  FROM model, generate_series(1, $1) i RETURNING id
), counted AS (
  INSERT INTO count (letter, people) SELECT id, id % 5000 FROM added
), parties AS (
  INSERT INTO party (letter, role, position, names, url)
  SELECT a.id, p.role, p.position, p.names, p.url FROM added a, party p, model WHERE p.letter = model.id
)
INSERT INTO version (letter, number, digest, texts, signed_before)
SELECT a.id, 1, v.digest, v.texts, 0
FROM added a, version v, model WHERE v.letter = model.id AND v.number = model.version
"""
# Each statement outside a transaction is one of these.
STATEMENTS = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()"


@dataclass(frozen=True)
class Idle:
    """What a web process needs while nothing happens."""

    share: float  # of one core
    statements: float  # a second
    resident: float  # MiB


async def add_letters(conn: "Conn", number: int) -> None:
    """Add published letters, without signatures."""
    await conn.execute(ADD_LETTERS, number, timeout=600)
    await conn.execute("VACUUM (ANALYZE)", timeout=600)


async def measure(web: Web, seconds: float) -> Idle:
    """Watch a web process for some time; PostgreSQL's own figures are complete a second after it."""
    await asyncio.sleep(SETTLED)
    before, worked = await _statements(web), web.cpu()
    await asyncio.sleep(seconds)
    share = (web.cpu() - worked) / seconds
    await asyncio.sleep(2.0)
    statements = (await _statements(web) - before) / (seconds + 2.0)
    return Idle(share, statements, web.resident())


async def _statements(web: Web) -> int:
    """Return how many statements the database has run, apart from those of this module."""
    conn = await connect(web.url)
    try:
        number: int = await conn.fetchval(STATEMENTS)
        return number
    finally:
        await conn.close()
