"""All SQL of count logs but the row that an act leaves, which is in ``signatures.counting``."""

from collections.abc import Sequence
from datetime import timedelta

from petition.core.database import Connection, Record
from petition.core.ids import LetterId

# Letters that count and have no log yet, or have one without a checkpoint.
WITHOUT_LOG = """
SELECT l.id, l.slug FROM letter l
WHERE l.version IS NOT NULL AND l.state <> 'gone'
  AND NOT EXISTS (SELECT FROM count_log g WHERE g.letter = l.id AND g.checkpoint <> '')
"""

ADD_LOG = "INSERT INTO count_log (letter, wrapped_receipt_key) VALUES ($1, $2) ON CONFLICT (letter) DO NOTHING"

# Entries wait until there are enough of them, or the oldest has waited; on a sensitive letter, whose count moves in
# steps, for the end of the step in which they came.
DUE = """
SELECT l.id, l.slug, l.sensitive, q.before
FROM (
  SELECT q.letter, count(*) AS number, min(q.at) AS oldest,
         date_bin($1::interval, now(), 'epoch'::timestamptz) AS before
  FROM count_log_queue q GROUP BY q.letter
) AS q JOIN letter l ON l.id = q.letter LEFT JOIN count_log g ON g.letter = l.id
WHERE l.version IS NOT NULL AND l.state <> 'gone' AND CASE
  WHEN l.sensitive THEN q.oldest < q.before
  ELSE q.number >= $2 OR q.oldest <= now() - $1::interval OR coalesce(g.people + g.organizations, 0) >= $3
END
ORDER BY q.oldest
"""

LOCK = "SELECT * FROM count_log WHERE letter = $1 FOR UPDATE SKIP LOCKED"

WAITING = """
SELECT id, kind, subject, token, number, exit FROM count_log_queue
WHERE letter = $1 AND ($2::timestamptz IS NULL OR at < $2) ORDER BY id LIMIT $3
"""

DROP_WAITING = "DELETE FROM count_log_queue WHERE letter = $1 AND id = ANY($2::bigint[])"

LAST_BUNDLE = "SELECT entries FROM count_log_bundle WHERE letter = $1 AND number = $2"

STORE_BUNDLES = """
INSERT INTO count_log_bundle AS b (letter, number, entries, prefixes) SELECT $1, $2, $3, $4
ON CONFLICT (letter, number) DO UPDATE SET entries = excluded.entries, prefixes = excluded.prefixes
"""

ADD_HASHES = """
INSERT INTO count_log_tile AS t (letter, level, number, hashes) VALUES ($1, $2, $3, $4)
ON CONFLICT (letter, level, number) DO UPDATE SET hashes = t.hashes || excluded.hashes
"""

STORE = """
UPDATE count_log SET size = $2, edge = $3, people = $4, organizations = $5, imported = $6, checkpoint = $7,
       signed_at = now()
WHERE letter = $1
"""

# With what witnesses have signed of this very checkpoint.
LOG = """
SELECT g.*, ARRAY(
  SELECT w.cosignature FROM witness w
  WHERE w.letter = g.letter AND w.retired_at IS NULL AND w.checkpoint = g.checkpoint ORDER BY w.id
) AS cosignatures
FROM count_log g WHERE g.letter = $1
"""

# The count that readers see, and how much of it is not in the log yet, in one snapshot. A count that moves in steps
# has only what came before its step.
COUNT_AND_WAITING = """
SELECT c.people, c.organizations, c.imported, coalesce(c.counted_at, now()) AS counted_at, c.is_stepped,
       coalesce(q.people, 0)::bigint AS waiting_people, coalesce(q.organizations, 0)::bigint AS waiting_organizations,
       coalesce(q.imported, 0)::bigint AS waiting_imported, coalesce(g.size, 0) AS size
FROM published_count c LEFT JOIN count_log g ON g.letter = c.letter
CROSS JOIN LATERAL (
  SELECT sum(number) FILTER (WHERE kind NOT IN (2, 3)) AS people,
         sum(number) FILTER (WHERE kind IN (2, 3)) AS organizations, sum(number) FILTER (WHERE kind >= 3) AS imported
  FROM count_log_queue q WHERE q.letter = c.letter AND (c.counted_at IS NULL OR q.at <= c.counted_at)
) AS q
WHERE c.letter = $1
"""

