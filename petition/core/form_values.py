"""Numbers and ids out of addresses and forms."""

from collections.abc import Callable
from typing import TypeVar

MAX_BIGINT = 2**63 - 1

Id = TypeVar("Id", bound=int)


def id_of(text: str, kind: Callable[[int], Id]) -> Id | None:
    """Return the id of that ``kind`` in an address or a field, or None if ``text`` is no positive bigint."""
    if not (text.isascii() and text.isdecimal() and len(text) < 20):
        return None
    number = int(text)
    return kind(number) if 0 < number <= MAX_BIGINT else None
