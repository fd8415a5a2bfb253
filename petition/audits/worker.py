"""The worker's part of audits: it makes the frame, draws, asks, and adds up; each step is one transaction."""

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import pyrage

from petition.audits import draw, queries
from petition.audits.model import (
    ANSWER_DAYS,
    DRAW_WITHIN,
    MIN_ANSWERS,
    MIN_FRAME,
    MIN_NOTICE,
    AbandonReason,
    AuditState,
)
from petition.audits.questions import PURPOSE
from petition.core import audit_log, outbox
from petition.core.database import Connection, Database, Record
from petition.core.decryptions import DecryptionPurpose
from petition.core.encryption import Opener, Wrapper
from petition.core.errors import KeyDestroyed
from petition.core.ids import LetterId, QuestionId, SignatureId
from petition.count_log import queries as log_queries
from petition.count_log import reading, receipts, tiles
from petition.count_log.checkpoints import Checkpoint
from petition.count_log.entries import EntryKind
from petition.formats.csv_rows import format_row
from petition.mail.suppression import Suppression

POLL = 5.0  # seconds
BUNDLES = 100  # read at a time
COLUMNS = ("entry", "address", "lang")
EXIT_BYTE, TOKEN = 1, slice(2, 34)  # of an entry


class AuditWorker:
    """Takes the steps of audits that no one at the desk takes."""

    def __init__(self, database: Database, opener: Opener, wrapper: Wrapper, suppression: Suppression) -> None:
        self._database = database
        self._opener = opener
        self._wrapper = wrapper
        self._suppression = suppression

    async def step(self) -> bool:
        """Take one step of one audit; return whether there was one. Raises ``Unavailable``."""
        async with self._database.transaction() as conn:
            # lock order: see docs/decisions/lock-order.md
            row = await queries.lock_next(conn, DRAW_WITHIN)
            if row is None:
                return False
            if (reason := _reason_to_abandon(row)) is not None:
                await _abandon(conn, row, reason)
            elif row["state"] == AuditState.PREPARING:
                await self._announce(conn, row)
            elif row["state"] == AuditState.DRAWING:
                await self._draw(conn, row)
            else:
                await queries.finish(conn, row["letter"], row["number"], MIN_ANSWERS)
                await audit_log.record(conn, None, row["letter"], "audit.done", ids=[row["number"]])
            return True

    async def _announce(self, conn: Connection, row: Record) -> None:
        """Publish the entries that are drawn from; too late or of too few people, the audit is given up."""
        if row["draw_at"] - datetime.now(UTC) < MIN_NOTICE:
            await _abandon(conn, row, AbandonReason.LATE)
            return
        log_head = await reading.head(conn, row["letter"])
        indexes: list[int] = []
        if log_head is not None:
            checkpoint = Checkpoint.parse(log_head.checkpoint)
            indexes = await self._frame(conn, row["letter"], checkpoint.size)
        if log_head is None or len(indexes) < max(MIN_FRAME, row["sample"]):
            await _abandon(conn, row, AbandonReason.FEW)
        else:
            await queries.announce(conn, row["letter"], row["number"], checkpoint, indexes)

    async def _frame(self, conn: Connection, letter_id: LetterId, size: int) -> list[int]:
        """Return the entries that count of those who agreed, among the first ``size``, ascending."""
        entries = await _entries_of(conn, letter_id, await self._tokens(conn, letter_id), size)
        return sorted(index for index, (_, is_open) in entries.items() if is_open)

    async def _tokens(self, conn: Connection, letter_id: LetterId) -> dict[bytes, SignatureId]:
        """Return what stands in the log for each one who agreed."""
        ids = await queries.agreed(conn, letter_id)
        wrapped = await conn.fetchval(log_queries.RECEIPT_KEY, letter_id)
        if wrapped is None:
            return {}
        key = self._wrapper.unwrap(wrapped)
        pairs = ((receipts.token_for(key, EntryKind.PERSON, id), id) for id in ids)
        return await asyncio.to_thread(dict, pairs)

    async def _draw(self, conn: Connection, row: Record) -> None:
        """Draw, mail those who were drawn, and encrypt their addresses to the auditor."""
        letter_id, number = row["letter"], row["number"]
        drawn = draw.sample(row["frame_digest"], row["value"], row["frame"], row["sample"])
        tokens = await self._tokens(conn, letter_id)
        entries = await _entries_of(conn, letter_id, tokens, row["log_size"])
        index_of = {entries[index][0]: index for index in drawn if index in entries}
        rows = await queries.recipients(conn, letter_id, list(index_of))
        reachable = await self._reachable(conn, letter_id, rows)
        lines = [(index_of[one["id"]], address, one["lang"]) for one, address in reachable]
        sealed = await asyncio.to_thread(_sealed_list, lines, row["recipient"])
        await queries.ask(conn, letter_id, number, drawn, ANSWER_DAYS)
        # Random and sorted, so that neither id nor order of the rows says whose question it is.
        ids = [QuestionId(secrets.randbits(62)) for _ in reachable]
        await queries.add_questions(conn, letter_id, number, ids, sealed)
        for question_id, (one, _) in zip(ids, reachable, strict=True):
            details: dict[str, object] = {"question": question_id}
            await outbox.enqueue(
                conn,
                PURPOSE,
                one["digest"],
                one["sealed"],
                one["lang"],
                letter_id=letter_id,
                details=details,
                bulk=True,
            )
        await audit_log.record(conn, None, letter_id, "audit.ask", ids=[number], after=f"addresses:{len(reachable)}")

    async def _reachable(
        self, conn: Connection, letter_id: LetterId, rows: Sequence[Record]
    ) -> list[tuple[Record, str]]:
        """Return rows with their addresses, without those who asked for no more mail."""
        addresses = [(row, self._open(row["sealed"], letter_id)) for row in rows]
        opened = [(row, address) for row, address in addresses if address is not None]
        digests = [await self._suppression.digest(conn, address) for _, address in opened]
        stored = await self._suppression.stored(conn, digests)
        suppressed = await queries.suppressed(conn, stored)
        return [pair for pair, digest in zip(opened, stored, strict=True) if digest not in suppressed]

    def _open(self, sealed: bytes, letter_id: LetterId) -> str | None:
        try:
            return self._opener.open(sealed, letter_id, DecryptionPurpose.AUDIT)
        except KeyDestroyed:  # sealed to an earlier contact key
            return None


