"""Where the signatures of a letter come from: parts that add up to its count."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

from petition.core.i18n import Texts
from petition.letters.model import Counts, Letter, Tally


class SourceKind(StrEnum):
    """How signatures came into the count."""

    CONFIRMED = "confirmed"  # by the mailed link, here
    LIST = "list"  # from a file
    PAPER = "paper"  # a tally


@dataclass(frozen=True, slots=True)
class CountSource:
    """A part of the count.

    ``on`` is the first date of signing of a list, None if it has none, and the day on which a tally was counted;
    ``source`` says in each language where a tally comes from.
    """

    kind: SourceKind
    people: int
    organizations: int = 0
    on: date | None = None
    source: Texts = field(default_factory=dict)

    @property
    def total(self) -> int:
        return self.people + self.organizations


def sources_of(letter: Letter, counts: Counts, max_tallies: int | None = None) -> list[CountSource]:
    """Return the sources of ``counts``, confirmed signatures first; more than ``max_tallies`` become one.

    The letter's tallies may be a moment newer than the count: where they do not add up to it, one source stands for
    all of them.
    """
    confirmed = CountSource(
        SourceKind.CONFIRMED,
        counts.people - counts.listed_people - counts.on_paper,
        counts.organizations - counts.listed_organizations,
    )
    listed = CountSource(SourceKind.LIST, counts.listed_people, counts.listed_organizations, letter.listed_since)
    tallies = _tallies(letter.tallies, counts.on_paper, max_tallies)
    return [confirmed, *([listed] if listed.total else []), *tallies]


def _tallies(tallies: Sequence[Tally], total: int, limit: int | None) -> list[CountSource]:
    if sum(tally.people for tally in tallies) != total:
        return [CountSource(SourceKind.PAPER, total)] if total else []
    named = tallies if limit is None or len(tallies) <= limit else tallies[: limit - 1]
    others = total - sum(tally.people for tally in named)
    return [
        *(CountSource(SourceKind.PAPER, tally.people, on=tally.counted_on, source=tally.source) for tally in named),
        *([CountSource(SourceKind.PAPER, others)] if others else []),
    ]
