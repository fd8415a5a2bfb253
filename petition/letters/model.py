"""Letters as readers know them: states, parties, texts, versions."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import StrEnum

from petition.core.encryption import LetterKeys
from petition.core.errors import PetitionError
from petition.core.i18n import Texts
from petition.core.ids import LetterId, PictureId
from petition.letters.addressees import Addressee
from petition.letters.parties import Employer, Party
from petition.letters.switches import NOTHING, Switches


class SlugTaken(PetitionError):
    """Another letter has this short name."""


class State(StrEnum):
    """Where a letter stands. Only an open one takes signatures."""

    DRAFT = "draft"
    OPEN = "open"
    CLOSED = "closed"
    ARCHIVED = "archived"
    GONE = "gone"  # taken down: only the short name is left


@dataclass(frozen=True, slots=True)
class Text:
    """A letter's text in one language: title, Markdown as written, HTML sanitized when it was saved."""

    title: str
    markdown: str
    html: str


@dataclass(frozen=True, slots=True)
class Sharing:
    """What is passed on with a letter's address in one language."""

    text: str = ""  # "" where nothing was written: the title does then
    picture_id: PictureId | None = None
    alt: str = ""  # what the picture shows

    def __bool__(self) -> bool:
        """Return whether anything stands here."""
        return self != Sharing()


def goal_at(goal: int | None, next_goals: Sequence[int], total: int) -> int | None:
    """Return the goal that is shown when ``total`` have signed: the first not reached yet, or the last there is.

    ``next_goals`` rise. It is not stored: the count alone decides it.
    """
    if goal is None:
        return None
    goals = (goal, *next_goals)
    return next((step for step in goals if step > total), goals[-1])


