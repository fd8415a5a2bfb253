"""The SQL of the public list: pages by key, and the search by words."""

from collections.abc import Sequence
from datetime import datetime

from petition.core.database import Connection, Record
from petition.core.ids import LetterId
from petition.letters import count_step_queries

MAX_RESULTS = 200  # rows a search returns
MAX_REPRESENTATIVES = 50  # named under one organization

# A name that the worker is about to open is not there yet.
_PUBLIC_PERSON = "state = 'confirmed' AND visibility = 'public' AND kind = 'person' AND name IS NOT NULL"
_PERSON = "id, listed_at, name, affiliation, city, country"
_SHOWN_PERSON = f"id, listed_at, name, affiliation, city, {count_step_queries.shown_country('country')} AS country"
_LISTED = count_step_queries.is_listed("id")
_NEWEST_FIRST = "ORDER BY listed_at DESC, id DESC"

_ORGANIZATIONS = f"""
SELECT o.id, o.listed_at, o.name_en, o.name_ru, o.website, o.name_key, ARRAY(
  SELECT s.name FROM signature s
  WHERE s.letter = o.letter AND s.organization = o.id
    AND s.state = 'confirmed' AND s.visibility = 'public' AND s.name IS NOT NULL
    AND {count_step_queries.is_listed("s.id")}
  ORDER BY s.listed_at, s.id LIMIT {MAX_REPRESENTATIVES}
) AS representatives, ARRAY(
  SELECT DISTINCT e.kind FROM signature s, unnest(evidence_of(s)) AS e (kind)
  WHERE s.letter = o.letter AND s.organization = o.id AND s.state = 'confirmed'
    AND {count_step_queries.is_listed("s.id")}
) AS evidence, ARRAY(
  SELECT DISTINCT v.name FROM signature s JOIN voucher v ON v.letter = s.letter AND v.signature = s.id
  WHERE s.letter = o.letter AND s.organization = o.id AND s.state = 'confirmed'
    AND {count_step_queries.is_listed("s.id")}
  ORDER BY 1 LIMIT {MAX_REPRESENTATIVES}
) AS vouched_by
FROM organization o
WHERE o.letter = $1 AND o.merged_into IS NULL AND EXISTS (
  SELECT FROM signature s WHERE s.letter = o.letter AND s.organization = o.id AND s.state = 'confirmed'
    AND {count_step_queries.is_listed("s.id")}
)
"""

PAGE_OF_PEOPLE = f"""
SELECT {_SHOWN_PERSON} FROM signature
WHERE letter = $1 AND {_PUBLIC_PERSON} AND {_LISTED} AND (listed_at, id) < ($2, $3) {_NEWEST_FIRST} LIMIT $4
"""

PAGE_OF_ORGANIZATIONS = f"{_ORGANIZATIONS} AND (o.listed_at, o.id) < ($2, $3) {_NEWEST_FIRST} LIMIT $4"

# The planner guesses how many rows have a word; the search knows which index serves each of its statements, and sets it
# for its transaction.
BY_INDEX_OF_WORDS = """
SELECT set_config(name, value, true) FROM (VALUES
  ('enable_seqscan', 'off'), ('enable_indexscan', 'off'), ('enable_bitmapscan', 'on'),
  ('max_parallel_workers_per_gather', '0')
) AS s (name, value)
"""

NEWEST_FIRST_WITHOUT_SORTING = """
SELECT set_config(name, value, true) FROM (VALUES
  ('enable_seqscan', 'off'), ('enable_indexscan', 'on'), ('enable_bitmapscan', 'off'),
  ('max_parallel_workers_per_gather', '0')
) AS s (name, value)
"""

# Of a window of the newest rows only those are read that the index over words and the one over times (BRIN) both
# return: two bitmaps are cheap, 50,000 rows in as many pages are not. Planned anew each time, since only the values
# tell how large each is; with room for a whole bitmap. A BRIN returns whole pages, and if it comes first, all rows of
# these are checked. The planner puts the cheaper index first, of two for nothing the more selective one; and of these
# two only a large BRIN is ever charged by ``seq_page_cost``.
BY_BOTH_INDEXES = """
SELECT set_config(name, value, true) FROM (VALUES
  ('enable_seqscan', 'off'), ('enable_indexscan', 'off'), ('enable_bitmapscan', 'on'),
  ('max_parallel_workers_per_gather', '0'), ('plan_cache_mode', 'force_custom_plan'), ('work_mem', '32MB'),
  ('seq_page_cost', '10000'), ('random_page_cost', '0'), ('cpu_operator_cost', '0'), ('cpu_index_tuple_cost', '0')
) AS s (name, value)
"""

