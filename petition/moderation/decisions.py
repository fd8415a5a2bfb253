"""Decisions on signatures: approve, remove, restore. Each can be undone, and the count is exact after each.

One decision is one transaction. It deletes nothing; its rows in the log name the signatures, the status before and
the status after.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from petition.core import audit_log
from petition.core.audit_log import Actor
from petition.core.database import Connection, Record
from petition.core.encryption import LetterKeys
from petition.core.ids import LetterId, LogId, OrganizationId, SignatureId
from petition.count_log.entries import Exit
from petition.moderation import evidence, messages, queries
from petition.moderation import organization_queries as entry_queries
from petition.moderation.model import Action, ActOutcome, ReviewStatus, ordered, status_after
from petition.signatures import approval, counting, names, organization_queries, search_words, self_service_queries
from petition.signatures.counting import CountChange, EntryChange
from petition.signatures.model import Kind, Reason, SignatureState, Visibility
from petition.signatures.stored_names import PERSONAL

ANY_ACT = LogId(-1)  # in place of the last act seen: decide even if more has happened since


@dataclass(frozen=True, slots=True)
class SignatureMove:
    """A locked signature and its change of status; ``undoes`` is the row of the log that the change reverts."""

    row: Record
    before: ReviewStatus
    after: ReviewStatus
    reason: str | None = None
    undoes: LogId | None = None

    @property
    def id(self) -> SignatureId:
        return SignatureId(self.row["id"])

    @property
    def counts(self) -> int:
        """1 if the signature starts to count, -1 if it stops, else 0."""
        return (self.after.state is SignatureState.CONFIRMED) - (self.before.state is SignatureState.CONFIRMED)

    @property
    def is_held_again(self) -> bool:
        """True if an approved representative goes back to the queue."""
        return self.after.state is SignatureState.HELD and self.row["organization"] is not None

    @property
    def is_of_person(self) -> bool:
        return bool(self.row["kind"] == Kind.PERSON)


async def decide(
    conn: Connection,
    actor: Actor,
    keys: LetterKeys,
    action: Action,
    last_acts: Mapping[SignatureId, LogId],
    reason: Reason | None = None,
) -> ActOutcome:
    """Do ``action`` to signatures, in this transaction. ``last_acts`` has the last act that the moderator saw on each.

    Signatures with a later act, and those to which the action does not apply, are left unchanged. Raises
    ``KeyDestroyed`` if names must be decrypted and cannot, ``Gone``.
    """
    rows = await queries.lock(conn, actor.letter_id, list(last_acts))
    if action is not Action.REMOVE:
        reason = None
    moves = [
        move
        for row in rows
        if last_acts[row["id"]] in {ANY_ACT, row["last_act"]} and (move := _move(row, action, reason)) is not None
    ]
    log_id = await apply_moves(conn, actor, keys, action.logged, moves)
    changed = {move.id for move in moves}
    return ActOutcome(tuple(changed), tuple(id for id in last_acts if id not in changed), log_id)


def _move(row: Record, action: Action, reason: str | None) -> SignatureMove | None:
    before = status_in(row)
    status = status_after(action, before, SignatureState(row["removed_from"]))
    return SignatureMove(row, before, status, reason) if status else None


def status_in(row: Record) -> ReviewStatus:
    return ReviewStatus(SignatureState(row["state"]), ordered(row["flags"]))


NO_CHANGE = EntryChange({}, {})
ORGANIZATION_FIELDS = ("organization_en", "organization_ru", "website")


async def apply_moves(
    conn: Connection, actor: Actor, keys: LetterKeys, act: str, moves: Sequence[SignatureMove]
) -> LogId | None:
    """Apply ``moves`` of locked signatures, and log them as ``act``; return the first row of the log.

    Every decision changes states here, once per transaction, because the count moves last: a second call would lock
    bars, words and organizations while it holds the count. Raises ``KeyDestroyed``, ``Gone``.
    """
    # lock order: see docs/decisions/lock-order.md
    if not moves:
        return None
    letter_id = actor.letter_id
    organization_ids = sorted({move.row["organization"] for move in moves if move.row["organization"] is not None})
    if organization_ids:
        await organization_queries.lock(conn, letter_id)
    organizations = await queries.lock_organizations(conn, letter_id, organization_ids)
    counted_before = await organization_queries.load_counted(conn, letter_id, organization_ids)
    approved = await _approve_rows(conn, letter_id, keys, moves)
    await _hold_again(conn, letter_id, keys, moves)
    log_id = await _log_and_move(conn, actor, act, moves)
    counted_after = await organization_queries.load_counted(conn, letter_id, organization_ids)
    entries = EntryChange(counted_before, counted_after)
    await _update_bars_and_contacts(conn, letter_id, moves)
    await _update_search_words(conn, letter_id, moves, organizations, entries)
    await _hide_again(conn, letter_id, keys, moves)
    await _notify_signatories(conn, letter_id, moves)
    await _count(conn, letter_id, moves, (approved, entries))
    return log_id


async def _log_and_move(conn: Connection, actor: Actor, act: str, moves: Sequence[SignatureMove]) -> LogId:
    """Write one row of the log for each pair of statuses, reason and undone row, and the new statuses."""
    groups: dict[tuple[ReviewStatus, ReviewStatus, str | None, LogId | None], list[SignatureId]] = defaultdict(list)
    for move in moves:
        groups[move.before, move.after, move.reason, move.undoes].append(move.id)
    log_ids = []
    for (before, status, reason, undoes), ids in groups.items():
        log_id = await audit_log.record_by(
            conn, actor, act, ids=ids, before=str(before), after=str(status), reason=reason, undoes=undoes
        )
        states = before.state, status.state
        await queries.move(conn, actor.letter_id, ids, states=states, flags=status.flags, log_id=log_id, reason=reason)
        if status.settles(before):
            await queries.settle_reports(conn, actor.letter_id, ids, log_id)
        log_ids.append(log_id)
    return log_ids[0]


async def _approve_rows(
    conn: Connection, letter_id: LetterId, keys: LetterKeys, moves: Sequence[SignatureMove]
) -> EntryChange:
    """Attach held representatives to their organizations, and store public names of people in plain columns."""
    rows = [move.row for move in moves if move.counts > 0]
    for row in rows:
        if row["kind"] == Kind.PERSON and row["visibility"] == Visibility.PUBLIC and row["private"] is not None:
            fields = keys.reveal(row["private"])
            columns = (*(fields.get(key) for key in PERSONAL), None, names.fold(fields["name"]), None)
            await self_service_queries.store_names(conn, letter_id, row["id"], Visibility.PUBLIC, columns)
    held = [row for row in rows if row["kind"] == Kind.ORGANIZATION and row["organization"] is None]
    if not held:
        return NO_CHANGE
    change = await approval.approve_rows(conn, letter_id, keys, held)
    websites = {row["id"]: keys.reveal(row["private"]).get("website") for row in held}
    await _correct_evidence(conn, letter_id, keys, websites, is_attached=True)
    typed = [keys.hide(_organization_fields(keys.reveal(row["private"]))) for row in held]
    await queries.store_typed(conn, letter_id, [row["id"] for row in held], typed)
    return change


async def _correct_evidence(
    conn: Connection,
    letter_id: LetterId,
    keys: LetterKeys,
    typed: Mapping[SignatureId, str | None],
    *,
    is_attached: bool,
) -> None:
    """Work out the evidence of signatures anew whose entry has another website than was ``typed``.

    Evidence is about the website beside which it stands: the entry's once a signature is attached to it.
    """
    for row in await entry_queries.entry_websites(conn, letter_id, list(typed)):
        websites = typed[row["id"]], row["website"]
        before, after = websites if is_attached else websites[::-1]
        signals = evidence.corrected_signals(row["signals"], before, after, keys)
        if signals != (row["signals"] or {}):
            await entry_queries.store_signals(conn, letter_id, row["id"], signals, after)


async def _hold_again(conn: Connection, letter_id: LetterId, keys: LetterKeys, moves: Sequence[SignatureMove]) -> None:
    """Detach representatives from their organizations, as they were before the first approval."""
    if ids := [move.id for move in moves if move.is_held_again]:
        rows = await queries.representatives(conn, letter_id, ids)
        fields = {row["id"]: _typed_fields(row, keys) for row in rows}
        websites = {signature_id: typed.get("website") for signature_id, typed in fields.items()}
        await _correct_evidence(conn, letter_id, keys, websites, is_attached=False)
        hidden = [keys.hide(fields[row["id"]]) for row in rows]
        await queries.hold_again(conn, letter_id, [row["id"] for row in rows], hidden)


async def _hide_again(conn: Connection, letter_id: LetterId, keys: LetterKeys, moves: Sequence[SignatureMove]) -> None:
    """Encrypt the names of people who are held again, after their words have left the search."""
    if ids := [move.id for move in moves if move.is_of_person and move.after.state is SignatureState.HELD]:
        for row in await queries.public_people(conn, letter_id, ids):
            fields = {key: row[key] for key in PERSONAL if row[key]}
            columns = (*[None] * 5, keys.hide(fields))
            await self_service_queries.store_names(conn, letter_id, row["id"], Visibility.PUBLIC, columns)


def _organization_fields(fields: Mapping[str, str]) -> dict[str, str]:
    return {key: fields[key] for key in ORGANIZATION_FIELDS if key in fields}


def _typed_fields(row: Record, keys: LetterKeys) -> dict[str, str]:
    person = keys.reveal(row["private"]) if row["private"] else {"name": row["name"], "position": row["position"]}
    organization = {"organization_en": row["name_en"], "organization_ru": row["name_ru"], "website": row["website"]}
    if row["typed"] is not None:
        organization = keys.reveal(row["typed"])
    fields = {key: value for key, value in (person | organization).items() if value}
    return fields | {"visibility": str(row["visibility"])}


async def _update_bars_and_contacts(conn: Connection, letter_id: LetterId, moves: Sequence[SignatureMove]) -> None:
    removed = [move for move in moves if move.after.state is SignatureState.REMOVED]
    restored = [move for move in moves if move.before.state is SignatureState.REMOVED]
    if digests := [move.row["digest"] for move in removed if move.row["digest"]]:
        await queries.bar(conn, letter_id, digests)
    if digests := [move.row["digest"] for move in restored if move.row["digest"]]:
        await queries.unbar(conn, letter_id, digests)
    for is_decided in (True, False):
        ids = [
            move.id
            for move in moves
            if not move.is_of_person and (move.after.state is not SignatureState.HELD) is is_decided
        ]
        if ids:
            await queries.set_contacts_expiry(conn, letter_id, ids, is_decided=is_decided)


async def _update_search_words(
    conn: Connection,
    letter_id: LetterId,
    moves: Sequence[SignatureMove],
    organizations: Sequence[Record],
    entries: EntryChange,
) -> None:
    """Remove the words of names that left the list, then add those of names that joined it."""
    before, after = entries.before, entries.after
    removed = {row["name_key"] for row in organizations if row["id"] in before and row["id"] not in after}
    added = {row["name_key"] for row in organizations if row["id"] in after and row["id"] not in before}
    if unused := sorted({move.row["organization"] for move in moves if move.is_held_again}):
        await organization_queries.delete_unused(conn, letter_id, unused)
    people_removed, people_added = [
        await queries.public_name_keys(conn, letter_id, [move.id for move in moves if move.counts == counts])
        for counts in (-1, 1)
    ]
    for kind, name_keys in ((Kind.PERSON, people_removed), (Kind.ORGANIZATION, removed)):
        if words := {word for key in name_keys for word in names.words(key)}:
            await search_words.remove_unused(conn, letter_id, kind, sorted(words))
    keys = [(Kind.PERSON, key) for key in people_added] + [(Kind.ORGANIZATION, key) for key in added]
    await search_words.add(conn, [(letter_id, kind, word) for kind, key in keys for word in names.words(key)])


async def _notify_signatories(conn: Connection, letter_id: LetterId, moves: Sequence[SignatureMove]) -> None:
    ids: dict[SignatureState, list[SignatureId]] = defaultdict(list)
    for move in moves:
        if move.after.state is not move.before.state:
            ids[move.after.state].append(move.id)
    for state, moved in ids.items():
        await messages.notify(conn, letter_id, moved, state)


REMOVALS = {
    Reason.FAKE: Exit.REMOVED_AS_FAKE,
    Reason.DUPLICATE: Exit.REMOVED_AS_DUPLICATE,
    Reason.ABUSE: Exit.REMOVED_AS_ABUSE,
    Reason.NOT_AUTHORIZED: Exit.REMOVED_AS_NOT_AUTHORIZED,
    Reason.AT_REQUEST: Exit.REMOVED_AT_REQUEST,
}


def _exit_of(move: SignatureMove) -> Exit:
    """Return what the count log says of a signature that stops to count."""
    if move.after.state is not SignatureState.REMOVED:
        return Exit.REVIEWED
    return REMOVALS.get(Reason(move.reason), Exit.REMOVED) if move.reason in set(Reason) else Exit.REMOVED


def _exits_of(moves: Sequence[SignatureMove]) -> dict[OrganizationId, Exit]:
    """Return the same of organizations; a removal says more than what waits again."""
    by_rank = sorted(moves, key=lambda move: move.after.state is SignatureState.REMOVED)
    return {
        OrganizationId(organization): _exit_of(move) for move in by_rank if (organization := move.row["organization"])
    }


async def _count(
    conn: Connection, letter_id: LetterId, moves: Sequence[SignatureMove], changes: Sequence[EntryChange]
) -> None:
    """Move the revision, if any signature counts now or no longer does, and the counts.

    Stale copies of pages are purged if a name that they may show was taken out.
    """
    exits = _exits_of(moves)
    change = sum((CountChange.of_entries(entries, exits=exits) for entries in changes), CountChange())
    for move in moves:
        row = move.row
        change += CountChange.of_signature(
            row, row["visibility"], import_number=row["import"], sign=move.counts, exit=_exit_of(move)
        )
    is_shown = [move for move in moves if not move.is_of_person or counting.is_named_on_pages(move.row)]
    purge = any(move.counts < 0 for move in is_shown)
    await counting.apply(conn, letter_id, change, revision=any(move.counts for move in moves), purge=purge)
