"""Stored addresses are deleted once their owner has asked for no more mail.

The web sees a digest and cannot open an address, and no row says which digest a stored address has: that would show
which signatures of several letters are one person's. So the worker walks the stored addresses, opens each, and deletes
those that were suppressed since the last time.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from petition.core.database import Database, Record
from petition.core.decryptions import DecryptionPurpose
from petition.core.encryption import Opener
from petition.core.errors import PetitionError
from petition.mail import queries
from petition.mail.queries import Contact
from petition.mail.suppression import Suppression

BATCH = 500  # addresses opened between two queries (a twentieth of a second)
ROUND = 20_000  # addresses a call opens at most; the next call continues there


@dataclass
class _Cleaning:
    """One pass over all stored addresses."""

    digests: frozenset[bytes]
    position: Contact = field(default=(0, 0, ""))


class SuppressedContactCleaner:
    """Deletes the stored addresses of suppressed mailboxes. One object per worker."""

    def __init__(self, opener: Opener, suppression: Suppression) -> None:
        self._opener = opener
        self._suppression = suppression
        self._sweep: _Cleaning | None = None

    async def sweep(self, database: Database) -> int:
        """Continue a pass, or begin one if there are new suppressions; return how many addresses were deleted.

        Harmless when done twice or by two workers at once. Raises ``Unavailable``.
        """
        if self._sweep is None:
            async with database.connection() as conn:
                digests = await queries.unswept(conn)
            self._sweep = _Cleaning(frozenset(digests)) if digests else None
        deleted = 0
        for _ in range(ROUND // BATCH):
            if self._sweep is None:
                break
            deleted += await self._step(database, self._sweep)
        return deleted

    async def _step(self, database: Database, sweep: _Cleaning) -> int:
        async with database.connection() as conn:
            rows = await queries.contacts(conn, sweep.position, BATCH)
            digester = await self._suppression.digester(conn)
            # In a thread, so that mail goes out meanwhile.
            digests = await asyncio.to_thread(lambda: {_key(row): self._digest(row, digester) for row in rows})
            opened = {key: digest for key, digest in digests.items() if digest is not None}
            stored = await self._suppression.stored(conn, list(opened.values()))
        suppressed = [key for key, digest in zip(opened, stored, strict=True) if digest in sweep.digests]
        async with database.transaction() as conn:
            if suppressed:
                await queries.drop_contacts(conn, suppressed)
            if len(rows) < BATCH:
                await queries.swept(conn, sorted(sweep.digests))
                self._sweep = None
            else:
                sweep.position = _key(rows[-1])
        return len(suppressed)

    def _digest(self, row: Record, digest: Callable[[str], bytes]) -> bytes | None:
        """Return the digest of a stored address; None if it cannot be opened any more, or is none."""
        try:
            return digest(self._opener.open(row["sealed"], row["letter"], DecryptionPurpose.SUPPRESSION))
        except PetitionError:
            return None


def _key(row: Record) -> Contact:
    return row["letter"], row["signature"], row["purpose"]
