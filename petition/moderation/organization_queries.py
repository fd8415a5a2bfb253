"""The SQL of correcting organizations' names and of merging two entries into one."""

from collections.abc import Mapping, Sequence

from petition.core.database import Connection, Record
from petition.core.ids import LetterId, LogId, OrganizationId, SignatureId

LOCK_HELD = """
SELECT id, private, signals, coalesce(last_act, 0) AS last_act FROM signature
WHERE letter = $1 AND id = $2 AND state = 'held' AND kind = 'organization' AND organization IS NULL FOR UPDATE
"""

STORE_HELD = "UPDATE signature SET private = $3 WHERE letter = $1 AND id = $2"

LOCK_SIGNALS = """
SELECT id, signals FROM signature WHERE letter = $1 AND organization = $2 ORDER BY id FOR UPDATE
"""

LOCK_SIGNALS_OF_BOTH = """
SELECT id, signals, organization FROM signature WHERE letter = $1 AND organization = ANY($2::bigint[])
ORDER BY id FOR UPDATE
"""

# What is on the website's domain is no reason to look any more; what is not was in sight of the moderator who corrects.
STORE_SIGNALS = """
UPDATE signature SET signals = $3::jsonb,
       flags = CASE WHEN $3::jsonb ? 'own_domain' OR $4 THEN array_remove(flags, 'other_domain') ELSE flags END
WHERE letter = $1 AND id = $2
"""

ENTRY_WEBSITES = """
SELECT s.id, s.signals, o.website FROM signature s JOIN organization o ON o.letter = s.letter AND o.id = s.organization
WHERE s.letter = $1 AND s.id = ANY($2::bigint[])
"""

STORE_NAMES = """
UPDATE organization SET name_en = $3, name_ru = $4, website = $5, key_en = $6, key_ru = $7, name_key = $8
WHERE letter = $1 AND id = $2
"""

SIGNATURES_OF = "SELECT id FROM signature WHERE letter = $1 AND organization = $2 ORDER BY id FOR UPDATE"

FOLLOWERS = "SELECT id FROM organization WHERE letter = $1 AND merged_into = $2 ORDER BY id FOR UPDATE"

MOVE_SIGNATURES = """
UPDATE signature SET organization = $4 WHERE letter = $1 AND id = ANY($2::bigint[]) AND organization = $3
"""

MERGE_INTO = "UPDATE organization SET merged_into = $3 WHERE letter = $1 AND id = ANY($2::bigint[])"

FIND_BY_WORDS = """
SELECT o.id, o.name_en, o.name_ru, o.website,
       (SELECT count(*) FROM signature s WHERE s.letter = o.letter AND s.organization = o.id AND s.state = 'confirmed')
         AS signatures,
       (SELECT s.id FROM signature s WHERE s.letter = o.letter AND s.organization = o.id
        ORDER BY s.state = 'confirmed' DESC, s.id LIMIT 1) AS signature
FROM organization o
WHERE o.letter = $1 AND o.id <> $2 AND o.merged_into IS NULL
  AND array_to_tsvector(string_to_array(o.name_key, ' ')) @@ $3::text::tsquery
ORDER BY o.listed_at, o.id LIMIT 20
"""

ONE = "SELECT name_en, name_ru, website FROM organization WHERE letter = $1 AND id = $2 AND merged_into IS NULL"

SET_TALK = """
UPDATE signature
SET signals = CASE WHEN $3 THEN coalesce(signals, '{}') || '{"spoken": true}' ELSE signals - 'spoken' END
WHERE letter = $1 AND id = $2 AND kind = 'organization' AND state IN ('held', 'confirmed')
  AND coalesce(signals, '{}') ? 'spoken' <> $3
RETURNING id
"""

STORE_PAST = "INSERT INTO past (letter, log, signature, organization, fields) VALUES ($1, $2, $3, $4, $5)"

PAST = "SELECT signature, organization, fields FROM past WHERE letter = $1 AND log = $2"


async def lock_held(conn: Connection, letter_id: LetterId, signature_id: SignatureId) -> Record | None:
    return await conn.fetchrow(LOCK_HELD, letter_id, signature_id)


