"""Confirming: a pending row becomes a signature and is counted; all that arrive together share one commit."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import islice
from typing import Any

from petition.core import metrics
from petition.core.batching import Batcher
from petition.core.database import Connection, Database, Record
from petition.core.encryption import LetterKeys
from petition.core.ids import LetterId, SignatureId
from petition.core.limits import Limits
from petition.signatures import ceilings, counting, names, queries, sealed_names, search_words
from petition.signatures.ceilings import Crowd
from petition.signatures.counting import CountChange
from petition.signatures.flags import flags_of
from petition.signatures.forms import LEFT_OUT
from petition.signatures.model import Counts, Kind, SignatureState, Visibility
from petition.signatures.signals import DRAWN, as_counted
from petition.signatures.stored_names import NAMED, StoredNames, names_to_store

Key = tuple[LetterId, SignatureId]

MAX_RECENT = 2000  # confirmations remembered by a process


class ConfirmResult(StrEnum):
    """The state of a signature after its link or code was used."""

    CONFIRMED = "confirmed"  # idempotent: also if confirmed earlier
    HELD = "held"  # until it is approved: an organization's, or each one while the letter holds all
    STOPPED = "stopped"  # for now; the link goes on working
    GONE = "gone"  # expired, or the letter has been closed for a day
    REMOVED = "removed"  # by a moderator, who barred the mailbox


@dataclass(frozen=True, slots=True)
class ConfirmRequest:
    """The link or the code of a pending signature was used."""

    letter_id: LetterId
    signature_id: SignatureId
    keys: LetterKeys
    agrees_to_audit: bool = False  # the address is stored, so that an auditor can ask


@dataclass(frozen=True, slots=True)
class Confirmation:
    """The answer to a request.

    ``counts`` contain the signature; None if it does not count. ``number`` is its place among all signatures of the
    letter, None if it was counted too long ago to know.
    """

    result: ConfirmResult
    kind: Kind = Kind.PERSON
    counts: Counts | None = None
    number: int | None = None
    earlier_id: SignatureId | None = None  # of the mailbox's signature, if this is another form of the same mailbox


class Confirming:
    """Confirms in batches. One object per process."""

    def __init__(self, database: Database, limits: Limits | None = None) -> None:
        self._database = database
        self._limits = limits or Limits()
        self._batcher: Batcher[ConfirmRequest, Confirmation] = Batcher(self._store, patience=database.patience)
        # A button pressed twice is answered as the first time: the browser shows the answer to the second press.
        self._recent: dict[Key, Confirmation] = {}

    async def submit(self, request: ConfirmRequest) -> Confirmation:
        """Confirm; idempotent. Returns after the commit. Raises ``Unavailable``."""
        return await self._batcher.submit(request)

    def has_room(self) -> bool:
        """Return whether the next batch has room."""
        return self._batcher.has_room

    async def drain(self) -> None:
        """Wait until everything submitted is stored."""
        await self._batcher.drain()

    async def _store(self, requests: Sequence[ConfirmRequest]) -> list[Confirmation]:
        keys = {(request.letter_id, request.signature_id): request.keys for request in requests}
        agreed = {(request.letter_id, request.signature_id) for request in requests if request.agrees_to_audit}
        async with self._database.transaction() as conn:
            # lock order: see docs/decisions/lock-order.md
            rows = await queries.lock_pending(conn, *_columns(keys))
            results = await _confirm(conn, keys, rows, self._limits, agreed)
            missing = [key for key in keys if key not in results]
            if missing:
                for row in await queries.load_states(conn, *_columns(missing)):
                    results[row["letter"], row["id"]] = _existing_result(row)
            results |= await self._counted_before(conn, results)
        self._remember({key: result for key, result in results.items() if result.number is not None})
        gone = Confirmation(ConfirmResult.GONE)
        confirmations = [results.get((request.letter_id, request.signature_id), gone) for request in requests]
        for confirmation in confirmations:
            metrics.CONFIRMATIONS.labels(confirmation.result.value).inc()
        return confirmations

    async def _counted_before(self, conn: Connection, results: Mapping[Key, Confirmation]) -> dict[Key, Confirmation]:
        """Return the results of signatures that counted already, with the count and, if remembered, the number."""
        before = {
            key: result
            for key, result in results.items()
            if result.result is ConfirmResult.CONFIRMED and result.counts is None
        }
        if not before:
            return {}
        counts = await counting.load_counts(conn, list({letter_id for letter_id, _ in before}))
        return {
            key: replace(result, counts=counts.get(key[0]), number=self._recent.get(key, result).number)
            for key, result in before.items()
        }

    def _remember(self, counted: dict[Key, Confirmation]) -> None:
        self._recent |= counted
        for key in list(islice(self._recent, max(0, len(self._recent) - MAX_RECENT))):
            del self._recent[key]


@dataclass(frozen=True, slots=True)
class _Signature:
    """A pending row that becomes a signature, its fields decrypted."""

    row: Record
    fields: dict[str, str]
    stored: StoredNames
    crowd: Crowd | None

    @property
    def key(self) -> Key:
        return self.row["letter"], self.row["id"]

    @property
    def signals(self) -> dict[str, object] | None:
        """Its signals; a form that waited since an earlier version may have a partner that it must not have."""
        signals: dict[str, object] | None = self.row["signals"]
        return as_counted(signals) if self.fields["visibility"] == Visibility.COUNTED else signals

    @property
    def flags(self) -> str:
        """The names of its flags with commas between: arrays of arrays cannot be unnested."""
        typed = [self.fields[key] for key in NAMED if self.fields.get(key)]
        flags = flags_of(Kind(self.row["kind"]), typed, self.row["signals"], self.fields.get("website"))
        return ",".join([*flags, self.crowd.flag.value] if self.crowd else flags)

    @property
    def is_held(self) -> bool:
        return _is_held(self.row, self.crowd)

    @property
    def result(self) -> Confirmation:
        return Confirmation(ConfirmResult.HELD if self.is_held else ConfirmResult.CONFIRMED, Kind(self.row["kind"]))


async def _confirm(
    conn: Connection, keys: dict[Key, LetterKeys], rows: Sequence[Record], limits: Limits, agreed: Set[Key]
) -> dict[Key, Confirmation]:
    results = {(row["letter"], row["id"]): Confirmation(_refusal(row), Kind(row["kind"])) for row in rows}
    to_add = [row for row in rows if row["confirmable"] and not row["barred"] and not row["stopped"]]
    # lock order: see docs/decisions/lock-order.md (ceilings before any signature)
    crowds = await ceilings.crowds_of(conn, to_add, limits)
    signatures = [_read(row, keys[row["letter"], row["id"]], crowds.get((row["letter"], row["id"]))) for row in to_add]
    if not signatures:
        return results
    added_keys = await queries.add_signatures(conn, list(zip(*map(_columns_to_add, signatures), strict=True)))
    results |= {signature.key: signature.result for signature in signatures}
    if len(added_keys) < len(signatures):
        duplicates = [signature.row for signature in signatures if signature.key not in added_keys]
        results |= await _existing_results(conn, duplicates)
    added = [signature for signature in signatures if signature.key in added_keys]
    if added:
        await queries.delete_pending(conn, *_columns(signature.key for signature in added))
        await _add_contacts(conn, added, agreed)
        await _add_search_words(conn, added)
        results |= await _count(conn, added)
    return results


def _read(row: Record, keys: LetterKeys, crowd: Crowd | None) -> _Signature:
    fields = keys.reveal(row["fields"])
    fields.pop(LEFT_OUT, None)
    sealed = sealed_names.take(fields)
    stored = names_to_store(keys, Kind(row["kind"]), fields, held=_is_held(row, crowd), sealed=sealed)
    return _Signature(row, fields, stored, crowd)


def _refusal(row: Record) -> ConfirmResult:
    if row["barred"]:
        return ConfirmResult.REMOVED
    return ConfirmResult.STOPPED if row["stopped"] and row["confirmable"] else ConfirmResult.GONE


def _is_held(row: Record, crowd: Crowd | None) -> bool:
    is_suspect = crowd is not None or DRAWN in (row["signals"] or {})
    return is_suspect or bool(row["hold"]) or row["kind"] == Kind.ORGANIZATION


def _columns_to_add(signature: _Signature) -> tuple[Any, ...]:
    row, stored = signature.row, signature.stored
    state = SignatureState.HELD if signature.is_held else SignatureState.CONFIRMED
    return (
        row["letter"],
        row["id"],
        row["created_at"],
        row["kind"],
        state.value,
        visibility := signature.fields["visibility"],
        row["version"],
        row["consent"],
        signature.fields.get("country") if visibility != Visibility.COUNTED else None,
        row["read_lang"],
        row["mail_lang"],
        row["digest"],
        stored.name,
        stored.affiliation,
        stored.city,
        stored.name_key,
        stored.private,
        signature.signals,
        row["network"],
        row["domain"],
        row["mail_host"],
        signature.flags,
        signature.crowd.group if signature.crowd else None,
        stored.sealed,
        int(signature.fields["employer"]) if "employer" in signature.fields else None,
    )


async def _add_contacts(conn: Connection, added: Sequence[_Signature], agreed: Set[Key]) -> None:
    """Store the sealed address if updates were asked for or an auditor may ask, and a representative's."""
    contacts = []
    for signature in added:
        row = signature.row
        if row["kind"] == Kind.ORGANIZATION:
            contacts.append((row["letter"], row["id"], "representative", row["sealed"]))
        if signature.fields.get("updates"):
            contacts.append((row["letter"], row["id"], "updates", row["sealed"]))
        if signature.key in agreed and row["kind"] == Kind.PERSON:
            contacts.append((row["letter"], row["id"], "audit", row["sealed"]))
    if contacts:
        await queries.add_contacts(conn, list(zip(*contacts, strict=True)))


