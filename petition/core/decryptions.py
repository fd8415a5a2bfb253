"""What the worker decrypts, counted by letter, day and purpose.

An ``Opener`` takes letter and purpose with each address. Names are decrypted in code that the web uses as well, so
their purpose is that of the task: the worker begins to count, its jobs say what for. See docs/decisions/decryptions.md.
"""

import functools
import logging
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any, ParamSpec, TypeVar

from petition.core.database import Connection, Database, Record
from petition.core.errors import Unavailable
from petition.core.ids import LetterId

DAYS = 90
MAX_ROWS = 500  # on a page
POLL = 1.0  # seconds between two times that counts are stored

Param = ParamSpec("Param")
Result = TypeVar("Result")

log = logging.getLogger(__name__)


class DecryptionPurpose(StrEnum):
    CONFIRMATION = "confirmation"  # the answer to a form that was signed
    REMINDER = "reminder"
    LOST_LINK = "lost_link"
    SIGNATORY_MAIL = "signatory_mail"  # decisions, messages, questions to a second mailbox
    UPDATE = "update"
    ADDRESS_LIST = "address_list"
    AUDIT = "audit"  # questions to those who agreed, and the list for the auditor
    SUPPRESSION = "suppression"  # looking for stored addresses whose owners asked for no more mail
    MAIL_IN = "mail_in"  # signing and confirming by mail, and the answers
    ADDRESSEE = "addressee"
    ORGANIZER = "organizer"
    IMPORT = "import"
    MODERATION = "moderation"  # bulk acts
    REPEATED_NAMES = "repeated_names"
    SEALED_NAMES = "sealed_names"  # when they are shown
    KEY_CHECK = "key_check"  # whether the key fits the database, at start
    OTHER = "other"  # an error in the program: logged


class DecryptedContent(StrEnum):
    ADDRESS = "address"
    NAME = "name"  # a name, note or message, or a part of an import


# Answers to what strangers type. Whether one has a name in it depends on whether the mailbox has signed, which an owner
# could test with the public forms and this table. So each address counts with one name, decrypted or not.
ANSWERS_TO_STRANGERS = frozenset(
    {DecryptionPurpose.CONFIRMATION, DecryptionPurpose.REMINDER, DecryptionPurpose.LOST_LINK}
)

Key = tuple[int, date, DecryptionPurpose, DecryptedContent]

# Workers that store at the same time wait for each other's rows in one order.
ADD = """
INSERT INTO decryption AS d (letter, day, purpose, content, uses)
SELECT * FROM unnest($1::integer[], $2::date[], $3::text[], $4::text[], $5::bigint[]) ORDER BY 1, 2, 3, 4
ON CONFLICT (letter, day, purpose, content) DO UPDATE SET uses = d.uses + excluded.uses
"""

OF_LETTER = """
SELECT d.day, d.purpose, NULL::text AS slug,
       coalesce(sum(d.uses) FILTER (WHERE d.content = 'address'), 0)::bigint AS addresses,
       coalesce(sum(d.uses) FILTER (WHERE d.content = 'name'), 0)::bigint AS names
FROM decryption d WHERE d.letter = $1
GROUP BY d.day, d.purpose ORDER BY d.day DESC, d.purpose LIMIT $2
"""

OF_INSTALLATION = """
SELECT d.day, d.purpose, l.slug,
       coalesce(sum(d.uses) FILTER (WHERE d.content = 'address'), 0)::bigint AS addresses,
       coalesce(sum(d.uses) FILTER (WHERE d.content = 'name'), 0)::bigint AS names
FROM decryption d LEFT JOIN letter l ON l.id = d.letter
GROUP BY d.day, d.purpose, d.letter, l.slug ORDER BY d.day DESC, d.purpose, d.letter LIMIT $1
"""


class DecryptionCounts:
    """Counts in memory until they are stored. Threads may add."""

    def __init__(self) -> None:
        self._uses: Counter[Key] = Counter()
        self._lock = threading.Lock()

    def add(self, letter_id: int | None, purpose: DecryptionPurpose, content: DecryptedContent) -> None:
        if purpose is DecryptionPurpose.OTHER:
            log.error("decrypted without a purpose")
        contents = [content]
        if purpose in ANSWERS_TO_STRANGERS:
            contents = list(DecryptedContent) if content is DecryptedContent.ADDRESS else []
        day = datetime.now(UTC).date()
        with self._lock:
            for one in contents:
                self._uses[letter_id or 0, day, purpose, one] += 1

    async def store(self, database: Database) -> bool:
        """Store what was added; return False. Raises ``Unavailable``, and keeps the counts then."""
        if self._uses:
            async with database.transaction() as conn:
                await self.store_in(conn)
        return False

    async def store_in(self, conn: Connection) -> None:
        with self._lock:
            taken, self._uses = self._uses, Counter()
        rows = [(*key, uses) for key, uses in taken.items()]
        try:
            if rows:
                await conn.execute(ADD, *map(list, zip(*rows, strict=True)))
        except BaseException:
            with self._lock:
                self._uses += taken
            raise

    @asynccontextmanager
    async def counting(self, database: Database) -> AsyncIterator[None]:
        """Count the names that this task, and those that it starts, decrypt; store the rest at the end."""
        token = _current.set((self, DecryptionPurpose.OTHER))
        try:
            yield
        finally:
            _current.reset(token)
            with suppress(Unavailable):
                await self.store(database)


_current: ContextVar[tuple[DecryptionCounts, DecryptionPurpose] | None] = ContextVar("decryptions", default=None)


@contextmanager
def decrypting_for(purpose: DecryptionPurpose) -> Iterator[None]:
    """Names that are decrypted inside are counted as ``purpose``, if this process counts."""
    current = _current.get()
    token = _current.set(None if current is None else (current[0], purpose))
    try:
        yield
    finally:
        _current.reset(token)


def decrypts_for(
    purpose: DecryptionPurpose,
) -> Callable[[Callable[Param, Coroutine[Any, Any, Result]]], Callable[Param, Coroutine[Any, Any, Result]]]:
    """The same for a whole coroutine function."""

    def decorate(
        function: Callable[Param, Coroutine[Any, Any, Result]],
    ) -> Callable[Param, Coroutine[Any, Any, Result]]:
        @functools.wraps(function)
        async def wrapper(*args: Param.args, **kwargs: Param.kwargs) -> Result:
            with decrypting_for(purpose):
                return await function(*args, **kwargs)

        return wrapper

    return decorate


def note_name(letter_id: int) -> None:
    """Count a decrypted name, if this process counts."""
    if (current := _current.get()) is not None:
        current[0].add(letter_id, current[1], DecryptedContent.NAME)


async def of_letter(conn: Connection, letter_id: LetterId) -> list[Record]:
    """Return day, purpose, addresses and names of a letter, the newest first."""
    return await conn.fetch(OF_LETTER, letter_id, MAX_ROWS)


async def of_installation(conn: Connection) -> list[Record]:
    """Return the same of all letters, with their short names, and of what is about none."""
    return await conn.fetch(OF_INSTALLATION, MAX_ROWS)
