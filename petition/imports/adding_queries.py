"""All SQL of adding signatories from a file."""

from collections.abc import AsyncIterable, Awaitable, Callable, Sequence
from io import BytesIO
from typing import Any

from petition.core import kept_values
from petition.core.database import Connection, Record
from petition.core.ids import LetterId, OrganizationId, OrganizerId
from petition.core.keeper import KeeperClient, KeeperPurpose
from petition.imports.staged_rows import Block

HOLD_LETTER = "SELECT kept FROM letter WHERE id = $1 AND state <> 'gone' FOR KEY SHARE"

LONG = 3600.0  # seconds; no page waits for a large file

STAGED = (
    "line", "id", "kind", "digest", "import_key", "signed_at", "visibility", "country",
    "name", "affiliation", "city", "name_key", "private", "entry", "full_name", "details",
)  # fmt: skip

CREATE_STAGED = """
CREATE TEMPORARY TABLE staged (
  line integer, id bigint, kind kind, digest bytea, import_key bytea, signed_at timestamptz, visibility visibility,
  country text, name text, affiliation text, city text, name_key text, private bytea,
  entry integer, -- the number of its organization in the file
  organization bigint,
  full_name bytea, -- digest of the name, if it is to be compared with those imported before
  details bytea[], -- digests of affiliation and city; an empty one for nothing
  same_as text -- 'row': imported before, written otherwise; 'name': the name of someone imported before
) ON COMMIT DROP
"""

DROP_BARRED = "DELETE FROM staged USING bar WHERE bar.letter = $1 AND bar.digest = staged.digest"

DROP_REPEATED = """
DELETE FROM staged s USING (
  SELECT line, first_value(line) OVER (PARTITION BY kind, digest ORDER BY line) AS first
  FROM staged WHERE digest IS NOT NULL
) AS of_mailbox
WHERE s.line = of_mailbox.line AND of_mailbox.line > of_mailbox.first
RETURNING s.line, of_mailbox.first
"""

GATHER_STAGED = """
INSERT INTO kept_value (inner_value)
SELECT digest FROM staged WHERE digest IS NOT NULL UNION SELECT import_key FROM staged WHERE import_key IS NOT NULL
"""
KEEP_STAGED = """
UPDATE staged s SET digest = (SELECT outer_value FROM kept_value WHERE inner_value = s.digest),
                    import_key = (SELECT outer_value FROM kept_value WHERE inner_value = s.import_key)
"""

# By the files that were imported, never by who has signed. Rows of an undone import are new again, except those that
# stayed in the letter. Restoring an import ($2) passes over its own.
DROP_IMPORTED = """
DELETE FROM staged s WHERE EXISTS (
  SELECT FROM import_row r JOIN intake i ON i.letter = r.letter AND i.number = r.number
  WHERE r.letter = $1 AND r.import_key = s.import_key AND i.state <> 'undone' AND r.number <> $2
) OR EXISTS (
  SELECT FROM signature known WHERE known.letter = $1 AND known.import_key = s.import_key
)
"""

# Rows of two imports at once must not both count as new. (The lock's number is "imrw".)
LOCK_ROWS = "SELECT pg_advisory_xact_lock(1768780407, $1)"

REMEMBER_ROWS = """
INSERT INTO import_row (letter, import_key, number)
SELECT $1::integer, import_key, $2::integer FROM staged WHERE import_key IS NOT NULL
UNION SELECT $1, import_key, $2 FROM unnest($3::bytea[]) AS import_key ORDER BY 2 ON CONFLICT DO NOTHING
"""

COUNT_MAILBOXES = "SELECT count(DISTINCT digest) FROM staged"

DROP_KNOWN = """
DELETE FROM staged s WHERE EXISTS (
  SELECT FROM signature known WHERE known.letter = $1 AND known.kind = s.kind AND known.digest = s.digest
)
"""

STAGED_ENTRIES = "SELECT DISTINCT entry FROM staged WHERE entry IS NOT NULL"

