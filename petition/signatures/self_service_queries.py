"""The SQL of a signatory's own page."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from petition.core.database import Connection, Record
from petition.core.ids import LetterId, OrganizationId, SignatureId

SIGNATURE = """
SELECT s.*, (SELECT l.names_ended_at IS NOT NULL FROM letter l WHERE l.id = s.letter) AS names_have_ended,
       o.name_en, o.name_ru, o.website,
       (SELECT e.names FROM employer e WHERE e.letter = s.letter AND e.id = s.employer) AS employer_names,
       ARRAY(SELECT c.purpose FROM contact c WHERE c.letter = s.letter AND c.signature = s.id ORDER BY 1) AS purposes,
       (SELECT c.until FROM contact c
        WHERE c.letter = s.letter AND c.signature = s.id AND c.purpose = 'representative') AS kept_until
FROM signature s LEFT JOIN organization o ON o.letter = s.letter AND o.id = s.organization
WHERE s.letter = $1 AND s.id = $2
"""

LOCK_SIGNATURE = SIGNATURE + "FOR UPDATE OF s"

STORE_NAMES = """
UPDATE signature SET visibility = $3::visibility, name = $4, affiliation = $5, city = $6, "position" = $7,
       name_key = $8, private = $9, sealed = $10, employer = $11,
       country = CASE WHEN $3::visibility = 'counted' THEN NULL ELSE country END,
       signals = CASE WHEN $3::visibility = 'counted' THEN nullif(signals - 'partner', '{}') ELSE signals END,
       visible_until = CASE WHEN $3::visibility = 'public' THEN visible_until END,
       hide_as = CASE WHEN $3::visibility = 'public' THEN hide_as END
WHERE letter = $1 AND id = $2
"""

SET_COUNTRY = "UPDATE signature SET country = $3 WHERE letter = $1 AND id = $2"

# Erases everything that identifies the signatory; the row still says that this version was signed and withdrawn. The
# import key of an imported row stays: otherwise the next import of the same file would add the signature again.
WITHDRAW = """
UPDATE signature SET state = 'withdrawn', visibility = 'counted', organization = NULL, country = NULL, read_lang = NULL,
       mail_lang = NULL, digest = NULL, name = NULL, affiliation = NULL, city = NULL,
       name_key = NULL, "position" = NULL, private = NULL, sealed = NULL, signals = NULL, network = NULL,
       domain = NULL, mail_host = NULL, visible_until = NULL, hide_as = NULL, flags = '{}', group_number = NULL,
       employer = NULL
WHERE letter = $1 AND id = $2 AND state IN ('confirmed', 'held')
"""

DELETE_SIGNATURE = "DELETE FROM signature WHERE letter = $1 AND id = $2"

DELETE_CONTACTS = "DELETE FROM contact WHERE letter = $1 AND signature = $2"

# Those of the mailbox, which may have signed as a person and for an organization: one mail comes, one click ends it.
STOP_UPDATES = """
DELETE FROM contact WHERE (letter, signature, purpose) IN (
  SELECT letter, signature, purpose FROM contact
  WHERE letter = $1 AND purpose = 'updates' AND signature IN (
    SELECT $2::bigint UNION ALL
    SELECT o.id FROM signature s JOIN signature o ON o.letter = s.letter AND o.digest = s.digest
      AND o.kind IN ('person', 'organization')
    WHERE s.letter = $1 AND s.id = $2)
  ORDER BY signature FOR UPDATE)
"""

UPDATES_SINCE = """
SELECT coalesce(since, now()) FROM contact WHERE letter = $1 AND signature = $2 AND purpose = 'updates'
"""

START_UPDATES = """
INSERT INTO contact (letter, signature, purpose, sealed, since)
SELECT letter, id, 'updates', $3, CASE WHEN state = 'confirmed' THEN now() END FROM signature
WHERE letter = $1 AND id = $2
ON CONFLICT (letter, signature, purpose) DO NOTHING
"""

# What moderators and readers wrote about it, former names, and mail about it that waits with the address. (A mail that
# is being sent finds that there is no such signature any more.)
DELETE_ATTACHED = """
WITH mails AS (
       DELETE FROM outbox WHERE letter = $1 AND purpose IN ('decision', 'message', 'second') AND lease IS NULL
         AND (details ->> 'signature')::bigint = $2),
     notes AS (DELETE FROM note WHERE letter = $1 AND signature = $2),
     reports AS (DELETE FROM report WHERE letter = $1 AND signature = $2),
     messages AS (DELETE FROM message WHERE letter = $1 AND signature = $2),
     typed AS (DELETE FROM typed WHERE letter = $1 AND signature = $2)
DELETE FROM past WHERE letter = $1 AND signature = $2
"""

# Locked by id, before the signature, as confirming does.
# lock order: see docs/decisions/lock-order.md
DELETE_PENDING = """
WITH rows_of_mailbox AS MATERIALIZED (
  SELECT id FROM pending
  WHERE letter = $1 AND (id = $2 OR digest = (SELECT digest FROM signature WHERE letter = $1 AND id = $2))
  ORDER BY id FOR UPDATE
)
DELETE FROM pending p USING rows_of_mailbox r WHERE p.letter = $1 AND p.id = r.id
"""

LOCK_PENDING = "SELECT kind, digest, fields, sealed, created_at FROM pending WHERE letter = $1 AND id = $2 FOR UPDATE"

USE_PENDING = """
WITH used AS (DELETE FROM pending WHERE letter = $1 AND id = $2 RETURNING letter, id)
INSERT INTO other_link (letter, id, signature) SELECT letter, id, $3 FROM used
"""

OTHER_LINK = "SELECT signature FROM other_link WHERE letter = $1 AND id = $2"

# A deleted signature cannot be restored, so nothing that happens to another one of this mailbox lifts the bar.
MAKE_BAR_PERMANENT = """
INSERT INTO bar (letter, digest, kept) VALUES ($1, $2, true) ON CONFLICT (letter, digest) DO UPDATE SET kept = true
"""

COUNT_OF_ORGANIZATION = """
SELECT count(*) AS signatures,
       count(*) FILTER (WHERE state = 'confirmed') AS confirmed,
       count(*) FILTER (WHERE state = 'confirmed' AND import IS NOT NULL) AS imported
