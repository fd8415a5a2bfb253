"""The published letters in memory, brought up to date twice a second.

Polling the primary, not LISTEN: a connection pooler in between breaks notifications silently, and a count that is half
a second old is exact enough beside its time. While the database is away, what is in memory stays readable.
"""

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime

from petition.core import metrics
from petition.core.backoff import Backoff
from petition.core.database import Connection, Database, Record
from petition.core.encryption import Wrapper
from petition.core.errors import Gone, NotFound, Unavailable
from petition.core.ids import LetterId
from petition.letters import addressee_queries, count_step_queries, employer_queries, queries, switch_queries
from petition.letters.keys import keys_of
from petition.letters.model import Counts, Letter, State
from petition.letters.switches import NOTHING, InstallationNotices, Setting, Switches

log = logging.getLogger(__name__)

INTERVAL = 0.5  # seconds between two looks at the database
MAX_INTERVAL = 10.0  # while they fail for another reason than an outage
SPACING = 0.05  # seconds at least between two polls for the sake of unknown addresses
MAX_SLUG = 64
MAX_LETTERS = 500  # letters whose text is held at once
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


@dataclass(frozen=True, slots=True)
class _LetterStatus:
    id: LetterId
    revision: int
    purges: int
    state: State
    counts: Counts
    counted_at: datetime
    switches: Switches
    is_stepped: bool = False


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
        self._statuses: dict[str, _LetterStatus] = {}
        self._slugs: dict[LetterId, str] = {}
        self._letters: dict[str, Letter] = {}
        self._taken_down: Mapping[LetterId, str] = {}
        self._listeners: list[Callable[[str], None]] = []
        self._taken_down_listeners: list[Callable[[str], None]] = []
        self._hidden_listeners: list[Callable[[str], None]] = []
        self._poll_lock = asyncio.Lock()
        self._next_poll: asyncio.Task[None] | None = None
        self._last_poll_at = float("-inf")
        self._day: date | None = None  # of the last poll
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
        if slug not in self._statuses and len(slug) <= MAX_SLUG and slug not in self._taken_down.values():
            await self.refresh_now()
        status = self._statuses.get(slug)
        if status is None:
            raise Gone("the letter was taken down") if slug in self._taken_down.values() else NotFound("no such letter")
        letter = self._letters.get(slug)
        if letter is None or letter.id != status.id or letter.revision < status.revision:
            letter = await self._reload(slug, status, letter)
        if letter.state is not status.state or letter.switches != status.switches:
            letter = replace(letter, state=status.state, switches=status.switches)
        return PublishedLetter(letter, status.counts, status.counted_at, status.is_stepped)

    def counts(self, slug: str) -> tuple[Counts, datetime] | None:
        """Return a published letter's count and when it was taken, or None if no such letter is in memory."""
        status = self._statuses.get(slug)
        return None if status is None else (status.counts, status.counted_at)

    async def by_id(self, letter_id: LetterId) -> PublishedLetter:
        """Return the published letter with this id. Raises ``NotFound``, ``Gone`` or ``Unavailable``."""
        if letter_id not in self._slugs and letter_id not in self._taken_down:
            await self.refresh_now()
        if letter_id in self._taken_down:
            raise Gone("the letter was taken down")
        if letter_id not in self._slugs:
            raise NotFound("there is no such letter")
        return await self.get(self._slugs[letter_id])

    async def index(self, limit: int = INDEX_LENGTH) -> list[PublishedLetter]:
        """Return the open letters, newest first."""
        return await self._in_states({State.OPEN}, limit)

    async def closed(self, limit: int = INDEX_LENGTH) -> list[PublishedLetter]:
        """Return the letters that take no more signatures, newest first."""
        return await self._in_states({State.CLOSED, State.ARCHIVED}, limit)

    async def _in_states(self, states: Collection[State], limit: int) -> list[PublishedLetter]:
        slugs = [slug for slug, status in self._statuses.items() if status.state in states]
        return [await self.get(slug) for slug in slugs[:limit]]

    def note_figures(self) -> None:
        """Set the figures of all letters together."""
        metrics.LETTERS.clear()
        for state, number in Counter(status.state for status in self._statuses.values()).items():
            metrics.LETTERS.set(number, state.value)
        metrics.COUNTED.set(sum(status.counts.people for status in self._statuses.values()), "person")
        metrics.COUNTED.set(sum(status.counts.organizations for status in self._statuses.values()), "organization")

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
            async with self._database.connection() as conn:
                rows = await queries.load_statuses(conn)
                gone = await queries.taken_down(conn)
                settings = await switch_queries.switched_on(conn)
            if any(row["is_step_due"] for row in rows):
                rows = await self._advance_steps(rows)
            self._apply(rows, gone, settings)

    async def _advance_steps(self, rows: list[Record]) -> list[Record]:
        """Return the statuses after the steps that are due; ``rows`` while the database refuses writes."""
        with contextlib.suppress(Unavailable):
            async with self._database.transaction() as conn:
                await count_step_queries.advance(conn)
                return await queries.load_statuses(conn)
        return rows

    async def refresh_now(self) -> None:
        """Wait for a poll that began after this call, shared by all callers meanwhile. Raises ``Unavailable``.

        A letter published a moment ago by another process must not be a 404; and however many wild addresses are asked
        for, they cost ``1 / SPACING`` looks a second at most, and each of them waits for two looks at most.
        """
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

    def _apply(
        self, rows: list[Record], gone: Mapping[LetterId, str], settings: list[tuple[int | None, Setting]]
    ) -> None:
        if not self.is_database_up:
            log.info("database available again")
        self.is_database_up = True
        metrics.DATABASE_UP.set(1)
        general = [setting for letter, setting in settings if letter is None]
        self._update_notices(Switches.of(general))
        switches = (
            {
                row["id"]: Switches.of(general, [setting for letter, setting in settings if letter == row["id"]])
                for row in rows
            }
            if settings
            else {}
        )
        before, self._statuses = (
            self._statuses,
            {row["slug"]: _status_in(row, switches.get(row["id"], NOTHING)) for row in rows},
        )
        self._slugs = {status.id: slug for slug, status in self._statuses.items()}
        is_new_day = self._begin_day(rows)
        for slug in before.keys() | self._statuses.keys():
            if is_new_day or _has_changed(before.get(slug), self._statuses.get(slug)):
                self._notify(slug)
            if _hides_names(before.get(slug), self._statuses.get(slug)):
                for listener in self._hidden_listeners:
                    listener(slug)
        self._drop_taken_down(gone)

    def _begin_day(self, rows: list[Record]) -> bool:
        """Return whether the database's day (UTC) has changed: pages say for how many days addressees are silent."""
        before = self._day
        self._day = rows[0]["polled_at"].astimezone(UTC).date() if rows else before
        return before is not None and self._day != before

    def _update_notices(self, general: Switches) -> None:
        """Store what holds for the installation, and invalidate the pages without a letter."""
        now = general.banners, general.read_only
        if now != (self._notices.banners, self._notices.read_only):
            self._notices.banners, self._notices.read_only = now
            for listener in self._listeners:
                listener("")

    def _drop_taken_down(self, gone: Mapping[LetterId, str]) -> None:
        """Forget what is in memory of letters that have been taken down since."""
        new, self._taken_down = gone.keys() - self._taken_down.keys(), gone
        for letter in new:
            self._letters.pop(gone[letter], None)
            for kind in ("person", "organization"):
                metrics.SIGNATURES.remove(gone[letter], kind)
            for listener in self._taken_down_listeners:
                listener(gone[letter])

    def _notify(self, slug: str) -> None:
        status = self._statuses.get(slug)
        if status is not None:
            metrics.SIGNATURES.set(status.counts.people, slug, "person")
            metrics.SIGNATURES.set(status.counts.organizations, slug, "organization")
        for listener in self._listeners:
            listener(slug)

    async def _reload(self, slug: str, status: _LetterStatus, old: Letter | None) -> Letter:
        try:
            async with self._database.connection() as conn:
                letter = await read(conn, self._wrapper, status.id)
        except Unavailable:
            if old is not None and old.id == status.id:
                return old
            raise
        if len(self._letters) >= MAX_LETTERS:
            self._letters.pop(next(iter(self._letters)))
        self._letters[slug] = letter
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