# The hour since which at least $2 people are listed, if there are so many.
SINCE = """
SELECT hour FROM (
  SELECT hour, sum(people) OVER (ORDER BY hour DESC) AS number FROM count_hour WHERE letter = $1
) AS h WHERE number >= $2 ORDER BY hour DESC LIMIT 1
"""

# What the index over the words returns, sorted. The words begin with the letter's number: with the letter beside them
# the planner would read the primary key of all its rows as well. Row addresses repeat between the partitions of a
# table, so there the letter must stand.
SORT_PEOPLE = f"""
WITH best AS MATERIALIZED (
  SELECT ctid AS place, id, listed_at FROM signature
  WHERE {_PUBLIC_PERSON} AND name_words(letter, name_key) @@ $2::text::tsquery AND {_LISTED}
  {_NEWEST_FIRST} LIMIT {MAX_RESULTS}
)
SELECT signature.id, signature.listed_at, signature.name, signature.affiliation, signature.city,
       {count_step_queries.shown_country("signature.country")} AS country
FROM best JOIN signature ON signature.letter = $1 AND signature.ctid = best.place
ORDER BY best.listed_at DESC, best.id DESC
"""

SORT_RECENT_PEOPLE = SORT_PEOPLE.replace("  WHERE ", "  WHERE letter = $1 AND listed_at >= $3 AND ", 1)

# The newest $3 rows, scanned from the newest on until there are enough. Matching a pattern takes half the time of a
# tsquery, but only a tsquery can express "one of these".
SCAN_PEOPLE = f"""
SELECT {_SHOWN_PERSON} FROM (
  SELECT {_PERSON}, name_key FROM signature WHERE letter = $1 AND {_PUBLIC_PERSON} AND {_LISTED}
  {_NEWEST_FIRST} LIMIT $3
) AS newest
WHERE ($4::text[] IS NULL OR ' ' || name_key || ' ' LIKE ALL ($4::text[]))
  AND ($2::text IS NULL OR array_to_tsvector(string_to_array(name_key, ' ')) @@ $2::text::tsquery)
{_NEWEST_FIRST} LIMIT {MAX_RESULTS}
"""

SCAN_ORGANIZATIONS = f"""
{_ORGANIZATIONS} AND array_to_tsvector(string_to_array(o.name_key, ' ')) @@ $2::text::tsquery
{_NEWEST_FIRST} LIMIT {MAX_RESULTS}
"""


async def page_of_people(
    conn: Connection, letter_id: LetterId, before: tuple[datetime, int], limit: int
) -> list[Record]:
    """Return the people listed before (time, id), newest first."""
    return await conn.fetch(PAGE_OF_PEOPLE, letter_id, *before, limit)


async def page_of_organizations(
    conn: Connection, letter_id: LetterId, before: tuple[datetime, int], limit: int
) -> list[Record]:
    """Return the organizations listed before (time, id), newest first."""
    return await conn.fetch(PAGE_OF_ORGANIZATIONS, letter_id, *before, limit)


async def sort_people(conn: Connection, letter_id: LetterId, words: str) -> list[Record]:
    """Return the newest people who have the words (as ``tsquery``)."""
    return await conn.fetch(SORT_PEOPLE, letter_id, words)


async def sort_recent_people(conn: Connection, letter_id: LetterId, words: str, window: int) -> list[Record]:
    """Return the newest people who have the words (as ``tsquery``), of at least the newest ``window``; none if there
    are not so many."""
    since = await conn.fetchval(SINCE, letter_id, window)
    if since is None:
        return []
    await conn.execute(BY_BOTH_INDEXES)
    return await conn.fetch(SORT_RECENT_PEOPLE, letter_id, words, since)


async def scan_people(
    conn: Connection, letter_id: LetterId, limit: int, words: str | None, patterns: Sequence[str] | None
) -> list[Record]:
    """Return the newest people who have the words (as ``tsquery``) and fit all the patterns (as for ``LIKE``, a space
    before and behind each word), scanning the newest ``limit`` only."""
    return await conn.fetch(SCAN_PEOPLE, letter_id, words, limit, patterns)


async def scan_organizations(conn: Connection, letter_id: LetterId, words: str) -> list[Record]:
    return await conn.fetch(SCAN_ORGANIZATIONS, letter_id, words)


async def use_index_of_words(conn: Connection) -> None:
    """Plan the following statements of this transaction by the index over words."""
    await conn.execute(BY_INDEX_OF_WORDS)


async def use_order_of_list(conn: Connection) -> None:
    """Plan the following statements of this transaction by the list's order."""
    await conn.execute(NEWEST_FIRST_WITHOUT_SORTING)
