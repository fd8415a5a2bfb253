"""The keeper's one act: a keyed digest of a value, at a limited rate."""

import hashlib
import hmac
import time
from collections.abc import Sequence

DIGEST_BYTES = 16
FINGERPRINT_BYTES = 8


class SecondKey:
    """The key. Digests and fingerprint are of different domains, so that neither says anything about the other."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self.fingerprint = hmac.digest(key, b"petition keeper fingerprint", hashlib.sha256)[:FINGERPRINT_BYTES]

    def digests(self, values: Sequence[bytes]) -> list[bytes]:
        return [hmac.digest(self._key, b"value:" + value, hashlib.sha256)[:DIGEST_BYTES] for value in values]


class RateLimit:
    """A bucket of one minute's values that fills steadily."""

    def __init__(self, a_minute: int) -> None:
        self._size = self._left = float(a_minute)
        self._at = time.monotonic()

    def take(self, values: int, *, is_bulk: bool = False) -> float:
        """Take ``values`` and return 0; or take nothing, and return after how many seconds there are enough.

        Bulk leaves half of the bucket to the others.
        """
        now = time.monotonic()
        self._left = min(self._size, self._left + (now - self._at) * self._size / 60)
        self._at = now
        left = self._left - self._size / 2 if is_bulk else self._left
        if values <= left:
            self._left -= values
            return 0
        return (values - left) * 60 / self._size