# What a mirror shows of logs, and how it changes.
LOG_STATES = """
SELECT g.letter, g.size, extract(epoch FROM g.signed_at)::text AS signed_at,
       (SELECT max(extract(epoch FROM w.cosigned_at))::text FROM witness w
        WHERE w.letter = g.letter AND w.retired_at IS NULL) AS cosigned_at
FROM count_log g WHERE g.letter = ANY($1::integer[]) AND g.checkpoint <> ''
"""

WITNESSES = """
SELECT id, title, verifier_key, created_at, retired_at, size, cosigned_at FROM witness
WHERE letter = $1 ORDER BY retired_at IS NOT NULL, id
"""

WITNESSES_IN_USE = "SELECT id, title, verifier_key FROM witness WHERE letter = $1 AND retired_at IS NULL ORDER BY id"

WITNESSES_NUMBER = "SELECT count(*) FROM witness WHERE letter = $1"

ADD_WITNESS = """
INSERT INTO witness (letter, title, verifier_key) VALUES ($1, $2, $3)
ON CONFLICT (letter, verifier_key) DO NOTHING RETURNING id
"""

RETIRE_WITNESS = """
UPDATE witness SET retired_at = now() WHERE letter = $1 AND id = $2 AND retired_at IS NULL RETURNING id
"""

RESTORE_WITNESS = """
UPDATE witness SET retired_at = NULL WHERE letter = $1 AND id = $2 AND retired_at IS NOT NULL RETURNING id
"""

LOCK_LETTER = "SELECT id FROM letter WHERE id = $1 FOR NO KEY UPDATE"

STORE_COSIGNATURE = """
UPDATE witness SET size = $2, checkpoint = $3, cosignature = $4, cosigned_at = $5
WHERE id = $1 AND (size IS NULL OR (size <= $2 AND cosigned_at <= $5))
"""

COSIGNED_BY = """
SELECT title, verifier_key, size, cosigned_at, checkpoint = $2 FROM witness
WHERE letter = $1 AND retired_at IS NULL AND size IS NOT NULL ORDER BY cosigned_at DESC, id
"""

NEWEST_COSIGNED = """
SELECT checkpoint, cosignature FROM witness
WHERE letter = $1 AND retired_at IS NULL AND checkpoint = (
  SELECT checkpoint FROM witness WHERE letter = $1 AND retired_at IS NULL AND size IS NOT NULL
  ORDER BY size DESC, cosigned_at DESC LIMIT 1)
ORDER BY id
"""

RECEIPT_KEY = "SELECT wrapped_receipt_key FROM count_log WHERE letter = $1"

OWN_SUBJECT = """
SELECT s.kind::text, s.state::text, s.organization, s.import, s.signed_at, s.listed_at, v.digest
FROM signature s LEFT JOIN version v ON v.letter = s.letter AND v.number = s.version
WHERE s.letter = $1 AND s.id = $2
"""

TILE = "SELECT hashes FROM count_log_tile WHERE letter = $1 AND level = $2 AND number = $3"

# The last bundle, which has no prefixes yet, and those that have an entry with this beginning.
BUNDLES_WITH = """
SELECT number, entries FROM count_log_bundle
WHERE letter = $1 AND first_bits(prefixes) @> first_bits(ARRAY[$2::integer]) AND prefixes @> ARRAY[$2::integer]
UNION ALL
SELECT number, entries FROM count_log_bundle WHERE letter = $1 AND number = $3 AND prefixes IS NULL
ORDER BY number
"""

# Logs that have grown since an authority's last stamp, which is an hour old or more.
STAMPS_DUE = """
SELECT g.letter, g.size, g.checkpoint FROM count_log g
LEFT JOIN LATERAL (
  SELECT size, at FROM count_log_stamp s WHERE s.letter = g.letter AND s.authority = $1 ORDER BY at DESC LIMIT 1
) AS last ON true
WHERE g.size > coalesce(last.size, 0) AND coalesce(last.at <= now() - interval '1 hour', true) ORDER BY g.letter
"""

ADD_STAMP = """
INSERT INTO count_log_stamp (letter, authority, size, checkpoint, response) VALUES ($1, $2, $3, $4, $5)
"""