ASSIGN_ORGANIZATIONS = """
UPDATE staged s SET organization = u.organization FROM unnest($1::integer[], $2::bigint[]) AS u (entry, organization)
WHERE s.entry = u.entry
"""

FULL_NAMES = "SELECT DISTINCT full_name FROM staged WHERE full_name IS NOT NULL"

COUNT_STAGED = """
SELECT count(*) AS signatures, count(*) FILTER (WHERE kind = 'person') AS people,
       count(*) FILTER (WHERE kind = 'person' AND visibility <> 'public') AS hidden
FROM staged
"""

# Only of rows that were added: the same mailbox may have confirmed meanwhile, under another name.
ADDED_WORDS = """
SELECT DISTINCT word FROM staged s, string_to_table(s.name_key, ' ') AS word
WHERE s.name_key IS NOT NULL AND word <> ''
  AND EXISTS (SELECT FROM signature added WHERE added.letter = $1 AND added.id = s.id)
"""

# Two imports at once must not get one number. (The lock's number is "intk".)
LOCK_NUMBERS = "SELECT pg_advisory_xact_lock(1768846443, $1)"

ADD_IMPORT = """
INSERT INTO intake (letter, number, organizer, state, ended_at)
SELECT $1, coalesce(max(number), 0) + 1, $2, $3, CASE WHEN $3 = 'done' THEN now() END FROM intake WHERE letter = $1
RETURNING number
"""

# lock order: see docs/decisions/lock-order.md (confirming inserts mailboxes in the same order)
# Among rows of one time the list has the order of the file: the first is the newest.
ADD_STAGED = """
WITH added AS (
  INSERT INTO signature (letter, import, id, organization, signed_at, listed_at, kind, state, visibility, country,
                         digest, import_key, name, affiliation, city, name_key, private)
  SELECT $1, $2, id, organization, signed_at,
         coalesce(signed_at, now()) + (max(line) OVER () - line) * interval '1 microsecond', kind, 'confirmed',
         visibility, CASE WHEN visibility <> 'counted' THEN country END, digest, import_key, name, affiliation, city,
         name_key, private
  FROM staged ORDER BY kind, digest, import_key
  ON CONFLICT DO NOTHING RETURNING kind, visibility, listed_at
)
SELECT date_trunc('hour', listed_at) AS hour, count(*) AS signatures, count(*) FILTER (WHERE kind = 'person') AS people,
       count(*) FILTER (WHERE kind = 'person' AND visibility <> 'public') AS hidden
FROM added GROUP BY 1
"""


async def hold_letter(conn: Connection, letter_id: LetterId) -> bool | None:
    """Keep a letter from being taken down until the transaction ends; return None if it already was.

    Else, whether its digests are the keeper's.
    """
    is_kept: bool | None = await conn.fetchval(HOLD_LETTER, letter_id)
    return is_kept


async def keep_staged(conn: Connection, keeper: KeeperClient) -> None:
    """Replace the digests of mailboxes and rows by the keeper's. Raises ``Unavailable``."""
    await conn.execute(kept_values.CREATE)
    await conn.execute(GATHER_STAGED, timeout=LONG)
    await kept_values.fill(conn, keeper, KeeperPurpose.IMPORT)
    await conn.execute(KEEP_STAGED, timeout=LONG)


async def stage(
    conn: Connection, blocks: AsyncIterable[Block], keep: Callable[[bytes], Awaitable[None]] | None = None
) -> None:
    """Copy rows (``STAGED``) into a temporary table of this transaction; what is to be kept goes to ``keep``."""

    async def copy(conn: Connection) -> None:
        async for staged, whole in blocks:
            await conn.copy_to_table("staged", source=BytesIO(staged), columns=STAGED, timeout=LONG)
            if keep:
                await keep(whole)

    await stage_by(conn, copy)


