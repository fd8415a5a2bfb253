"""What a view of the desk is handed: the organizer, the session, the letter and the role in it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from petition.organizers.model import DeskLetter, Organizer, Role, Session

ROOT = "/organizer/"


class Access(StrEnum):
    """What a route asks of whoever comes. The last but one are roles in the letter of the address."""

    STRANGER = "stranger"  # nothing
    SIGNED_IN = "entered"  # a session; only pages that set a second factor up, or ask for it
    ORGANIZER = "organizer"  # a session whose second factor has been shown, as for all that follow
    VIEWER = "viewer"
    MODERATOR = "moderator"
    EDITOR = "editor"
    OWNER = "owner"
    ADMIN = "admin"  # of the installation

    @property
    def role(self) -> Role | None:
        """The role in the letter, if this is one."""
        return Role(self.value) if self.value in set(Role) else None


@dataclass(frozen=True, slots=True)
class DeskVisit:
    """Who stands at the desk, and before which letter."""

    organizer: Organizer
    session: Session
    lang: str
    letter: DeskLetter | None = None
    role: Role | None = None

    @property
    def this(self) -> DeskLetter:
        """The letter in the address. Raises ``LookupError`` where the address has none."""
        if self.letter is None:
            raise LookupError("this address has no letter")
        return self.letter

    def looking_at(self, switched: Iterable[str]) -> "DeskVisit":
        """Return the same before the letter with these switches on, which may have been changed in this request."""
        letter = None if self.letter is None else replace(self.letter, switched=tuple(switched))
        return replace(self, letter=letter)

    def where_now(self, state: str, *, has_digest_key: bool) -> "DeskVisit":
        """Return the same before a letter that has moved in this request."""
        return replace(self, letter=replace(self.this, state=state, has_digest_key=has_digest_key))

    def may(self, role: str) -> bool:
        """Tell whether the organizer's role in this letter covers ``role``."""
        return self.role is not None and self.role.covers(Role(role))
