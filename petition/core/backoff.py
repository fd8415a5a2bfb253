"""Pauses that grow while something fails, so that a fault costs neither the processor nor the log."""

MAX_PAUSE = 60.0  # seconds


class Backoff:
    """The pause before the next try: ``base`` seconds, doubled by each failure in a row, ``max_pause`` at most."""

    def __init__(self, base: float, max_pause: float = MAX_PAUSE) -> None:
        self._base = base
        self._max_pause = max(base, max_pause)
        self.failures = 0  # in a row

    @property
    def pause(self) -> float:
        """Seconds to wait before the next try."""
        return min(self._max_pause, self._base * 2.0 ** min(self.failures, 16))

    def failed(self) -> float:
        """Count a failure; return the pause after it."""
        self.failures += 1
        return self.pause

    def worked(self) -> int:
        """Begin anew; return how many failures there were."""
        failures, self.failures = self.failures, 0
        return failures
