"""How every published letter stands, in memory: what is polled, in some hundred bytes a letter."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from petition.core.database import Record
from petition.core.ids import LetterId
from petition.letters import queries
from petition.letters.model import Counts, State
from petition.letters.status_queries import Look, settings_in
from petition.letters.switches import NOTHING, Setting, Switches


@dataclass(frozen=True, slots=True)
class LetterStatus:
    """How a letter stands, apart from what holds for the whole installation."""

    id: LetterId
    slug: str
    revision: int
    purges: int
    state: State
    opened_at: datetime | None
    own_counts: Counts
    stepped_at: datetime | None  # of a small sensitive letter, whose count moves with the next step
    own_switches: tuple[Setting, ...]
    seals_names: bool

    @property
    def hides_list(self) -> bool:
        return Switches.of((), self.own_switches).list_hidden

    @classmethod
    def of(cls, row: Record) -> "LetterStatus":
        """Return what a row of ``status_queries`` says."""
        return cls(
            id=row["id"],
            slug=row["slug"],
            revision=row["revision"],
            purges=row["purges"],
            state=State(row["state"]),
            opened_at=row["opened_at"],
            own_counts=queries.counts_in(row),
            stepped_at=row["counted_at"],
            own_switches=settings_in(row["switches"]),
            seals_names=row["seals_names"],
        )


@dataclass(slots=True)
class Changes:
    """Short names of letters by what became of them."""

    moved: set[str] = field(default_factory=set)
    names_hidden: set[str] = field(default_factory=set)
    taken_down: set[str] = field(default_factory=set)


class Statuses:
    """The statuses of all published letters, and the short names of those that were taken down."""

    def __init__(self) -> None:
        self._by_slug: dict[str, LetterStatus] = {}
        self._slugs: dict[LetterId, str] = {}
        self._gone: dict[str, LetterId] = {}
        self._ordered: dict[bool, list[str]] | None = None  # is it open? → short names, newest first
        self.look = Look()
        self.installation = NOTHING

    @property
    def polled_at(self) -> datetime | None:
        """When all of it was so, by the database's clock; None before the first look."""
        return self.look.at

    @property
    def day(self) -> date | None:
        """The day (UTC) of the last look."""
        return None if self.look.at is None else self.look.at.astimezone(UTC).date()

    def get(self, slug: str) -> LetterStatus | None:
        return self._by_slug.get(slug)

    def slug_of(self, letter_id: LetterId) -> str | None:
        """Return the short name of a letter, also of one that was taken down."""
        return self._slugs.get(letter_id)

    def is_gone(self, slug: str) -> bool:
        return slug in self._gone

    def switches(self, status: LetterStatus) -> Switches:
        """Return all that is switched on for a letter."""
        return Switches.of(self.look.switches, status.own_switches) if status.own_switches else self.installation

    def counts(self, status: LetterStatus) -> Counts:
        """Return the count as readers may know it."""
        is_nameless = status.seals_names or self.switches(status).list_hidden
        return status.own_counts.with_all_hidden() if is_nameless else status.own_counts

    def in_order(self, *, are_open: bool) -> Sequence[str]:
        """Return the short names of the letters that are open, or are not any more, newest first."""
        if self._ordered is None:
            self._ordered = {True: [], False: []}
            for status in sorted(self._by_slug.values(), key=_age, reverse=True):
                self._ordered[status.state is State.OPEN].append(status.slug)
        return self._ordered[are_open]

    def figures(self) -> tuple[Mapping[State, int], int, int]:
        """Return how many letters there are in each state, and the people and organizations that they count."""
        numbers: Counter[State] = Counter()
        people = organizations = 0
        for status in self._by_slug.values():
            numbers[status.state] += 1
            people += status.own_counts.people
            organizations += status.own_counts.organizations
        return numbers, people, organizations

    def replace(self, look: Look, statuses: Iterable[LetterStatus]) -> Changes:
        """Take in how all letters stand; return what has changed."""
        letter_ids = {*self._slugs}
        known = {status.id: status for status in statuses}
        return self._take(look, letter_ids | known.keys(), known)

    def update(self, look: Look, statuses: Iterable[LetterStatus]) -> Changes:
        """Take in how the letters stand that ``look`` names; return what has changed."""
        return self._take(look, look.moved, {status.id: status for status in statuses})

    def _take(self, look: Look, letter_ids: Iterable[LetterId], now: dict[LetterId, LetterStatus]) -> Changes:
        changes, day, before = Changes(), self.day, self.installation
        self.look, self.installation = look, Switches.of(look.switches) if look.switches else NOTHING
        for letter_id in letter_ids:
            self._put(letter_id, now.get(letter_id), changes)
        if self.installation != before or (day is not None and self.day != day):
            changes.moved.update(self._by_slug)
        if self.installation.list_hidden and not before.list_hidden:
            changes.names_hidden.update(self._by_slug)
        return changes

    def _put(self, letter_id: LetterId, now: LetterStatus | None, changes: Changes) -> None:
        slug = self._slugs.get(letter_id)
        before = None if slug is None else self._by_slug.get(slug)
        if before is not None and now == before:
            return
        self._ordered = None if _moves(before, now) else self._ordered
        if before is not None:
            del self._by_slug[before.slug]
            changes.moved.add(before.slug)
        if now is None:
            self._slugs.pop(letter_id, None)
            return
        is_new, self._slugs[letter_id] = now.slug not in self._gone, now.slug
        if now.state is State.GONE:
            self._gone[now.slug] = letter_id
            changes.taken_down.update([now.slug] if is_new else [])
            return
        self._by_slug[now.slug] = now
        changes.moved.add(now.slug)
        if self._takes_back(before, now):
            changes.names_hidden.add(now.slug)

    def _takes_back(self, before: LetterStatus | None, now: LetterStatus) -> bool:
        """Return whether a name or a text that cached pages may show was taken back.

        The acts that take something back say so (``purges``); the counts cannot, as one name may come while another
        goes.
        """
        if before is None:
            return self.switches(now).list_hidden
        is_hidden = now.hides_list and not before.hides_list
        return is_hidden or now.purges != before.purges or now.slug != before.slug


def _age(status: LetterStatus) -> tuple[float, int]:
    # PostgreSQL's order, for which a letter without a time is the newest.
    return (float("inf") if status.opened_at is None else status.opened_at.timestamp()), status.id


def _moves(before: LetterStatus | None, now: LetterStatus | None) -> bool:
    """Return whether the order of letters is another one."""
    if before is None or now is None:
        return True
    return (before.slug, before.state, before.opened_at) != (now.slug, now.state, now.opened_at)
