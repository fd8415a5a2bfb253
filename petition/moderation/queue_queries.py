"""The SQL of the queue: a page of the rows that match a filter, their number, and one signature.

A filter becomes conditions in two groups: those of one index, the smallest there is for the filter, and the others,
which filter the rows of that index. A page scans at most ``PAGE_SCAN`` rows of the index, so that it takes no longer
with a million signatures than with a few thousand; if there are more, it returns where the scan ended.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from petition.core import by_time
from petition.core.database import Connection, Record
from petition.core.ids import LetterId, LogId, SignatureId
from petition.letters import count_step_queries
from petition.moderation.model import ANY, Action, Filter, Source, Wait

PAGE_SCAN = 2_000  # rows scanned for a page
STEP_SCAN = 5_000  # rows scanned for one step of a bulk act
TOTAL_SCAN = 10_000  # rows scanned to count the matches
MAX_COUNTED = 1000

# In a sensitive letter no one reads a country of fewer than ten people.
_COUNTRY = count_step_queries.shown_country("s.country")
_COLUMNS = f"""
s.id, s.kind, s.state, s.visibility, s.name, s.affiliation, s.city, s."position", s.private, {_COUNTRY} AS country,
s.read_lang, s.import IS NOT NULL AS imported, s.signals, s.flags, s.group_number, s.organization, s.signed_at,
s.listed_at, s.removed_for, coalesce(s.last_act, 0) AS last_act, s.sealed IS NOT NULL AS is_sealed
"""

_NEWEST_FIRST = "ORDER BY s.listed_at DESC, s.id DESC"
# The same order, in words that the index over countries has, whose entries many signatures share.
_MINUTE = "date_bin('1 minute', {}, '2000-01-01 00:00:00+00')"
_BY_MINUTE = f"ORDER BY {_MINUTE.format('s.listed_at')} DESC, s.listed_at DESC, s.id DESC"
_BEFORE = " AND (s.listed_at, s.id) < ($2, $3)"
_BEFORE_BY_MINUTE = f"{_BEFORE} AND {_MINUTE.format('s.listed_at')} <= {_MINUTE.format('$2::timestamptz')}"
_OF_COUNTRY = "s.country = "

ONE = f"""
SELECT {_COLUMNS}, o.name_en, o.name_ru, o.website, o.merged_into, s.version,
       EXISTS (SELECT FROM contact c WHERE c.letter = s.letter AND c.signature = s.id) AS reachable,
       EXISTS (SELECT FROM contact c WHERE c.letter = s.letter AND c.signature = s.id
               AND c.purpose = 'representative') AS representative
