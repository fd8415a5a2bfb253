"""Organizations' names corrected, and two entries that are one organization merged. Both can be undone.

The log says which rows were touched; the names that were replaced stand, encrypted, in a table that can be erased.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from petition.core import audit_log
from petition.core.audit_log import Actor
from petition.core.database import Connection, Record
from petition.core.encryption import Wrapper
from petition.core.errors import NotFound, Refused
from petition.core.i18n import N_
from petition.core.ids import LetterId, LogId, OrganizationId, SignatureId
from petition.letters.keys import keys_for
from petition.moderation import organization_queries as queries
from petition.moderation import queries as decision_queries
from petition.moderation.model import ActOutcome
from petition.signatures import counting, forms, names, organization_queries, search_words
from petition.signatures.counting import CountChange, EntryChange
from petition.signatures.model import Kind

NAMES, MERGE = "organization.names", "organization.merge"
NOT_ITSELF = N_("An organization cannot be merged with itself.")
MERGED_ALREADY = N_("One of the two has already been merged.")
TRY_AGAIN = N_("Someone has just signed for this organization. Try again.")
CHANGED_SINCE = N_("This has been changed since then, so it cannot be undone.")
FIELDS = ("name_en", "name_ru", "website")
TYPED_AS = {"name_en": "organization_en", "name_ru": "organization_ru", "website": "website"}


@dataclass(frozen=True, slots=True)
class EntryNames:
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
    def of(cls, row: Record | Mapping[str, str | None]) -> "EntryNames":
        """Return how a row, or kept fields, call it."""
        return cls(row["name_en"], row["name_ru"], row["website"])


def read(typed: Mapping[str, str]) -> EntryNames:
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
    return EntryNames(english or None, russian or None, _website(typed.get("website", "")))


def _website(typed: str) -> str | None:
    text = names.clean(typed)
    website = forms.website_of(text) if text else None
    if text and website is None:
        raise Refused(forms.WEBSITE, "website")
    return website


async def correct_held(
    conn: Connection, by: Actor, wrapper: Wrapper, signature_id: SignatureId, called: EntryNames
) -> LogId | None:
    """Correct the names with which a representative who waits has signed; return the log's row, None if it was decided.

    Raises ``KeyDestroyed``.
    """
    row = await queries.lock_held(conn, by.letter_id, signature_id)
    if row is None:
        return None
    keys = await keys_for(conn, by.letter_id, wrapper)
    fields = keys.reveal(row["private"])
    before = {field: fields.pop(TYPED_AS[field], None) for field in FIELDS}
    after = {TYPED_AS[field]: value for field, value in called.fields.items() if value}
    log = await audit_log.record(conn, by.organizer_id, by.letter_id, NAMES, ids=[signature_id])
    await queries.keep_past(
        conn, by.letter_id, log, signature_id, None, keys.hide({"before": before, "after": called.fields})
    )
    await queries.store_held(conn, by.letter_id, signature_id, keys.hide(fields | after))
    return log


async def correct(
    conn: Connection, by: Actor, wrapper: Wrapper, organization_id: OrganizationId, called: EntryNames
) -> LogId:
    """Correct the names of an entry; return the log's row. Raises ``NotFound``, ``KeyDestroyed``."""
    await organization_queries.lock(conn, by.letter_id)
    before = await _lock_one(conn, by.letter_id, organization_id)
    log = await audit_log.record(conn, by.organizer_id, by.letter_id, NAMES, ids=[organization_id])
    keys = await keys_for(conn, by.letter_id, wrapper)
    past = keys.hide({"before": before.fields, "after": called.fields})
    await queries.keep_past(conn, by.letter_id, log, None, organization_id, past)
    await _rename(conn, by.letter_id, organization_id, before, called)
    return log


async def _lock_one(conn: Connection, letter_id: LetterId, organization_id: OrganizationId) -> EntryNames:
    rows = await decision_queries.lock_organizations(conn, letter_id, [organization_id])
    if not rows:
        raise NotFound("there is no such organization")
    return EntryNames.of(rows[0])


async def _rename(
    conn: Connection, letter_id: LetterId, organization_id: OrganizationId, before: EntryNames, after: EntryNames
) -> None:
    await queries.store_names(conn, letter_id, organization_id, after.columns)
    await search_words.remove_unused(conn, letter_id, Kind.ORGANIZATION, names.words(before.name_key))
    if await organization_queries.load_counted(conn, letter_id, [organization_id]):
        await _remember(conn, letter_id, after)
    await counting.move_revision(conn, letter_id)


async def _remember(conn: Connection, letter_id: LetterId, called: EntryNames) -> None:
    await search_words.add(conn, [(letter_id, Kind.ORGANIZATION, word) for word in names.words(called.name_key)])


async def merge(
    conn: Connection, by: Actor, wrapper: Wrapper, organization_id: OrganizationId, into: OrganizationId
) -> LogId:
    """Merge an entry into another: its signatures point there, and a name that was missing there is added.

    Return the log's row. Raises ``Refused``, ``NotFound``, ``KeyDestroyed``.
    """
    if organization_id == into:
        raise Refused(NOT_ITSELF)
    signatures = await queries.signatures_of(conn, by.letter_id, organization_id)
    await organization_queries.lock(conn, by.letter_id)
    rows = {
        row["id"]: row for row in await decision_queries.lock_organizations(conn, by.letter_id, [organization_id, into])
    }
    if len(rows) < 2:
        raise NotFound("there is no such organization")
    if (
        await queries.signatures_of(conn, by.letter_id, organization_id) != signatures
    ):  # organization_id was attached before we had the lock
        raise Refused(TRY_AGAIN)
    if any(row["merged_into"] is not None for row in rows.values()):
        raise Refused(MERGED_ALREADY)
    keys = await keys_for(conn, by.letter_id, wrapper)
    before, joined = EntryNames.of(rows[into]), _joined(EntryNames.of(rows[into]), EntryNames.of(rows[organization_id]))
    followers = await queries.followers(conn, by.letter_id, organization_id)
    log = await audit_log.record(conn, by.organizer_id, by.letter_id, MERGE, ids=[organization_id, into, *signatures])
    past = {"before": before.fields, "after": joined.fields, "followers": followers, "signatures": signatures}
    await queries.keep_past(conn, by.letter_id, log, None, organization_id, keys.hide(past))
    await queries.merge_into(conn, by.letter_id, [organization_id, *followers], into)
    await _move(
        conn,
        by.letter_id,
        signatures,
        (organization_id, into),
        {organization_id: EntryNames.of(rows[organization_id]), into: before},
        {into: joined},
    )
    return log


