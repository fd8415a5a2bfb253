"""How fast mail may go: at most so many mails in any minute, with a reserve that mail in bulk leaves alone."""

import time

BURST = 0.1  # of a minute's mails may go at once


class MailRate:
    """A bucket of tokens, one per mail, that allows ``per_minute`` mails in any minute."""

    def __init__(self, per_minute: float) -> None:
        self._at = time.monotonic()
        self._per_second, self._burst = _shape(per_minute)
        self._tokens = self._burst
        self._booked_until = 0.0

    def change(self, per_minute: float) -> None:
        """Change the limit from now on."""
        self._fill()
        self._per_second, self._burst = _shape(per_minute)
        self._tokens = min(self._tokens, self._burst)

    def wait(self, *, bulk: bool) -> float:
        """Return in how many seconds a mail may go, 0 for now. Mail in bulk leaves half of the burst to the others."""
        self._fill()
        missing = (1 + (self._burst - 1) / 2 if bulk else 1) - self._tokens
        return max(0.0, missing) / self._per_second

    def take(self) -> None:
        """Note a mail that goes now."""
        self._fill()
        self._tokens -= 1

    def book(self) -> float:
        """Return in how many seconds a mail that is put off may come back: each a little later than the one before."""
        now = time.monotonic()
        self._booked_until = max(self._booked_until, now + self.wait(bulk=False)) + 1 / self._per_second
        return self._booked_until - now

    def _fill(self) -> None:
        now = time.monotonic()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._per_second)
        self._at = now


def _shape(per_minute: float) -> tuple[float, float]:
    """Return tokens a second and the size of the bucket: both together never allow more than ``per_minute``."""
    burst = max(1.0, per_minute * BURST)
    return max(per_minute + 1 - burst, per_minute / 2) / 60, burst
