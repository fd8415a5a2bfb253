"""All SQL of partners, but that of counting them (``signatures.counting``)."""

from collections.abc import Sequence

from petition.core.database import Connection, Record
from petition.core.ids import LetterId, PartnerId

ALL = """
SELECT p.id, p.name, p.title, p.in_api, p.created_at, p.retired_at, c.people, c.representatives
FROM partner p JOIN count_partner c ON c.letter = p.letter AND c.partner = p.id
WHERE p.letter = $1 ORDER BY p.retired_at IS NOT NULL, p.name
"""

IN_API = """
SELECT p.name, p.title, c.people, c.representatives
FROM partner p JOIN published_partner c ON c.letter = p.letter AND c.partner = p.id
WHERE p.letter = $1 AND p.in_api ORDER BY p.name
"""

NUMBER = "SELECT count(*) FROM partner WHERE letter = $1"

# One statement: no partner is without a row to count on.
ADD = """
WITH added AS (
  INSERT INTO partner (letter, name, title, in_api) VALUES ($1, $2, $3, $4)
  ON CONFLICT (letter, name) DO NOTHING RETURNING letter, id
)
INSERT INTO count_partner (letter, partner) SELECT letter, id FROM added RETURNING partner
"""

# Compare-and-set, all of these: the second of two changes nothing.
CHANGE = """
UPDATE partner SET title = $5, in_api = $6
WHERE letter = $1 AND id = $2 AND title = $3 AND in_api = $4 RETURNING id
"""

RETIRE = "UPDATE partner SET retired_at = now() WHERE letter = $1 AND id = $2 AND retired_at IS NULL RETURNING id"

RESTORE = "UPDATE partner SET retired_at = NULL WHERE letter = $1 AND id = $2 AND retired_at IS NOT NULL RETURNING id"

# Invalidates the cached pages, and makes the web reload the partners.
MOVE_REVISION = "UPDATE letter SET revision = revision + 1 WHERE id = $1"

LOCK_LETTER = "SELECT id FROM letter WHERE id = $1 FOR NO KEY UPDATE"


async def all_partners(conn: Connection, letter_id: LetterId) -> list[Record]:
    """Return all partners of a letter with their counts, those in use first."""
    return await conn.fetch(ALL, letter_id)


async def in_api(conn: Connection, letter_id: LetterId) -> Sequence[Record]:
    """Return the partners whose count anyone may read, retired ones too."""
    return await conn.fetch(IN_API, letter_id)


async def lock_letter(conn: Connection, letter_id: LetterId) -> int:
    """Lock the letter's partners until the transaction ends; return how many there are."""
    await conn.execute(LOCK_LETTER, letter_id)
    number: int = await conn.fetchval(NUMBER, letter_id)
    return number


async def add(conn: Connection, letter_id: LetterId, name: str, title: str, in_api: bool) -> PartnerId | None:
    """Register a partner; return its id, or None if there is one of this name."""
    partner: PartnerId | None = await conn.fetchval(ADD, letter_id, name, title, in_api)
    return partner


async def change(
    conn: Connection, letter_id: LetterId, partner_id: PartnerId, before: tuple[str, bool], after: tuple[str, bool]
) -> bool:
    """Change (title, in_api) if they are what they were; tell whether they were."""
    return await conn.fetchval(CHANGE, letter_id, partner_id, *before, *after) is not None


async def retire(conn: Connection, letter_id: LetterId, partner_id: PartnerId) -> bool:
    """Have the name mean nothing any more; tell whether it did."""
    return await conn.fetchval(RETIRE, letter_id, partner_id) is not None


async def restore(conn: Connection, letter_id: LetterId, partner_id: PartnerId) -> bool:
    """Take that back; tell whether there was something to take back."""
    return await conn.fetchval(RESTORE, letter_id, partner_id) is not None


async def move_revision(conn: Connection, letter_id: LetterId) -> None:
    """Invalidate the letter's cached pages."""
    await conn.execute(MOVE_REVISION, letter_id)
