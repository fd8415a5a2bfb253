"""All SQL of giving signatories out."""

from collections.abc import AsyncIterator

from petition.database import Connection, Record

LONG = 3600.0  # seconds

# In the order of the list, so that an import of it elsewhere has the same order.
EXPORT = """
SELECT s.kind, s.visibility, s.name, s.affiliation, s.city, s.country, s.position, s.private, s.signed_at,
       o.name_en, o.name_ru, o.website, s.import IS NOT NULL AS imported
FROM signature s LEFT JOIN organization o ON o.letter = s.letter AND o.id = s.organization
WHERE s.letter = $1 AND s.state = 'confirmed' ORDER BY s.listed_at DESC, s.id DESC
"""


async def confirmed(conn: Connection, letter: int) -> AsyncIterator[Record]:
    """Yield every confirmed signature, newest first, a thousand at a time. Needs a transaction."""
    async for row in conn.cursor(EXPORT, letter, prefetch=1000, timeout=LONG):
        yield row
