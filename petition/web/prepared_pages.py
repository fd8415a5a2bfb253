"""A page that is rendered once and then filled in: what many are answered at the same time must cost next to nothing.

Rendering and compressing the page for a form that cannot be stored would cost more than storing it. What comes before
the form is nearly all of it, and compressed once: a compressor (RFC 1951) can be copied in the middle of its work.
"""

import zlib

ROOM = "room-for-what-was-sent"  # in the rendered page, where something goes
_GZIP, _MEMORY = 31, 5  # window bits with gzip's frame; a compressor of 60 KB


class PreparedPage:
    """A rendered page with room in it."""

    def __init__(self, text: str) -> None:
        self._beginning, *self._rest = (part.encode() for part in text.split(ROOM))
        self._compressor = zlib.compressobj(6, wbits=_GZIP, memLevel=_MEMORY)
        self._compressed = self._compressor.compress(self._beginning) + self._compressor.flush(zlib.Z_SYNC_FLUSH)

    def fill(self, *parts: str, is_gzip: bool) -> bytes:
        """Return the page with ``parts``, which are HTML, one for each room in it."""
        pieces = [piece for part, text in zip(parts, self._rest, strict=True) for piece in (part.encode(), text)]
        if not is_gzip:
            return b"".join((self._beginning, *pieces))
        compressor = self._compressor.copy()
        return self._compressed + compressor.compress(b"".join(pieces)) + compressor.flush()
