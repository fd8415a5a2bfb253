"""Correcting organizations' names, and merging two entries of one organization. Both can be undone.

The log has the ids only; the replaced names are stored, encrypted, in the table ``past``, whose rows can be deleted.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from petition.core import audit_log
from petition.core.audit_log import Actor
from petition.core.database import Connection, Record
from petition.core.encryption import LetterKeys
from petition.core.errors import NotFound, Refused
from petition.core.i18n import N_
from petition.core.ids import LetterId, LogId, OrganizationId, SignatureId
from petition.moderation import evidence
from petition.moderation import organization_queries as queries
from petition.moderation import queries as decision_queries
from petition.moderation.model import ActOutcome
from petition.signatures import counting, forms, names, organization_queries, search_words
from petition.signatures.counting import CountChange, EntryChange
from petition.signatures.model import Kind

NAMES, MERGE = "organization.names", "organization.merge"
TALK, NO_TALK = "organization.talk", "organization.no_talk"
SAME_ORGANIZATION = N_("An organization cannot be merged with itself.")
ALREADY_MERGED = N_("One of the two has already been merged.")
TRY_AGAIN = N_("Someone has just signed for this organization. Try again.")
CHANGED_SINCE = N_("This has been changed since then, so it cannot be undone.")
FIELDS = ("name_en", "name_ru", "website")
TYPED_AS = {"name_en": "organization_en", "name_ru": "organization_ru", "website": "website"}


@dataclass(frozen=True, slots=True)
class EntryNames:
    """The names of an organization, at least one of them, and its website."""

    name_en: str | None
    name_ru: str | None
    website: str | None

    @property
    def fields(self) -> dict[str, str | None]:
        return {field: getattr(self, field) for field in FIELDS}

    @property
    def name_key(self) -> str:
        """The folded words of both names."""
        return names.fold(" ".join(filter(None, (self.name_en, self.name_ru))))

    @property
    def columns(self) -> tuple[str | None, ...]:
        """The values of name_en, name_ru, website, key_en, key_ru, name_key."""
        keys = (names.organization_key(name) if name else None for name in (self.name_en, self.name_ru))
        return (self.name_en, self.name_ru, self.website, *keys, self.name_key)

    @classmethod
    def of(cls, row: Record | Mapping[str, str | None]) -> "EntryNames":
        return cls(row["name_en"], row["name_ru"], row["website"])


def parse(form: Mapping[str, str]) -> EntryNames:
    """Return the names in a form; "English // Русский" in either field is split. Raises ``Refused``."""
    english, russian = (names.clean(form.get(field, "")) for field in ("name_en", "name_ru"))
    if " // " in (name := english or russian) and not (english and russian):
        left, right = names.split_names(name)
        english, russian = left or "", right or ""
    for field, name in (("name_en", english), ("name_ru", russian)):
        if name and (problem := names.problem_of_organization(name)):
            raise Refused(problem, field)
    if not english and not russian:
        raise Refused(names.MISSING_ORGANIZATION, "name_en")
    return EntryNames(english or None, russian or None, _website(form.get("website", "")))


def _website(typed: str) -> str | None:
    text = names.clean(typed)
    website = forms.website_of(text) if text else None
    if text and website is None:
        raise Refused(forms.WEBSITE, "website")
    return website


async def correct_held(
    conn: Connection, actor: Actor, keys: LetterKeys, signature_id: SignatureId, corrected: EntryNames
) -> LogId | None:
    """Correct the names typed by a held representative; return the log's row, None if the signature is not held.

    Raises ``KeyDestroyed``.
    """
    row = await queries.lock_held(conn, actor.letter_id, signature_id)
    if row is None:
        return None
    fields = keys.reveal(row["private"])
    before = {field: fields.pop(TYPED_AS[field], None) for field in FIELDS}
    after = {TYPED_AS[field]: value for field, value in corrected.fields.items() if value}
    log_id = await audit_log.record_by(conn, actor, NAMES, ids=[signature_id])
    past = keys.hide({"before": before, "after": corrected.fields})
    await queries.store_past(conn, actor.letter_id, log_id, past, signature_id=signature_id)
    await queries.store_held(conn, actor.letter_id, signature_id, keys.hide(fields | after))
    await _correct_signals(conn, actor.letter_id, keys, [row], (before["website"], corrected.website))
    return log_id


async def _correct_signals(
    conn: Connection,
    letter_id: LetterId,
    keys: LetterKeys,
    rows: Sequence[Record],
    websites: tuple[str | None, str | None],
) -> None:
    """Work out the evidence of locked signatures anew, where the website was corrected."""
    before, after = websites
    if before == after:
        return
    for row in rows:
        signals = evidence.corrected_signals(row["signals"], before, after, keys)
        await queries.store_signals(conn, letter_id, row["id"], signals, after)


async def correct(
    conn: Connection, actor: Actor, keys: LetterKeys, organization_id: OrganizationId, corrected: EntryNames
) -> LogId:
    """Correct the names of an entry; return the log's row. Raises ``NotFound``, ``KeyDestroyed``."""
    # lock order: see docs/decisions/lock-order.md
    signatures = await queries.lock_signals(conn, actor.letter_id, organization_id)
    await organization_queries.lock(conn, actor.letter_id)
    before = await _lock_names(conn, actor.letter_id, organization_id)
    log_id = await audit_log.record_by(conn, actor, NAMES, ids=[organization_id])
    past = keys.hide({"before": before.fields, "after": corrected.fields})
    await queries.store_past(conn, actor.letter_id, log_id, past, organization_id=organization_id)
    await _correct_signals(conn, actor.letter_id, keys, signatures, (before.website, corrected.website))
    await _rename(conn, actor.letter_id, organization_id, before, corrected)
    return log_id


