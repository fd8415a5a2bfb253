"""All SQL of employers, but that of counting their employees (``signatures.employees``)."""

from collections.abc import Mapping, Sequence

from petition.core.database import Connection
from petition.core.ids import EmployerId, LetterId
from petition.letters.parties import Employer, Party

ALL = "SELECT id, names, domains, stopped_at IS NULL AS is_offered FROM employer WHERE letter = $1 ORDER BY id"

ADD = "INSERT INTO employer (letter, names, domains) VALUES ($1, $2, $3) RETURNING id"

# Compare-and-set: the second of two changes nothing.
STOP = "UPDATE employer SET stopped_at = now() WHERE letter = $1 AND id = $2 AND stopped_at IS NULL RETURNING id"

OFFER = "UPDATE employer SET stopped_at = NULL WHERE letter = $1 AND id = $2 AND stopped_at IS NOT NULL RETURNING id"

LOCK_LETTER = "SELECT id FROM letter WHERE id = $1 FOR NO KEY UPDATE"

# Invalidates the cached pages, and makes the web reload the employers.
MOVE_REVISION = "UPDATE letter SET revision = revision + 1 WHERE id = $1"


async def load(conn: Connection, letter_id: LetterId) -> tuple[Employer, ...]:
    """Return all employers of a letter, also those that are no longer offered."""
    rows = await conn.fetch(ALL, letter_id)
    return tuple(Employer(row["id"], Party(row["names"]), tuple(row["domains"]), row["is_offered"]) for row in rows)


async def lock_letter(conn: Connection, letter_id: LetterId) -> tuple[Employer, ...]:
    """Lock the letter's employers until the transaction ends; return them."""
    await conn.execute(LOCK_LETTER, letter_id)
    return await load(conn, letter_id)


async def add(conn: Connection, letter_id: LetterId, names: Mapping[str, str], domains: Sequence[str]) -> EmployerId:
    employer_id: EmployerId = await conn.fetchval(ADD, letter_id, dict(names), list(domains))
    return employer_id


async def offer(conn: Connection, letter_id: LetterId, employer_id: EmployerId, *, is_offered: bool) -> bool:
    """Offer an employer in the form, or no longer; return whether that changed anything."""
    return await conn.fetchval(OFFER if is_offered else STOP, letter_id, employer_id) is not None


async def move_revision(conn: Connection, letter_id: LetterId) -> None:
    await conn.execute(MOVE_REVISION, letter_id)
