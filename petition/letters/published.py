"""The published letters in memory, brought up to date twice a second.

Polling the primary, not LISTEN: a connection pooler in between breaks notifications silently, and a count that is half
a second old is exact enough beside its time. While the database is away, what is in memory stays readable.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Collection, Sequence
from contextvars import Context
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any

from petition.core import metrics, patience
from petition.core.backoff import Backoff
from petition.core.database import Connection, Database
from petition.core.encryption import Wrapper
from petition.core.errors import Gone, NotFound, Unavailable
from petition.core.ids import LetterId
from petition.letters import (
    addressee_queries,
    count_step_queries,
    employer_queries,
    queries,
    status_queries,
    switch_queries,
)
from petition.letters.keys import keys_of
from petition.letters.letter_memory import LetterMemory
from petition.letters.model import Counts, Letter
from petition.letters.status_queries import Look
from petition.letters.statuses import Changes, LetterStatus, Statuses
from petition.letters.switches import InstallationNotices

log = logging.getLogger(__name__)

INTERVAL = 0.5  # seconds between two looks at the database
MAX_INTERVAL = 10.0  # while they fail for another reason than an outage
SPACING = 0.05  # seconds at least between two polls for the sake of unknown addresses
MAX_SLUG = 64
INDEX_LENGTH = 200


@dataclass(frozen=True, slots=True)
class PublishedLetter:
    """A letter with the count it had at a certain time."""

    letter: Letter
    counts: Counts
    counted_at: datetime
    is_stepped: bool = False  # the count of a small sensitive letter: it moves with the next step

    @property
    def today(self) -> date:
        """The day (UTC) of the count, by which silence is counted."""
        return self.counted_at.astimezone(UTC).date()


class PublishedLetters:
    """What the web knows of letters without asking the database.

    ``on_change`` is called with a letter's slug whenever its revision, state, count or switches moved,
    ``on_taken_down`` when it was taken down, ``on_names_hidden`` when its names must not be displayed any more. What
    holds for the whole installation is written into ``notices``.
    """

    def __init__(self, database: Database, wrapper: Wrapper, notices: InstallationNotices | None = None) -> None:
        self._database = database
        self._wrapper = wrapper
        self._notices = notices or InstallationNotices()
        self._statuses = Statuses()
        self._memory = LetterMemory()
        self._listeners: list[Callable[[str], None]] = []
        self._taken_down_listeners: list[Callable[[str], None]] = []
        self._hidden_listeners: list[Callable[[str], None]] = []
        self._poll_lock = asyncio.Lock()
        self._next_poll: asyncio.Task[None] | None = None
        self._reloads: dict[tuple[LetterId, int], asyncio.Task[Letter]] = {}  # by id and revision
        self._last_poll_at = float("-inf")
        self.is_database_up = False  # did the last look succeed?

    def on_change(self, listener: Callable[[str], None]) -> None:
        """Have ``listener`` called with the slug of each letter that moved."""
        self._listeners.append(listener)

    def on_taken_down(self, listener: Callable[[str], None]) -> None:
        """Have ``listener`` called with the slug of each letter that is taken down while we are running."""
        self._taken_down_listeners.append(listener)

    def on_names_hidden(self, listener: Callable[[str], None]) -> None:
        """Have ``listener`` called with the slug of each letter whose list of names is hidden while we are running."""
        self._hidden_listeners.append(listener)

    async def get(self, slug: str) -> PublishedLetter:
        """Return a published letter.

        Raises ``NotFound``, ``Gone``, or ``Unavailable`` if it is not in memory and cannot be.
        """
        status = await self._find(slug)
        letter = self._memory.get(slug)
        if letter is None or letter.id != status.id or letter.revision < status.revision:
            letter = await self._reload(status, letter)
        switches = self._statuses.switches(status)
        if letter.state is not status.state or letter.switches != switches:
            letter = replace(letter, state=status.state, switches=switches)
        counts, counted_at = self._counts(status)
        return PublishedLetter(letter, counts, counted_at, is_stepped=status.stepped_at is not None)

    async def check(self, slug: str) -> None:
        """Return if a letter is published, without reading its text.

        Raises ``NotFound``, ``Gone``, or ``Unavailable`` if that is not known.
        """
        await self._find(slug)

    async def _find(self, slug: str) -> LetterStatus:
        if self._statuses.get(slug) is None and len(slug) <= MAX_SLUG and not self._statuses.is_gone(slug):
            await self.refresh_now()
        status = self._statuses.get(slug)
        if status is None:
            raise Gone("the letter was taken down") if self._statuses.is_gone(slug) else NotFound("no such letter")
        return status

    def counts(self, slug: str) -> tuple[Counts, datetime] | None:
        """Return a published letter's count and when it was taken, or None if no such letter is in memory."""
        status = self._statuses.get(slug)
        return None if status is None else self._counts(status)

    def _counts(self, status: LetterStatus) -> tuple[Counts, datetime]:
        counted_at = status.stepped_at or self._statuses.polled_at
        return self._statuses.counts(status), counted_at or datetime.now(UTC)

    async def by_id(self, letter_id: LetterId) -> PublishedLetter:
        """Return the published letter with this id. Raises ``NotFound``, ``Gone`` or ``Unavailable``."""
        if self._statuses.slug_of(letter_id) is None:
            await self.refresh_now()
        slug = self._statuses.slug_of(letter_id)
        if slug is None:
            raise NotFound("there is no such letter")
        return await self.get(slug)

    async def index(self, limit: int = INDEX_LENGTH) -> list[PublishedLetter]:
        """Return the open letters, newest first. Raises ``Unavailable``."""
        return [await self.get(slug) for slug in (await self._in_order(are_open=True))[:limit]]

    async def closed(self, limit: int = INDEX_LENGTH) -> list[PublishedLetter]:
        """Return the letters that take no more signatures, newest first. Raises ``Unavailable``."""
        return [await self.get(slug) for slug in (await self._in_order(are_open=False))[:limit]]

    async def part(self, start: int, length: int) -> tuple[list[PublishedLetter], list[PublishedLetter]]:
        """Return the (open, other) letters of a part of the list, which has all open ones first, the newest at the top.

        Raises ``Unavailable``.
        """
        slugs = await self._in_order(are_open=True), await self._in_order(are_open=False)
        first = slugs[0][start : start + length]
        others = slugs[1][max(start - len(slugs[0]), 0) : max(start + length - len(slugs[0]), 0)]
        return [await self.get(slug) for slug in first], [await self.get(slug) for slug in others]

    async def number(self) -> int:
        """Return how many letters there are. Raises ``Unavailable``."""
        return len(await self._in_order(are_open=True)) + len(await self._in_order(are_open=False))

    async def _in_order(self, *, are_open: bool) -> Sequence[str]:
        if self._statuses.polled_at is None:
            await self.refresh_now()
        return self._statuses.in_order(are_open=are_open)

    def note_figures(self) -> None:
        """Set the figures of all letters together."""
        metrics.LETTERS.clear()
        numbers, people, organizations = self._statuses.figures()
        for state, number in numbers.items():
            metrics.LETTERS.set(number, state.value)
        metrics.COUNTED.set(people, "person")
        metrics.COUNTED.set(organizations, "organization")

    async def watch(self) -> None:
        """Look at the database twice a second until cancelled; a lost database is looked for again and again."""
        backoff = Backoff(INTERVAL, MAX_INTERVAL)
        while True:
            try:
                await self.refresh()
                backoff.worked()
            except Unavailable:
                if self.is_database_up:
                    log.warning("database unavailable; pages are served from memory")
                self.is_database_up = False
                metrics.DATABASE_UP.set(0)
            except Exception:
                # A poll that stops for any reason would leave a frozen count on every page.
                log.exception("a poll of the database failed", extra={"seconds": backoff.failed()})
            await asyncio.sleep(backoff.pause)

    async def refresh(self) -> None:
        """Bring states, counts and switches up to date. Raises ``Unavailable``."""
        async with self._poll_lock:
            self._last_poll_at = time.monotonic()
            look, statuses = await self._read()
            if look.is_step_due:
                if await self._advance_steps():
                    look, statuses = await self._read()
                else:  # the database refuses writes
                    look = replace(look, step=None)  # the next look asks again
            is_all = not look.follows(self._statuses.look)
            changes = (self._statuses.replace if is_all else self._statuses.update)(look, statuses)
            self._tell(changes)

    async def _read(self) -> tuple[Look, list[LetterStatus]]:
        """Return what has moved since the last look: all of it if that was another server's."""
        async with self._database.probe() as conn:
            look = await status_queries.look(conn, self._statuses.look)
            if look.follows(self._statuses.look):
                rows = await status_queries.statuses_of(conn, look.moved) if look.moved else []
                is_step_due = any(row["is_step_due"] for row in rows)
                statuses = [LetterStatus.of(row) for row in rows]
            else:
                is_step_due, statuses = False, []
                async for rows in status_queries.all_statuses(conn):
                    statuses += [LetterStatus.of(row) for row in rows]
        return (replace(look, is_step_due=True) if is_step_due else look), statuses

    async def _advance_steps(self) -> bool:
        """Take the steps that are due; return False while the database refuses writes."""
        with contextlib.suppress(Unavailable):
            async with self._database.transaction() as conn:
                await count_step_queries.advance(conn)
                return True
        return False

    async def refresh_now(self) -> None:
        """Wait for a poll that began after this call, shared by all callers meanwhile. Raises ``Unavailable``.

        A letter published a moment ago by another process must not be a 404; and however many wild addresses are asked
        for, they cost ``1 / SPACING`` looks a second at most, and each of them waits for two looks at most.
        """
        if not self._database.is_answering:  # ``watch`` asks again and again
            raise Unavailable(self._database.silence)
        if self._next_poll is None:
            self._next_poll = asyncio.create_task(self._refresh_soon())
            self._next_poll.add_done_callback(_ignore_result)
        await asyncio.shield(self._next_poll)

    async def _refresh_soon(self) -> None:
        try:
            await asyncio.sleep(max(0.0, self._last_poll_at + SPACING - time.monotonic()))
            async with self._poll_lock:  # callers that come during another poll wait for this one
                pass
        finally:
            self._next_poll = None  # later callers are too late for the poll that begins now
            self._last_poll_at = time.monotonic()
        await self.refresh()

    def _tell(self, changes: Changes) -> None:
        """Have all listeners follow what has changed."""
        if not self.is_database_up:
            log.info("database available again")
        self.is_database_up = True
        metrics.DATABASE_UP.set(1)
        self._update_notices()
        self._show_counts(changes.moved)
        for slug in changes.taken_down:
            self._memory.drop(slug)
            for kind in ("person", "organization"):
                metrics.SIGNATURES.remove(slug, kind)
            for listener in self._taken_down_listeners:
                listener(slug)
        for slug in changes.moved:
            for listener in self._listeners:
                listener(slug)
        for slug in changes.names_hidden:
            for listener in self._hidden_listeners:
                listener(slug)

    def _update_notices(self) -> None:
        """Store what holds for the installation, and invalidate the pages without a letter."""
        general = self._statuses.installation
        now = general.banners, general.read_only
        if now != (self._notices.banners, self._notices.read_only):
            self._notices.banners, self._notices.read_only = now
            for listener in self._listeners:
                listener("")

    def _show_counts(self, slugs: Collection[str]) -> None:
        """Set the metrics of letters that have moved; of the newest open ones if that are too many, as at the start."""
        if len(slugs) > metrics.MAX_LETTERS:
            slugs = self._statuses.in_order(are_open=True)[: metrics.MAX_LETTERS]
        for slug in slugs:
            if (status := self._statuses.get(slug)) is not None:
                counts = self._statuses.counts(status)
                metrics.SIGNATURES.set(counts.people, slug, "person")
                metrics.SIGNATURES.set(counts.organizations, slug, "organization")

    async def _reload(self, status: LetterStatus, old: Letter | None) -> Letter:
        if old is not None and old.id == status.id and not self.is_database_up:
            return old
        try:
            return await self._read_once(status)
        except Unavailable:
            if old is not None and old.id == status.id:
                return old
            raise

    async def _read_once(self, status: LetterStatus) -> Letter:
        """Read a letter, once for all who ask for this revision meanwhile: a crowd would fill the pool with it."""
        key = status.id, status.revision
        if (reload := self._reloads.get(key)) is None:
            # In a context of its own: its patience is not what the first request has left.
            self._reloads[key] = reload = asyncio.create_task(self._read_letter(status.id), context=Context())
            reload.add_done_callback(_ignore_result)
            reload.add_done_callback(lambda _: self._reloads.pop(key))
        return await asyncio.shield(reload)

    async def _read_letter(self, letter_id: LetterId) -> Letter:
        patience.begin(self._database.patience)
        async with self._database.connection() as conn:
            letter = await read(conn, self._wrapper, letter_id)
        self._memory.add(letter)
        return letter


