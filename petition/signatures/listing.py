"""The public list: who has signed, newest first, page by page; and the search for a name.

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
from petition.signatures.listing_queries import MAX_RESULTS
from petition.signatures.model import Kind, Signatory

PAGE = 100
MAX_QUERY = 100  # characters; the rest is ignored
MAX_WORDS = 5
MAX_NEAR = 100  # words one error away, for each typed word

# How a search finds the newest 200 of many, from what was measured at 1,000,000 signatures: to look at one more row of
# the list costs 1 µs, to read a row that the index over words has found 2 to 4 µs, since its pages lie apart. So the
# newest rows are looked through; if 200 are not to be expected among 25,000, all that the index finds are sorted.
WALKED_AT_FIRST = 2_000
GOOD_WALK = 16
MAX_WALKED = 50_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_PLACE = struct.Struct(">qq")


class BadCursor(NotFound):
    """What stands after ``after=`` was not made by a page of ours."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in the list: whoever comes after it was listed before (time, id)."""

    listed_at: datetime
    id: int

    def encode(self) -> str:
        """Return the place as 22 characters that can stand in an address."""
        place = _PLACE.pack((self.listed_at - _EPOCH) // _MICROSECOND, self.id)
        return base64.urlsafe_b64encode(place).rstrip(b"=").decode()

    @classmethod
    def decode(cls, text: str) -> "Cursor":
        """Return the place. Raises ``BadCursor``."""
        try:
            microseconds, signature = _PLACE.unpack(base64.b64decode(text + "==", altchars=b"-_", validate=True))
            cursor = cls(_EPOCH + timedelta(microseconds=microseconds), signature)
        except (binascii.Error, struct.error, OverflowError, ValueError):
            raise BadCursor("no such place in the list") from None
        if cursor.encode() != text:
            raise BadCursor("no such place in the list")
        return cursor


_TOP = Cursor(datetime.max.replace(tzinfo=UTC), 2**63 - 1)


async def page(
    conn: Connection, letter_id: LetterId, kind: Kind, after: Cursor | None = None, limit: int = PAGE
) -> tuple[list[Signatory], Cursor | None]:
    """Return at most ``limit`` entries, newest first, and the place where the next page begins, if there is one."""
    start = after or _TOP
    read = queries.page_of_people if kind is Kind.PERSON else queries.page_of_organizations
    rows = await read(conn, letter_id, (start.listed_at, start.id), limit + 1)
    more = len(rows) > limit
    entries = [_entry(kind, row) for row in rows[:limit]]
    return entries, Cursor(entries[-1].listed_at, entries[-1].id) if more else None


async def read(
    conn: Connection, letter_id: LetterId, kind: Kind, q: str, after: Cursor | None, limit: int | None = None
) -> tuple[list[Signatory], Cursor | None]:
    """Return what ``q`` finds, on one page; if it is empty, the page ``after`` a place."""
    if q:
        return (await search(conn, letter_id, kind, q))[:limit], None
    return await page(conn, letter_id, kind, after, limit or PAGE)


async def search(conn: Connection, letter_id: LetterId, kind: Kind, q: str) -> list[Signatory]:
    """Return the best 200 entries for what was typed: all its words, in any order.

    The words as typed come first, then those the last word is the beginning of, then words with one typing error; each
    newest first. Case, accents and ё/е do not matter. Opens a transaction of its own.
    """
    typed = names.words(names.fold(q[:MAX_QUERY]))[:MAX_WORDS]
    if not typed:
        return []
    look = _Search(conn, letter_id, kind, typed)
    found: dict[int, Record] = {}
    async with conn.transaction(readonly=True):
        for widen in (look.as_typed, look.completed, look.mistyped):
            for row in await widen():
                found.setdefault(row["id"], row)
            if len(found) >= MAX_RESULTS:
                break
    return [_entry(kind, row) for row in list(found.values())[:MAX_RESULTS]]


class _Search:
    """One search, wider and wider."""

    def __init__(self, conn: Connection, letter_id: LetterId, kind: Kind, typed: Sequence[str]) -> None:
        self._conn = conn
        self._letter = letter_id
        self._kind = kind
        self._typed = typed

    async def as_typed(self) -> list[Record]:
        """Return the rows that have all the words as they are."""
        return await self._rows([[_Term(word)] for word in self._typed])

    async def completed(self) -> list[Record]:
        """Return the rows that have all the words, the last one perhaps only begun."""
        *before, last = self._typed
        return await self._rows([*([_Term(word)] for word in before), [_Term(last, prefix=True)]])

    async def mistyped(self) -> list[Record]:
        """Return the rows that have all the words, perhaps with an error in each."""
        await queries.use_index_of_words(self._conn)
        near = await search_words.near(self._conn, self._letter, self._kind, self._typed)
        if not any(near):
            return []
        sets = [
            [_Term(each) for each in (word, *sorted(others)[:MAX_NEAR])]
            for word, others in zip(self._typed, near, strict=True)
        ]
        sets[-1].append(_Term(self._typed[-1], prefix=True))
        return await self._rows(sets)

    async def _rows(self, sets: "Sequence[Sequence[_Term]]") -> list[Record]:
        """Return the newest rows that have one word of each set."""
        if self._kind is Kind.ORGANIZATION:
            return await queries.walk_organizations(self._conn, self._letter, _tsquery(sets))
        return await self._walk(sets) or await self._gather(sets)

    async def _walk(self, sets: "Sequence[Sequence[_Term]]") -> list[Record] | None:
        """Return the newest rows if there are enough near the top of the list."""
        no_choice = all(len(one_of) == 1 for one_of in sets)
        patterns = [word.pattern for word in itertools.chain(*sets)] if no_choice else None
        wanted = None if no_choice else _tsquery(sets)
        await queries.use_order_of_list(self._conn)
        rows = await queries.walk_people(self._conn, self._letter, WALKED_AT_FIRST, wanted, patterns)
        if GOOD_WALK <= len(rows) < MAX_RESULTS:
            rows = await queries.walk_people(self._conn, self._letter, MAX_WALKED, wanted, patterns)
        return rows if len(rows) == MAX_RESULTS else None

    async def _gather(self, sets: "Sequence[Sequence[_Term]]") -> list[Record]:
        await queries.use_index_of_words(self._conn)
        return await queries.gather_people(self._conn, _tsquery(sets, f"{self._letter}:"))


@dataclass(frozen=True, slots=True)
class _Term:
    """A word that a name must have, or the beginning of one."""

    text: str
    prefix: bool = False

    @property
    def pattern(self) -> str:
        """Return the pattern of a name that has it."""
        return f"% {self.text}%" if self.prefix else f"% {self.text} %"


def _tsquery(sets: Sequence[Sequence[_Term]], before: str = "") -> str:
    """Return "one of each set" for PostgreSQL, every word with ``before`` in front.

    Words hold letters, marks and digits only (``names.fold``): nothing that would have to be escaped.
    """
    each_of = (" | ".join(f"'{before}{word.text}'{':*' if word.prefix else ''}" for word in one_of) for one_of in sets)
    return " & ".join(f"({one_of})" for one_of in each_of)


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
    )
