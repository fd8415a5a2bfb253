"""The SQL of packages."""

from collections.abc import Sequence

from petition.core.database import Connection, Record
from petition.core.ids import LetterId, OrganizerId
from petition.letters import count_step_queries

_PUBLIC = f"""
letter = $1 AND kind = 'person' AND state = 'confirmed' AND visibility = 'public' AND name IS NOT NULL
AND {count_step_queries.is_listed("id")}
"""

COUNT = "SELECT * FROM published_count WHERE letter = $1"

PUBLIC_PEOPLE = f"SELECT count(*) FROM signature WHERE {_PUBLIC}"

FIRST_PEOPLE = f"""
SELECT id, name, affiliation, city FROM signature WHERE {_PUBLIC} ORDER BY listed_at, id LIMIT $2
"""

_IS_LISTED = f"""
merged_into IS NULL AND EXISTS (
  SELECT FROM signature s WHERE s.letter = o.letter AND s.organization = o.id AND s.state = 'confirmed'
  AND {count_step_queries.is_listed("s.id")}
)
"""

ORGANIZATIONS = f"""
SELECT o.id, o.name_en, o.name_ru FROM organization o WHERE o.letter = $1 AND {_IS_LISTED} ORDER BY o.listed_at, o.id
"""

PEOPLE_OF = f"""
SELECT id, name, affiliation, city FROM signature
WHERE {_PUBLIC} AND id = ANY($2::bigint[]) ORDER BY array_position($2::bigint[], id)
"""

ORGANIZATIONS_OF = f"""
SELECT o.id, o.name_en, o.name_ru FROM organization o
WHERE o.letter = $1 AND {_IS_LISTED} AND o.id = ANY($2::bigint[]) ORDER BY array_position($2::bigint[], o.id)
"""

ADD = """
INSERT INTO package (letter, organizer, made_at, version, people, organizations, sha256, names_digest, content,
                     person_ids, organization_ids)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) RETURNING id
"""

# A document that a newer one replaces is of no use any more, and it has names.
DROP_OLDER = """
UPDATE package SET content = NULL, person_ids = NULL, organization_ids = NULL
WHERE letter = $1 AND id < $2 AND content IS NOT NULL
"""

SLUG_WITH_DOCUMENT = """
SELECT slug FROM letter l
WHERE id = $1 AND EXISTS (SELECT FROM package p WHERE p.letter = l.id AND p.content IS NOT NULL)
"""

NEWEST = """
SELECT id, made_at, people, organizations, encode(sha256, 'hex') AS sha256, content IS NOT NULL AS has_content
FROM package WHERE letter = $1 ORDER BY id DESC LIMIT $2
"""

DOCUMENT = """
SELECT id, made_at, content, names_digest, person_ids, organization_ids
FROM package WHERE letter = $1 AND content IS NOT NULL ORDER BY id DESC LIMIT 1
"""

REVISE = "UPDATE letter SET revision = revision + 1 WHERE id = $1"


async def count(conn: Connection, letter_id: LetterId) -> Record | None:
    return await conn.fetchrow(COUNT, letter_id)


async def public_people(conn: Connection, letter_id: LetterId) -> int:
    number: int = await conn.fetchval(PUBLIC_PEOPLE, letter_id)
    return number


async def first_people(conn: Connection, letter_id: LetterId, limit: int) -> list[Record]:
    """Return the first public people by the time of listing (id, name, affiliation, city)."""
    return await conn.fetch(FIRST_PEOPLE, letter_id, limit)


async def organizations(conn: Connection, letter_id: LetterId) -> list[Record]:
    """Return all listed organizations (id, name_en, name_ru), the first ones first."""
    return await conn.fetch(ORGANIZATIONS, letter_id)


async def people_of(conn: Connection, letter_id: LetterId, ids: Sequence[int]) -> list[Record]:
    """Return those of ``ids`` whose names are still public, in that order."""
    return await conn.fetch(PEOPLE_OF, letter_id, ids)


async def organizations_of(conn: Connection, letter_id: LetterId, ids: Sequence[int]) -> list[Record]:
    """Return those of ``ids`` that are still listed, in that order."""
    return await conn.fetch(ORGANIZATIONS_OF, letter_id, ids)


async def add(conn: Connection, letter_id: LetterId, organizer_id: OrganizerId | None, *rest: object) -> int:
    """Store a package, and delete the documents it replaces; return its id."""
    package_id: int = await conn.fetchval(ADD, letter_id, organizer_id, *rest)
    await conn.execute(DROP_OLDER, letter_id, package_id)
    await conn.execute(REVISE, letter_id)
    return package_id


async def newest(conn: Connection, letter_id: LetterId, limit: int) -> list[Record]:
    return await conn.fetch(NEWEST, letter_id, limit)


async def document(conn: Connection, letter_id: LetterId) -> Record | None:
    """Return the newest package that still has its document."""
    return await conn.fetchrow(DOCUMENT, letter_id)


async def slug_with_document(conn: Connection, letter_id: LetterId) -> str | None:
    """Return the letter's short name if it has a package with its document."""
    slug: str | None = await conn.fetchval(SLUG_WITH_DOCUMENT, letter_id)
    return slug
