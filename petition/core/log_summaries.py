"""Log lines that many mails would repeat: the first one at once, the others counted and logged once a minute."""

import logging
import time
from collections import Counter
from collections.abc import Mapping

INTERVAL = 60.0  # seconds

clock = time.monotonic
Extras = tuple[tuple[str, object], ...]


class LineBudget:
    """Lets so many lines a second through."""

    def __init__(self, lines: int) -> None:
        self._lines = lines
        self._left = lines
        self._second = -1

    def take(self) -> bool:
        """Return whether a line may be written now."""
        if (second := int(clock())) != self._second:
            self._second, self._left = second, self._lines
        self._left -= 1
        return self._left >= 0


class LogSummary:
    """Warnings with one message. Those with the same extras are one kind, and each kind is logged by itself."""

    def __init__(self, log: logging.Logger, message: str) -> None:
        self._log = log
        self._message = message
        self._counts: Counter[Extras] = Counter()
        self._logged_at: dict[Extras, float] = {}

    def note(self, **extras: object) -> None:
        kind = tuple(extras.items())
        self._counts[kind] += 1
        self._log_if_due(kind)

    def flush(self) -> None:
        """Log the counts of the kinds that were not logged for a minute."""
        for kind in list(self._counts):
            self._log_if_due(kind)

    def _log_if_due(self, kind: Extras) -> None:
        now = time.monotonic()
        if now - self._logged_at.get(kind, float("-inf")) < INTERVAL:
            return
        extras: Mapping[str, object] = dict(kind)
        self._log.warning(self._message, extra={**extras, "count": self._counts.pop(kind)})
        self._logged_at = {old: at for old, at in self._logged_at.items() if now - at < INTERVAL} | {kind: now}