async def store_held(conn: Connection, letter_id: LetterId, signature_id: SignatureId, private: bytes) -> None:
    await conn.execute(STORE_HELD, letter_id, signature_id, private)


async def lock_signals(conn: Connection, letter_id: LetterId, organization_id: OrganizationId) -> list[Record]:
    """Lock the signatures for an organization; return their signals, by id."""
    return await conn.fetch(LOCK_SIGNALS, letter_id, organization_id)


async def lock_signals_of_both(
    conn: Connection, letter_id: LetterId, organizations: Sequence[OrganizationId]
) -> list[Record]:
    """Lock the signatures for some organizations; return id, signals and organization, by id."""
    return await conn.fetch(LOCK_SIGNALS_OF_BOTH, letter_id, organizations)


async def entry_websites(conn: Connection, letter_id: LetterId, ids: Sequence[SignatureId]) -> list[Record]:
    """Return id, signals and the website of the entry of signatures that are attached to one."""
    return await conn.fetch(ENTRY_WEBSITES, letter_id, ids)


async def store_signals(
    conn: Connection, letter_id: LetterId, signature_id: SignatureId, signals: Mapping[str, object], website: str | None
) -> None:
    """Store signals after a correction to ``website``, and settle the flag that they contradict."""
    await conn.execute(STORE_SIGNALS, letter_id, signature_id, dict(signals), website is None)


async def store_names(
    conn: Connection, letter_id: LetterId, organization_id: OrganizationId, columns: Sequence[object]
) -> None:
    """Store name_en, name_ru, website, key_en, key_ru, name_key."""
    await conn.execute(STORE_NAMES, letter_id, organization_id, *columns)


async def signatures_of(conn: Connection, letter_id: LetterId, organization_id: OrganizationId) -> list[SignatureId]:
    """Lock the signatures of an organization; return their ids in order."""
    return [row["id"] for row in await conn.fetch(SIGNATURES_OF, letter_id, organization_id)]


async def followers(conn: Connection, letter_id: LetterId, organization_id: OrganizationId) -> list[OrganizationId]:
    """Lock the organizations that were merged into this one; return their ids in order."""
    return [row["id"] for row in await conn.fetch(FOLLOWERS, letter_id, organization_id)]


async def move_signatures(
    conn: Connection, letter_id: LetterId, ids: Sequence[SignatureId], old: OrganizationId, new: OrganizationId
) -> None:
    await conn.execute(MOVE_SIGNATURES, letter_id, ids, old, new)


async def merge_into(conn: Connection, letter_id: LetterId, organizations: Sequence[int], into: int | None) -> None:
    """Mark organizations as merged into another one, or (None) as separate."""
    await conn.execute(MERGE_INTO, letter_id, organizations, into)


async def find(conn: Connection, letter_id: LetterId, other_than: int, words: str) -> list[Record]:
    """Return up to 20 other organizations with all the words (a ``tsquery``) in their names."""
    return await conn.fetch(FIND_BY_WORDS, letter_id, other_than, words)


async def one(conn: Connection, letter_id: LetterId, organization_id: OrganizationId) -> Record | None:
    """Return the names and the website of an entry that was not merged into another one."""
    return await conn.fetchrow(ONE, letter_id, organization_id)


async def set_talk(conn: Connection, letter_id: LetterId, signature_id: SignatureId, *, is_noted: bool) -> bool:
    """Set or drop the mark of a talk; return whether that changed it."""
    return await conn.fetchval(SET_TALK, letter_id, signature_id, is_noted) is not None


async def store_past(
    conn: Connection,
    letter_id: LetterId,
    log_id: LogId,
    fields: bytes,
    *,
    signature_id: SignatureId | None = None,
    organization_id: OrganizationId | None = None,
) -> None:
    """Store, encrypted, what the act ``log_id`` replaced."""
    await conn.execute(STORE_PAST, letter_id, log_id, signature_id, organization_id, fields)


async def past(conn: Connection, letter_id: LetterId, log_id: LogId) -> Record | None:
    """Return what the act ``log_id`` replaced; None if that has been deleted since."""
    return await conn.fetchrow(PAST, letter_id, log_id)