async def note_talk(conn: Connection, actor: Actor, signature_id: SignatureId, *, is_noted: bool) -> None:
    """Mark that organizers have spoken to an organization, or take the mark back. A second time changes nothing."""
    if await queries.set_talk(conn, actor.letter_id, signature_id, is_noted=is_noted):
        await audit_log.record_by(conn, actor, TALK if is_noted else NO_TALK, ids=[signature_id])


async def _lock_names(conn: Connection, letter_id: LetterId, organization_id: OrganizationId) -> EntryNames:
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
        await _add_words(conn, letter_id, after)
    await counting.move_revision(conn, letter_id, purge=True)


async def _add_words(conn: Connection, letter_id: LetterId, entry: EntryNames) -> None:
    await search_words.add(conn, [(letter_id, Kind.ORGANIZATION, word) for word in names.words(entry.name_key)])


async def merge(
    conn: Connection, actor: Actor, keys: LetterKeys, organization_id: OrganizationId, into: OrganizationId
) -> LogId:
    """Merge an entry into another: move its signatures there, and add a name that was missing there.

    Return the log's row. Raises ``Refused``, ``NotFound``, ``KeyDestroyed``.
    """
    # lock order: see docs/decisions/lock-order.md
    if organization_id == into:
        raise Refused(SAME_ORGANIZATION)
    signatures = await queries.lock_signals_of_both(conn, actor.letter_id, [organization_id, into])
    signature_ids = [row["id"] for row in signatures if row["organization"] == organization_id]
    await organization_queries.lock(conn, actor.letter_id)
    locked = await decision_queries.lock_organizations(conn, actor.letter_id, [organization_id, into])
    rows = {row["id"]: row for row in locked}
    if len(rows) < 2:
        raise NotFound("there is no such organization")
    if await queries.signatures_of(conn, actor.letter_id, organization_id) != signature_ids:
        raise Refused(TRY_AGAIN)  # a signature was attached before this transaction had the lock
    if any(row["merged_into"] is not None for row in rows.values()):
        raise Refused(ALREADY_MERGED)
    source, target = EntryNames.of(rows[organization_id]), EntryNames.of(rows[into])
    merged = _merged(target, source)
    followers = await queries.followers(conn, actor.letter_id, organization_id)
    log_id = await audit_log.record_by(conn, actor, MERGE, ids=[organization_id, into, *signature_ids])
    past = {"before": target.fields, "after": merged.fields, "followers": followers, "signatures": signature_ids}
    await queries.store_past(conn, actor.letter_id, log_id, keys.hide(past), organization_id=organization_id)
    await queries.merge_into(conn, actor.letter_id, [organization_id, *followers], into)
    before = {organization_id: source, into: target}
    await _correct_signals_of(conn, actor.letter_id, keys, signatures, before, merged.website)
    await _move(conn, actor.letter_id, signature_ids, (organization_id, into), before=before, after={into: merged})
    return log_id


async def _correct_signals_of(
    conn: Connection,
    letter_id: LetterId,
    keys: LetterKeys,
    rows: Sequence[Record],
    before: Mapping[OrganizationId, EntryNames],
    website: str | None,
) -> None:
    """Work out the evidence of several entries' signatures anew, which stand beside one website from now on."""
    for organization_id, names_before in before.items():
        own = [row for row in rows if row["organization"] == organization_id]
        await _correct_signals(conn, letter_id, keys, own, (names_before.website, website))


def _merged(target: EntryNames, source: EntryNames) -> EntryNames:
    return EntryNames(
        target.name_en or _unless_same(source.name_en, target.name_ru),
        target.name_ru or _unless_same(source.name_ru, target.name_en),
        target.website or source.website,
    )


def _unless_same(name: str | None, other: str | None) -> str | None:
    is_same = name and other and names.organization_key(name) == names.organization_key(other)
    return None if is_same else name


