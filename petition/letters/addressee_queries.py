"""All SQL of addressees as a letter names them, and of what readers see of each."""

from collections import defaultdict
from collections.abc import Sequence

from petition.core.database import Connection, Record
from petition.core.ids import AddresseeId, LetterId
from petition.letters.addressee_matching import StoredAddressee, match
from petition.letters.addressees import Addressee, AddresseeState, Response
from petition.letters.parties import Party

ADDRESSEES = """
SELECT id, names, url FROM addressee WHERE letter = $1 AND position IS NOT NULL ORDER BY position
"""

RESPONSES = """
SELECT id, addressee, state, at, summary, url, file IS NOT NULL AND state <> 'delivered' AS has_file
FROM addressee_event WHERE letter = $1 AND sent AND failed IS NULL AND undone_at IS NULL AND state <> 'reminded'
ORDER BY at, id
"""

STORED = """
SELECT a.id, a.names, a.url, a.position,
       a.digest IS NOT NULL OR a.link_until IS NOT NULL OR a.objected_at IS NOT NULL OR EXISTS (
         SELECT FROM addressee_event e WHERE e.letter = a.letter AND e.addressee = a.id) AS has_history
FROM addressee a WHERE a.letter = $1 ORDER BY a.position NULLS LAST, a.id
"""

ADD = "INSERT INTO addressee (letter, position, names, url) VALUES ($1, $2, $3, $4)"

REPOSITION = "UPDATE addressee SET position = $3, names = $4, url = $5 WHERE letter = $1 AND id = $2"

# What happened stays on record; of those without a history nothing is left.
RETIRE = "UPDATE addressee SET position = NULL WHERE letter = $1 AND id = $2"

DROP = "DELETE FROM addressee WHERE letter = $1 AND id = $2"

# Of a document that readers may open.
DOCUMENT = """
SELECT f.type, octet_length(f.content) AS size, substring(f.content FROM $3::int + 1 FOR $4::int) AS part
FROM letter l
JOIN addressee_event e ON e.letter = l.id AND e.id = $2
JOIN addressee a ON a.letter = l.id AND a.id = e.addressee
JOIN addressee_file f ON f.letter = l.id AND f.id = e.file
WHERE l.slug = $1 AND l.version IS NOT NULL AND e.state <> 'delivered' AND e.undone_at IS NULL
  AND a.position IS NOT NULL
"""


async def load(conn: Connection, letter_id: LetterId) -> tuple[Addressee, ...]:
    """Return the addressees as the letter names them, each with what readers see of it."""
    responses: dict[AddresseeId, list[Response]] = defaultdict(list)
    for row in await conn.fetch(RESPONSES, letter_id):
        responses[row["addressee"]].append(_response(row))
    return tuple(
        Addressee(row["names"], row["url"], row["id"], tuple(responses[row["id"]]))
        for row in await conn.fetch(ADDRESSEES, letter_id)
    )


def _response(row: Record) -> Response:
    state = AddresseeState(row["state"])
    return Response(row["id"], state, row["at"], row["summary"], row["url"], row["has_file"])


async def parties(conn: Connection, letter_id: LetterId) -> tuple[Party, ...]:
    return tuple(Party(row["names"], row["url"]) for row in await conn.fetch(ADDRESSEES, letter_id))


async def set_parties(conn: Connection, letter_id: LetterId, parties: Sequence[Party]) -> None:
    """Have the letter name ``parties``; what is recognized keeps its row, and with it what happened."""
    rows = await conn.fetch(STORED, letter_id)
    stored = [
        StoredAddressee(row["id"], Party(row["names"], row["url"]), row["position"], row["has_history"]) for row in rows
    ]
    matches = match(stored, parties)
    for gone in (row for row in stored if row.id not in matches):
        await conn.execute(RETIRE if gone.has_history else DROP, letter_id, gone.id)
    for position, (addressee_id, party) in enumerate(zip(matches, parties, strict=True)):
        if addressee_id is None:
            await conn.execute(ADD, letter_id, position, dict(party.names), party.url)
        else:
            await conn.execute(REPOSITION, letter_id, addressee_id, position, dict(party.names), party.url)


async def document(conn: Connection, slug: str, response_id: int, start: int, length: int) -> Record | None:
    """Return (type, size, part) of the document that a published answer has; the part begins at ``start``."""
    return await conn.fetchrow(DOCUMENT, slug, response_id, start, length)
