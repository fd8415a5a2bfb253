"""All SQL of tallies at the desk."""

from collections.abc import Mapping
from datetime import date

from petition.core.database import Connection, Record
from petition.core.ids import LetterId, OrganizerId, TallyId

EVERY = """
SELECT t.*, coalesce(nullif(o.name, ''), '#' || o.id) AS who,
       EXISTS (SELECT FROM tally n WHERE n.letter = t.letter AND n.replaces = t.id) AS corrected
FROM tally t LEFT JOIN organizer o ON o.id = t.organizer WHERE t.letter = $1 ORDER BY t.id DESC LIMIT 200
"""

ONE = "SELECT people, counted_on, source FROM tally WHERE letter = $1 AND id = $2"

ADD = """
INSERT INTO tally (letter, people, counted_on, source, organizer, replaces) VALUES ($1, $2, $3, $4, $5, $6) RETURNING id
"""

# Compare and set: a second time changes nothing.
END = "UPDATE tally SET ended_at = now() WHERE letter = $1 AND id = $2 AND ended_at IS NULL"

STAND_AGAIN = """
UPDATE tally t SET ended_at = NULL WHERE t.letter = $1 AND t.id = $2 AND t.ended_at IS NOT NULL
  AND NOT EXISTS (SELECT FROM tally n WHERE n.letter = t.letter AND n.replaces = t.id)
"""


async def every(conn: Connection, letter_id: LetterId) -> list[Record]:
    """Return the newest 200 tallies of a letter."""
    return await conn.fetch(EVERY, letter_id)


async def one(conn: Connection, letter_id: LetterId, tally_id: TallyId) -> Record | None:
    """Return one tally."""
    return await conn.fetchrow(ONE, letter_id, tally_id)


async def add(
    conn: Connection,
    letter_id: LetterId,
    people: int,
    counted_on: date,
    source: Mapping[str, str],
    organizer_id: OrganizerId | None,
    replaces: TallyId | None = None,
) -> TallyId:
    """Add a tally; return its id."""
    added: TallyId = await conn.fetchval(ADD, letter_id, people, counted_on, dict(source), organizer_id, replaces)
    return added


async def end(conn: Connection, letter_id: LetterId, tally_id: TallyId) -> bool:
    """Say that a tally stands no more; tell whether it did."""
    return (await conn.execute(END, letter_id, tally_id)).endswith(" 1")


async def stand_again(conn: Connection, letter_id: LetterId, tally_id: TallyId) -> bool:
    """Say that a tally stands again; tell whether it did not, and nothing stands in its place."""
    return (await conn.execute(STAND_AGAIN, letter_id, tally_id)).endswith(" 1")
