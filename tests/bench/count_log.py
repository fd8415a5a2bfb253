"""What the count log costs: confirming with and without its row, a checkpoint, the storage, a proof."""

import asyncio
import time
from pathlib import Path

from petition.core import database, signing_key
from petition.core.database import Connection, Database, connect
from petition.core.encryption import Wrapper
from petition.core.ids import LetterId
from petition.count_log import reading, receipts, sequencing
from petition.count_log.entries import EntryKind
from tests.count_log import independent
from tests.running import KEY, SLUG

WRAPPER, LETTER, BASE_URL = Wrapper([KEY]), LetterId(1), "https://letters.example"
FILL = """
INSERT INTO count_log_queue (letter, kind, subject, number, exit)
SELECT $1, 1, n, 1, 0 FROM generate_series($2::bigint, $3::bigint) AS n
"""
STORED = """
SELECT sum(pg_total_relation_size(name::regclass))::bigint
FROM unnest(ARRAY['count_log', 'count_log_bundle', 'count_log_tile']) AS name
"""
STEP = 50_000
CHECKPOINTS, PROOFS, ENTRIES = 20, 20, 10


async def fill(url: str, entries: int) -> None:
    """Take so many entries into the log of an installation's only letter."""
    async with database.opened(url, max_size=2) as db:
        for first in range(1, entries + 1, STEP):
            await _queue(db, first, min(entries, first + STEP - 1))
            while await sequencing.sequence(db, WRAPPER, BASE_URL, LETTER, SLUG):
                pass


async def _queue(db: Database, first: int, last: int) -> None:
    async with db.transaction() as conn:
        await conn.execute(FILL, LETTER, first, last)


async def checkpoint(url: str, entries: int) -> float:
    """Return the median of the milliseconds in which ten more entries get into the log, signed and committed."""
    times = []
    async with database.opened(url, max_size=2) as db:
        for number in range(CHECKPOINTS):
            first = entries + 1 + number * ENTRIES
            await _queue(db, first, first + ENTRIES - 1)
            begun = time.perf_counter()
            await sequencing.sequence(db, WRAPPER, BASE_URL, LETTER, SLUG)
            times.append(1000 * (time.perf_counter() - begun))
    return sorted(times)[len(times) // 2]


async def stored(url: str) -> float:
    """Return the bytes that the database holds for an entry, with its indexes."""
    conn = await connect(url)
    try:
        for table in ("count_log_bundle", "count_log_tile", "count_log", "count_log_queue"):
            await conn.execute(f"VACUUM {table}")
        size = await conn.fetchval("SELECT size FROM count_log WHERE letter = $1", LETTER)
        return float(await conn.fetchval(STORED) / size)
    finally:
        await conn.close()


async def proof(url: str, folder: Path, entries: int) -> tuple[int, float]:
    """Return the bytes of the longest of some proofs, and the median of the ms in which Go's library verifies one."""
    conn = await connect(url)
    try:
        key = str((await signing_key.signer(conn, WRAPPER, sequencing.origin_of(BASE_URL, SLUG))).key)
        proofs = [await _proof(conn, 1 + number * (entries // PROOFS)) for number in range(PROOFS)]
    finally:
        await conn.close()
    times, file = [], folder / "bench.tlog-proof"
    for content in proofs:
        file.write_bytes(content)
        independent.verify(key, file)
        begun = time.perf_counter()
        answer = await asyncio.to_thread(independent.verify, key, file)
        times.append(1000 * (time.perf_counter() - begun))
        assert answer.split()[0].isdecimal(), answer
    return max(map(len, proofs)), sorted(times)[len(times) // 2]


async def _proof(conn: Connection, subject: int) -> bytes:
    log = await reading.head(conn, LETTER)
    assert log is not None
    token = receipts.token_for(WRAPPER.unwrap(log.wrapped_receipt_key), EntryKind.PERSON, subject)
    (placed,) = await reading.find(conn, log, token)
    return bytes(await reading.prove(conn, log, placed))
