"""Confirming: a pending row becomes a signature and is counted, all of a moment in one commit.

The order in which rows are taken is the same everywhere: pending rows by id, mailboxes by digest, words, the count by
letter last. So no two transactions wait for each other, and the one row that everybody counts on is held shortest.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from petition.core import metrics
from petition.core.batching import Batcher
from petition.core.database import Connection, Database, Record
from petition.core.encryption import LetterKeys
from petition.core.ids import LetterId, SignatureId
from petition.signatures import counting, names, queries, search_words
from petition.signatures.counting import CountChange
from petition.signatures.flags import flags_of
from petition.signatures.model import Kind, SignatureState
from petition.signatures.stored_names import NAMED, StoredNames, names_to_store


class ConfirmResult(StrEnum):
    """What became of a confirmation."""

    CONFIRMED = "confirmed"  # now or before: twice is calm
    HELD = "held"  # an organization's, or everybody's where all is held, until it is approved
    STOPPED = "stopped"  # for now; the link goes on working
    GONE = "gone"  # expired, or the letter has been closed for a day
    REMOVED = "removed"  # by a moderator, who barred the mailbox


@dataclass(frozen=True, slots=True)
class ConfirmRequest:
    """Somebody showed the link or the code of a pending signature."""

    letter_id: LetterId
    id: SignatureId
    keys: LetterKeys


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What became of one claim, and what was being signed as."""

    result: ConfirmResult
    kind: Kind = Kind.PERSON


