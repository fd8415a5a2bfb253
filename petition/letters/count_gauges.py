"""The counts of letters as metrics: of those whose count moved last, so that the page of metrics stays small."""

import contextlib

from petition.core import metrics
from petition.letters.model import Counts

MAX_GAUGES = 100
KINDS = ("person", "organization")


class CountGauges:
    """Which letters have a gauge, the one that moved last at the end."""

    def __init__(self, max_letters: int = MAX_GAUGES) -> None:
        self._slugs: dict[str, None] = {}
        self._max_letters = max_letters

    def show(self, slug: str, counts: Counts) -> None:
        """Show a letter's count, in place of another letter's if there are too many."""
        self._slugs.pop(slug, None)
        self._slugs[slug] = None
        for kind, number in zip(KINDS, (counts.people, counts.organizations), strict=True):
            metrics.SIGNATURES.labels(slug, kind).set(number)
        if len(self._slugs) > self._max_letters:
            self.drop(next(iter(self._slugs)))

    def drop(self, slug: str) -> None:
        """Show a letter's count no longer."""
        if self._slugs.pop(slug, self) is self:
            return
        for kind in KINDS:
            with contextlib.suppress(KeyError):
                metrics.SIGNATURES.remove(slug, kind)