def _joined(kept: EntryNames, other: EntryNames) -> EntryNames:
    return EntryNames(
        kept.name_en or _unless(other.name_en, kept.name_ru),
        kept.name_ru or _unless(other.name_ru, kept.name_en),
        kept.website or other.website,
    )


def _unless(name: str | None, known: str | None) -> str | None:
    same = name and known and names.organization_key(name) == names.organization_key(known)
    return None if same else name


async def _move(
    conn: Connection,
    letter_id: LetterId,
    signatures: Sequence[SignatureId],
    way: tuple[OrganizationId, OrganizationId],
    before: Mapping[OrganizationId, EntryNames],
    after: Mapping[OrganizationId, EntryNames],
) -> list[SignatureId]:
    """Point signatures from one entry to the other; bring names, words and the count along."""
    shown_before = await organization_queries.load_counted(conn, letter_id, way)
    moved = await queries.point(conn, letter_id, signatures, *way)
    for organization, called in after.items():
        await queries.store_names(conn, letter_id, organization, called.columns)
    shown_after = await organization_queries.load_counted(conn, letter_id, way)
    old = {word for called in before.values() for word in names.words(called.name_key)}
    await search_words.remove_unused(conn, letter_id, Kind.ORGANIZATION, sorted(old))
    for organization in shown_after:
        await _remember(conn, letter_id, after.get(organization) or before[organization])
    change = CountChange.of_entries(EntryChange(shown_before, shown_after))
    await counting.apply(conn, letter_id, change, revision=True)
    return moved


async def _undo_names(conn: Connection, by: Actor, wrapper: Wrapper, act: Record) -> ActOutcome:
    """Bring the former names back, unless they have been changed again. Raises ``Refused``."""
    past = await queries.past(conn, by.letter_id, act["id"])
    if past is None:
        return ActOutcome(missed=tuple(act["ids"]))
    keys = await keys_for(conn, by.letter_id, wrapper)
    kept: Any = keys.reveal(past["fields"])
    if past["organization"] is not None:
        await organization_queries.lock(conn, by.letter_id)
        now = await _lock_one(conn, by.letter_id, past["organization"])
        if now.fields != kept["after"]:
            raise Refused(CHANGED_SINCE)
        await _rename(conn, by.letter_id, past["organization"], now, EntryNames.of(kept["before"]))
    else:
        row = await queries.lock_held(conn, by.letter_id, past["signature"])
        if row is None:
            raise Refused(CHANGED_SINCE)
        fields: dict[str, str | None] = {**keys.reveal(row["private"])}
        if {field: fields.pop(TYPED_AS[field], None) for field in FIELDS} != kept["after"]:
            raise Refused(CHANGED_SINCE)
        restored = {TYPED_AS[field]: value for field, value in kept["before"].items() if value}
        await queries.store_held(conn, by.letter_id, row["id"], keys.hide(fields | restored))
    log = await audit_log.record(
        conn, by.organizer_id, by.letter_id, "organization.undo", ids=act["ids"], undoes=act["id"]
    )
    return ActOutcome(tuple(act["ids"]), log_id=log)


async def _undo_merge(conn: Connection, by: Actor, wrapper: Wrapper, act: Record) -> ActOutcome:
    """Part two entries again, the signatures that came along and the names that did. Raises ``Refused``."""
    past = await queries.past(conn, by.letter_id, act["id"])
    if past is None:
        return ActOutcome(missed=tuple(act["ids"]))
    keys = await keys_for(conn, by.letter_id, wrapper)
    kept: Any = keys.reveal(past["fields"])
    one, into = act["ids"][:2]
    await decision_queries.lock(conn, by.letter_id, kept["signatures"])
    await organization_queries.lock(conn, by.letter_id)
    rows = {row["id"]: row for row in await decision_queries.lock_organizations(conn, by.letter_id, [one, into])}
    if len(rows) < 2 or rows[one]["merged_into"] != into:
        raise Refused(CHANGED_SINCE)
    known = {each: EntryNames.of(row) for each, row in rows.items()}
    # A name that was given to the entry since then stays.
    former = known[into] if known[into].fields != kept["after"] else EntryNames.of(kept["before"])
    log = await audit_log.record(
        conn, by.organizer_id, by.letter_id, "organization.undo", ids=act["ids"], undoes=act["id"]
    )
    await queries.merge_into(conn, by.letter_id, [one, *kept["followers"]], None)
    await queries.merge_into(conn, by.letter_id, kept["followers"], one)
    await _move(conn, by.letter_id, kept["signatures"], (into, one), known, {into: former})
    return ActOutcome(tuple(act["ids"]), log_id=log)


UNDO: Mapping[str, Callable[[Connection, Actor, Wrapper, Record], Awaitable[ActOutcome]]] = {
    NAMES: _undo_names,
    MERGE: _undo_merge,
}
