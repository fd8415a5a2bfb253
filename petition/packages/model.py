"""What a package holds: all of it is public, and as of one moment."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from petition.letters.model import Counts, Letter
from petition.letters.sources import CountSource

MAX_PEOPLE = 1000  # named in the document; the file of names has all


@dataclass(frozen=True, slots=True)
class PackagedNames:
    """The names in a document, and whose they are, in the same order."""

    people: Sequence[str] = field(repr=False)
    organizations: Sequence[str] = field(repr=False)
    person_ids: Sequence[int] = ()
    organization_ids: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class PackageFacts:
    """A letter, its count and its names, read at one moment."""

    letter: Letter
    counts: Counts
    sources: Sequence[CountSource]
    public_people: int
    names: PackagedNames
    made_at: datetime


@dataclass(frozen=True, slots=True)
class Package:
    """A package that was made; ``has_content`` is False once its document is deleted."""

    id: int
    made_at: datetime
    people: int
    organizations: int
    sha256: str  # 64 hexadecimal digits
    has_content: bool

    @property
    def total(self) -> int:
        return self.people + self.organizations