class Confirming:
    """Confirms claims in batches. One object per process."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._batcher: Batcher[ConfirmRequest, Confirmation] = Batcher(self._store)

    async def submit(self, claim: ConfirmRequest) -> Confirmation:
        """Confirm, once however often it is asked. Returns after the commit. Raises ``Unavailable``."""
        return await self._batcher.submit(claim)

    async def drain(self) -> None:
        """Wait until everything submitted is stored."""
        await self._batcher.drain()

    async def _store(self, claims: Sequence[ConfirmRequest]) -> list[Confirmation]:
        wanted = {(claim.letter_id, claim.id): claim.keys for claim in claims}
        async with self._database.transaction() as conn:
            found = await queries.lock_pending(conn, *_columns(list(wanted)))
            results = await _confirm(conn, wanted, found)
            missing = [place for place in wanted if place not in results]
            if missing:
                for row in await queries.states(conn, *_columns(missing)):
                    results[row["letter"], row["id"]] = _as_it_stands(row)
        gone = Confirmation(ConfirmResult.GONE)
        answers = [results.get((claim.letter_id, claim.id), gone) for claim in claims]
        for answer in answers:
            metrics.CONFIRMATIONS.labels(answer.result.value).inc()
        return answers


async def _confirm(
    conn: Connection, keys: dict[tuple[LetterId, SignatureId], LetterKeys], found: Sequence[Record]
) -> dict[tuple[LetterId, SignatureId], Confirmation]:
    results = {(row["letter"], row["id"]): Confirmation(_refusal(row), Kind(row["kind"])) for row in found}
    rows = [row for row in found if row["confirmable"] and not row["barred"] and not row["stopped"]]
    if not rows:
        return results
    fields = {(row["letter"], row["id"]): keys[row["letter"], row["id"]].reveal(row["fields"]) for row in rows}
    shown = {
        place: names_to_store(keys[place], Kind(row["kind"]), fields[place], held=row["hold"])
        for place, row in zip(fields, rows, strict=True)
    }
    winners = await queries.add_signatures(conn, _signature_columns(rows, fields, shown))
    results |= {(row["letter"], row["id"]): _new_result(row) for row in rows}
    if len(winners) < len(rows):
        results |= await _existing_results(conn, [row for row in rows if (row["letter"], row["id"]) not in winners])
    won = [row for row in rows if (row["letter"], row["id"]) in winners]
    if won:
        await queries.drop_pending(conn, *_columns([(row["letter"], row["id"]) for row in won]))
        await _keep_contacts(conn, won, fields)
        await _remember_words(conn, won, shown)
        await _count(conn, won, fields)
    return results


def _refusal(row: Record) -> ConfirmResult:
    """Return why a pending row is not confirmed, if it is not."""
    if row["barred"]:
        return ConfirmResult.REMOVED
    return ConfirmResult.STOPPED if row["stopped"] and row["confirmable"] else ConfirmResult.GONE


def _is_held(row: Record) -> bool:
    return bool(row["hold"]) or row["kind"] == Kind.ORGANIZATION


def _signature_columns(
    rows: Sequence[Record],
    fields: dict[tuple[LetterId, SignatureId], dict[str, str]],
    shown: dict[tuple[LetterId, SignatureId], StoredNames],
) -> list[tuple[Any, ...]]:
    lines = []
    for row in rows:
        place = row["letter"], row["id"]
        how = shown[place]
        state = SignatureState.HELD if _is_held(row) else SignatureState.CONFIRMED
        lines.append(
            (
                *place,
                *(row["created_at"], row["kind"], state.value, fields[place]["visibility"], row["version"]),
                *(row["consent"], fields[place].get("country"), row["read_lang"], row["mail_lang"], row["digest"]),
                *(how.name, how.affiliation, how.city, how.name_key, how.private, row["signals"], row["network"]),
                _flags(row, fields[place]),
            )
        )
    return list(zip(*lines, strict=True))


def _flags(row: Record, fields: dict[str, str]) -> str:
    """Return why somebody should look, with commas between: arrays of arrays cannot be unnested."""
    typed = [fields[key] for key in NAMED if fields.get(key)]
    return ",".join(flags_of(Kind(row["kind"]), typed, row["signals"], fields.get("website")))


async def _keep_contacts(
    conn: Connection, won: Sequence[Record], fields: dict[tuple[LetterId, SignatureId], dict[str, str]]
) -> None:
    """Keep the sealed address where updates were asked for, and an organization's representative's."""
    kept = []
    for row in won:
        if row["kind"] == Kind.ORGANIZATION:
            kept.append((row["letter"], row["id"], "representative", row["sealed"]))
        if fields[row["letter"], row["id"]].get("updates"):
            kept.append((row["letter"], row["id"], "updates", row["sealed"]))
    if kept:
        await queries.add_contacts(conn, list(zip(*kept, strict=True)))


async def _remember_words(
    conn: Connection, won: Sequence[Record], shown: dict[tuple[LetterId, SignatureId], StoredNames]
) -> None:
    keys = [(row["letter"], shown[row["letter"], row["id"]].name_key) for row in won]
    await search_words.add(
        conn, [(letter, Kind.PERSON, word) for letter, key in keys if key for word in names.words(key)]
    )


async def _count(
    conn: Connection, won: Sequence[Record], fields: dict[tuple[LetterId, SignatureId], dict[str, str]]
) -> None:
    changes: dict[LetterId, CountChange] = defaultdict(CountChange)
    for row in won:
        if not _is_held(row):
            changes[row["letter"]] += CountChange.of_signature(row, fields[row["letter"], row["id"]]["visibility"])
    await counting.apply_all(conn, changes)


async def _existing_results(
    conn: Connection, lost: Sequence[Record]
) -> dict[tuple[LetterId, SignatureId], Confirmation]:
    """Answer each who was not the first of a mailbox as the first one stands: it is the same mailed person."""
    mailboxes = list(zip(*((row["letter"], row["kind"], row["digest"]) for row in lost), strict=True))
    first = {(row["letter"], row["kind"], row["digest"]): row for row in await queries.first_ones(conn, mailboxes)}
    return {
        (row["letter"], row["id"]): _as_it_stands(first[row["letter"], row["kind"], row["digest"]])
        for row in lost
        if (row["letter"], row["kind"], row["digest"]) in first
    }


def _new_result(row: Record) -> Confirmation:
    """Return what becomes of a signature that is confirmed now."""
    return Confirmation(ConfirmResult.HELD if _is_held(row) else ConfirmResult.CONFIRMED, Kind(row["kind"]))


def _as_it_stands(row: Record) -> Confirmation:
    results = {SignatureState.HELD: ConfirmResult.HELD, SignatureState.REMOVED: ConfirmResult.REMOVED}
    return Confirmation(results.get(SignatureState(row["state"]), ConfirmResult.CONFIRMED), Kind(row["kind"]))


def _columns(places: Sequence[tuple[int, int]]) -> tuple[list[int], list[int]]:
    return [letter for letter, _ in places], [signature for _, signature in places]