async def stage_by(conn: Connection, fill: Callable[[Connection], Awaitable[object]]) -> None:
    """Create the table ``staged`` and have ``fill`` fill it."""
    await conn.execute(CREATE_STAGED)
    await fill(conn)
    await conn.execute("ANALYZE staged", timeout=LONG)


async def load_full_names(conn: Connection) -> list[bytes]:
    """Return the digests of the names that are staged."""
    return [row["full_name"] for row in await conn.fetch(FULL_NAMES, timeout=LONG)]


async def lock_rows(conn: Connection, letter_id: LetterId) -> None:
    """Wait for other imports into the letter that are adding their rows, and have later ones wait."""
    await conn.execute(LOCK_ROWS, letter_id, timeout=LONG)


async def drop_imported(conn: Connection, letter_id: LetterId, import_number: int) -> int:
    """Drop the rows that an earlier import took, also those that are gone since; return how many."""
    return int((await conn.execute(DROP_IMPORTED, letter_id, import_number, timeout=LONG)).split()[-1])


async def remember_rows(
    conn: Connection, letter_id: LetterId, import_number: int, same_rows: Sequence[bytes] = ()
) -> None:
    """Store the keys of all rows that are staged now, and those of ``same_rows``."""
    await conn.execute(REMEMBER_ROWS, letter_id, import_number, same_rows, timeout=LONG)


async def count_mailboxes(conn: Connection) -> int:
    return int(await conn.fetchval(COUNT_MAILBOXES, timeout=LONG))


async def drop_mailboxes(conn: Connection, letter_id: LetterId) -> None:
    """Drop the rows of mailboxes that have signed or were removed by a moderator. How many is never reported."""
    await conn.execute(DROP_BARRED, letter_id, timeout=LONG)
    await conn.execute(DROP_KNOWN, letter_id, timeout=LONG)


async def drop_repeated(conn: Connection) -> list[tuple[int, int]]:
    """Drop the rows whose mailbox an earlier one has; return (line, line of the earlier one)."""
    rows = await conn.fetch(DROP_REPEATED, timeout=LONG)
    return sorted((row["line"], row["first"]) for row in rows)


async def load_entries(conn: Connection) -> list[int]:
    """Return the numbers of the organizations that the staged rows have."""
    return [row["entry"] for row in await conn.fetch(STAGED_ENTRIES, timeout=LONG)]


async def assign_organizations(
    conn: Connection, entries: Sequence[int], organization_ids: Sequence[OrganizationId]
) -> None:
    await conn.execute(ASSIGN_ORGANIZATIONS, entries, organization_ids, timeout=LONG)


async def count_staged(conn: Connection) -> Record:
    """Return how many signatures, people, hidden people are staged."""
    return _single(await conn.fetchrow(COUNT_STAGED, timeout=LONG))


async def load_words(conn: Connection, letter_id: LetterId) -> list[str]:
    """Return the words of the public names that were added."""
    return [row["word"] for row in await conn.fetch(ADDED_WORDS, letter_id, timeout=LONG)]


async def add_import(
    conn: Connection, letter_id: LetterId, organizer_id: OrganizerId | None = None, state: str = "done"
) -> int:
    """Add the letter's next import; return its number."""
    await conn.execute(LOCK_NUMBERS, letter_id, timeout=LONG)
    return int(await conn.fetchval(ADD_IMPORT, letter_id, organizer_id, state, timeout=LONG))


async def add_staged(conn: Connection, letter_id: LetterId, import_number: int) -> dict[str, Any]:
    """Add the staged rows; return how many signatures, people, hidden people were added, and people ``by_hour``."""
    rows = await conn.fetch(ADD_STAGED, letter_id, import_number, timeout=LONG)
    totals = {name: sum(row[name] for row in rows) for name in ("signatures", "people", "hidden")}
    return {**totals, "by_hour": {row["hour"]: row["people"] for row in rows}}


def _single(row: Record | None) -> Record:
    if row is None:
        raise LookupError("an aggregate always has one row")
    return row
