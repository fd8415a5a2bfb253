"""The queue as moderators read it: names that organizers may see, never an address."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from petition.core.database import Connection, Record
from petition.core.encryption import LetterKeys
from petition.core.errors import KeyDestroyed
from petition.moderation import queue_queries as queries
from petition.moderation.decisions import standing_of
from petition.moderation.model import Filter, Line, Names
from petition.signatures import listing, names, search_words
from petition.signatures.listing import MOST_NEAR, Cursor
from petition.signatures.listing_queries import BEST, use_index_of_words
from petition.signatures.model import Kind, Reason

PAGE = 40
MOST_WORDS = 5
TOP = (datetime.max.replace(tzinfo=UTC), 2**63 - 1)


@dataclass(frozen=True, slots=True)
class Page:
    """One page of the queue; ``next`` is where the following one begins.

    ``cut`` tells that the page may be short since it has looked at as many rows as it may, or that a search has not
    found all there are.
    """

    lines: Sequence[Line]
    next: Cursor | None
    cut: bool = False


async def read(conn: Connection, letter: int, keys: LetterKeys, wanted: Filter, after: Cursor | None) -> Page:
    """Return a page of what matches, newest first. Opens a transaction of its own."""
    before = (after.listed_at, after.id) if after else TOP
    if wanted.q:
        return await _search(conn, letter, keys, wanted, before)
    rows, end = await queries.page(conn, letter, wanted, before, PAGE)
    lines = [line(row, keys) for row in rows]
    last = rows[-1] if len(rows) == PAGE else end
    return Page(lines, Cursor(last["listed_at"], last["id"]) if last else None, cut=end is not None)


async def _search(
    conn: Connection, letter: int, keys: LetterKeys, wanted: Filter, before: tuple[datetime, int]
) -> Page:
    asked = await search_expression(conn, letter, wanted.q)
    if not asked:
        return Page((), None)
    people, organizations = [
        [each.id for each in await listing.search(conn, letter, kind, wanted.q)]
        for kind in (Kind.PERSON, Kind.ORGANIZATION)
    ]
    rows = await queries.search(conn, letter, wanted, asked, (people, organizations), before, PAGE)
    last = rows[-1] if len(rows) == PAGE else None
    following = Cursor(last["listed_at"], last["id"]) if last else None
    cut = last is None and len(people) == BEST and await queries.goes_on(conn, letter, wanted)
    return Page([line(row, keys) for row in rows], following, cut)


async def search_expression(conn: Connection, letter: int, typed: str) -> str:
    """Return all the words of ``typed``, the last one perhaps only begun, each perhaps with one typing error, for
    PostgreSQL; "" if there is no word in it. What the page finds, campaigns and exports find."""
    found = names.words(names.fold(typed))[:MOST_WORDS]
    if not found:
        return ""
    near = await _near(conn, letter, found)
    sets = [
        [word, *sorted(set().union(*others) - {word})[:MOST_NEAR]] for word, *others in zip(found, *near, strict=True)
    ]
    quoted = [" | ".join(f"'{word}'" for word in one_of) for one_of in sets]
    quoted[-1] += f" | '{found[-1]}':*"
    return " & ".join(f"({one_of})" for one_of in quoted)


async def _near(conn: Connection, letter: int, found: Sequence[str]) -> list[list[set[str]]]:
    """Return the words near each of ``found`` in names of each kind, found by their index."""
    look = conn.transaction()
    await look.start()
    try:
        await use_index_of_words(conn)
        return [await search_words.near(conn, letter, kind, found) for kind in Kind]
    finally:
        await look.rollback()  # so that nothing else in a transaction around it is planned that way


def tsquery(typed: str) -> str:
    """Return "all of these words, the last one perhaps only begun" for PostgreSQL; "" if there is no word in it."""
    found = names.words(names.fold(typed))[:MOST_WORDS]
    return " & ".join(f"'{word}'{':*' if word == found[-1] else ''}" for word in found)


_REASONS: Mapping[str | None, Reason] = {each.value: each for each in Reason}


def line(row: Record, keys: LetterKeys) -> Line:
    """Return a row as moderators see it."""
    return Line(
        id=row["id"],
        kind=Kind(row["kind"]),
        standing=standing_of(row),
        visibility=row["visibility"],
        names=names_of(row, keys),
        country=row["country"],
        read_lang=row["read_lang"],
        imported=row["imported"],
        signals=tuple(row["signals"] or ()),
        group=row["group_number"],
        organization=row["organization"],
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