def _ignore_result(look: asyncio.Task[None]) -> None:
    """Retrieve the exception, or asyncio logs "never retrieved"."""
    if not look.cancelled():
        look.exception()


def _status_in(row: Record, switches: Switches) -> _LetterStatus:
    counts = queries.counts_in(row)
    return _LetterStatus(
        id=row["id"],
        revision=row["revision"],
        purges=row["purges"],
        state=State(row["state"]),
        counts=counts.with_all_hidden() if switches.list_hidden or row["seals_names"] else counts,
        counted_at=row["counted_at"],
        switches=switches,
        is_stepped=row["is_stepped"],
    )


def _has_changed(before: _LetterStatus | None, now: _LetterStatus | None) -> bool:
    if before is None or now is None:
        return True
    # Each step is a change: its time is shown, and the day may be another one.
    same = before if now.is_stepped else replace(before, counted_at=now.counted_at)
    return same != now


def _hides_names(before: _LetterStatus | None, now: _LetterStatus | None) -> bool:
    """Return whether a name or a text that cached pages may show was taken back.

    The acts that take something back say so (``purges``); the counts cannot, as one name may come while another goes.
    """
    if now is None or before is None:
        return now is not None and now.switches.list_hidden
    is_hidden = now.switches.list_hidden and not before.switches.list_hidden
    return is_hidden or now.purges != before.purges or now.id != before.id
