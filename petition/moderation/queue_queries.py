"""All SQL of the queue: a page of what matches a filter, how much does, and one signature.

A filter becomes conditions in two groups: the first one of an index that holds little where the filter leaves little,
and the rest, which each row is asked. A page looks at no more than ``LOOKED`` rows of that index, so that it takes no
longer with a million signatures than with a few thousand; where that was not the end, the page says how far it came.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from petition.core.database import Connection, Record
from petition.core.ids import LetterId, LogId, SignatureId
from petition.moderation.model import ANY, Action, Filter, Source

LOOKED = 2_000  # rows a page looks at
WALKED = 5_000  # rows one step of a campaign looks at
MAX_COUNTED = 1000

_columns = """
s.id, s.kind, s.state, s.visibility, s.name, s.affiliation, s.city, s."position", s.country, s.private, s.read_lang,
s.import IS NOT NULL AS imported, s.signals, s.flags, s.group_number, s.organization, s.signed_at, s.listed_at,
s.removed_for, coalesce(s.last_act, 0) AS last_act
"""

_with_organizations = """
SELECT p.*, o.name_en, o.name_ru, o.website FROM (%s) AS p
LEFT JOIN organization o ON o.letter = $1 AND o.id = p.organization
ORDER BY p.listed_at DESC, p.id DESC
"""

_NEWEST_FIRST = "ORDER BY s.listed_at DESC, s.id DESC"
_WORDS = "array_to_tsvector(string_to_array(%s.name_key, ' ')) @@ %s::text::tsquery"

ONE = f"""
SELECT {_columns}, o.name_en, o.name_ru, o.website, o.merged_into, s.version,
       EXISTS (SELECT FROM contact c WHERE c.letter = s.letter AND c.signature = s.id) AS reachable,
       EXISTS (SELECT FROM contact c WHERE c.letter = s.letter AND c.signature = s.id
               AND c.purpose = 'representative') AS representative
FROM signature s LEFT JOIN organization o ON o.letter = s.letter AND o.id = s.organization
WHERE s.letter = $1 AND s.id = $2
"""

REPORTS = "SELECT id, reason, note, at, settled_by FROM report WHERE letter = $1 AND signature = $2 ORDER BY id"

REPORTS_OF_MANY = """
SELECT signature, array_agg(DISTINCT reason) AS reasons, count(*) AS number FROM report
WHERE letter = $1 AND signature = ANY($2::bigint[]) AND settled_by IS NULL GROUP BY signature
"""

WAITING = f"""
SELECT (SELECT count(*) FROM (
          SELECT FROM signature WHERE letter = $1 AND state = 'held' LIMIT {MAX_COUNTED + 1}) AS h) AS held,
       (SELECT count(*) FROM (
          SELECT FROM signature WHERE letter = $1 AND flags <> '{{}}' LIMIT {MAX_COUNTED + 1}) AS f) AS flagged
