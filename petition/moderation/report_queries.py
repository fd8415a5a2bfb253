"""All SQL of reports by readers."""

from petition.core.database import Connection, Record
from petition.core.ids import LetterId, SignatureId

PERSON = """
SELECT id, name, NULL AS name_en, NULL AS name_ru FROM signature
WHERE letter = $1 AND id = $2 AND kind = 'person' AND state = 'confirmed' AND visibility = 'public'
"""

# A report of an entry stands on the first of its signatures.
ORGANIZATION = """
SELECT s.id, NULL AS name, o.name_en, o.name_ru
FROM organization o JOIN signature s ON s.letter = o.letter AND s.organization = o.id AND s.state = 'confirmed'
WHERE o.letter = $1 AND o.id = $2 ORDER BY s.listed_at, s.id LIMIT 1
"""

ADD = """
WITH flagged AS (
  UPDATE signature SET flags = array_append(array_remove(flags, 'reported'), 'reported')
  WHERE letter = $1 AND id = $2 AND state = 'confirmed' RETURNING letter, id
)
INSERT INTO report (letter, signature, reason, note) SELECT letter, id, $3, $4 FROM flagged
"""


async def entry(conn: Connection, letter_id: LetterId, kind: str, id: int) -> Record | None:
    """Return the signature behind an entry of the public list, with the names that stand there."""
    return await conn.fetchrow(PERSON if kind == "person" else ORGANIZATION, letter_id, id)


async def add(
    conn: Connection, letter_id: LetterId, signature_id: SignatureId, reason: str, note: bytes | None
) -> None:
    """Add a report, if the signature still counts."""
    await conn.execute(ADD, letter_id, signature_id, reason, note)
