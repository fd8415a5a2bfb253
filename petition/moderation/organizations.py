"""Organizations' names corrected, and two entries that are one organization merged. Both can be undone.

The log says which rows were touched; the names that were replaced stand, encrypted, in a table that can be erased.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from petition.core import audit_log
from petition.core.audit_log import By
from petition.core.database import Connection, Record
from petition.core.encryption import Wrapper
from petition.core.errors import NotFound, Refused
from petition.core.i18n import N_
from petition.letters.keys import keys_for
from petition.moderation import organization_queries as queries
from petition.moderation import queries as decision_queries
from petition.moderation.model import Outcome
from petition.signatures import counting, forms, names, organization_queries, search_words
from petition.signatures.counting import Change, move_counts
from petition.signatures.model import Kind

NAMES, MERGE = "organization.names", "organization.merge"
NOT_ITSELF = N_("An organization cannot be merged with itself.")
MERGED_ALREADY = N_("One of the two has already been merged.")
TRY_AGAIN = N_("Someone has just signed for this organization. Try again.")
CHANGED_SINCE = N_("This has been changed since then, so it cannot be undone.")
FIELDS = ("name_en", "name_ru", "website")
TYPED_AS = {"name_en": "organization_en", "name_ru": "organization_ru", "website": "website"}


@dataclass(frozen=True, slots=True)
class Called:
    """How an organization is called; at least one name is there."""

    name_en: str | None
    name_ru: str | None
    website: str | None

    @property
    def fields(self) -> dict[str, str | None]:
        """Return what is kept of it."""
        return {field: getattr(self, field) for field in FIELDS}

    @property
    def name_key(self) -> str:
        """The folded words of both names."""
        return names.fold(" ".join(filter(None, (self.name_en, self.name_ru))))

    @property
    def columns(self) -> tuple[str | None, ...]:
        """Return name_en, name_ru, website, key_en, key_ru, name_key."""
        keys = (names.organization_key(each) if each else None for each in (self.name_en, self.name_ru))
        return (self.name_en, self.name_ru, self.website, *keys, self.name_key)

    @classmethod
    def of(cls, row: Record | Mapping[str, str | None]) -> "Called":
        """Return how a row, or kept fields, call it."""
        return cls(row["name_en"], row["name_ru"], row["website"])


def read(typed: Mapping[str, str]) -> Called:
    """Return the names in a form; "English // Русский" in either field is split. Raises ``Refused``."""
    english, russian = (names.clean(typed.get(field, "")) for field in ("name_en", "name_ru"))
    if " // " in (one := english or russian) and not (english and russian):
        left, right = names.split_names(one)
        english, russian = left or "", right or ""
    for field, name in (("name_en", english), ("name_ru", russian)):
        if name and (problem := names.problem_of_organization(name)):
            raise Refused(problem, field)
    if not english and not russian:
        raise Refused(names.MISSING_ORGANIZATION, "name_en")
    return Called(english or None, russian or None, _website(typed.get("website", "")))


def _website(typed: str) -> str | None:
    text = names.clean(typed)
    website = forms.website_of(text) if text else None
    if text and website is None:
        raise Refused(forms.WEBSITE, "website")
    return website


async def correct_held(conn: Connection, by: By, wrapper: Wrapper, signature: int, called: Called) -> int | None:
    """Correct the names with which a representative who waits has signed; return the log's row, None if it was decided.

    Raises ``KeyDestroyed``.
    """
    row = await queries.lock_held(conn, by.letter, signature)
    if row is None:
        return None
    keys = await keys_for(conn, by.letter, wrapper)
    fields = keys.reveal(row["private"])
    before = {field: fields.pop(TYPED_AS[field], None) for field in FIELDS}
    after = {TYPED_AS[field]: value for field, value in called.fields.items() if value}
    log = await audit_log.write(conn, by.organizer, by.letter, NAMES, ids=[signature])
    await queries.keep_past(
        conn, by.letter, log, signature, None, keys.hide({"before": before, "after": called.fields})
    )
    await queries.store_held(conn, by.letter, signature, keys.hide(fields | after))
    return log


async def correct(conn: Connection, by: By, wrapper: Wrapper, organization: int, called: Called) -> int:
    """Correct the names of an entry; return the log's row. Raises ``NotFound``, ``KeyDestroyed``."""
    await organization_queries.lock(conn, by.letter)
    before = await _lock_one(conn, by.letter, organization)
    log = await audit_log.write(conn, by.organizer, by.letter, NAMES, ids=[organization])
    keys = await keys_for(conn, by.letter, wrapper)
    past = keys.hide({"before": before.fields, "after": called.fields})
    await queries.keep_past(conn, by.letter, log, None, organization, past)
    await _rename(conn, by.letter, organization, before, called)
    return log


