"""Burning a letter's keys: nothing encrypted of it can be read from then on, by anyone; count and public names stay.

In one transaction, while nothing can be added to the letter, it closes and its keys go. Then the sealed addresses of
its signatories go in batches, with the forms that wait, the mail to them, and lists of addresses that owners asked for.
A crash in between leaves addresses that ``burn``, run again, deletes. Names that wait to be shown are sealed to the
worker's key, which stays: ``signatures.burnt_names`` erases them.
"""

from petition.core import audit_log
from petition.core.database import Connection, Database
from petition.core.errors import Gone, NotFound, PetitionError
from petition.core.ids import LetterId, OrganizerId
from petition.letters import lifecycle_queries as queries
from petition.letters import taking_down
from petition.letters.model import State

PATIENCE = 3600.0  # seconds
# What holds or awaits a signatory's address. Mail refers to forms, so it goes first; lists are made from the contacts.
SEALED_TABLES = ("outbox", "pending", "contact", "address_part", "address_job")

BURN = """
UPDATE letter l SET state = CASE WHEN l.effective_state = 'open' THEN 'closed' ELSE l.effective_state END,
       closed_at = coalesce(closed_at, least(closes_at, now()), now()), wrapped_digest_key = NULL,
       wrapped_name_key = NULL, publish_at = NULL, publish_by = NULL, revision = revision + 1
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
    return await taking_down.delete_rows(database, letter_id, PATIENCE, SEALED_TABLES)