async def _move(
    conn: Connection,
    letter_id: LetterId,
    signature_ids: Sequence[SignatureId],
    organizations: tuple[OrganizationId, OrganizationId],
    *,
    before: Mapping[OrganizationId, EntryNames],
    after: Mapping[OrganizationId, EntryNames],
) -> None:
    """Move signatures from the first organization to the second, with names, search words and the count."""
    counted_before = await organization_queries.load_counted(conn, letter_id, organizations)
    await queries.move_signatures(conn, letter_id, signature_ids, *organizations)
    for organization_id, entry in after.items():
        await queries.store_names(conn, letter_id, organization_id, entry.columns)
    counted_after = await organization_queries.load_counted(conn, letter_id, organizations)
    words = {word for entry in before.values() for word in names.words(entry.name_key)}
    await search_words.remove_unused(conn, letter_id, Kind.ORGANIZATION, sorted(words))
    for organization_id in counted_after:
        await _add_words(conn, letter_id, after.get(organization_id) or before[organization_id])
    change = CountChange.of_entries(EntryChange(counted_before, counted_after))
    await counting.apply(conn, letter_id, change, purge=True)


async def _undo_names(conn: Connection, actor: Actor, keys: LetterKeys, act: Record) -> ActOutcome:
    """Restore the former names. Raises ``Refused`` if they have been changed again."""
    past = await queries.past(conn, actor.letter_id, act["id"])
    if past is None:
        return ActOutcome(missed=tuple(act["ids"]))
    change: Any = keys.reveal(past["fields"])
    if past["organization"] is not None:
        # lock order: see docs/decisions/lock-order.md
        signatures = await queries.lock_signals(conn, actor.letter_id, past["organization"])
        await organization_queries.lock(conn, actor.letter_id)
        current = await _lock_names(conn, actor.letter_id, past["organization"])
        if current.fields != change["after"]:
            raise Refused(CHANGED_SINCE)
        websites = current.website, change["before"]["website"]
        await _correct_signals(conn, actor.letter_id, keys, signatures, websites)
        await _rename(conn, actor.letter_id, past["organization"], current, EntryNames.of(change["before"]))
    else:
        row = await queries.lock_held(conn, actor.letter_id, past["signature"])
        if row is None:
            raise Refused(CHANGED_SINCE)
        fields: dict[str, str | None] = {**keys.reveal(row["private"])}
        if {field: fields.pop(TYPED_AS[field], None) for field in FIELDS} != change["after"]:
            raise Refused(CHANGED_SINCE)
        restored = {TYPED_AS[field]: value for field, value in change["before"].items() if value}
        await queries.store_held(conn, actor.letter_id, row["id"], keys.hide(fields | restored))
        websites = change["after"]["website"], change["before"]["website"]
        await _correct_signals(conn, actor.letter_id, keys, [row], websites)
    return await _undone(conn, actor, act)


async def _undo_merge(conn: Connection, actor: Actor, keys: LetterKeys, act: Record) -> ActOutcome:
    """Split two merged entries, their signatures and names. Raises ``Refused``."""
    # lock order: see docs/decisions/lock-order.md
    past = await queries.past(conn, actor.letter_id, act["id"])
    if past is None:
        return ActOutcome(missed=tuple(act["ids"]))
    change: Any = keys.reveal(past["fields"])
    organization_id, into = act["ids"][:2]
    signatures = await queries.lock_signals(conn, actor.letter_id, into)
    await organization_queries.lock(conn, actor.letter_id)
    rows = await decision_queries.lock_organizations(conn, actor.letter_id, [organization_id, into])
    if len(rows) < 2 or any(row["merged_into"] != into for row in rows if row["id"] == organization_id):
        raise Refused(CHANGED_SINCE)
    before = {row["id"]: EntryNames.of(row) for row in rows}
    # A name that was corrected or added after the merge stays.
    target = before[into] if before[into].fields != change["after"] else EntryNames.of(change["before"])
    outcome = await _undone(conn, actor, act)
    await queries.merge_into(conn, actor.letter_id, [organization_id, *change["followers"]], None)
    await queries.merge_into(conn, actor.letter_id, change["followers"], organization_id)
    organizations = into, organization_id
    split = set(change["signatures"])
    for website, is_split in ((before[organization_id].website, True), (target.website, False)):
        own = [row for row in signatures if (row["id"] in split) is is_split]
        await _correct_signals(conn, actor.letter_id, keys, own, (before[into].website, website))
    await _move(conn, actor.letter_id, change["signatures"], organizations, before=before, after={into: target})
    return outcome


async def _undone(conn: Connection, actor: Actor, act: Record) -> ActOutcome:
    log_id = await audit_log.record_by(conn, actor, "organization.undo", ids=act["ids"], undoes=act["id"])
    return ActOutcome(tuple(act["ids"]), log_id=log_id)


UNDO: Mapping[str, Callable[[Connection, Actor, LetterKeys, Record], Awaitable[ActOutcome]]] = {
    NAMES: _undo_names,
    MERGE: _undo_merge,
}