FROM signature s LEFT JOIN organization o ON o.letter = s.letter AND o.id = s.organization
WHERE s.letter = $1 AND s.id = $2
"""

HELD = f"""
SELECT {_COLUMNS}, NULL AS name_en, NULL AS name_ru, NULL AS website FROM signature s
WHERE s.letter = $1 AND s.state = 'held' AND s.kind = 'organization' AND s.organization IS NULL
{_NEWEST_FIRST} LIMIT $2
"""

SEVERAL = f"""
SELECT {_COLUMNS}, o.name_en, o.name_ru, o.website
FROM signature s LEFT JOIN organization o ON o.letter = s.letter AND o.id = s.organization
WHERE s.letter = $1 AND s.id = ANY($2::bigint[])
"""

REPORTS = "SELECT id, reason, note, at, settled_by FROM report WHERE letter = $1 AND signature = $2 ORDER BY id"

OPEN_REPORTS = """
SELECT signature, array_agg(DISTINCT reason) AS reasons, count(*) AS number FROM report
WHERE letter = $1 AND signature = ANY($2::bigint[]) AND settled_by IS NULL GROUP BY signature
"""

# As in the partial indexes of the same names.
_WAITS: Mapping[Wait, str] = {
    Wait.ANY: "(s.state = 'held' OR s.state = 'confirmed' AND s.flags <> '{}')",
    Wait.HELD: "s.state = 'held'",
    Wait.REPORTED: "(s.state = 'confirmed' AND s.flags @> '{reported}')",
    Wait.FLAGGED: "(s.state = 'confirmed' AND s.flags <> '{}')",
    Wait.ANSWERED: "(s.state IN ('held', 'confirmed') AND s.flags @> '{answered}')",
}
_NOT_REPORTED = "NOT s.flags @> '{reported}'"

WAITING = f"""
SELECT (SELECT count(*) FROM (
          SELECT FROM signature s WHERE s.letter = $1 AND {_WAITS[Wait.HELD]} LIMIT {MAX_COUNTED + 1}) AS h) AS held,
       (SELECT count(*) FROM (
          SELECT FROM signature s WHERE s.letter = $1 AND {_WAITS[Wait.REPORTED]} LIMIT {MAX_COUNTED + 1}) AS r)
         AS reported,
       (SELECT count(*) FROM (
          SELECT FROM signature s WHERE s.letter = $1 AND {_WAITS[Wait.FLAGGED]} LIMIT {MAX_COUNTED + 1}) AS f)
         AS flagged,
       (SELECT count(*) FROM (
          SELECT FROM signature s WHERE s.letter = $1 AND {_WAITS[Wait.ANSWERED]} LIMIT {MAX_COUNTED + 1}) AS a)
         AS answered