async def read(conn: Connection, wrapper: Wrapper, letter_id: LetterId) -> Letter:
    """Return a published letter with its current version and keys. Raises ``NotFound``."""
    row = await queries.load(conn, letter_id)
    if row is None:
        raise NotFound("there is no such letter")
    return Letter(
        id=row["id"],
        slug=row["slug"],
        state=queries.state_of(row),
        goal=row["goal"],
        opened_at=row["opened_at"],
        closes_at=row["closes_at"],
        closed_at=row["closed_at"],
        names_in_search=row["names_in_search"] and not row["sensitive"],
        rules_version=row["rules_version"],
        revision=row["revision"],
        initiators=await queries.initiators(conn, letter_id),
        addressees=await addressee_queries.load(conn, letter_id),
        version=await queries.version(conn, letter_id, row["version"]),
        keys=keys_of(row, wrapper, row["id"]),
        tallies=await queries.tallies(conn, letter_id),
        next_goals=tuple(row["next_goals"]),
        sharing=await queries.sharing(conn, letter_id),
        partners=await queries.partners(conn, letter_id),
        listed_since=await queries.listed_since(conn, letter_id),
        package=await queries.package(conn, letter_id),
        sensitive=row["sensitive"],
        publish_at_number=row["publish_at_number"],
        publish_at_date=row["publish_at_date"],
        names_published_at=row["names_published_at"],
        names_until=row["names_until"],
        names_days=row["names_days"],
        names_ended_at=row["names_ended_at"],
        employers=await employer_queries.load(conn, letter_id),
    )


async def read_with_switches(conn: Connection, wrapper: Wrapper, letter_id: LetterId) -> Letter:
    """Return a published letter with what is switched on for it. Raises ``NotFound``."""
    letter = await read(conn, wrapper, letter_id)
    return replace(letter, switches=await switch_queries.of_letter(conn, letter_id))


def _ignore_result(task: asyncio.Task[Any]) -> None:
    """Retrieve the exception, or asyncio logs "never retrieved"."""
    if not task.cancelled():
        task.exception()
