"""All SQL of organizations that wait."""

from collections.abc import Sequence

from petition.core.database import Connection, Record
from petition.core.ids import LetterId

HELD = """
SELECT letter, id, private, country, visibility, signals, signed_at, listed_at FROM signature
WHERE letter = $1 AND state = 'held' AND kind = 'organization' ORDER BY listed_at, id
"""

APPROVE = """
UPDATE signature s SET state = 'confirmed', listed_at = now(), organization = u.organization, name = u.name,
       "position" = u.position, private = u.private
FROM unnest($2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::bytea[])
  AS u (id, organization, name, position, private)
WHERE s.letter = $1 AND s.id = u.id AND s.state = 'held'
"""

KEEP_REPRESENTATIVES = """
UPDATE contact SET until = now() + interval '30 days'
WHERE letter = $1 AND signature = ANY($2::bigint[]) AND purpose = 'representative'
"""


async def held(conn: Connection, letter_id: LetterId) -> list[Record]:
    """Return the signatures of a letter's organizations that wait, the oldest first."""
    return await conn.fetch(HELD, letter_id)


async def approve(conn: Connection, letter_id: LetterId, rows: Sequence[Sequence[object]]) -> None:
    """Have signatures count: id, organization, and the representative's name, position, or both encrypted."""
    await conn.execute(APPROVE, letter_id, *zip(*rows, strict=True))


async def keep_representatives(conn: Connection, letter_id: LetterId, ids: Sequence[int]) -> None:
    """Keep the representatives' addresses for 30 more days, for questions about the decision."""
    await conn.execute(KEEP_REPRESENTATIVES, letter_id, ids)
