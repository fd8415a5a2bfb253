"""The worker opens the names of letters that have reached their number or date, and shows all of them at once.

A batch is one transaction, and what is open is no longer sealed: a worker that is killed, or a second one, goes on
where the first stopped. Readers see none before all are open. See docs/decisions/sealed-names.md.
"""

import asyncio
import logging
from collections.abc import Sequence

from petition.core import audit_log
from petition.core.database import Connection, Database, Record
from petition.core.decryptions import DecryptionPurpose, decrypts_for
from petition.core.encryption import LetterKeys, Opener, Wrapper
from petition.core.errors import KeyDestroyed
from petition.core.ids import LetterId
from petition.letters.keys import keys_for
from petition.signatures import burnt_names, names, sealed_name_queries, search_words, self_service_queries
from petition.signatures.model import Kind, SignatureState, Visibility
from petition.signatures.self_service import columns_of

POLL = 1.0  # seconds
BATCH = 200  # names; opening one takes a tenth of a millisecond

log = logging.getLogger(__name__)


class NameOpener:
    """Opens sealed names. One object per worker: it remembers those that its key does not open."""

    def __init__(self, database: Database, opener: Opener, wrapper: Wrapper) -> None:
        self._database = database
        self._opener = opener
        self._wrapper = wrapper
        self._unreadable: set[int] = set()

    @decrypts_for(DecryptionPurpose.SEALED_NAMES)
    async def step(self) -> bool:
        """Open one batch, or show the names of a letter whose names are all open; return whether there was any."""
        async with self._database.transaction() as conn:
            await sealed_name_queries.note_due(conn)
        async with self._database.connection() as conn:
            burnt = await sealed_name_queries.burnt(conn)
            letters = [letter_id for letter_id in await sealed_name_queries.due(conn) if letter_id not in burnt]
        for letter_id in burnt:
            await burnt_names.erase(self._database, letter_id)
        return any([await self._step_of(letter_id) for letter_id in letters])

    async def _step_of(self, letter_id: LetterId) -> bool:
        """Open a batch of one letter; without any left, show them all."""
        async with self._database.transaction() as conn:
            # lock order: see docs/decisions/lock-order.md
            rows = await sealed_name_queries.lock_sealed(conn, letter_id, sorted(self._unreadable), BATCH)
            if rows:
                await self._open(conn, letter_id, rows)
                return True
            if await sealed_name_queries.is_any_sealed(conn, letter_id, sorted(self._unreadable)):
                return False  # others hold them: a signatory, or a second worker
            if await sealed_name_queries.publish(conn, letter_id):
                await audit_log.record(conn, None, letter_id, "letter.names_shown")
                return True
        return False

    async def _open(self, conn: Connection, letter_id: LetterId, rows: Sequence[Record]) -> None:
        keys = await keys_for(conn, letter_id, self._wrapper)
        fields = await asyncio.to_thread(lambda: [self._fields_of(row) for row in rows])
        words: list[tuple[LetterId, Kind, str]] = []
        for row, opened in zip(rows, fields, strict=True):
            if keys.name_key is None:  # burnt in this moment: the next step erases it
                return
            try:
                if opened is None:
                    raise KeyDestroyed
                words += [(letter_id, Kind.PERSON, word) for word in await _store(conn, keys, row, opened)]
            except KeyDestroyed:  # one that no key opens keeps no other from being shown
                self._unreadable.add(row["id"])
        if words:
            await search_words.add(conn, words)

    def _fields_of(self, row: Record) -> dict[str, str] | None:
        try:
            return self._opener.open_fields(row["sealed"], row["letter"], DecryptionPurpose.SEALED_NAMES)
        except KeyDestroyed:
            log.error("a sealed name does not open with this key", extra={"letter": row["letter"]})
            return None


async def _store(conn: Connection, keys: LetterKeys, row: Record, opened: dict[str, str]) -> Sequence[str]:
    """Store opened names as the signatory's choice demands; return the words by which they are found."""
    if row["private"] is not None:  # of an organization that waits
        opened = {**keys.reveal(row["private"]), **opened}
    visibility = Visibility(row["visibility"])
    columns = columns_of(keys, row, opened, visibility)
    await self_service_queries.store_names(conn, row["letter"], row["id"], visibility.value, columns)
    name_key = columns[4]
    is_listed = row["state"] == SignatureState.CONFIRMED and row["kind"] == Kind.PERSON
    return names.words(name_key) if is_listed and isinstance(name_key, str) else ()