"""

COUNTRIES = """
WITH RECURSIVE lands AS (
  (SELECT country FROM signature WHERE letter = $1 AND country IS NOT NULL ORDER BY country LIMIT 1)
  UNION ALL
  SELECT (SELECT s.country FROM signature s WHERE s.letter = $1 AND s.country > l.country ORDER BY s.country LIMIT 1)
  FROM lands l WHERE l.country IS NOT NULL
)
SELECT country FROM lands WHERE country IS NOT NULL
"""

PARTNERS = "SELECT name, title FROM partner WHERE letter = $1 ORDER BY name"


APPLIES = {
    Action.APPROVE: "(s.state = 'held' OR s.state = 'confirmed' AND s.flags <> '{}')",
    Action.REMOVE: "s.state IN ('held', 'confirmed')",
    Action.RESTORE: "s.state = 'removed'",
}


class Conditions:
    """A filter as SQL about ``signature s``. Values that somebody typed are parameters, numbered from ``first`` on."""

    def __init__(self, wanted: Filter, words: str, first: int, act: Action | None = None) -> None:
        self.arguments: list[object] = []
        self._first = first
        self.of_index, self.others = self._sorted(wanted)
        if act:
            self.others.append(APPLIES[act])
        if words:
            self.others.append(self._has_words(words))

    @property
    def all(self) -> str:
        """Every condition, with AND between them."""
        return " AND ".join((*self.of_index, *self.others)) or "true"

    def _take(self, value: object) -> str:
        self.arguments.append(value)
        return f"${self._first + len(self.arguments) - 1}"

    def _sorted(self, wanted: Filter) -> tuple[list[str], list[str]]:
        """Return the conditions of the smallest index there is, and the others. The order here says which that is."""
        indexed, others = [], []
        if wanted.group:
            indexed.append(f"s.group_number = {self._take(wanted.group)}")
        if wanted.flag:
            indexed.append("s.flags <> '{}'")
        if wanted.state and wanted.state != "confirmed":
            indexed.append(f"s.state = '{wanted.state.value}'")
        if wanted.source is Source.IMPORT:
            indexed.append("s.import IS NOT NULL")
        if wanted.kind and wanted.kind == "organization":
            indexed.append("s.kind = 'organization'")
        if wanted.partner:
            ours = f"SELECT p.id FROM partner p WHERE p.letter = $1 AND p.name = {self._take(wanted.partner)}"
            indexed.append(f"s.signals ? 'partner' AND s.signals -> 'partner' = to_jsonb(({ours}))")
        if wanted.country:
            indexed.append(f"s.country = {self._take(wanted.country)}")
        others += indexed[1:]
        others += self._unindexed(wanted)
        return indexed[:1], others

    def _unindexed(self, wanted: Filter) -> list[str]:
        asked = {
            "s.state = 'confirmed'": wanted.state == "confirmed",
            "s.kind = 'person'": wanted.kind == "person",
            "s.import IS NULL": wanted.source is Source.WEB,
            "s.signals ? 'partner'": wanted.source is Source.PARTNER,
        }
        found = [condition for condition, is_asked in asked.items() if is_asked]
        if wanted.flag and wanted.flag != ANY:
            found.append(f"s.flags @> ARRAY[{self._take(wanted.flag)}::text]")
        if wanted.lang:
            found.append(f"s.read_lang = {self._take(wanted.lang)}")
        return found

    def _has_words(self, words: str) -> str:
        """Ask for words in a public name, or in a name of the organization."""
        query = self._take(words)
        organizations = f"SELECT o.id FROM organization o WHERE o.letter = $1 AND {_WORDS % ('o', query)}"
        return f"(s.name_key IS NOT NULL AND {_WORDS % ('s', query)} OR s.organization IN ({organizations}))"


def _walk(conditions: Conditions, most: int) -> str:
    """Return the newest ``most`` rows of the index before the place ($2, $3)."""
    where = " AND ".join(("s.letter = $1", *conditions.of_index, "(s.listed_at, s.id) < ($2, $3)"))
    return f"SELECT {_columns}, s.name_key FROM signature s WHERE {where} {_NEWEST_FIRST} LIMIT {most}"


async def page(
    conn: Connection, letter_id: LetterId, wanted: Filter, before: tuple[datetime, int], limit: int, words: str = ""
) -> tuple[list[Record], Record | None]:
    """Return the newest ``limit`` matches before a place, and, if there are fewer in what was looked at, where it ended
    (None: everything was looked at). ``words`` (a ``tsquery``) stands for ``wanted.q``."""
    conditions = Conditions(wanted, words, 4)
    others = " AND ".join(conditions.others) or "true"
    found = f"SELECT * FROM ({_walk(conditions, LOOKED)}) AS s WHERE {_unnamed(others)} {_NEWEST_FIRST} LIMIT {limit}"
    rows = await conn.fetch(_with_organizations % found, letter_id, *before, *conditions.arguments)
    return rows, None if len(rows) == limit else await _end(conn, letter_id, conditions, before, LOOKED)


def _unnamed(conditions: str) -> str:
    """The walked rows say whether they were imported, not by which import."""
    return conditions.replace("s.import IS NULL", "NOT s.imported").replace("s.import IS NOT NULL", "s.imported")


async def _end(
    conn: Connection, letter_id: LetterId, conditions: Conditions, before: tuple[datetime, int], most: int
) -> Record | None:
    where = " AND ".join(("s.letter = $1", *conditions.of_index, "(s.listed_at, s.id) < ($2, $3)"))
    statement = f"""
    SELECT s.listed_at, s.id FROM signature s WHERE {where} {_NEWEST_FIRST} OFFSET {most - 1} LIMIT 1
    """
    index_only = [each for each in conditions.arguments if any("$" in part for part in conditions.of_index)][:1]
    return await conn.fetchrow(statement, letter_id, *before, *index_only)


# What the public search has found by its indexes, and what the newest of the filter's own index have: people who are
# hidden from the list for now, organizations that somebody refused.
_searching = f"""
WITH found AS MATERIALIZED (
  SELECT unnest($2::bigint[]) AS id
  UNION
  (SELECT s.id FROM signature s WHERE s.letter = $1 AND s.organization = ANY($3::bigint[]) LIMIT {MAX_COUNTED})
  UNION
  SELECT newest.id FROM (
    SELECT s.id, s.name_key FROM signature s WHERE %s {_NEWEST_FIRST} LIMIT {LOOKED}) AS newest
  WHERE newest.name_key IS NOT NULL AND {_WORDS % ("newest", "$4")}
)
SELECT {_columns} FROM found JOIN signature s ON s.letter = $1 AND s.id = found.id
WHERE (s.listed_at, s.id) < ($5, $6) AND %s {_NEWEST_FIRST} LIMIT $7
"""


async def search(
    conn: Connection,
    letter_id: LetterId,
    wanted: Filter,
    words: str,
    found: tuple[Sequence[int], Sequence[int]],
    before: tuple[datetime, int],
    limit: int,
) -> list[Record]:
    """Return the newest ``limit`` matches before a place, among people and those who sign for organizations (``found``
    has the ids of both), and among the newest signatures with all ``words`` (a ``tsquery``) in the name."""
    conditions = Conditions(wanted, "", 8)
    newest = " AND ".join(("s.letter = $1", *conditions.of_index))
    statement = _searching % (newest, conditions.all)
    given = letter_id, *found, words, *before, limit, *conditions.arguments
    return await conn.fetch(_with_organizations % statement, *given)


async def goes_on(conn: Connection, letter_id: LetterId, wanted: Filter) -> bool:
    """Tell whether a filter's index holds more than ``search`` looks through for words with an error."""
    newest = datetime.max.replace(tzinfo=UTC), 2**63 - 1
    return await _end(conn, letter_id, Conditions(wanted, "", 4), newest, LOOKED) is not None


