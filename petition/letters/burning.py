"""Burning a letter's keys: nothing encrypted of it can be read from then on, by anyone; count and public names stay.

In one transaction, while nothing can be added to the letter, it closes and its keys go. Then what is sealed to the
worker's key goes in batches: addresses with the forms that wait and the mail to them, and names that were to be shown
later: those of the letter have ended. A crash in between leaves what ``burn``, run again, deletes.
"""

from petition.core import audit_log
from petition.core.database import Connection, Database
from petition.core.errors import Gone, NotFound, PetitionError
from petition.core.ids import LetterId, OrganizerId
from petition.letters import lifecycle_queries as queries
from petition.letters.model import State

BATCH = 5000  # rows a transaction
# What holds or awaits a signatory's address. Mail refers to forms, so it goes first.
SEALED_TABLES = ("outbox", "pending", "contact")

BURN = """
UPDATE letter l SET state = CASE WHEN l.effective_state = 'open' THEN 'closed' ELSE l.effective_state END,
       closed_at = coalesce(closed_at, least(closes_at, now()), now()), wrapped_digest_key = NULL,
       wrapped_name_key = NULL, publish_at = NULL, publish_by = NULL, revision = revision + 1,
       names_ended_at = CASE
         WHEN names_published_at IS NULL AND num_nonnulls(publish_at_number, publish_at_date) > 0
           AND l.effective_state IN ('open', 'closed', 'archived')
         THEN coalesce(names_ended_at, now()) ELSE names_ended_at END
WHERE id = $1
"""


async def burn(conn: Connection, actor_id: OrganizerId | None, letter_id: LetterId) -> None:
    """Close a letter and destroy its keys, in this transaction of its own; ``delete_addresses`` does the rest.

    Raises ``NotFound``, ``Gone``, and ``PetitionError`` for a draft, which has no signatures.
    """
    row = await queries.lock_alone(conn, letter_id)
    if row is None:
        raise NotFound("there is no such letter")
    if row["state"] == State.GONE:
        raise Gone("the letter was taken down")
    if row["state"] == State.DRAFT:
        raise PetitionError("the letter is a draft: nothing has been signed")
    await conn.execute(BURN, letter_id)
    await audit_log.record(conn, actor_id, letter_id, "letter.burn", before=row["state"])


async def delete_addresses(database: Database, letter_id: LetterId) -> int:
    """Delete the addresses of a burnt letter's signatories; return how many rows went. Raises ``Unavailable``."""
    total = 0
    for table in SEALED_TABLES:
        dropped = BATCH
        while dropped == BATCH:
            async with database.transaction() as conn:
                dropped = await queries.drop_rows(conn, table, letter_id, BATCH)
            total += dropped
    while await _erase_sealed_names(database, letter_id) == BATCH:
        continue
    return total


async def _erase_sealed_names(database: Database, letter_id: LetterId) -> int:
    async with database.transaction() as conn:
        return await queries.erase_sealed_names(conn, letter_id, BATCH)
