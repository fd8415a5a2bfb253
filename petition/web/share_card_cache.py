"""The pictures of one process: drawn one at a time beside the event loop, kept as long as they show the same."""

import asyncio
import hashlib
from collections import OrderedDict
from dataclasses import dataclass

from petition.core.errors import Unavailable
from petition.web.share_card import Card, draw
from petition.web.throttle import ConcurrencyLimit

MAX_BYTES = 16 * 1024 * 1024  # of kept pictures; the one asked for least lately goes first
WAITING = 16  # letters whose picture waits to be drawn; the next one is asked to come again
PATIENCE = 10.0  # seconds


@dataclass(frozen=True, slots=True)
class CardPicture:
    """A drawn card."""

    card: Card
    png: bytes
    etag: str


class CardCache:
    """Gives a card's picture. The last one of a letter stands in while too many others wait to be drawn."""

    def __init__(self, most_bytes: int = MAX_BYTES) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._kept: OrderedDict[str, CardPicture] = OrderedDict()
        self._lane = ConcurrencyLimit(at_once=1, waiting=WAITING, patience=PATIENCE)

    async def picture(self, key: str, card: Card) -> CardPicture:
        """Return the picture of ``card``, kept under ``key`` (lang/slug). Raises ``Unavailable`` if too many wait."""
        if (known := self._known(key, card)) is not None:
            return known
        try:
            async with self._lane.slot():
                # Whoever waited before has perhaps had the same one drawn.
                return self._known(key, card) or self._remember(key, card, await asyncio.to_thread(draw, card))
        except Unavailable:
            if key in self._kept:
                return self._kept[key]
            raise

    def forget(self, slug: str) -> None:
        """Keep nothing of a letter that was taken down."""
        for key in [each for each in self._kept if each.partition("/")[2] == slug]:
            self._bytes -= len(self._kept.pop(key).png)

    def _known(self, key: str, card: Card) -> CardPicture | None:
        picture = self._kept.get(key)
        if picture is None or picture.card != card:
            return None
        self._kept.move_to_end(key)
        return picture

    def _remember(self, key: str, card: Card, png: bytes) -> CardPicture:
        picture = CardPicture(card, png, f'"{hashlib.sha256(png).hexdigest()[:20]}"')
        if (before := self._kept.pop(key, None)) is not None:
            self._bytes -= len(before.png)
        self._kept[key] = picture
        self._bytes += len(png)
        while self._bytes > self._most_bytes and len(self._kept) > 1:
            self._bytes -= len(self._kept.popitem(last=False)[1].png)
        return picture
