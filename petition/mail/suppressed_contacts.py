"""Addresses of those who never want mail again are not kept either.

The web is given a digest and cannot open an address, and no row says which digest a kept address has: that would show
which signatures of several letters are one person's. So the worker goes through the kept addresses, opens each, and
deletes what belongs to somebody who has said "never" since the last time.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from petition.core.database import Database, Record
from petition.core.encryption import Opener
from petition.core.errors import PetitionError
from petition.mail import queries
from petition.mail.queries import Contact
from petition.mail.suppression import Suppression

BATCH = 500  # addresses opened between two looks at the database (a twentieth of a second)
ROUND = 20_000  # addresses a call opens at most; the next one goes on there


@dataclass
class _Cleaning:
    """One way through all kept addresses."""

    wanted: frozenset[bytes]
    place: Contact = field(default=(0, 0, ""))


class SuppressedContactCleaner:
    """Deletes kept addresses of those who never want mail again. One object per worker."""

    def __init__(self, opener: Opener, suppression: Suppression) -> None:
        self._opener = opener
        self._suppression = suppression
        self._sweep: _Cleaning | None = None

    async def sweep(self, database: Database) -> int:
        """Go on, or begin if somebody has said "never" since; return how many addresses were deleted.

        Harmless when done twice or by two workers at once. Raises ``Unavailable``.
        """
        if self._sweep is None:
            async with database.connection() as conn:
                wanted = await queries.unswept(conn)
            self._sweep = _Cleaning(frozenset(wanted)) if wanted else None
        deleted = 0
        for _ in range(ROUND // BATCH):
            if self._sweep is None:
                break
            deleted += await self._step(database, self._sweep)
        return deleted

    async def _step(self, database: Database, sweep: _Cleaning) -> int:
        async with database.connection() as conn:
            rows = await queries.contacts(conn, sweep.place, BATCH)
            digest = await self._suppression.digester(conn)
        # In a thread: mail goes out meanwhile.
        found = await asyncio.to_thread(self._matching, rows, digest, sweep.wanted)
        async with database.transaction() as conn:
            if found:
                await queries.drop_contacts(conn, found)
            if len(rows) < BATCH:
                await queries.swept(conn, sorted(sweep.wanted))
                self._sweep = None
            else:
                sweep.place = _place(rows[-1])
        return len(found)

    def _matching(
        self, rows: Sequence[Record], digest: Callable[[str], bytes], wanted: frozenset[bytes]
    ) -> list[Contact]:
        return [_place(row) for row in rows if self._digest(row["sealed"], digest) in wanted]

    def _digest(self, sealed: bytes, digest: Callable[[str], bytes]) -> bytes | None:
        """Return the digest of a sealed address; None if it cannot be opened any more, or is none."""
        try:
            return digest(self._opener.open(sealed))
        except PetitionError:
            return None


def _place(row: Record) -> Contact:
    return row["letter"], row["signature"], row["purpose"]
