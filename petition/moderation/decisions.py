"""Deciding about signatures: approve, remove, bring back. Every act can be undone, and the count is exact after each.

One act is one transaction. It takes rows in the order in which everybody takes them: signatures by id, organizations,
words, the count last. Nothing is deleted; a row of the log says who did what to which ids, from which state to which.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from petition.core import audit_log
from petition.core.audit_log import Actor
from petition.core.database import Connection, Record
from petition.core.encryption import LetterKeys, Wrapper
from petition.core.ids import LetterId, LogId, SignatureId
from petition.letters.keys import keys_for
from petition.moderation import messages, queries
from petition.moderation.model import Action, ActOutcome, ReviewStatus, after, ordered
from petition.signatures import approval, counting, organization_queries, search_words, self_service_queries
from petition.signatures import names as naming
from petition.signatures.counting import CountChange, EntryChange
from petition.signatures.model import Kind, Reason, SignatureState, Visibility
from petition.signatures.stored_names import PERSONAL

ANY_ACT = LogId(-1)  # as the act that was seen last: whatever it is


@dataclass(frozen=True, slots=True)
class SignatureMove:
    """One signature on its way from one standing to another; ``undoes`` is the row of the log that it takes back."""

    row: Record
    before: ReviewStatus
    after: ReviewStatus
    reason: str | None = None
    undoes: LogId | None = None

    @property
    def id(self) -> SignatureId:
        """Whose it is."""
        return SignatureId(self.row["id"])

    @property
    def counts(self) -> int:
        """How many more signatures count."""
        return (self.after.state is SignatureState.CONFIRMED) - (self.before.state is SignatureState.CONFIRMED)

    @property
    def is_held_again(self) -> bool:
        """Tell whether a representative who was let in waits again."""
        return self.after.state is SignatureState.HELD and self.row["organization"] is not None

    @property
    def is_of_person(self) -> bool:
        """Tell whether a person signed."""
        return bool(self.row["kind"] == Kind.PERSON)


async def decide(
    conn: Connection,
    by: Actor,
    wrapper: Wrapper,
    act: Action,
    seen: Mapping[SignatureId, LogId],
    reason: Reason | None = None,
) -> ActOutcome:
    """Do ``act`` to signatures, in this transaction. ``seen`` has the last act that the moderator saw on each id.

    Those on which somebody has acted since are left as they are, and so are those to which the act does not apply.
    """
    rows = await queries.lock(conn, by.letter_id, list(seen))
    why = reason if act is Action.REMOVE else None
    moves = [move for row in rows if seen[row["id"]] in {ANY_ACT, row["last_act"]} and (move := _move(row, act, why))]
    log = await apply_moves(conn, by, wrapper, act.logged, moves)
    changed = {move.id for move in moves}
    return ActOutcome(tuple(changed), tuple(id for id in seen if id not in changed), log)


def _move(row: Record, act: Action, reason: str | None) -> SignatureMove | None:
    before = status_in(row)
    to = after(act, before, SignatureState(row["removed_from"]))
    return SignatureMove(row, before, to, reason) if to else None


def status_in(row: Record) -> ReviewStatus:
    """Return where a locked row stands."""
    return ReviewStatus(SignatureState(row["state"]), ordered(row["flags"]))


NOTHING = EntryChange({}, {})
AS_TYPED = ("organization_en", "organization_ru", "website")


async def apply_moves(
    conn: Connection, by: Actor, wrapper: Wrapper, logged: str, moves: Sequence[SignatureMove]
) -> LogId | None:
    """Move signatures that are locked; return the first row of the log. Opens no transaction; moves the count last.

    The only way in which a decision changes a state. Once a transaction: a second time would lock bars, words and
    organizations while it holds the count, for which whoever confirms waits with their own words locked.
    """
    if not moves:
        return None
    organizations = sorted({move.row["organization"] for move in moves if move.row["organization"] is not None})
    if organizations:
        await organization_queries.lock(conn, by.letter_id)
    known = await queries.lock_organizations(conn, by.letter_id, organizations)
    shown_before = await organization_queries.load_counted(conn, by.letter_id, organizations)
    change = await _approve_rows(conn, by.letter_id, wrapper, moves)
    await _hold_again(conn, by.letter_id, wrapper, moves)
    log = await _write(conn, by, logged, moves)
    shown = EntryChange(shown_before, await organization_queries.load_counted(conn, by.letter_id, organizations))
    await _bars_and_contacts(conn, by.letter_id, moves)
    await _update_search_words(conn, by.letter_id, moves, known, shown)
    await _hide_again(conn, by.letter_id, wrapper, moves)
    await _notify_signatories(conn, by.letter_id, moves)
    await _count(conn, by.letter_id, moves, (change, shown))
    return log


async def _write(conn: Connection, by: Actor, logged: str, moves: Sequence[SignatureMove]) -> LogId:
    """Write one row of the log for each pair of standings, reason and undone row, and the standings."""
    steps: dict[tuple[ReviewStatus, ReviewStatus, str | None, LogId | None], list[SignatureId]] = defaultdict(list)
    for move in moves:
        steps[move.before, move.after, move.reason, move.undoes].append(move.id)
    logs = []
    for (before, to, reason, undoes), ids in steps.items():
        log = await audit_log.record(
            *(conn, by.organizer_id, by.letter_id, logged),
            ids=ids,
            before=str(before),
            after=str(to),
            reason=reason,
            bulk_act_id=by.bulk_act_id,
            undoes=undoes,
            command=by.command,
        )
        await queries.move(conn, by.letter_id, ids, (before.state, to.state), to.flags, log, reason)
        if before.flags and not to.flags:
            await queries.settle_reports(conn, by.letter_id, ids, log)
        logs.append(log)
    return logs[0]


async def _approve_rows(
    conn: Connection, letter_id: LetterId, wrapper: Wrapper, moves: Sequence[SignatureMove]
) -> EntryChange:
    """Give representatives who waited their organization, and people's names the columns they belong in."""
    coming = [move.row for move in moves if move.counts > 0]
    waited = [row for row in coming if row["kind"] == Kind.ORGANIZATION and row["organization"] is None]
    people = [row for row in coming if row["visibility"] == Visibility.PUBLIC and row["kind"] == Kind.PERSON]
    hidden = [row for row in people if row["private"] is not None]
    if not waited and not hidden:
        return NOTHING
    keys = await keys_for(conn, letter_id, wrapper)
    for row in hidden:
        told = keys.reveal(row["private"])
        columns = (*(told.get(key) for key in PERSONAL), None, naming.fold(told["name"]), None)
        await self_service_queries.store_names(conn, letter_id, row["id"], Visibility.PUBLIC, columns)
    if not waited:
        return NOTHING
    change = await approval.approve_rows(conn, letter_id, keys, waited)
    kept = [keys.hide(_of_organization(keys.reveal(row["private"]))) for row in waited]
    await queries.keep_typed(conn, letter_id, [row["id"] for row in waited], kept)
    return change