def digest_of(texts: Mapping[str, tuple[str, str]]) -> str:
    """Return the SHA-256 (64 hexadecimal digits) over all languages, each a (title, Markdown).

    The digest is of the compact JSON of ``[[lang, title, markdown], …]`` sorted by language, in UTF-8, so that anyone
    can recompute it.
    """
    rows = [[lang, title, markdown] for lang, (title, markdown) in sorted(texts.items())]
    return hashlib.sha256(json.dumps(rows, ensure_ascii=False, separators=(",", ":")).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Version:
    """One published state of the text, in all its languages."""

    number: int
    digest: str
    published_at: datetime
    texts: Mapping[str, Text]
    note: Mapping[str, str]
    signed_before: int


@dataclass(frozen=True, slots=True)
class Tally:
    """People who signed elsewhere, counted on a day; ``source`` names the counters, per language."""

    people: int
    counted_on: date
    source: Mapping[str, str]

    def lang(self, lang: str) -> str:
        """Return the language of ``source`` that a reader of ``lang`` is shown: that one, or the first there is."""
        return lang if lang in self.source else next(iter(self.source))


@dataclass(frozen=True, slots=True)
class PackageDigest:
    """What readers know of the newest package that is handed to addressees: its SHA-256 (64 hexadecimal digits)."""

    made_at: datetime
    total: int  # signatures it counts
    sha256: str


@dataclass(frozen=True, slots=True)
class Letter:
    """A published letter with its current version and unwrapped keys: what the web keeps in memory."""

    id: LetterId
    slug: str
    state: State  # by the database's clock: an open letter past its closing time is closed here
    goal: int | None
    opened_at: datetime | None
    closes_at: datetime | None
    closed_at: datetime | None
    names_in_search: bool
    rules_version: int
    revision: int
    initiators: tuple[Party, ...]
    addressees: tuple[Addressee, ...]
    version: Version
    keys: LetterKeys
    tallies: tuple[Tally, ...] = ()
    switches: Switches = NOTHING
    next_goals: tuple[int, ...] = ()
    sharing: Mapping[str, Sharing] = field(default_factory=dict)
    partners: Mapping[str, int] = field(default_factory=dict)  # name in addresses → id, those in use
    listed_since: date | None = None  # the first date of signing in imported files
    package: PackageDigest | None = None
    sensitive: bool = False
    publish_at_number: int | None = None  # confirmed signatures, or a time, from which on names are shown
    publish_at_date: datetime | None = None
    names_published_at: datetime | None = None  # since when they are
    names_until: date | None = None  # on that day (UTC) names are deleted
    names_days: int | None = None  # … or so many days after the first delivery, whichever comes first
    names_ended_at: datetime | None = None
    employers: tuple[Employer, ...] = ()  # also those no longer offered

    @property
    def goals(self) -> tuple[int, ...]:
        """Return the goal and those it rises to."""
        return () if self.goal is None else (self.goal, *self.next_goals)

    def goal_at(self, total: int) -> int | None:
        """Return the goal that is shown when ``total`` have signed."""
        return goal_at(self.goal, self.next_goals, total)

    def shared(self, lang: str) -> Sharing:
        """Return what a reader of ``lang`` passes on, in the language of the text that is shown."""
        return self.sharing.get(self.shown_in(lang)) or Sharing()

    @property
    def is_open(self) -> bool:
        """Return whether it takes signatures, as far as its state goes."""
        return self.state is State.OPEN

    @property
    def pause(self) -> Texts | None:
        """Return why an open letter cannot be signed at the moment; None if it can."""
        return self.switches.pause if self.is_open else None

    @property
    def takes_signatures(self) -> bool:
        """Return whether it can be signed at this moment."""
        return self.is_open and self.switches.pause is None

    @property
    def conceals_names(self) -> bool:
        """Return whether no name of a signatory may be shown to readers at this moment."""
        return self.switches.list_hidden or self.seals_names

    @property
    def seals_names(self) -> bool:
        """Return whether names are sealed, and shown to no one, until there are enough of them or a date has come."""
        is_asked = self.publish_at_number is not None or self.publish_at_date is not None
        return is_asked and self.names_published_at is None

    @property
    def offered_employers(self) -> tuple[Employer, ...]:
        """Return whose employees may sign without their names, by a mailbox there."""
        return tuple(employer for employer in self.employers if employer.is_offered)

    def employer(self, employer_id: int | str | None) -> Employer | None:
        """Return the employer with this id, as stored with a signature or a form."""
        return next((employer for employer in self.employers if str(employer.id) == str(employer_id)), None)

    @property
    def takes_mail(self) -> bool:
        """Return whether it may be read and signed by mail, where the installation takes mail."""
        is_allowed = not self.sensitive or self.switches.mail_if_sensitive
        return is_allowed and not self.switches.mail_stopped

    @property
    def languages(self) -> tuple[str, ...]:
        """Return the languages the current version is written in."""
        return tuple(self.version.texts)

    def shown_in(self, lang: str) -> str:
        """Return the language whose text a reader of ``lang`` is shown: that one, or the first there is."""
        return lang if lang in self.version.texts else next(iter(self.version.texts))

    def text(self, lang: str) -> Text:
        return self.version.texts[self.shown_in(lang)]


@dataclass(frozen=True, slots=True)
class Counts:
    """The count of one letter. ``total`` is what the press quotes.

    ``imported`` are those of lists (``listed_…``) and of tallies.
    """

    people: int = 0
    organizations: int = 0
    hidden: int = 0
    imported: int = 0
    listed_people: int = 0
    listed_organizations: int = 0

    @property
    def total(self) -> int:
        """People and organizations together."""
        return self.people + self.organizations

    @property
    def on_paper(self) -> int:
        """People of tallies."""
        return self.imported - self.listed_people - self.listed_organizations

    def with_all_hidden(self) -> "Counts":
        """Return the count while no name is shown at all; those on paper never had one here."""
        return replace(self, hidden=self.total - self.on_paper)

    @property
    def step(self) -> int:
        """The total with its first two digits only (3,471 → 3,400): what is drawn, and so need not move each time."""
        unit: int = 10 ** max(len(str(self.total)) - 2, 0)
        return self.total // unit * unit
