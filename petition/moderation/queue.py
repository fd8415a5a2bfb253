"""The queue as moderators see it: the names that organizers may see, never an address."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from petition.core.database import Connection, Record
from petition.core.encryption import LetterKeys
from petition.core.errors import KeyDestroyed
from petition.core.form_values import number_of
from petition.core.ids import LetterId, SignatureId
from petition.moderation import hidden_names
from petition.moderation import queue_queries as queries
from petition.moderation.decisions import status_in
from petition.moderation.evidence import evidence_of
from petition.moderation.model import Filter, Names, QueueItem, Sort, Wait
from petition.signatures import listing, names, search_words
from petition.signatures.listing import MAX_NEAR, BadCursor, Cursor
from petition.signatures.listing_queries import MAX_RESULTS, use_index_of_words
from petition.signatures.model import Kind, Reason

PAGE = 40
MAX_HELD = 1000  # organizations that wait, read for a search
WAITING_PARTS = (Wait.HELD, Wait.REPORTED, Wait.FLAGGED)  # in the order of the queue
MAX_WORDS = 5
NEWEST = (datetime.max.replace(tzinfo=UTC), 2**63 - 1)


@dataclass(frozen=True, slots=True)
class Position:
    """Where a page of the queue begins: after a row of one part, and after so many rows in all."""

    part: Wait | None = None  # of a queue sorted by what waits; None: what does not wait, and every other order
    cursor: Cursor | None = None
    offset: int = 0

    def encode(self) -> str:
        """Return characters that are safe in a URL."""
        return f"{self.part or ''}.{self.cursor.encode() if self.cursor else ''}.{self.offset}"

    @classmethod
    def decode(cls, text: str) -> "Position":
        """Raises ``BadCursor``."""
        part, cursor, offset = text.split(".") if text.count(".") == 2 else ("", text, "0")
        number = number_of(offset)
        if number is None or part not in {"", *Wait}:
            raise BadCursor("no such place in the queue")
        return cls(Wait(part) if part else None, Cursor.decode(cursor) if cursor else None, number)


@dataclass(frozen=True, slots=True)
class QueuePage:
    """One page of the queue; ``next`` is where the following one begins.

    ``is_cut`` if the page may be short because the scan reached its limit, or a search may have more results;
    ``is_unsorted`` if there are too many rows for the order that was asked for.
    """

    items: Sequence[QueueItem]
    next: Position | None
    is_cut: bool = False
    searched: int = 0  # encrypted names that a search has read, of ``searchable``; 0 if it has read all
    searchable: int = 0
    is_unsorted: bool = False


def default_sort(filter: Filter) -> Sort:
    """Return the order of a queue: what waits first, where no other index is needed to find the rows."""
    is_whole = filter.as_fields().keys() <= {"wait"} and filter.wait in {None, Wait.ANY}
    return Sort.WAITING if is_whole else Sort.CONFIRMED


async def load_page(
    conn: Connection,
    letter_id: LetterId,
    keys: LetterKeys,
    filter: Filter,
    after: Position | None = None,
    sort: Sort = Sort.CONFIRMED,
) -> QueuePage:
    """Return a page of matches in an order; a search has them newest first. Opens a transaction of its own."""
    if filter.q:
        return await _search(conn, letter_id, keys, filter, after or Position())
    if sort is Sort.WAITING and default_sort(filter) is sort:
        return await _waiting_first(conn, letter_id, keys, filter, after or Position(Wait.HELD))
    if sort in {Sort.SIGNED, Sort.NAME}:
        return await _sorted(conn, letter_id, keys, filter, after or Position(), sort)
    return await _newest_first(conn, letter_id, keys, filter, after or Position())


async def _newest_first(
    conn: Connection, letter_id: LetterId, keys: LetterKeys, filter: Filter, after: Position
) -> QueuePage:
    rows, end = await queries.page(conn, letter_id, filter, _before(after), PAGE)
    last = rows[-1] if len(rows) == PAGE else end
    return QueuePage([item_in(row, keys) for row in rows], _next(after, last, len(rows)), is_cut=end is not None)


async def _waiting_first(
    conn: Connection, letter_id: LetterId, keys: LetterKeys, filter: Filter, after: Position
) -> QueuePage:
    """Read one part after the other until the page is full; each part has an index of its own."""
    parts = (*WAITING_PARTS, None) if filter.wait is None else WAITING_PARTS
    rows: list[Record] = []
    start = after
    for part in parts[parts.index(after.part) if after.part in parts else 0 :]:
        before, limit = _before(start), PAGE - len(rows)
        more, end = await queries.page(
            conn, letter_id, replace(filter, wait=part), before, limit, is_settled=part is None
        )
        rows += more
        if len(more) == limit or end:
            last = more[-1] if len(more) == limit else end
            following = _next(replace(after, part=part), last, len(rows))
            return QueuePage([item_in(row, keys) for row in rows], following, is_cut=end is not None)
        start = Position(part)
    return QueuePage([item_in(row, keys) for row in rows], None)


async def _sorted(
    conn: Connection, letter_id: LetterId, keys: LetterKeys, filter: Filter, after: Position, sort: Sort
) -> QueuePage:
    """Sort all matches here, as names may be encrypted; where there are too many, the newest come first."""
    rows, end = await queries.page(conn, letter_id, filter, NEWEST, queries.PAGE_SCAN)
    if end is not None or len(rows) == queries.PAGE_SCAN:
        return replace(await _newest_first(conn, letter_id, keys, filter, after), is_unsorted=True)
    items = sorted((item_in(row, keys) for row in rows), key=_name if sort is Sort.NAME else _signed)
    page = items[after.offset : after.offset + PAGE]
    offset = after.offset + len(page)
    return QueuePage(page, Position(offset=offset) if offset < len(items) else None)


def _name(item: QueueItem) -> tuple[bool, str]:
    name = item.names.display_name
    return name is None, names.fold(name or "")


def _signed(item: QueueItem) -> float:
    return -(item.signed_at or item.listed_at).timestamp()


async def _search(
    conn: Connection, letter_id: LetterId, keys: LetterKeys, filter: Filter, after: Position
) -> QueuePage:
    words = await search_expression(conn, letter_id, filter.q)
    if not words:
        return QueuePage((), None)
    people, organizations = [
        [result.id for result in await listing.search(conn, letter_id, kind, filter.q)]
        for kind in (Kind.PERSON, Kind.ORGANIZATION)
    ]
    hidden = await hidden_names.find(conn, letter_id, keys, filter.q, _before(after))
    rows = await queries.search(
        conn,
        letter_id,
        filter,
        words=words,
        people=people,
        organizations=organizations,
        held=hidden.ids,
        before=_before(after),
        limit=PAGE,
    )
    if hidden.end and len(rows) < PAGE:  # older matches come with the names that are still to be read
        rows = [row for row in rows if (row["listed_at"], row["id"]) >= hidden.end]
        following = Position(after.part, Cursor(*hidden.end), after.offset + len(rows))
        items = [item_in(row, keys) for row in rows]
        return QueuePage(items, following, is_cut=True, searched=hidden.searched, searchable=hidden.total)
    last = rows[-1] if len(rows) == PAGE else None
    is_cut = last is None and len(people) == MAX_RESULTS and await queries.is_beyond_scan(conn, letter_id, filter)
    return QueuePage([item_in(row, keys) for row in rows], _next(after, last, len(rows)), is_cut)


async def held_like(conn: Connection, letter_id: LetterId, keys: LetterKeys, typed: str) -> list[SignatureId]:
    """Return the held organizations, of the newest ``MAX_HELD``, whose names begin with all words: no index can find
    them, because their names are encrypted until they are approved."""
    prefixes = names.words(names.fold(typed))
    if not prefixes:
        return []
    return [row["id"] for row in await queries.held(conn, letter_id, MAX_HELD) if _has_words(row, keys, prefixes)]


def _has_words(row: Record, keys: LetterKeys, prefixes: Sequence[str]) -> bool:
    item_names = names_in(row, keys)
    known = names.words(names.fold(" ".join(filter(None, (item_names.display_name, item_names.name)))))
    return all(any(_is_near(word, prefix) for word in known) for prefix in prefixes)


def _is_near(word: str, prefix: str) -> bool:
    return word.startswith(prefix) or (len(prefix) > 3 and names.within_one_edit(word, prefix))


def _before(position: Position) -> tuple[datetime, int]:
    return (position.cursor.listed_at, position.cursor.id) if position.cursor else NEWEST


def _next(after: Position, last: Record | None, rows: int) -> Position | None:
    return Position(after.part, Cursor(last["listed_at"], last["id"]), after.offset + rows) if last else None


async def total(conn: Connection, letter_id: LetterId, filter: Filter) -> tuple[int, bool]:
    """Return how many signatures bulk acts and exports find, and whether that is the exact number and no lower bound.

    With a search these are fewer than on the pages: no index finds names that are encrypted.
    """
    words = await search_expression(conn, letter_id, filter.q) if filter.q else ""
    return (0, True) if filter.q and not words else await queries.total(conn, letter_id, filter, words)


async def search_expression(conn: Connection, letter_id: LetterId, typed: str) -> str:
    """Return a ``tsquery`` of all the words of ``typed``, each with at most one typing error, the last one perhaps a
    prefix; "" if it has no word. The page, bulk acts and exports share it, so that they find the same."""
    words = names.words(names.fold(typed))[:MAX_WORDS]
    if not words:
        return ""
    near = await _near(conn, letter_id, words)
    sets = [
        [word, *sorted(set().union(*others) - {word})[:MAX_NEAR]] for word, *others in zip(words, *near, strict=True)
    ]
    terms = [" | ".join(f"'{word}'" for word in alternatives) for alternatives in sets]
    terms[-1] += f" | '{words[-1]}':*"
    return " & ".join(f"({term})" for term in terms)


async def _near(conn: Connection, letter_id: LetterId, words: Sequence[str]) -> list[list[set[str]]]:
    """Return the words near each of ``words`` in names of each kind, from their index."""
    transaction = conn.transaction()
    await transaction.start()
    try:
        await use_index_of_words(conn)
        return [await search_words.find_near(conn, letter_id, kind, words) for kind in Kind]
    finally:
        await transaction.rollback()  # so that the setting ends here, and not with a transaction around it


def tsquery(typed: str) -> str:
    """Return a ``tsquery`` of all the words of ``typed``, the last one perhaps a prefix; "" if it has no word."""
    words = names.words(names.fold(typed))[:MAX_WORDS]
    return " & ".join(f"'{word}'{':*' if word == words[-1] else ''}" for word in words)


_REASONS: Mapping[str | None, Reason] = {reason.value: reason for reason in Reason}


def item_in(row: Record, keys: LetterKeys) -> QueueItem:
    kind, item_names = Kind(row["kind"]), names_in(row, keys)
    evidence = evidence_of(item_names.website, row["signals"] or {}, is_imported=row["imported"])
    return QueueItem(
        id=row["id"],
        kind=kind,
        status=status_in(row),
        visibility=row["visibility"],
        names=item_names,
        country=row["country"],
        read_lang=row["read_lang"],
        imported=row["imported"],
        evidence=evidence if kind is Kind.ORGANIZATION else None,
        group=row["group_number"],
        organization_id=row["organization"],
        signed_at=row["signed_at"],
        listed_at=row["listed_at"],
        removed_for=_REASONS.get(row["removed_for"]),
        last_act=row["last_act"],
    )


def names_in(row: Record, keys: LetterKeys) -> Names:
    """Return the names in a row that organizers may see: public ones, and those encrypted for them."""
    person = {key: row[key] for key in ("name", "affiliation", "city", "position")}
    organization = {key: row[key] for key in ("name_en", "name_ru", "website")}
    if row["private"] is not None:
        try:
            hidden = keys.reveal(row["private"])
        except KeyDestroyed:
            return Names(**organization, is_unreadable=True, is_sealed=row["is_sealed"])
        person = {key: hidden.get(key) or None for key in person}
        typed = {"name_en": "organization_en", "name_ru": "organization_ru", "website": "website"}
        organization = {key: value or hidden.get(typed[key]) or None for key, value in organization.items()}
    return Names(**person, **organization, is_sealed=row["is_sealed"])
