"""The worker's part of address lists: addresses are opened one by one and encrypted to the owner's key as a stream.

Neither the list nor an address is ever stored in the clear, and at most a few thousand are in memory.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from io import RawIOBase
from queue import Queue
from typing import Any

import pyrage

from petition.core import audit_log
from petition.core.database import Connection, Database, Record
from petition.core.decryptions import DecryptionPurpose
from petition.core.encryption import Opener
from petition.core.errors import Gone, KeyDestroyed, Unavailable
from petition.exports import address_list_queries as queries
from petition.formats.csv_rows import format_row
from petition.mail.suppression import Suppression

POLL = 2.0  # seconds
SLICE = 2000  # addresses
MAX_SLICE_SECONDS = 120.0  # for encrypting one; longer means that the encrypting thread has failed
COLUMNS = ("address", "lang", "since")

log = logging.getLogger(__name__)


async def step(database: Database, opener: Opener, suppression: Suppression) -> bool:
    """Make one list, in one transaction; return whether one was requested. Raises what keeps one from being taken."""
    row: Record | None = None
    try:
        async with database.transaction() as conn:
            row = await queries.lock_next_job(conn)
            if row is None:
                return False
            if not row["has_owner"]:  # no longer one since the list was requested
                await queries.finish(conn, row["letter"], row["id"], "failed", None)
                return True
            addresses = await _AddressList(conn, row, opener, suppression).make()
            await queries.finish(conn, row["letter"], row["id"], "done", addresses)
            after = f"addresses:{addresses}"
            await audit_log.record(conn, row["organizer"], row["letter"], "address.made", ids=[row["id"]], after=after)
    except (Unavailable, Gone):
        raise
    except Exception:
        if row is None:  # nothing was taken, so that the next step would fail at once in the same way
            raise
        log.exception("address list failed")
        async with database.transaction() as conn:
            await queries.finish(conn, row["letter"], row["id"], "failed", None)
    return True


class _AddressList:
    def __init__(self, conn: Connection, row: Record, opener: Opener, suppression: Suppression) -> None:
        self._conn = conn
        self._row = row
        self._opener = opener
        self._suppression = suppression
        self._parts = 0

    async def make(self) -> int:
        """Store the list as ciphertext; return how many addresses are in it."""
        plain, cipher = _Plaintext(), _Ciphertext()
        recipient = pyrage.x25519.Recipient.from_str(self._row["recipient"])
        encryption = asyncio.create_task(asyncio.to_thread(pyrage.encrypt_io, plain, cipher, [recipient]))
        count, after = 0, -1
        try:
            await asyncio.to_thread(plain.put, format_row(COLUMNS).encode())
            while rows := await queries.load_contacts(self._conn, self._row["letter"], after, SLICE):
                lines = await self._lines(rows)
                count += len(lines)
                if lines:
                    await asyncio.to_thread(plain.put, "".join(lines).encode())
                await self._store(cipher)
                after = rows[-1]["signature"]
        finally:
            await asyncio.to_thread(plain.put, b"")  # or the thread would wait forever
            await encryption
        await self._store(cipher)
        return count

    async def _lines(self, rows: Sequence[Record]) -> list[str]:
        addresses = await asyncio.to_thread(lambda: [self._open(row["sealed"]) for row in rows])
        digests = [address and await self._suppression.digest(self._conn, address) for address in addresses]
        stored = await self._suppression.stored(self._conn, [digest for digest in digests if digest])
        known = dict(zip(filter(None, digests), stored, strict=True))
        suppressed = await queries.load_suppressed(self._conn, stored)
        return [
            format_row(
                (address, row["mail_lang"] or "", row["signed_at"].date().isoformat() if row["signed_at"] else "")
            )
            for row, address, digest in zip(rows, addresses, digests, strict=True)
            if address and known[digest or b""] not in suppressed
        ]

    def _open(self, sealed: bytes) -> str | None:
        try:
            return self._opener.open(sealed, self._row["letter"], DecryptionPurpose.ADDRESS_LIST)
        except KeyDestroyed:  # sealed to an earlier contact key
            return None

    async def _store(self, cipher: "_Ciphertext") -> None:
        for content in cipher.take():
            await queries.add_part(self._conn, self._row["letter"], self._row["id"], self._parts, content)
            self._parts += 1


class _Plaintext(RawIOBase):
    """Hands plaintext to the encrypting thread, a slice at a time; ``put`` waits until the one before is read."""

    def __init__(self) -> None:
        self._queue: Queue[bytes] = Queue(maxsize=1)
        self._slice = memoryview(b"")
        self._ended = False

    def readable(self) -> bool:
        return True

    def put(self, content: bytes) -> None:
        """Hand over a slice; an empty one is the end."""
        self._queue.put(content, timeout=MAX_SLICE_SECONDS)

    def read(self, size: int = -1, /) -> bytes:
        if not self._slice and not self._ended:
            self._slice = memoryview(self._queue.get())
            self._ended = not self._slice
        limit = size if size >= 0 else len(self._slice)
        content, self._slice = self._slice[:limit], self._slice[limit:]
        return bytes(content)


class _Ciphertext(RawIOBase):
    """Buffers ciphertext until ``take``."""

    def __init__(self) -> None:
        self._parts: deque[bytes] = deque()  # one thread appends while another takes

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def take(self) -> list[bytes]:
        return [self._parts.popleft() for _ in range(len(self._parts))]


async def drop_expired_lists(database: Database) -> int:
    """Delete lists older than a week; return how many."""
    async with database.transaction() as conn:
        return await queries.drop_expired(conn)
