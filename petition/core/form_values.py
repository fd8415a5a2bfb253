"""Numbers and ids out of addresses and forms."""

from collections.abc import Callable
from typing import TypeVar

MAX_INTEGER = 2**31 - 1  # of PostgreSQL's types
MAX_BIGINT = 2**63 - 1

Id = TypeVar("Id", bound=int)


def id_of(text: str, kind: Callable[[int], Id], max_id: int = MAX_BIGINT) -> Id | None:
    """Return the id of that ``kind`` in an address or a field, or None unless ``text`` is in 1…``max_id``."""
    number = number_of(text)
    return kind(number) if number is not None and 0 < number <= max_id else None


def number_of(text: str) -> int | None:
    """Return the number in an address or a field, or None if ``text`` is no non-negative bigint."""
    if not (text.isascii() and text.isdecimal() and len(text) < 20):
        return None
    number = int(text)
    return number if number <= MAX_BIGINT else None