"""

COUNTRIES = f"""
WITH RECURSIVE known AS (
  (SELECT country FROM signature WHERE letter = $1 AND country IS NOT NULL ORDER BY country LIMIT 1)
  UNION ALL
  SELECT (SELECT s.country FROM signature s WHERE s.letter = $1 AND s.country > k.country ORDER BY s.country LIMIT 1)
  FROM known k WHERE k.country IS NOT NULL
)
SELECT s.country FROM known s WHERE {_COUNTRY} IS NOT NULL
"""

PARTNERS = "SELECT name, title FROM partner WHERE letter = $1 ORDER BY name"


APPLIES = {
    Action.APPROVE: "(s.state = 'held' OR s.state = 'confirmed' AND s.flags <> '{}')",
    Action.REMOVE: "s.state IN ('held', 'confirmed')",
    Action.RESTORE: "s.state = 'removed'",
}


def _has_words(table: str, query: str) -> str:
    return f"array_to_tsvector(string_to_array({table}.name_key, ' ')) @@ {query}::text::tsquery"


def _with_organizations(page: str) -> str:
    return f"""
    SELECT p.*, o.name_en, o.name_ru, o.website FROM ({page}) AS p
    LEFT JOIN organization o ON o.letter = $1 AND o.id = p.organization
    ORDER BY p.listed_at DESC, p.id DESC
    """


class Conditions:
    """A filter as SQL about ``signature s`` of the letter $1. Typed values are parameters, from number ``first`` on."""

    def __init__(
        self, filter: Filter, words: str, first: int, action: Action | None = None, *, is_settled: bool = False
    ) -> None:
        """``is_settled`` leaves out what waits."""
        self.arguments: list[object] = []
        self._first = first
        self._is_settled = is_settled
        indexed = self._indexed(filter)
        self._of_index = indexed[:1]
        self.arguments_of_index = self.arguments[:1] if indexed and "$" in indexed[0] else []
        self._others = [*indexed[1:], *self._unindexed(filter)]
        if action:
            self._others.append(APPLIES[action])
        if words:
            self._others.append(self._words(words))

    def newest(self, columns: str, limit: int, *, is_bounded: bool = True) -> str:
        """Return the statement for the newest ``limit`` rows of the index, which is a filter's, or the two of all
        rows; those before the position ($2, $3) if it is bounded."""
        condition = " AND ".join(("s.letter = $1", *self._of_index))
        if not self._of_index:
            return by_time.newest(columns, condition + (_BEFORE if is_bounded else ""), limit)
        is_by_minute = self._of_index[0].startswith(_OF_COUNTRY)
        order, before = (_BY_MINUTE, _BEFORE_BY_MINUTE) if is_by_minute else (_NEWEST_FIRST, _BEFORE)
        bound = before if is_bounded else ""
        return f"SELECT {columns} FROM signature s WHERE {condition}{bound} {order} LIMIT {limit}"

    @property
    def others(self) -> str:
        return " AND ".join(self._others) or "true"

    @property
    def all(self) -> str:
        return " AND ".join((*self._of_index, *self._others)) or "true"

    def _parameter(self, value: object) -> str:
        self.arguments.append(value)
        return f"${self._first + len(self.arguments) - 1}"

    def _indexed(self, filter: Filter) -> list[str]:
        conditions = []
        if filter.group:
            conditions.append(f"s.group_number = {self._parameter(filter.group)}")
        if filter.wait:
            conditions.append(_WAITS[filter.wait])
        if filter.flag:
            conditions.append("s.flags <> '{}'")
        if filter.state and filter.state != "confirmed":
            conditions.append(f"s.state = '{filter.state.value}'")
        if filter.source is Source.IMPORT:
            conditions.append("s.import IS NOT NULL")
        if filter.kind and filter.kind == "organization":
            conditions.append("s.kind = 'organization'")
        if filter.partner:
            partner = f"SELECT p.id FROM partner p WHERE p.letter = $1 AND p.name = {self._parameter(filter.partner)}"
            conditions.append(f"s.signals ? 'partner' AND s.signals -> 'partner' = to_jsonb(({partner}))")
        if filter.country:
            conditions += [f"{_OF_COUNTRY}{self._parameter(filter.country)}", f"{_COUNTRY} IS NOT NULL"]
        return conditions

    def _unindexed(self, filter: Filter) -> list[str]:
        conditions = {
            "s.state = 'confirmed'": filter.state == "confirmed",
            "s.kind = 'person'": filter.kind == "person",
            "s.import IS NULL": filter.source is Source.WEB,
            "s.signals ? 'partner'": filter.source is Source.PARTNER,
            _NOT_REPORTED: filter.wait is Wait.FLAGGED,
            # A decision settles flags: what was removed is not flagged any more, unless removed ones are asked for.
            "s.state IN ('held', 'confirmed')": bool(filter.flag and filter.state is None),
            "NOT (s.state = 'held' OR s.state = 'confirmed' AND s.flags <> '{}')": self._is_settled,
        }
        chosen = [condition for condition, is_chosen in conditions.items() if is_chosen]
        if filter.flag and filter.flag != ANY:
            chosen.append(f"s.flags @> ARRAY[{self._parameter(filter.flag)}::text]")
        if filter.lang:
            chosen.append(f"s.read_lang = {self._parameter(filter.lang)}")
        return chosen

    def _words(self, words: str) -> str:
        """Return the condition that the words are in a public name, or in a name of the organization."""
        query = self._parameter(words)
        organizations = f"SELECT o.id FROM organization o WHERE o.letter = $1 AND {_has_words('o', query)}"
        return f"(s.name_key IS NOT NULL AND {_has_words('s', query)} OR s.organization IN ({organizations}))"


def scan_of(conditions: Conditions, limit: int) -> str:
    """Return the newest rows of the index before the position ($2, $3), with all that ``Conditions.others`` needs."""
    return conditions.newest(f"{_COLUMNS}, s.import, s.name_key", limit)


async def page(
    conn: Connection,
    letter_id: LetterId,
    filter: Filter,
    before: tuple[datetime, int],
    limit: int,
    words: str = "",
    *,
    is_settled: bool = False,
) -> tuple[list[Record], Record | None]:
    """Return the newest ``limit`` matches before a position, and, if fewer were scanned, where the scan ended (None:
    at the last row). ``words`` (a ``tsquery``) is used in place of ``filter.q``; ``is_settled`` leaves out what
    waits."""
    conditions = Conditions(filter, words, 4, is_settled=is_settled)
    scan = scan_of(conditions, PAGE_SCAN)
    matches = f"SELECT * FROM ({scan}) AS s WHERE {conditions.others} {_NEWEST_FIRST} LIMIT {limit}"
    rows = await conn.fetch(_with_organizations(matches), letter_id, *before, *conditions.arguments)
    return rows, None if len(rows) == limit else await end_of_scan(conn, letter_id, conditions, before, PAGE_SCAN)


async def end_of_scan(
    conn: Connection, letter_id: LetterId, conditions: Conditions, before: tuple[datetime, int], limit: int
) -> Record | None:
    """Return the last row of a scan of ``limit`` rows; None if there are fewer."""
    scan = conditions.newest("s.listed_at, s.id", limit)
    statement = f"SELECT * FROM ({scan}) AS s {_NEWEST_FIRST} OFFSET {limit - 1} LIMIT 1"
    return await conn.fetchrow(statement, letter_id, *before, *conditions.arguments_of_index)


async def search(
    conn: Connection,
    letter_id: LetterId,
    filter: Filter,
    *,
    words: str,
    people: Sequence[int],
    organizations: Sequence[int],
    held: Sequence[int],
    before: tuple[datetime, int],
    limit: int,
) -> list[Record]:
    """Return the newest ``limit`` matches before a position.

    They are among the results of the public search (ids of ``people`` and ``organizations``), among ``held``
    signatures, and among the newest rows of the filter's index with all ``words`` (a ``tsquery``) in the name: these
    are people hidden from the list, and organizations that were removed.
    """
    conditions = Conditions(filter, "", 8)
    statement = f"""
    WITH found AS MATERIALIZED (
      SELECT unnest($2::bigint[]) AS id
      UNION
      (SELECT s.id FROM signature s WHERE s.letter = $1 AND s.organization = ANY($3::bigint[]) LIMIT {MAX_COUNTED})
      UNION
      SELECT newest.id FROM (
        {conditions.newest("s.id, s.name_key, s.listed_at", PAGE_SCAN, is_bounded=False)}
      ) AS newest WHERE newest.name_key IS NOT NULL AND {_has_words("newest", "$4")}
    )
    SELECT {_COLUMNS} FROM found JOIN signature s ON s.letter = $1 AND s.id = found.id
    WHERE (s.listed_at, s.id) < ($5, $6) AND {conditions.all} {_NEWEST_FIRST} LIMIT $7
    """
    params = letter_id, [*people, *held], organizations, words, *before, limit, *conditions.arguments
    return await conn.fetch(_with_organizations(statement), *params)


async def is_beyond_scan(conn: Connection, letter_id: LetterId, filter: Filter) -> bool:
    """Return whether the filter's index has more rows than ``search`` scans."""
    newest = datetime.max.replace(tzinfo=UTC), 2**63 - 1
    return await end_of_scan(conn, letter_id, Conditions(filter, "", 4), newest, PAGE_SCAN) is not None


