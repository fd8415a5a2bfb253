"""The published letters in memory, brought up to date twice a second.

Polling the primary, not LISTEN: a connection pooler in between breaks notifications silently, and a count that is half
a second old is exact enough to be shown with its time. While the database is away, what is in memory stays readable.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from petition import metrics
from petition.database import Connection, Database, Record
from petition.errors import NotFound, Unavailable
from petition.letters import queries
from petition.letters.model import Counts, Letter, State
from petition.sealing import LetterKeys, Wrapper

log = logging.getLogger(__name__)

INTERVAL = 0.5  # seconds between two looks at the database
KEPT_LETTERS = 500  # letters whose text is held at once
INDEX_LENGTH = 200


@dataclass(frozen=True, slots=True)
class Live:
    """A letter with the count it had at a certain time."""

    letter: Letter
    counts: Counts
    counted_at: datetime


@dataclass(frozen=True, slots=True)
class _Pulse:
    id: int
    revision: int
    state: State
    counts: Counts
    counted_at: datetime


class Board:
    """What the web knows of letters without asking the database.

    ``on_change`` is called with a letter's slug whenever its revision, state or count moved.
    """

    def __init__(self, database: Database, wrapper: Wrapper) -> None:
        self._database = database
        self._wrapper = wrapper
        self._pulses: dict[str, _Pulse] = {}
        self._slugs: dict[int, str] = {}
        self._letters: dict[str, Letter] = {}
        self._listeners: list[Callable[[str], None]] = []
        self._looking = asyncio.Lock()
        self._looked_at = float("-inf")
        self.up = False  # did the last look succeed?

    def on_change(self, listener: Callable[[str], None]) -> None:
        """Have ``listener`` called with the slug of each letter that moved."""
        self._listeners.append(listener)

    async def get(self, slug: str) -> Live:
        """Return a published letter. Raises ``NotFound``, or ``Unavailable`` if it is not in memory and cannot be."""
        if slug not in self._pulses:
            await self._unknown(slug)
        pulse = self._pulses.get(slug)
        if pulse is None:
            raise NotFound("there is no such letter")
        letter = self._letters.get(slug)
        if letter is None or letter.id != pulse.id or letter.revision < pulse.revision:
            letter = await self._fresh(slug, pulse, letter)
        if letter.state is not pulse.state:
            letter = replace(letter, state=pulse.state)
        return Live(letter, pulse.counts, pulse.counted_at)

    def counts(self, slug: str) -> tuple[Counts, datetime] | None:
        """Return a published letter's count and when it was taken, or None if no such letter is in memory."""
        pulse = self._pulses.get(slug)
        return None if pulse is None else (pulse.counts, pulse.counted_at)

    async def by_id(self, letter: int) -> Live:
        """Return the published letter with this id. Raises ``NotFound`` or ``Unavailable``."""
        slug = self._slugs.get(letter)
        if slug is None:
            await self.look(unless_within=0.1)
            slug = self._slugs.get(letter)
        if slug is None:
            raise NotFound("there is no such letter")
        return await self.get(slug)

    async def index(self) -> list[Live]:
        """Return the open letters, newest first."""
        slugs = [slug for slug, pulse in self._pulses.items() if pulse.state is State.OPEN]
        return [await self.get(slug) for slug in slugs[:INDEX_LENGTH]]

    async def watch(self) -> None:
        """Look at the database twice a second until cancelled; a lost database is looked for again and again."""
        while True:
            try:
                await self.look()
            except Unavailable:
                if self.up:
                    log.warning("the database is away; reading goes on from memory")
                self.up = False
                metrics.DATABASE_UP.set(0)
            except Exception:
                # Whatever it was, a watch that has ended would show a frozen count as if it were the truth.
                log.exception("a look at the database failed")
            await asyncio.sleep(INTERVAL)

    async def look(self, unless_within: float = 0.0) -> None:
        """Bring states and counts up to date, unless that was done in the last so many seconds.

        Raises ``Unavailable``.
        """
        async with self._looking:
            if time.monotonic() - self._looked_at < unless_within:
                return
            async with self._database.connection() as conn:
                rows = await queries.pulse(conn)
            self._looked_at = time.monotonic()
            self._take(rows)

    def _take(self, rows: list[Record]) -> None:
        if not self.up:
            log.info("the database is there")
        self.up = True
        metrics.DATABASE_UP.set(1)
        before, self._pulses = self._pulses, {row["slug"]: _pulse(row) for row in rows}
        self._slugs = {pulse.id: slug for slug, pulse in self._pulses.items()}
        for slug in before.keys() | self._pulses.keys():
            if _moved(before.get(slug), self._pulses.get(slug)):
                self._tell(slug)

    def _tell(self, slug: str) -> None:
        pulse = self._pulses.get(slug)
        if pulse is not None:
            metrics.SIGNATURES.labels(slug, "person").set(pulse.counts.people)
            metrics.SIGNATURES.labels(slug, "organization").set(pulse.counts.organizations)
        for listener in self._listeners:
            listener(slug)

    async def _unknown(self, slug: str) -> None:
        """A letter published a moment ago by another process must not be a 404, and a flood of wild addresses must
        not cost a look each."""
        if len(slug) <= 64:
            await self.look(unless_within=0.1)

    async def _fresh(self, slug: str, pulse: _Pulse, old: Letter | None) -> Letter:
        try:
            async with self._database.connection() as conn:
                letter = await read(conn, self._wrapper, pulse.id)
        except Unavailable:
            if old is not None and old.id == pulse.id:
                return old
            raise
        if len(self._letters) >= KEPT_LETTERS:
            self._letters.pop(next(iter(self._letters)))
        self._letters[slug] = letter
        return letter


async def read(conn: Connection, wrapper: Wrapper, letter: int) -> Letter:
    """Return a published letter with its current version and keys. Raises ``NotFound``."""
    row = await queries.load(conn, letter)
    if row is None:
        raise NotFound("there is no such letter")
    initiators, addressees = await queries.parties(conn, letter)
    return Letter(
        id=row["id"],
        slug=row["slug"],
        state=queries.state_of(row),
        goal=row["goal"],
        opened_at=row["opened_at"],
        closes_at=row["closes_at"],
        closed_at=row["closed_at"],
        names_in_search=row["names_in_search"],
        rules_version=row["rules_version"],
        revision=row["revision"],
        initiators=initiators,
        addressees=addressees,
        version=await queries.version(conn, letter, row["version"]),
        keys=keys_of(row, wrapper),
        partners=await queries.partners(conn, letter),
    )


def keys_of(row: Record, wrapper: Wrapper) -> LetterKeys:
    """Return the unwrapped keys in a letter's row."""
    wrapped = row["wrapped_digest_key"], row["wrapped_name_key"]
    digest_key, name_key = (None if each is None else wrapper.unwrap(each) for each in wrapped)
    return LetterKeys(digest_key, name_key)


def _pulse(row: Record) -> _Pulse:
    counts = Counts(row["people"], row["organizations"], row["hidden"], row["imported"])
    return _Pulse(row["id"], row["revision"], State(row["state"]), counts, row["counted_at"])


def _moved(before: _Pulse | None, now: _Pulse | None) -> bool:
    if before is None or now is None:
        return True
    return (before.id, before.revision, before.state, before.counts) != (now.id, now.revision, now.state, now.counts)
