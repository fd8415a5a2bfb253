"""Organizers, their roles and sessions, and a letter as the desk knows it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from petition.core.errors import Refused
from petition.core.i18n import N_
from petition.core.ids import LetterId, OrganizerId, SessionId
from petition.core.text_cleaning import clean, has_direction_mark, has_hidden


class Role(StrEnum):
    """What a member may do with one letter; each role may do what those before it may, but the auditor's part."""

    AUDITOR = "auditor"  # audits, and nothing else; no other role may do these acts
    VIEWER = "viewer"  # statistics
    MODERATOR = "moderator"  # signatures
    EDITOR = "editor"  # text, publishing, updates
    OWNER = "owner"  # everything, members too

    def covers(self, needed: "Role") -> bool:
        """Return whether this role may do what ``needed`` may."""
        if Role.AUDITOR in (self, needed):
            return self is needed
        ranks = list(Role)
        return ranks.index(self) >= ranks.index(needed)


@dataclass(frozen=True, slots=True)
class Organizer:
    """An account at the desk."""

    id: OrganizerId
    name: str  # as colleagues see it; "" until it is set
    lang: str
    admin: bool  # of the installation
    zone: str = ""  # IANA's name, such as "Europe/Berlin"; "" is UTC
    waiting_mail: str = "daily"  # as in ``waiting_mail.WaitingMail``

    @property
    def called(self) -> str:
        """The name, or a number until there is one."""
        return self.name or f"#{self.id}"


@dataclass(frozen=True, slots=True)
class Session:
    """One browser in which an organizer has entered."""

    id: SessionId  # names the row; opens nothing
    browser: str  # "Firefox, Linux"
    created_at: datetime
    seen_at: datetime
    proved_at: datetime | None  # when the second factor was last proved; None: not yet
    fresh: bool  # was that so short ago that the second factor itself may be changed?
    has_factor: bool  # does the organizer have a second factor at all?
    renew: bool  # have the organizer's rights changed since its cookie was created?


@dataclass(frozen=True, slots=True, kw_only=True)
class TitledLetter:
    """A letter as it is named at the desk, drafts too."""

    slug: str
    state: str  # draft, open, closed, archived; by the database's clock
    titles: Mapping[str, str]  # language → title of the text being written

    def title(self, lang: str) -> str:
        """Return the title in ``lang``, else in the first language that has one, else the short name."""
        return self.titles.get(lang) or next(filter(None, self.titles.values()), self.slug)

    def title_lang(self, lang: str) -> str:
        """Return the language in which ``title(lang)`` is written."""
        return lang if self.titles.get(lang) else next((code for code, title in self.titles.items() if title), lang)


@dataclass(frozen=True, slots=True, kw_only=True)
class MenuLetter(TitledLetter):
    """A letter in the menu above every page."""

    waiting: int  # signatures that wait for a moderator; capped, and 0 for roles that cannot decide


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskLetter(TitledLetter):
    """A letter as the desk knows it."""

    id: LetterId
    revision: int
    version: int | None  # the published one
    goal: int | None
    created_at: datetime
    opened_at: datetime | None
    closes_at: datetime | None
    closed_at: datetime | None
    has_digest_key: bool  # while it has, it can be opened again
    switched: tuple[str, ...] = ()  # kill switches that are on; the installation's begin with "all:"
    next_goals: tuple[int, ...] = ()


MAX_NAME = 80
BAD_NAME = N_("Enter a name of up to 80 characters.")


def checked_name(typed: str) -> str:
    """Return a name fit to be displayed to colleagues. Raises ``Refused``."""
    called = clean(typed)
    if not 1 <= len(called) <= MAX_NAME or has_hidden(called) or has_direction_mark(called):
        raise Refused(BAD_NAME, "name")
    return called