def _reason_to_abandon(row: Record) -> AbandonReason | None:
    if row["sensitive"]:
        return AbandonReason.SENSITIVE
    if row["burnt"]:
        return AbandonReason.BURNT
    return AbandonReason.LATE if row["state"] == AuditState.ANNOUNCED else None


async def _abandon(conn: Connection, row: Record, reason: AbandonReason) -> None:
    await queries.abandon(conn, row["letter"], row["number"], reason)
    await audit_log.record(conn, None, row["letter"], "audit.abandon", ids=[row["number"]])


async def _entries_of(
    conn: Connection, letter_id: LetterId, tokens: Mapping[bytes, SignatureId], size: int
) -> dict[int, tuple[SignatureId, bool]]:
    """Return the entries of these tokens among the first ``size``: by index, whose, and whether it still counts."""
    entries: dict[int, tuple[SignatureId, bool]] = {}
    last: dict[SignatureId, int] = {}
    first = 0
    while bundles := await log_queries.bundles(conn, letter_id, first, BUNDLES):
        for bundle in bundles:
            start = bundle["number"] * tiles.WIDTH
            for index, content in enumerate(tiles.split_entries(bundle["entries"]), start):
                signature_id = tokens.get(content[TOKEN])
                if signature_id is None or index >= size:
                    continue
                if not content[EXIT_BYTE]:
                    last[signature_id] = index
                    entries[index] = signature_id, True
                elif (before := last.pop(signature_id, None)) is not None:
                    entries[before] = signature_id, False
        first = bundles[-1]["number"] + 1
        await asyncio.sleep(0)
    return entries


def _sealed_list(lines: Sequence[tuple[int, str, str]], recipient: str) -> bytes:
    """Return entry, address and language of each line as CSV, encrypted to an age key."""
    rows = [COLUMNS, *((str(index), address, lang) for index, address, lang in sorted(lines))]
    content = "".join(map(format_row, rows)).encode()
    sealed: bytes = pyrage.encrypt(content, [pyrage.x25519.Recipient.from_str(recipient)])
    return sealed