FROM signature WHERE letter = $1 AND organization = $2
"""

LOCK_ORGANIZATION = "SELECT name_key FROM organization WHERE letter = $1 AND id = $2 FOR UPDATE"

# With those merged into it: their names would lead nowhere.
DELETE_ORGANIZATION = "DELETE FROM organization WHERE letter = $1 AND (id = $2 OR merged_into = $2)"


async def load(
    conn: Connection, letter_id: LetterId, signature_id: SignatureId, *, lock: bool = False
) -> Record | None:
    """Return a signature with its organization; ``lock`` locks the signature's row."""
    return await conn.fetchrow(LOCK_SIGNATURE if lock else SIGNATURE, letter_id, signature_id)


async def store_names(
    conn: Connection,
    letter_id: LetterId,
    signature_id: SignatureId,
    visibility: str,
    columns: Sequence[object],
    sealed: bytes | None = None,
    employer_id: int | None = None,
) -> None:
    """Store the visibility, the columns name, affiliation, city, position, name_key, private, what is sealed, and the
    employer of one who signs without a name."""
    await conn.execute(STORE_NAMES, letter_id, signature_id, visibility, *columns, sealed, employer_id)


async def set_country(conn: Connection, letter_id: LetterId, signature_id: SignatureId, code: str | None) -> None:
    await conn.execute(SET_COUNTRY, letter_id, signature_id, code)


async def withdraw(conn: Connection, letter_id: LetterId, signature_id: SignatureId) -> bool:
    """Erase everything personal; return whether the signature was confirmed or held."""
    return str(await conn.execute(WITHDRAW, letter_id, signature_id)) == "UPDATE 1"


async def delete(conn: Connection, letter_id: LetterId, signature_id: SignatureId) -> None:
    await conn.execute(DELETE_SIGNATURE, letter_id, signature_id)


async def delete_attached(conn: Connection, letter_id: LetterId, signature_id: SignatureId) -> None:
    """Delete the stored address, and what moderators and readers wrote about the signature."""
    await conn.execute(DELETE_CONTACTS, letter_id, signature_id)
    await conn.execute(DELETE_ATTACHED, letter_id, signature_id)


async def stop_updates(conn: Connection, letter_id: LetterId, signature_id: SignatureId) -> None:
    """Delete the addresses for updates that the mailbox of a signature left with this letter."""
    await conn.execute(STOP_UPDATES, letter_id, signature_id)


async def updates_since(conn: Connection, letter_id: LetterId, signature_id: SignatureId) -> datetime | None:
    """Return since when an address is stored for updates; None if there is none."""
    since: datetime | None = await conn.fetchval(UPDATES_SINCE, letter_id, signature_id)
    return since


async def start_updates(conn: Connection, letter_id: LetterId, signature_id: SignatureId, sealed: bytes) -> None:
    await conn.execute(START_UPDATES, letter_id, signature_id, sealed)


async def delete_pending(conn: Connection, letter_id: LetterId, signature_id: SignatureId) -> None:
    """Delete the pending row of this id, and those of the mailbox of this signature.

    The first statement of a transaction, before the signature is locked.
    """
    await conn.execute(DELETE_PENDING, letter_id, signature_id)


async def lock_pending(conn: Connection, letter_id: LetterId, pending_id: SignatureId) -> Record | None:
    """Return a pending row, locked. The first statement of a transaction, before the signature is locked."""
    return await conn.fetchrow(LOCK_PENDING, letter_id, pending_id)


async def use_pending(
    conn: Connection, letter_id: LetterId, pending_id: SignatureId, signature_id: SignatureId
) -> None:
    """Delete a pending row, and have its link lead to the signature. Both are locked."""
    await conn.execute(USE_PENDING, letter_id, pending_id, signature_id)


async def load_other_link(conn: Connection, letter_id: LetterId, pending_id: SignatureId) -> SignatureId | None:
    """Return the signature that the link of a later form leads to; None if it is not such a link."""
    signature_id: SignatureId | None = await conn.fetchval(OTHER_LINK, letter_id, pending_id)
    return signature_id


async def make_bar_permanent(conn: Connection, letter_id: LetterId, digest: bytes) -> None:
    await conn.execute(MAKE_BAR_PERMANENT, letter_id, digest)


async def lock_organization(conn: Connection, letter_id: LetterId, organization_id: OrganizationId) -> str:
    """Lock an organization; return the folded words of its names."""
    return str(await conn.fetchval(LOCK_ORGANIZATION, letter_id, organization_id))


async def count_of_organization(
    conn: Connection, letter_id: LetterId, organization_id: OrganizationId
) -> Mapping[str, int]:
    """Return how many ``signatures`` an organization has, how many ``confirmed``, how many of those ``imported``."""
    row = await conn.fetchrow(COUNT_OF_ORGANIZATION, letter_id, organization_id)
    return dict(row) if row else {}


async def delete_organization(conn: Connection, letter_id: LetterId, organization_id: OrganizationId) -> None:
    await conn.execute(DELETE_ORGANIZATION, letter_id, organization_id)