async def _hold_again(conn: Connection, letter_id: LetterId, wrapper: Wrapper, moves: Sequence[SignatureMove]) -> None:
    """Take representatives out of their organizations again, as if nobody had looked at them yet."""
    ids = [move.id for move in moves if move.is_held_again]
    if ids:
        keys = await keys_for(conn, letter_id, wrapper)
        rows = await queries.representatives(conn, letter_id, ids)
        hidden = [keys.hide(_typed(row, keys)) for row in rows]
        await queries.hold_again(conn, letter_id, [row["id"] for row in rows], hidden)


async def _hide_again(conn: Connection, letter_id: LetterId, wrapper: Wrapper, moves: Sequence[SignatureMove]) -> None:
    """Encrypt the names of people who wait again, once the search has forgotten their words."""
    ids = [move.id for move in moves if move.is_of_person and move.after.state is SignatureState.HELD]
    if not ids:
        return
    keys = await keys_for(conn, letter_id, wrapper)
    for row in await queries.public_people(conn, letter_id, ids):
        told = {key: row[key] for key in PERSONAL if row[key]}
        columns = (*[None] * 5, keys.hide(told))
        await self_service_queries.store_names(conn, letter_id, row["id"], Visibility.PUBLIC, columns)


def _of_organization(typed: Mapping[str, str]) -> dict[str, str]:
    return {key: typed[key] for key in AS_TYPED if key in typed}


