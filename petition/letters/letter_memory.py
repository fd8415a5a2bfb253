"""Letters with their texts in memory: those that were asked for last, as many as fit."""

import sys
from collections import OrderedDict

from petition.letters.model import Letter

MAX_LETTERS = 1000
MAX_BYTES = 32 * 1024 * 1024  # of their texts, which are nearly all of it


class LetterMemory:
    """The letters that were asked for last, by short name."""

    def __init__(self, max_letters: int = MAX_LETTERS, max_bytes: int = MAX_BYTES) -> None:
        self._letters: OrderedDict[str, Letter] = OrderedDict()
        self._max_letters, self._max_bytes = max_letters, max_bytes
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._letters)

    @property
    def size(self) -> int:
        """Bytes of all their texts."""
        return self._bytes

    def get(self, slug: str) -> Letter | None:
        """Return the letter, which counts as the newest from now on."""
        letter = self._letters.get(slug)
        if letter is not None:
            self._letters.move_to_end(slug)
        return letter

    def add(self, letter: Letter) -> None:
        """Hold the letter in place of an older state of it; those that nothing asked for go."""
        self.drop(letter.slug)
        self._letters[letter.slug] = letter
        self._bytes += _size(letter)
        while len(self._letters) > 1 and (len(self._letters) > self._max_letters or self._bytes > self._max_bytes):
            self.drop(next(iter(self._letters)))

    def drop(self, slug: str) -> None:
        letter = self._letters.pop(slug, None)
        if letter is not None:
            self._bytes -= _size(letter)


def _size(letter: Letter) -> int:
    """Return the bytes of a letter's texts."""
    texts = letter.version.texts.values()
    return sum(sys.getsizeof(part) for text in texts for part in (text.title, text.markdown, text.html))
