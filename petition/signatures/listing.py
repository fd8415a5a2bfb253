"""The public list: signatories, newest first, page by page; and the search for a name.

Only confirmed, public people are in it, and organizations with at least one confirmed signature.
"""

import base64
import binascii
import itertools
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from petition.core.database import Connection, Record
from petition.core.errors import NotFound
from petition.core.ids import LetterId
from petition.signatures import listing_queries as queries
from petition.signatures import names, search_words
from petition.signatures.evidence_kinds import in_order
from petition.signatures.listing_queries import MAX_RESULTS
from petition.signatures.model import Kind, Signatory

PAGE = 100
MAX_QUERY = 100  # characters; the rest is ignored
MAX_WORDS = 5
MAX_NEAR = 100  # words one error away, for each typed word

# How a search finds the newest 200 of many, as measured at 1,000,000 signatures: one more row of the list costs 1 µs, a
# row that the index over words returns 2 to 4 µs, since its pages are scattered. So the newest rows are scanned; if 200
# are not to be expected among 25,000, those that the index returns are sorted: in a huge letter first those of the
# newest rows among which 200 are to be expected, and if these are fewer, all.
FIRST_SCAN = 2_000
GOOD_SCAN = 16
MAX_SCAN = 50_000
ENOUGH = 300  # rows to be expected in a window of the newest, so that 200 are in it
FEW = 20  # rows in a window: so rare that all of them are sorted as soon
WIDE = 400_000  # rows of the window where the scan returned nothing

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_CURSOR = struct.Struct(">qq")


