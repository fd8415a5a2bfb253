"""The SQL of organizations as records."""

from collections.abc import Sequence
from datetime import datetime

from petition.core.database import Connection, Record
from petition.core.ids import LetterId, OrganizationId

# Two transactions with the same new organization must not both conclude that it does not exist. (The number is "orgn".)
LOCK_ORGANIZATIONS = "SELECT pg_advisory_xact_lock(1869768558, $1)"

# Locked, so that none is deleted with its last signature while a new one is being attached.
FIND_ORGANIZATIONS = """
SELECT coalesce(merged_into, id) AS id, merged_into IS NOT NULL AS merged, name_en, name_ru, website, key_en, key_ru
FROM organization WHERE letter = $1 AND (key_en = ANY($2::text[]) OR key_ru = ANY($2::text[]))
ORDER BY listed_at, id FOR UPDATE
"""

ADD_ORGANIZATIONS = """
INSERT INTO organization (letter, listed_at, id, name_en, name_ru, website, key_en, key_ru, name_key)
SELECT $1, * FROM unnest($2::timestamptz[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
                         $9::text[])
"""

COMPLETE_ORGANIZATIONS = """
UPDATE organization o SET name_en = u.name_en, name_ru = u.name_ru, website = u.website, key_en = u.key_en,
       key_ru = u.key_ru, name_key = u.name_key
FROM unnest($2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[])
  AS u (id, name_en, name_ru, website, key_en, key_ru, name_key)
WHERE o.letter = $1 AND o.id = u.id
"""

LIST_ORGANIZATIONS_NOW = """
UPDATE organization o SET listed_at = u.listed_at FROM unnest($2::bigint[], $3::timestamptz[]) AS u (id, listed_at)
WHERE o.letter = $1 AND o.id = u.id
"""

COUNTED_ORGANIZATIONS = """
SELECT organization AS id, bool_or(import IS NOT NULL) AS imported FROM signature
WHERE letter = $1 AND organization = ANY($2::bigint[]) AND state = 'confirmed' GROUP BY organization
"""

LISTED_AT = "SELECT id, listed_at FROM organization WHERE letter = $1 AND id = ANY($2::bigint[])"

DELETE_UNUSED = """
DELETE FROM organization o WHERE o.letter = $1 AND (o.id = ANY($2::bigint[]) OR o.merged_into = ANY($2::bigint[]))
  AND NOT EXISTS (
    SELECT FROM signature s WHERE s.letter = o.letter AND s.organization IN (o.id, o.merged_into))
"""

NAME_KEYS = "SELECT DISTINCT name_key FROM organization WHERE letter = $1 AND id = ANY($2::bigint[])"

NOW = "SELECT now()"


async def lock(conn: Connection, letter_id: LetterId) -> None:
    """Lock the letter's directory of organizations until the transaction ends."""
    await conn.execute(LOCK_ORGANIZATIONS, letter_id, timeout=600)


async def find(conn: Connection, letter_id: LetterId, keys: Sequence[str]) -> list[Record]:
    """Return organizations that have one of the folded names, locked, oldest first."""
    return await conn.fetch(FIND_ORGANIZATIONS, letter_id, keys, timeout=600)


async def add(conn: Connection, letter_id: LetterId, rows: Sequence[Sequence[object]]) -> None:
    """Add organizations: listed_at, id, name_en, name_ru, website, key_en, key_ru, name_key."""
    await conn.execute(ADD_ORGANIZATIONS, letter_id, *zip(*rows, strict=True), timeout=600)


async def complete(conn: Connection, letter_id: LetterId, rows: Sequence[Sequence[object]]) -> None:
    """Store names and websites: id, name_en, name_ru, website, key_en, key_ru, name_key."""
    await conn.execute(COMPLETE_ORGANIZATIONS, letter_id, *zip(*rows, strict=True), timeout=600)


async def list_now(conn: Connection, letter_id: LetterId, rows: Sequence[Sequence[object]]) -> None:
    """Store since when organizations are listed: id, listed_at."""
    await conn.execute(LIST_ORGANIZATIONS_NOW, letter_id, *zip(*rows, strict=True), timeout=600)


async def load_counted(
    conn: Connection, letter_id: LetterId, organization_ids: Sequence[OrganizationId]
) -> dict[OrganizationId, bool]:
    """Return those with a confirmed signature: id → was one of these imported?"""
    rows = await conn.fetch(COUNTED_ORGANIZATIONS, letter_id, organization_ids, timeout=600)
    return {row["id"]: row["imported"] for row in rows}


async def load_listed_at(
    conn: Connection, letter_id: LetterId, organization_ids: Sequence[OrganizationId]
) -> dict[OrganizationId, datetime]:
    """Return since when organizations are listed: those of a file since the date of signing."""
    rows = await conn.fetch(LISTED_AT, letter_id, organization_ids, timeout=600)
    return {row["id"]: row["listed_at"] for row in rows}


async def delete_unused(conn: Connection, letter_id: LetterId, organization_ids: Sequence[OrganizationId]) -> None:
    if organization_ids:
        await conn.execute(DELETE_UNUSED, letter_id, organization_ids, timeout=600)


async def name_keys(conn: Connection, letter_id: LetterId, organization_ids: Sequence[OrganizationId]) -> list[str]:
    return [row["name_key"] for row in await conn.fetch(NAME_KEYS, letter_id, organization_ids, timeout=600)]


async def now(conn: Connection) -> datetime:
    now: datetime = await conn.fetchval(NOW)
    return now
