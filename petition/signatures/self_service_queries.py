"""All SQL of a signatory's own page."""

from collections.abc import Mapping, Sequence

from petition.core.database import Connection, Record
from petition.core.ids import LetterId, OrganizationId, SignatureId

SEE_OWN = """
SELECT s.*, o.name_en, o.name_ru, o.website,
       ARRAY(SELECT c.purpose FROM contact c WHERE c.letter = s.letter AND c.signature = s.id ORDER BY 1) AS purposes,
       (SELECT c.until FROM contact c
        WHERE c.letter = s.letter AND c.signature = s.id AND c.purpose = 'representative') AS kept_until
FROM signature s LEFT JOIN organization o ON o.letter = s.letter AND o.id = s.organization
WHERE s.letter = $1 AND s.id = $2
"""

LOCK_OWN = SEE_OWN + "FOR UPDATE OF s"

STORE_NAMES = """
UPDATE signature SET visibility = $3, name = $4, affiliation = $5, city = $6, "position" = $7, name_key = $8,
       private = $9
WHERE letter = $1 AND id = $2
"""

# Everything that says who it was. What stays is that somebody signed this version and took it back. The keyed digest of
# an imported row stays too: else the next import of the same file would bring back whoever took their name out of it.
WITHDRAW = """
UPDATE signature SET state = 'withdrawn', visibility = 'counted', organization = NULL, country = NULL, read_lang = NULL,
       mail_lang = NULL, digest = NULL, name = NULL, affiliation = NULL, city = NULL,
       name_key = NULL, "position" = NULL, private = NULL, signals = NULL, network = NULL,
       flags = '{}', group_number = NULL
WHERE letter = $1 AND id = $2 AND state IN ('confirmed', 'held')
"""

DROP_SIGNATURE = "DELETE FROM signature WHERE letter = $1 AND id = $2"

DROP_CONTACTS = "DELETE FROM contact WHERE letter = $1 AND signature = $2"

STOP_NEWS = "DELETE FROM contact WHERE letter = $1 AND signature = $2 AND purpose = 'updates'"

# What moderators and readers have typed about it, and former names.
DROP_TYPED = """
WITH notes AS (DELETE FROM note WHERE letter = $1 AND signature = $2),
     reports AS (DELETE FROM report WHERE letter = $1 AND signature = $2),
     typed AS (DELETE FROM typed WHERE letter = $1 AND signature = $2)
DELETE FROM past WHERE letter = $1 AND signature = $2
"""

# Locked by id, as those who confirm do: whoever took a mailbox's signature first and its pending rows then would wait
# for somebody who holds one of these and wants the other.
DROP_TRIES = """
WITH tries AS MATERIALIZED (
  SELECT id FROM pending
  WHERE letter = $1 AND (id = $2 OR digest = (SELECT digest FROM signature WHERE letter = $1 AND id = $2))
  ORDER BY id FOR UPDATE
)
DELETE FROM pending p USING tries t WHERE p.letter = $1 AND p.id = t.id
"""

# For good: nobody can bring back what is deleted, whatever becomes of another signature of the same mailbox.
KEEP_BAR = """
INSERT INTO bar (letter, digest, kept) VALUES ($1, $2, true) ON CONFLICT (letter, digest) DO UPDATE SET kept = true
"""

STANDING = """
SELECT count(*) AS signatures,
       count(*) FILTER (WHERE state = 'confirmed') AS confirmed,
       count(*) FILTER (WHERE state = 'confirmed' AND import IS NOT NULL) AS imported
FROM signature WHERE letter = $1 AND organization = $2
"""

LOCK_ORGANIZATION = "SELECT name_key FROM organization WHERE letter = $1 AND id = $2 FOR UPDATE"

# With those merged into it: their names would lead to nothing.
DROP_ORGANIZATION = "DELETE FROM organization WHERE letter = $1 AND (id = $2 OR merged_into = $2)"


async def see(conn: Connection, letter_id: LetterId, signature_id: SignatureId, *, lock: bool = False) -> Record | None:
    """Return a signature with its organization; ``lock`` keeps others from changing it meanwhile."""
    return await conn.fetchrow(LOCK_OWN if lock else SEE_OWN, letter_id, signature_id)


async def store_names(
    conn: Connection, letter_id: LetterId, signature_id: SignatureId, visibility: str, columns: Sequence[object]
) -> None:
    """Write who may see the names, and the names accordingly: name, affiliation, city, position, name_key, private."""
    await conn.execute(STORE_NAMES, letter_id, signature_id, visibility, *columns)


async def withdraw(conn: Connection, letter_id: LetterId, signature_id: SignatureId) -> bool:
    """Erase everything personal; return whether there was something to withdraw."""
    return str(await conn.execute(WITHDRAW, letter_id, signature_id)) == "UPDATE 1"


async def drop(conn: Connection, letter_id: LetterId, signature_id: SignatureId) -> None:
    """Delete the row, and the kept address with it."""
    await conn.execute(DROP_SIGNATURE, letter_id, signature_id)


async def drop_contacts(conn: Connection, letter_id: LetterId, signature_id: SignatureId) -> None:
    """Delete the kept address, and whatever anybody has written about the signature."""
    await conn.execute(DROP_CONTACTS, letter_id, signature_id)
    await conn.execute(DROP_TYPED, letter_id, signature_id)


async def stop_news(conn: Connection, letter_id: LetterId, signature_id: SignatureId) -> None:
    """Delete the address that is kept for news."""
    await conn.execute(STOP_NEWS, letter_id, signature_id)


async def drop_tries(conn: Connection, letter_id: LetterId, signature_id: SignatureId) -> None:
    """Delete the pending row of this id, and whatever was typed for the mailbox of this signature and never confirmed.

    The first statement of a transaction, before the signature is locked.
    """
    await conn.execute(DROP_TRIES, letter_id, signature_id)


async def keep_bar(conn: Connection, letter_id: LetterId, digest: bytes) -> None:
    """Have a removed mailbox stay barred although its row goes."""
    await conn.execute(KEEP_BAR, letter_id, digest)


async def lock_organization(conn: Connection, letter_id: LetterId, organization_id: OrganizationId) -> str:
    """Lock an organization; return the folded words of its names."""
    return str(await conn.fetchval(LOCK_ORGANIZATION, letter_id, organization_id))


async def standing(conn: Connection, letter_id: LetterId, organization_id: OrganizationId) -> Mapping[str, int]:
    """Return how many signatures point to an organization, how many of them confirmed, how many of those imported."""
    row = await conn.fetchrow(STANDING, letter_id, organization_id)
    return dict(row) if row else {}


async def drop_organization(conn: Connection, letter_id: LetterId, organization_id: OrganizationId) -> None:
    """Delete an organization nobody signs for any more."""
    await conn.execute(DROP_ORGANIZATION, letter_id, organization_id)