async def _add_search_words(conn: Connection, added: Sequence[_Signature]) -> None:
    name_keys = [(signature.row["letter"], signature.stored.name_key) for signature in added]
    words = [(letter_id, Kind.PERSON, word) for letter_id, key in name_keys if key for word in names.words(key)]
    await search_words.add(conn, words)


async def _count(conn: Connection, added: Sequence[_Signature]) -> dict[Key, Confirmation]:
    """Count those that do not wait; return their results, numbered in the order of ``added``."""
    changes: dict[LetterId, CountChange] = defaultdict(CountChange)
    counted: dict[LetterId, list[_Signature]] = defaultdict(list)
    for signature in added:
        row = signature.row
        if not signature.is_held:
            counted_row = {"id": row["id"], "kind": row["kind"], "signals": signature.signals}
            changes[row["letter"]] += CountChange.of_signature(counted_row, signature.fields["visibility"])
            counted[row["letter"]].append(signature)
    counts = await counting.apply_all(conn, changes)
    return {
        signature.key: replace(signature.result, counts=counts[letter_id], number=number)
        for letter_id, signatures in counted.items()
        for number, signature in enumerate(signatures, counts[letter_id].total - len(signatures) + 1)
    }


async def _existing_results(conn: Connection, duplicates: Sequence[Record]) -> dict[Key, Confirmation]:
    """Return the state of the first signature of the mailbox for each later one: the same person gets the mails."""
    mailboxes = list(zip(*((row["letter"], row["kind"], row["digest"]) for row in duplicates), strict=True))
    rows = await queries.load_existing(conn, mailboxes)
    existing = {(row["letter"], row["kind"], row["digest"]): row for row in rows}
    return {
        (row["letter"], row["id"]): replace(_existing_result(earlier), earlier_id=earlier["id"])
        for row in duplicates
        if (earlier := existing.get((row["letter"], row["kind"], row["digest"]))) is not None
    }


def _existing_result(row: Record) -> Confirmation:
    results = {SignatureState.HELD: ConfirmResult.HELD, SignatureState.REMOVED: ConfirmResult.REMOVED}
    return Confirmation(results.get(SignatureState(row["state"]), ConfirmResult.CONFIRMED), Kind(row["kind"]))


def _columns(keys: Iterable[Key]) -> tuple[list[LetterId], list[SignatureId]]:
    pairs = list(keys)
    return [letter_id for letter_id, _ in pairs], [signature_id for _, signature_id in pairs]
