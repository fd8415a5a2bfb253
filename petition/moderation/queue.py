"""The queue as moderators read it: names that organizers may see, never an address."""

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
TOP = (datetime.max.replace(tzinfo=UTC), 2**63 - 1)


@dataclass(frozen=True, slots=True)
class QueuePage:
    """One page of the queue; ``next`` is where the following one begins.

    ``cut`` tells that the page may be short since it has looked at as many rows as it may, or that a search has not
    found all there are.
    """

    lines: Sequence[QueueItem]
    next: Cursor | None
    cut: bool = False


async def read(
    conn: Connection, letter_id: LetterId, keys: LetterKeys, wanted: Filter, after: Cursor | None
) -> QueuePage:
    """Return a page of what matches, newest first. Opens a transaction of its own."""
    before = (after.listed_at, after.id) if after else TOP
    if wanted.q:
        return await _search(conn, letter_id, keys, wanted, before)
    rows, end = await queries.page(conn, letter_id, wanted, before, PAGE)
    lines = [item_in(row, keys) for row in rows]
    last = rows[-1] if len(rows) == PAGE else end
    return QueuePage(lines, Cursor(last["listed_at"], last["id"]) if last else None, cut=end is not None)


async def _search(
    conn: Connection, letter_id: LetterId, keys: LetterKeys, wanted: Filter, before: tuple[datetime, int]
) -> QueuePage:
    asked = await search_expression(conn, letter_id, wanted.q)
    if not asked:
        return QueuePage((), None)
    people, organizations = [
        [each.id for each in await listing.search(conn, letter_id, kind, wanted.q)]
        for kind in (Kind.PERSON, Kind.ORGANIZATION)
    ]
    rows = await queries.search(conn, letter_id, wanted, asked, (people, organizations), before, PAGE)
    last = rows[-1] if len(rows) == PAGE else None
    following = Cursor(last["listed_at"], last["id"]) if last else None
    cut = last is None and len(people) == MAX_RESULTS and await queries.goes_on(conn, letter_id, wanted)
    return QueuePage([item_in(row, keys) for row in rows], following, cut)


async def search_expression(conn: Connection, letter_id: LetterId, typed: str) -> str:
    """Return all the words of ``typed``, the last one perhaps only begun, each perhaps with one typing error, for
    PostgreSQL; "" if there is no word in it. What the page finds, campaigns and exports find."""
    found = names.words(names.fold(typed))[:MAX_WORDS]
    if not found:
        return ""
    near = await _near(conn, letter_id, found)
    sets = [
        [word, *sorted(set().union(*others) - {word})[:MAX_NEAR]] for word, *others in zip(found, *near, strict=True)
    ]
    quoted = [" | ".join(f"'{word}'" for word in one_of) for one_of in sets]
    quoted[-1] += f" | '{found[-1]}':*"
    return " & ".join(f"({one_of})" for one_of in quoted)


async def _near(conn: Connection, letter_id: LetterId, found: Sequence[str]) -> list[list[set[str]]]:
    """Return the words near each of ``found`` in names of each kind, found by their index."""
    look = conn.transaction()
    await look.start()
    try:
        await use_index_of_words(conn)
        return [await search_words.near(conn, letter_id, kind, found) for kind in Kind]
    finally:
        await look.rollback()  # so that nothing else in a transaction around it is planned that way


def tsquery(typed: str) -> str:
    """Return "all of these words, the last one perhaps only begun" for PostgreSQL; "" if there is no word in it."""
    found = names.words(names.fold(typed))[:MAX_WORDS]
    return " & ".join(f"'{word}'{':*' if word == found[-1] else ''}" for word in found)


_REASONS: Mapping[str | None, Reason] = {each.value: each for each in Reason}


def item_in(row: Record, keys: LetterKeys) -> QueueItem:
    """Return a row as moderators see it."""
    return QueueItem(
        id=row["id"],
        kind=Kind(row["kind"]),
        standing=status_in(row),
        visibility=row["visibility"],
        names=names_of(row, keys),
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


def names_of(row: Record, keys: LetterKeys) -> Names:
    """Return the names in a row that organizers may see: public ones, and those encrypted for them."""
    told = {key: row[key] for key in ("name", "affiliation", "city", "position")}
    known = {key: row[key] for key in ("name_en", "name_ru", "website")}
    if row["private"] is not None:
        try:
            hidden = keys.reveal(row["private"])
        except KeyDestroyed:
            return Names(**known, unreadable=True)
        told = {key: hidden.get(key) or None for key in told}
        typed = {"name_en": "organization_en", "name_ru": "organization_ru", "website": "website"}
        known = {key: known[key] or hidden.get(typed[key]) or None for key in known}
    return Names(**told, **known)