def _typed(row: Record, keys: LetterKeys) -> dict[str, str]:
    told = keys.reveal(row["private"]) if row["private"] else {"name": row["name"], "position": row["position"]}
    organization = {"organization_en": row["name_en"], "organization_ru": row["name_ru"], "website": row["website"]}
    if row["typed"] is not None:
        organization = keys.reveal(row["typed"])
    fields = {key: value for key, value in (told | organization).items() if value}
    return fields | {"visibility": str(row["visibility"])}


async def _bars_and_contacts(conn: Connection, letter_id: LetterId, moves: Sequence[SignatureMove]) -> None:
    removed = [move for move in moves if move.after.state is SignatureState.REMOVED]
    back = [move for move in moves if move.before.state is SignatureState.REMOVED]
    if digests := [move.row["digest"] for move in removed if move.row["digest"]]:
        await queries.bar(conn, letter_id, digests)
    if digests := [move.row["digest"] for move in back if move.row["digest"]]:
        await queries.unbar(conn, letter_id, digests)
    for decided in (True, False):
        representatives = [
            move.id
            for move in moves
            if not move.is_of_person and (move.after.state is not SignatureState.HELD) is decided
        ]
        if representatives:
            await queries.keep_contacts(conn, letter_id, representatives, decided=decided)


async def _update_search_words(
    conn: Connection,
    letter_id: LetterId,
    moves: Sequence[SignatureMove],
    organizations: Sequence[Record],
    change: EntryChange,
) -> None:
    """Have the search forget the names that went, then remember those that came."""
    gone = {row["name_key"] for row in organizations if row["id"] in change.before and row["id"] not in change.after}
    come = {row["name_key"] for row in organizations if row["id"] in change.after and row["id"] not in change.before}
    if unused := sorted({move.row["organization"] for move in moves if move.is_held_again}):
        await organization_queries.drop_unused(conn, letter_id, unused)
    people_gone, people_come = [
        await queries.public_name_keys(conn, letter_id, [move.id for move in moves if move.counts == counts])
        for counts in (-1, 1)
    ]
    for kind, keys in ((Kind.PERSON, people_gone), (Kind.ORGANIZATION, gone)):
        if found := {word for key in keys for word in naming.words(key)}:
            await search_words.remove_unused(conn, letter_id, kind, sorted(found))
    added = [(Kind.PERSON, key) for key in people_come] + [(Kind.ORGANIZATION, key) for key in come]
    await search_words.add(conn, [(letter_id, kind, word) for kind, key in added for word in naming.words(key)])


async def _notify_signatories(conn: Connection, letter_id: LetterId, moves: Sequence[SignatureMove]) -> None:
    """Have those who can be reached be told what became of their signature."""
    told: dict[SignatureState, list[SignatureId]] = defaultdict(list)
    for move in moves:
        if move.after.state is not move.before.state:
            told[move.after.state].append(move.id)
    for state, ids in told.items():
        await messages.notify(conn, letter_id, ids, state)


async def _count(
    conn: Connection, letter_id: LetterId, moves: Sequence[SignatureMove], changes: Sequence[EntryChange]
) -> None:
    """Move the revision, if any signature counts now or no longer does, and the counts."""
    change = sum(map(CountChange.of_entries, changes), CountChange())
    for move in moves:
        row = move.row
        change += CountChange.of_signature(row, row["visibility"], imported=row["imported"], sign=move.counts)
    await counting.apply(conn, letter_id, change, revision=any(move.counts for move in moves))