async def total(conn: Connection, letter_id: LetterId, filter: Filter, words: str = "") -> tuple[int, bool]:
    """Return the number of matches among the newest ``TOTAL_SCAN`` rows of the filter's index, and whether these are
    all rows. ``words`` (a ``tsquery``) is used in place of ``filter.q``."""
    conditions = Conditions(filter, words, 4)
    statement = f"""
    SELECT count(*) FILTER (WHERE {conditions.others}) AS matches, count(*) AS scanned
    FROM ({scan_of(conditions, TOTAL_SCAN)}) AS s
    """
    newest = datetime.max.replace(tzinfo=UTC), 2**63 - 1
    row = await conn.fetchrow(statement, letter_id, *newest, *conditions.arguments)
    return (row["matches"], row["scanned"] < TOTAL_SCAN) if row else (0, True)


async def count(
    conn: Connection, letter_id: LetterId, action: Action, filter: Filter, words: str, before: datetime
) -> int:
    """Return the number of matches listed before a time to which ``action`` applies. Scans all of them."""
    conditions = Conditions(filter, words, 3, action)
    statement = f"SELECT count(*) FROM signature s WHERE s.letter = $1 AND s.listed_at < $2 AND {conditions.all}"
    number: int = await conn.fetchval(statement, letter_id, before, *conditions.arguments, timeout=120)
    return number


