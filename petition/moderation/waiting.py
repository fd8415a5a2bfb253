"""What waits for a moderator on a letter: how many signatures for each reason, and the first of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from petition.core.database import Connection
from petition.core.encryption import LetterKeys
from petition.core.ids import LetterId
from petition.moderation import queue, queue_queries
from petition.moderation.model import Filter, QueueItem, Wait

FIRST = 3  # rows of each reason


@dataclass(frozen=True, slots=True)
class Waiting:
    """Numbers by reason, ``queue_queries.MAX_COUNTED`` + 1 for "more", and the newest rows of each reason."""

    numbers: Mapping[Wait, int]
    items: Mapping[Wait, Sequence[QueueItem]]

    @property
    def total(self) -> int:
        """The number of signatures that wait; one with an answer waits for another reason, too."""
        return _total(self.numbers)


def _total(numbers: Mapping[Wait, int]) -> int:
    return sum(number for wait, number in numbers.items() if wait is not Wait.ANSWERED)


async def count(conn: Connection, letter_id: LetterId) -> int:
    """Return ``Waiting.total`` without its rows."""
    return _total(await queue_queries.waiting(conn, letter_id))


async def load(conn: Connection, letter_id: LetterId, keys: LetterKeys, first: int = FIRST) -> Waiting:
    """Return what waits. Reads only the partial indexes of what waits, so it costs the same on a large letter."""
    numbers = await queue_queries.waiting(conn, letter_id)
    items = {}
    for wait in (wait for wait, number in numbers.items() if number):
        rows, _ = await queue_queries.page(conn, letter_id, Filter(wait=wait), queue.NEWEST, first)
        items[wait] = [queue.item_in(row, keys) for row in rows]
    return Waiting(numbers, items)