class BadCursor(NotFound):
    """The parameter ``after`` does not come from one of our pages."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """A position in the list, (time, id); what follows it was listed earlier."""

    listed_at: datetime
    id: int

    def encode(self) -> str:
        """Return 22 characters that are safe in a URL."""
        packed = _CURSOR.pack((self.listed_at - _EPOCH) // _MICROSECOND, self.id)
        return base64.urlsafe_b64encode(packed).rstrip(b"=").decode()

    @classmethod
    def decode(cls, text: str) -> "Cursor":
        """Raises ``BadCursor``."""
        try:
            microseconds, entry_id = _CURSOR.unpack(base64.b64decode(text + "==", altchars=b"-_", validate=True))
            cursor = cls(_EPOCH + timedelta(microseconds=microseconds), entry_id)
        except (binascii.Error, struct.error, OverflowError, ValueError):
            raise BadCursor("no such place in the list") from None
        if cursor.encode() != text:
            raise BadCursor("no such place in the list")
        return cursor


_TOP = Cursor(datetime.max.replace(tzinfo=UTC), 2**63 - 1)


async def page(
    conn: Connection, letter_id: LetterId, kind: Kind, after: Cursor | None = None, limit: int = PAGE
) -> tuple[list[Signatory], Cursor | None]:
    """Return at most ``limit`` entries, newest first, and the cursor of the next page, if there is one."""
    start = after or _TOP
    read = queries.page_of_people if kind is Kind.PERSON else queries.page_of_organizations
    rows = await read(conn, letter_id, (start.listed_at, start.id), limit + 1)
    more = len(rows) > limit
    entries = [_entry(kind, row) for row in rows[:limit]]
    return entries, Cursor(entries[-1].listed_at, entries[-1].id) if more else None


async def read(
    conn: Connection, letter_id: LetterId, kind: Kind, q: str, after: Cursor | None, limit: int | None = None
) -> tuple[list[Signatory], Cursor | None]:
    """Return the results for ``q`` on one page; if it is empty, the page after the cursor."""
    if q:
        return (await search(conn, letter_id, kind, q))[:limit], None
    return await page(conn, letter_id, kind, after, limit or PAGE)


async def search(conn: Connection, letter_id: LetterId, kind: Kind, q: str) -> list[Signatory]:
    """Return the best 200 entries that have all words of ``q``, in any order.

    First those with the words as typed, then those with a completed last word, then those with one typing error a word;
    each group newest first. Case, accents and ё/е do not matter. Opens its own transaction.
    """
    words = names.words(names.fold(q[:MAX_QUERY]))[:MAX_WORDS]
    if not words:
        return []
    widening = _Search(conn, letter_id, kind, words)
    rows: dict[int, Record] = {}
    async with conn.transaction(readonly=True):
        for load in (widening.as_typed, widening.completed, widening.corrected):
            for row in await load():
                rows.setdefault(row["id"], row)
            if len(rows) >= MAX_RESULTS:
                break
    return [_entry(kind, row) for row in list(rows.values())[:MAX_RESULTS]]


class _Search:
    """One search, step by step wider."""

    def __init__(self, conn: Connection, letter_id: LetterId, kind: Kind, words: Sequence[str]) -> None:
        self._conn = conn
        self._letter_id = letter_id
        self._kind = kind
        self._words = words

    async def as_typed(self) -> list[Record]:
        return await self._rows([[_Term(word)] for word in self._words])

    async def completed(self) -> list[Record]:
        """Return the rows that have all the words, the last one as a prefix."""
        *complete, last = self._words
        return await self._rows([*([_Term(word)] for word in complete), [_Term(last, prefix=True)]])

    async def corrected(self) -> list[Record]:
        """Return the rows that have all the words, with at most one typing error in each."""
        await queries.use_index_of_words(self._conn)
        near = await search_words.find_near(self._conn, self._letter_id, self._kind, self._words)
        if not any(near):
            return []
        sets = [
            [_Term(text) for text in (word, *sorted(others)[:MAX_NEAR])]
            for word, others in zip(self._words, near, strict=True)
        ]
        sets[-1].append(_Term(self._words[-1], prefix=True))
        return await self._rows(sets)

    async def _rows(self, sets: "Sequence[Sequence[_Term]]") -> list[Record]:
        if self._kind is Kind.ORGANIZATION:
            return await queries.scan_organizations(self._conn, self._letter_id, _tsquery(sets))
        rows, scanned = await self._scan(sets)
        if len(rows) < MAX_RESULTS:
            rows = await self._recent(sets, ENOUGH * scanned // len(rows) if rows else WIDE)
        return rows if len(rows) == MAX_RESULTS else await self._sort(sets)

    async def _recent(self, sets: "Sequence[Sequence[_Term]]", window: int) -> list[Record]:
        """Return the rows in a window of the newest, widened once if there are nearly enough."""
        words = _tsquery(sets, f"{self._letter_id}:")
        rows = await queries.sort_recent_people(self._conn, self._letter_id, words, window)
        if FEW <= len(rows) < MAX_RESULTS:
            wider = ENOUGH * window // len(rows)
            rows = await queries.sort_recent_people(self._conn, self._letter_id, words, wider)
        return rows

    async def _scan(self, sets: "Sequence[Sequence[_Term]]") -> tuple[list[Record], int]:
        """Return those of the newest rows, and how many were scanned for that."""
        is_pattern = all(len(terms) == 1 for terms in sets)
        patterns = [term.pattern for term in itertools.chain(*sets)] if is_pattern else None
        tsquery = None if is_pattern else _tsquery(sets)
        await queries.use_order_of_list(self._conn)
        scanned = FIRST_SCAN
        rows = await queries.scan_people(self._conn, self._letter_id, scanned, tsquery, patterns)
        if GOOD_SCAN <= len(rows) < MAX_RESULTS:
            scanned = MAX_SCAN
            rows = await queries.scan_people(self._conn, self._letter_id, scanned, tsquery, patterns)
        return rows, scanned

    async def _sort(self, sets: "Sequence[Sequence[_Term]]") -> list[Record]:
        await queries.use_index_of_words(self._conn)
        return await queries.sort_people(self._conn, self._letter_id, _tsquery(sets, f"{self._letter_id}:"))


@dataclass(frozen=True, slots=True)
class _Term:
    """A word that a name must have, or the beginning of one."""

    text: str
    prefix: bool = False

    @property
    def pattern(self) -> str:
        return f"% {self.text}%" if self.prefix else f"% {self.text} %"


def _tsquery(sets: Sequence[Sequence[_Term]], before: str = "") -> str:
    """Return "one term of each set" as a tsquery, every term prefixed with ``before``.

    Words have letters, marks and digits only (``names.fold``): nothing to escape.
    """
    alternatives = (
        " | ".join(f"'{before}{term.text}'{':*' if term.prefix else ''}" for term in terms) for terms in sets
    )
    return " & ".join(f"({terms})" for terms in alternatives)


def _entry(kind: Kind, row: Record) -> Signatory:
    if kind is Kind.PERSON:
        names_of_person = {key: row[key] for key in ("name", "affiliation", "city", "country")}
        return Signatory(row["id"], kind, row["listed_at"], **names_of_person)
    return Signatory(
        row["id"],
        kind,
        row["listed_at"],
        name_en=row["name_en"],
        name_ru=row["name_ru"],
        website=row["website"],
        representatives=tuple(row["representatives"]),
        evidence=in_order(row["evidence"]),
        vouched_by=tuple(row["vouched_by"]),
    )