async def step(
    conn: Connection,
    letter_id: LetterId,
    action: Action,
    filter: Filter,
    words: str,
    before: tuple[datetime, int],
    limit: int,
) -> tuple[dict[SignatureId, LogId], Record | None]:
    """Return the newest ``limit`` matches before a position to which ``action`` applies, with the last act on each, and
    the position where the scan ended (None: at the last row)."""
    conditions = Conditions(filter, words, 4, action)
    scan = scan_of(conditions, STEP_SCAN)
    matches = f"SELECT s.* FROM ({scan}) AS s WHERE {conditions.others} {_NEWEST_FIRST} LIMIT {limit}"
    statement = f"SELECT s.id, s.listed_at, s.last_act FROM ({matches}) AS s {_NEWEST_FIRST}"
    rows = await conn.fetch(statement, letter_id, *before, *conditions.arguments, timeout=120)
    last_acts = {row["id"]: row["last_act"] for row in rows}
    if len(rows) == limit:
        return last_acts, rows[-1]
    return last_acts, await end_of_scan(conn, letter_id, conditions, before, STEP_SCAN)


async def one(conn: Connection, letter_id: LetterId, signature_id: SignatureId) -> Record | None:
    """Return a signature with its organization, and whether an address is stored."""
    return await conn.fetchrow(ONE, letter_id, signature_id)


async def held(conn: Connection, letter_id: LetterId, limit: int) -> list[Record]:
    """Return the newest organizations that wait for approval."""
    return await conn.fetch(HELD, letter_id, limit)


async def several(conn: Connection, letter_id: LetterId, ids: Sequence[int]) -> list[Record]:
    """Return signatures that exist, with their organizations, in any order."""
    return await conn.fetch(SEVERAL, letter_id, ids) if ids else []


async def reports(conn: Connection, letter_id: LetterId, signature_id: SignatureId) -> list[Record]:
    return await conn.fetch(REPORTS, letter_id, signature_id)


async def open_reports(
    conn: Connection, letter_id: LetterId, ids: Sequence[int]
) -> dict[SignatureId, tuple[int, list[str]]]:
    """Return, for each signature with reports not yet reviewed, their number and reasons."""
    rows = await conn.fetch(OPEN_REPORTS, letter_id, ids)
    return {row["signature"]: (row["number"], row["reasons"]) for row in rows}


async def waiting(conn: Connection, letter_id: LetterId) -> dict[Wait, int]:
    """Return how many signatures wait, for each reason; ``MAX_COUNTED`` + 1 means "more"."""
    row = await conn.fetchrow(WAITING, letter_id)
    if row is None:
        raise LookupError("an aggregate has one row")
    flagged = row["flagged"] - row["reported"] if row["flagged"] <= MAX_COUNTED else row["flagged"]
    return {
        Wait.HELD: row["held"],
        Wait.REPORTED: row["reported"],
        Wait.FLAGGED: flagged,
        Wait.ANSWERED: row["answered"],
    }


async def countries(conn: Connection, letter_id: LetterId) -> list[str]:
    """Return the countries of a letter's signatures, each by one lookup in the index."""
    return [row["country"] for row in await conn.fetch(COUNTRIES, letter_id)]


async def partners(conn: Connection, letter_id: LetterId) -> dict[str, str]:
    """Return the names in partners' links with their titles, retired partners too."""
    return {row["name"]: row["title"] for row in await conn.fetch(PARTNERS, letter_id)}
