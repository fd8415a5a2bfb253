"""The share cards of one process: drawn one at a time in a thread, cached until their words change."""

import asyncio
import hashlib
from collections import OrderedDict
from dataclasses import dataclass

from petition.core.errors import Unavailable
from petition.pictures.share_card import Card, draw
from petition.web.turns import ConcurrencyLimit

MAX_BYTES = 16 * 1024 * 1024  # of cached pictures; the least recently used is evicted first
MAX_WAITING = 16  # letters whose picture waits to be drawn
WAIT_TIMEOUT = 10.0  # seconds


@dataclass(frozen=True, slots=True)
class CardPicture:
    card: Card
    png: bytes
    etag: str


class CardCache:
    """The newest picture of each letter; an outdated one is served while too many others wait to be drawn."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._pictures: OrderedDict[str, CardPicture] = OrderedDict()
        self._drawing = ConcurrencyLimit(1, MAX_WAITING, WAIT_TIMEOUT)

    async def picture(self, key: str, card: Card) -> CardPicture:
        """Return the picture for ``key`` (lang/slug). Raises ``Unavailable`` if too many wait to be drawn."""
        if (picture := self._cached(key, card)) is not None:
            return picture
        try:
            async with self._drawing.slot():
                # A request that waited before this one may have had the same card drawn.
                return self._cached(key, card) or self._store(key, card, await asyncio.to_thread(draw, card))
        except Unavailable:
            if key in self._pictures:
                return self._pictures[key]
            raise

    def purge(self, slug: str) -> None:
        """Evict the pictures of a letter in every language."""
        for key in [key for key in self._pictures if key.partition("/")[2] == slug]:
            self._bytes -= len(self._pictures.pop(key).png)

    def _cached(self, key: str, card: Card) -> CardPicture | None:
        picture = self._pictures.get(key)
        if picture is None or picture.card != card:
            return None
        self._pictures.move_to_end(key)
        return picture

    def _store(self, key: str, card: Card, png: bytes) -> CardPicture:
        picture = CardPicture(card, png, f'"{hashlib.sha256(png).hexdigest()[:20]}"')
        if (replaced := self._pictures.pop(key, None)) is not None:
            self._bytes -= len(replaced.png)
        self._pictures[key] = picture
        self._bytes += len(png)
        while self._bytes > self._max_bytes and len(self._pictures) > 1:
            self._bytes -= len(self._pictures.popitem(last=False)[1].png)
        return picture
