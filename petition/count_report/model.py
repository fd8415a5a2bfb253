"""A letter's count with everything that it rests on, as of one moment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from petition.audits.model import AuditResult, PublishedAudit
from petition.count_log.reading import LogHead
from petition.count_log.witnesses import SeenCosignature
from petition.count_report.removals import Removals
from petition.letters.model import Letter
from petition.letters.published import PublishedLetter
from petition.letters.sources import CountSource, sources_of
from petition.signatures.evidence_kinds import EvidenceKind

MIN_ASKED = 50  # forms; below, no share of those that were confirmed is shown
MIN_REMOVED = 5  # signatures; below, no number of removals is shown
MIN_REMOVED_IF_SENSITIVE = 10


@dataclass(frozen=True, slots=True)
class ConfirmedShare:
    """Of the forms that were sent in before ``until``, a midnight (UTC), how many were confirmed by e-mail."""

    until: datetime
    asked: int
    confirmed: int
    is_rounded: bool  # the share alone may be shown, not the numbers

    @property
    def is_shown(self) -> bool:
        return self.asked >= MIN_ASKED

    @property
    def percent(self) -> int | None:
        """The whole percentage, rounded down; None if there are too few."""
        return min(100, 100 * self.confirmed // self.asked) if self.is_shown else None


@dataclass(frozen=True, slots=True)
class CountReport:
    """What the page "How we count" says of a letter.

    ``evidence`` are organizations by the strongest evidence of each, which add up to the count of organizations; None
    while it is not known for a step of a sensitive letter.
    """

    published: PublishedLetter
    evidence: Mapping[EvidenceKind, int] | None
    removals: Removals
    share: ConfirmedShare
    log: LogHead | None
    witnesses: Sequence[SeenCosignature] = ()  # the newest cosignature of each partner, newest first
    audits: Sequence[PublishedAudit] = ()  # all that were announced, the newest first

    @property
    def audit(self) -> AuditResult | None:
        """Return the result of the last audit by sample that came to its end."""
        return next((audit.result for audit in self.audits if audit.result is not None), None)

    @property
    def letter(self) -> Letter:
        return self.published.letter

    @property
    def sources(self) -> Sequence[CountSource]:
        return sources_of(self.letter, self.published.counts)

    @property
    def waiting(self) -> tuple[int, int]:
        """Return by how many people and organizations the count is ahead of the log; less than 0 if some left."""
        counts, log = self.published.counts, self.log
        if log is None:
            return counts.people, counts.organizations
        return counts.people - log.people, counts.organizations - log.organizations


def evidence_in(row: Mapping[str, int], organizations: int) -> Mapping[EvidenceKind, int] | None:
    """Return the numbers by kind, also those that are 0; None if they do not belong to this count."""
    numbers = {kind: row.get(kind.value, 0) for kind in EvidenceKind}
    return numbers if sum(numbers.values()) == organizations else None