async def _lock_one(conn: Connection, letter: int, organization: int) -> Called:
    rows = await decision_queries.lock_organizations(conn, letter, [organization])
    if not rows:
        raise NotFound("there is no such organization")
    return Called.of(rows[0])


async def _rename(conn: Connection, letter: int, organization: int, before: Called, after: Called) -> None:
    await queries.store_names(conn, letter, organization, after.columns)
    await search_words.forget(conn, letter, Kind.ORGANIZATION, names.words(before.name_key))
    if await organization_queries.shown(conn, letter, [organization]):
        await _remember(conn, letter, after)
    await counting.move_revision(conn, letter)


async def _remember(conn: Connection, letter: int, called: Called) -> None:
    await search_words.remember(conn, [(letter, Kind.ORGANIZATION, word) for word in names.words(called.name_key)])


async def merge(conn: Connection, by: By, wrapper: Wrapper, one: int, into: int) -> int:
    """Merge entry ``one`` into another: its signatures point there, and a name that was lacking there is added.

    Return the log's row. Raises ``Refused``, ``NotFound``, ``KeyDestroyed``.
    """
    if one == into:
        raise Refused(NOT_ITSELF)
    signatures = await queries.signatures_of(conn, by.letter, one)
    await organization_queries.lock(conn, by.letter)
    rows = {row["id"]: row for row in await decision_queries.lock_organizations(conn, by.letter, [one, into])}
    if len(rows) < 2:
        raise NotFound("there is no such organization")
    if await queries.signatures_of(conn, by.letter, one) != signatures:  # one was attached before we had the lock
        raise Refused(TRY_AGAIN)
    if any(row["merged_into"] is not None for row in rows.values()):
        raise Refused(MERGED_ALREADY)
    keys = await keys_for(conn, by.letter, wrapper)
    before, joined = Called.of(rows[into]), _joined(Called.of(rows[into]), Called.of(rows[one]))
    followers = await queries.followers(conn, by.letter, one)
    log = await audit_log.write(conn, by.organizer, by.letter, MERGE, ids=[one, into, *signatures])
    past = {"before": before.fields, "after": joined.fields, "followers": followers, "signatures": signatures}
    await queries.keep_past(conn, by.letter, log, None, one, keys.hide(past))
    await queries.merge_into(conn, by.letter, [one, *followers], into)
    await _move(conn, by.letter, signatures, (one, into), {one: Called.of(rows[one]), into: before}, {into: joined})
    return log


def _joined(kept: Called, other: Called) -> Called:
    return Called(
        kept.name_en or _unless(other.name_en, kept.name_ru),
        kept.name_ru or _unless(other.name_ru, kept.name_en),
        kept.website or other.website,
    )


def _unless(name: str | None, known: str | None) -> str | None:
    same = name and known and names.organization_key(name) == names.organization_key(known)
    return None if same else name


