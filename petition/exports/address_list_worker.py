"""The worker's part of lists of addresses: opened one by one, encrypted to the owner's key as they come.

Neither the list nor an address is ever written down in the clear, and no more than a few thousand are in memory.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Sequence
from io import RawIOBase
from queue import Queue
from typing import Any

import pyrage

from petition.core import audit_log
from petition.core.database import Connection, Database, Record
from petition.core.encryption import Opener
from petition.core.errors import Gone, KeyDestroyed, Unavailable
from petition.exports import address_list_queries as queries
from petition.formats.csv_rows import written
from petition.mail.suppression import Suppression

POLL = 2.0  # seconds between two looks when there is nothing to do
SLICE = 2000  # addresses
PATIENCE = 120.0  # seconds that encrypting one slice may take before something is wrong
COLUMNS = ("address", "lang", "since")

log = logging.getLogger(__name__)


async def run(database: Database, opener: Opener, suppression: Suppression, stop: asyncio.Event) -> None:
    """Make lists until ``stop`` is set. Raises nothing."""
    while not stop.is_set():
        try:
            busy = await step(database, opener, suppression)
        except Unavailable:
            busy = False
        except Exception:
            log.exception("a list of addresses could not be made")
            busy = False
        if not busy:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), POLL)


async def step(database: Database, opener: Opener, suppression: Suppression) -> bool:
    """Make one list, in one transaction; tell whether one was asked for."""
    row: Record | None = None
    try:
        async with database.transaction() as conn:
            row = await queries.take(conn)
            if row is None:
                return False
            addresses = await _List(conn, row, opener, suppression).make()
            await queries.made(conn, row["letter"], row["id"], "done", addresses)
            told = f"addresses:{addresses}"
            await audit_log.record(conn, row["organizer"], row["letter"], "address.made", ids=[row["id"]], after=told)
    except Unavailable:
        raise
    except Gone:  # what is left of a letter that was taken down is deleted in a moment
        return False
    except Exception:
        log.exception("a list of addresses could not be made")
        if row is not None:
            async with database.transaction() as conn:
                await queries.made(conn, row["letter"], row["id"], "failed", None)
    return True


class _List:
    def __init__(self, conn: Connection, row: Record, opener: Opener, suppression: Suppression) -> None:
        self._conn = conn
        self._row = row
        self._opener = opener
        self._suppression = suppression
        self._parts = 0

    async def make(self) -> int:
        """Write the list as ciphertext; return how many addresses are in it."""
        plain, cipher = _Source(), _Parts()
        recipient = pyrage.x25519.Recipient.from_str(self._row["recipient"])
        sealing = asyncio.create_task(asyncio.to_thread(pyrage.encrypt_io, plain, cipher, [recipient]))
        count, after = 0, -1
        try:
            await asyncio.to_thread(plain.give, written(COLUMNS).encode())
            while rows := await queries.contacts(self._conn, self._row["letter"], after, SLICE):
                lines = await self._lines(rows)
                count += len(lines)
                if lines:
                    await asyncio.to_thread(plain.give, "".join(lines).encode())
                await self._keep(cipher)
                after = rows[-1]["signature"]
        finally:
            await asyncio.to_thread(plain.give, b"")  # or the thread would wait for ever
            await sealing
        await self._keep(cipher)
        return count

    async def _lines(self, rows: Sequence[Record]) -> list[str]:
        opened = await asyncio.to_thread(lambda: [self._open(row["sealed"]) for row in rows])
        found = list(zip(rows, opened, strict=True))
        digests = [address and await self._suppression.digest(self._conn, address) for _, address in found]
        never = await queries.suppressed(self._conn, [each for each in digests if each])
        return [
            written((address, row["mail_lang"] or "", row["signed_at"].date().isoformat() if row["signed_at"] else ""))
            for (row, address), digest in zip(found, digests, strict=True)
            if address and digest not in never
        ]

    def _open(self, sealed: bytes) -> str | None:
        try:
            return self._opener.open(sealed)
        except KeyDestroyed:  # sealed to a contact key of former times
            return None

    async def _keep(self, cipher: "_Parts") -> None:
        for content in cipher.take():
            await queries.add_part(self._conn, self._row["letter"], self._row["id"], self._parts, content)
            self._parts += 1


class _Source(RawIOBase):
    """What is to be encrypted, handed over a slice at a time; giving waits until the last slice has been begun."""

    def __init__(self) -> None:
        self._waiting: Queue[bytes] = Queue(maxsize=1)
        self._held = memoryview(b"")
        self._ended = False

    def readable(self) -> bool:
        """It is."""
        return True

    def give(self, content: bytes) -> None:
        """Hand over a slice; an empty one is the end."""
        self._waiting.put(content, timeout=PATIENCE)

    def read(self, size: int = -1, /) -> bytes:
        """Return up to ``size`` bytes, none at the end; waits for them."""
        if not self._held and not self._ended:
            self._held = memoryview(self._waiting.get())
            self._ended = not self._held
        most = size if size >= 0 else len(self._held)
        found, self._held = self._held[:most], self._held[most:]
        return bytes(found)


class _Parts(RawIOBase):
    """Ciphertext as it comes, until it is taken."""

    def __init__(self) -> None:
        self._parts: deque[bytes] = deque()  # filled by one thread while another takes

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: Any) -> int:
        """Hold ``data`` until it is taken."""
        self._parts.append(bytes(data))
        return len(data)

    def take(self) -> list[bytes]:
        """Return what is held, and hold it no more."""
        return [self._parts.popleft() for _ in range(len(self._parts))]


async def forget_lists(database: Database) -> int:
    """Delete lists that are older than a week; return how many."""
    async with database.transaction() as conn:
        return await queries.forget(conn)
