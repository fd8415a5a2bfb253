"""Arrays as PostgreSQL writes them, for statements that take large batches (``$1::text::bytea[]``).

The driver looks at each element of an array in Python, which took a quarter of the time of storing a batch; a text it
passes on as it is.
"""

from collections.abc import Iterable
from datetime import datetime


def of_bytes(values: Iterable[bytes | None]) -> str:
    return "{" + ",".join(["NULL" if value is None else f'"\\\\x{value.hex()}"' for value in values]) + "}"


def of_integers(values: Iterable[int]) -> str:
    return "{" + ",".join(map(str, values)) + "}"


def of_times(values: Iterable[datetime]) -> str:
    """Return times with a zone; in a batch most are the same."""
    texts: dict[datetime, str] = {}
    return "{" + ",".join([texts.get(value) or texts.setdefault(value, value.isoformat()) for value in values]) + "}"


def of_words(values: Iterable[str]) -> str:
    """Return words that need no quotes: letters of ASCII, digits, hyphens and underscores. Raises ``ValueError``."""
    words = list(values)
    if any(not word.replace("-", "").replace("_", "").isalnum() for word in set(words)):
        raise ValueError("these are no plain words")
    return "{" + ",".join(words) + "}"