async def count(
    conn: Connection, letter_id: LetterId, act: Action, wanted: Filter, words: str, before: datetime
) -> int:
    """Return to how many signatures that match and were listed before a time ``act`` applies. Looks at all of them."""
    conditions = Conditions(wanted, words, 3, act)
    statement = f"SELECT count(*) FROM signature s WHERE s.letter = $1 AND s.listed_at < $2 AND {conditions.all}"
    found: int = await conn.fetchval(statement, letter_id, before, *conditions.arguments, timeout=120)
    return found


async def step(
    conn: Connection,
    letter_id: LetterId,
    act: Action,
    wanted: Filter,
    words: str,
    before: tuple[datetime, int],
    limit: int,
) -> tuple[dict[SignatureId, LogId], Record | None]:
    """Return the newest ``limit`` matches before a place to which ``act`` applies, each with the last act on it, and
    the place up to which that looked (None: the end)."""
    conditions = Conditions(wanted, words, 4, act)
    others = _unnamed(" AND ".join(conditions.others) or "true")
    found = f"SELECT s.* FROM ({_walk(conditions, WALKED)}) AS s WHERE {others} {_NEWEST_FIRST} LIMIT {limit}"
    statement = f"SELECT s.id, s.listed_at, s.last_act FROM ({found}) AS s {_NEWEST_FIRST}"
    rows = await conn.fetch(statement, letter_id, *before, *conditions.arguments, timeout=120)
    seen = {row["id"]: row["last_act"] for row in rows}
    if len(rows) == limit:
        return seen, rows[-1]
    return seen, await _end(conn, letter_id, conditions, before, WALKED)


async def one(conn: Connection, letter_id: LetterId, signature_id: SignatureId) -> Record | None:
    """Return one signature with its organization and whether mail can reach anybody."""
    return await conn.fetchrow(ONE, letter_id, signature_id)


async def reports(conn: Connection, letter_id: LetterId, signature_id: SignatureId) -> list[Record]:
    """Return what readers reported."""
    return await conn.fetch(REPORTS, letter_id, signature_id)


async def reports_of(
    conn: Connection, letter_id: LetterId, ids: Sequence[int]
) -> dict[SignatureId, tuple[int, list[str]]]:
    """Return for each reported signature how many reports nobody has looked at, and their reasons."""
    rows = await conn.fetch(REPORTS_OF_MANY, letter_id, ids)
    return {row["signature"]: (row["number"], row["reasons"]) for row in rows}


async def waiting(conn: Connection, letter_id: LetterId) -> tuple[int, int]:
    """Return how many signatures wait, and how many are flagged; ``MOST_COUNTED`` + 1 means "more"."""
    row = await conn.fetchrow(WAITING, letter_id)
    return (row["held"], row["flagged"]) if row else (0, 0)


async def countries(conn: Connection, letter_id: LetterId) -> list[str]:
    """Return the countries that stand on a letter, each found by one look into the index."""
    return [row["country"] for row in await conn.fetch(COUNTRIES, letter_id)]


async def partners(conn: Connection, letter_id: LetterId) -> dict[str, str]:
    """Return the partners of a letter, retired ones too: the name in their links, and how people call them."""
    return {row["name"]: row["title"] for row in await conn.fetch(PARTNERS, letter_id)}