async def _move(
    conn: Connection,
    letter: int,
    signatures: Sequence[int],
    way: tuple[int, int],
    before: Mapping[int, Called],
    after: Mapping[int, Called],
) -> list[int]:
    """Point signatures from one entry to the other; bring names, words and the count along."""
    shown_before = await organization_queries.shown(conn, letter, way)
    moved = await queries.point(conn, letter, signatures, *way)
    for organization, called in after.items():
        await queries.store_names(conn, letter, organization, called.columns)
    shown_after = await organization_queries.shown(conn, letter, way)
    old = {word for called in before.values() for word in names.words(called.name_key)}
    await search_words.forget(conn, letter, Kind.ORGANIZATION, sorted(old))
    for organization in shown_after:
        await _remember(conn, letter, after.get(organization) or before[organization])
    await counting.move_revision(conn, letter)
    change = Change(shown_before, shown_after)
    if change.entries or change.imported:
        await move_counts(conn, [(letter, 0, change.entries, 0, change.imported)])
    return moved


async def _undo_names(conn: Connection, by: By, wrapper: Wrapper, act: Record) -> Outcome:
    """Bring the former names back, unless they have been changed again. Raises ``Refused``."""
    past = await queries.past(conn, by.letter, act["id"])
    if past is None:
        return Outcome(missed=tuple(act["ids"]))
    keys = await keys_for(conn, by.letter, wrapper)
    kept: Any = keys.reveal(past["fields"])
    if past["organization"] is not None:
        await organization_queries.lock(conn, by.letter)
        now = await _lock_one(conn, by.letter, past["organization"])
        if now.fields != kept["after"]:
            raise Refused(CHANGED_SINCE)
        await _rename(conn, by.letter, past["organization"], now, Called.of(kept["before"]))
    else:
        row = await queries.lock_held(conn, by.letter, past["signature"])
        if row is None:
            raise Refused(CHANGED_SINCE)
        fields: dict[str, str | None] = {**keys.reveal(row["private"])}
        if {field: fields.pop(TYPED_AS[field], None) for field in FIELDS} != kept["after"]:
            raise Refused(CHANGED_SINCE)
        restored = {TYPED_AS[field]: value for field, value in kept["before"].items() if value}
        await queries.store_held(conn, by.letter, row["id"], keys.hide(fields | restored))
    log = await audit_log.write(conn, by.organizer, by.letter, "organization.undo", ids=act["ids"], undoes=act["id"])
    return Outcome(tuple(act["ids"]), log=log)


async def _undo_merge(conn: Connection, by: By, wrapper: Wrapper, act: Record) -> Outcome:
    """Part two entries again, the signatures that came along and the names that did. Raises ``Refused``."""
    past = await queries.past(conn, by.letter, act["id"])
    if past is None:
        return Outcome(missed=tuple(act["ids"]))
    keys = await keys_for(conn, by.letter, wrapper)
    kept: Any = keys.reveal(past["fields"])
    one, into = act["ids"][:2]
    await decision_queries.lock(conn, by.letter, kept["signatures"])
    await organization_queries.lock(conn, by.letter)
    rows = {row["id"]: row for row in await decision_queries.lock_organizations(conn, by.letter, [one, into])}
    if len(rows) < 2 or rows[one]["merged_into"] != into:
        raise Refused(CHANGED_SINCE)
    known = {each: Called.of(row) for each, row in rows.items()}
    # A name that was given to the entry since then stays.
    former = known[into] if known[into].fields != kept["after"] else Called.of(kept["before"])
    log = await audit_log.write(conn, by.organizer, by.letter, "organization.undo", ids=act["ids"], undoes=act["id"])
    await queries.merge_into(conn, by.letter, [one, *kept["followers"]], None)
    await queries.merge_into(conn, by.letter, kept["followers"], one)
    await _move(conn, by.letter, kept["signatures"], (into, one), known, {into: former})
    return Outcome(tuple(act["ids"]), log=log)


UNDO: Mapping[str, Callable[[Connection, By, Wrapper, Record], Awaitable[Outcome]]] = {
    NAMES: _undo_names,
    MERGE: _undo_merge,
}
