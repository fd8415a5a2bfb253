"""The queue as moderators see it: the names that organizers may see, never an address."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from petition.core.database import Connection, Record
from petition.core.encryption import LetterKeys
from petition.core.errors import KeyDestroyed
from petition.core.ids import LetterId
from petition.moderation import queue_queries as queries
from petition.moderation.decisions import status_in
from petition.moderation.model import Filter, Names, QueueItem
from petition.signatures import listing, names, search_words
from petition.signatures.listing import MAX_NEAR, Cursor
from petition.signatures.listing_queries import MAX_RESULTS, use_index_of_words
from petition.signatures.model import Kind, Reason

PAGE = 40
MAX_WORDS = 5
NEWEST = (datetime.max.replace(tzinfo=UTC), 2**63 - 1)


@dataclass(frozen=True, slots=True)
class QueuePage:
    """One page of the queue; ``next`` is where the following one begins.

    ``is_cut`` if the page may be short because the scan reached its limit, or a search may have more results.
    """

    items: Sequence[QueueItem]
    next: Cursor | None
    is_cut: bool = False


async def load_page(
    conn: Connection, letter_id: LetterId, keys: LetterKeys, filter: Filter, after: Cursor | None
) -> QueuePage:
    """Return a page of matches, the newest first. Opens a transaction of its own."""
    before = (after.listed_at, after.id) if after else NEWEST
    if filter.q:
        return await _search(conn, letter_id, keys, filter, before)
    rows, end = await queries.page(conn, letter_id, filter, before, PAGE)
    last = rows[-1] if len(rows) == PAGE else end
    return QueuePage([item_in(row, keys) for row in rows], _cursor(last), is_cut=end is not None)


async def _search(
    conn: Connection, letter_id: LetterId, keys: LetterKeys, filter: Filter, before: tuple[datetime, int]
) -> QueuePage:
    words = await search_expression(conn, letter_id, filter.q)
    if not words:
        return QueuePage((), None)
    people, organizations = [
        [result.id for result in await listing.search(conn, letter_id, kind, filter.q)]
        for kind in (Kind.PERSON, Kind.ORGANIZATION)
    ]
    rows = await queries.search(
        conn,
        letter_id,
        filter,
        words=words,
        people=people,
        organizations=organizations,
        before=before,
        limit=PAGE,
    )
    last = rows[-1] if len(rows) == PAGE else None
    is_cut = last is None and len(people) == MAX_RESULTS and await queries.is_beyond_scan(conn, letter_id, filter)
    return QueuePage([item_in(row, keys) for row in rows], _cursor(last), is_cut)


def _cursor(last: Record | None) -> Cursor | None:
    return Cursor(last["listed_at"], last["id"]) if last else None


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
    return QueueItem(
        id=row["id"],
        kind=Kind(row["kind"]),
        status=status_in(row),
        visibility=row["visibility"],
        names=names_in(row, keys),
        country=row["country"],
        read_lang=row["read_lang"],
        imported=row["imported"],
        signals=tuple(row["signals"] or ()),
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
            return Names(**organization, is_unreadable=True)
        person = {key: hidden.get(key) or None for key in person}
        typed = {"name_en": "organization_en", "name_ru": "organization_ru", "website": "website"}
        organization = {key: value or hidden.get(typed[key]) or None for key, value in organization.items()}
    return Names(**person, **organization)