# After a week one a day is left.
THIN_STAMPS = """
DELETE FROM count_log_stamp s WHERE at < now() - interval '7 days' AND EXISTS (
  SELECT FROM count_log_stamp later
  WHERE later.letter = s.letter AND later.authority = s.authority AND later.at > s.at
    AND date_bin('1 day', later.at, 'epoch'::timestamptz) = date_bin('1 day', s.at, 'epoch'::timestamptz))
"""

NEWEST_STAMP = """
SELECT checkpoint, response FROM count_log_stamp
WHERE letter = $1 AND ($2::text IS NULL OR authority = $2) ORDER BY at DESC LIMIT 1
"""

# Counted in one snapshot: what is in the log, what waits for it, and the count. Each log is compared once in full, an
# hour after it began, when no process of an older version runs any more: changes of theirs may have cancelled out.
UNEQUAL = """
SELECT c.letter FROM count c JOIN letter l ON l.id = c.letter AND l.version IS NOT NULL AND l.state <> 'gone'
LEFT JOIN count_log g ON g.letter = c.letter
LEFT JOIN (
  SELECT letter, sum(number) FILTER (WHERE kind NOT IN (2, 3)) AS people,
         sum(number) FILTER (WHERE kind IN (2, 3)) AS organizations, sum(number) FILTER (WHERE kind >= 3) AS imported
  FROM count_log_queue GROUP BY letter
) AS q ON q.letter = c.letter
WHERE c.people <> coalesce(g.people, 0) + coalesce(q.people, 0)
   OR c.organizations <> coalesce(g.organizations, 0) + coalesce(q.organizations, 0)
   OR c.imported <> coalesce(g.imported, 0) + coalesce(q.imported, 0)
   OR (g.compared_at IS NULL AND g.begun_at < now() - interval '1 hour')
"""

# The transaction that holds it is the only one that counts on this letter.
LOCK_COUNT = "SELECT letter FROM count WHERE letter = $1 FOR UPDATE"

COUNTED = """
SELECT 1::smallint AS kind, id AS subject, 1::bigint AS number FROM signature
WHERE letter = $1 AND state = 'confirmed' AND kind = 'person' AND import IS NULL
UNION ALL
SELECT CASE WHEN bool_or(import IS NOT NULL) THEN 3 ELSE 2 END::smallint, organization, 1 FROM signature
WHERE letter = $1 AND state = 'confirmed' AND kind = 'organization' AND organization IS NOT NULL GROUP BY organization
UNION ALL
SELECT 4::smallint, import, count(*) FROM signature
WHERE letter = $1 AND state = 'confirmed' AND kind = 'person' AND import IS NOT NULL GROUP BY import
UNION ALL
SELECT 5::smallint, id, people FROM tally WHERE letter = $1 AND ended_at IS NULL AND people > 0
"""

ALL_BUNDLES = "SELECT number, entries FROM count_log_bundle WHERE letter = $1 AND number >= $2 ORDER BY number LIMIT $3"

SET_COMPARED = "UPDATE count_log SET compared_at = now() WHERE letter = $1"

ADD_WAITING = """
INSERT INTO count_log_queue (letter, kind, subject, token, number, exit)
SELECT $1, kind, 0, token, number, exit
FROM unnest($2::smallint[], $3::bytea[], $4::bigint[], $5::smallint[]) AS u (kind, token, number, exit)
"""

LONG = 600.0  # seconds


async def without_log(conn: Connection) -> list[Record]:
    """Return the published letters without a checkpoint: id, slug."""
    return await conn.fetch(WITHOUT_LOG)


async def due(conn: Connection, step: timedelta, min_entries: int, large: int) -> list[Record]:
    """Return the letters whose entries have waited long enough: id, slug, sensitive, before."""
    return await conn.fetch(DUE, step, min_entries, large, timeout=LONG)


async def bundles(conn: Connection, letter_id: LetterId, first: int, limit: int) -> list[Record]:
    """Return bundles from one on: number, entries."""
    return await conn.fetch(ALL_BUNDLES, letter_id, first, limit, timeout=LONG)


async def add_waiting(conn: Connection, letter_id: LetterId, rows: Sequence[tuple[int, bytes, int, int]]) -> None:
    """Add entries of tokens: kind, token, number, exit."""
    if rows:
        await conn.execute(ADD_WAITING, letter_id, *zip(*rows, strict=True), timeout=LONG)
