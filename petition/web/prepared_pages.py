"""A page that is rendered once and then filled in: what many are answered at the same time must cost next to nothing.

Rendering and compressing the page for a form that cannot be stored would cost more than storing it. What comes before
the form is nearly all of it, and compressed once; the rest goes behind it as it is, in stored blocks (RFC 1951, 3.2.4),
with the trailer of the whole (RFC 1952).
"""

import zlib
from struct import pack

ROOM = "room-for-what-was-sent"  # in the rendered page, where something goes
_GZIP = 31  # window bits with gzip's frame
_MAX_BLOCK = 65_535  # bytes of a stored block


class PreparedPage:
    """A rendered page with room in it."""

    def __init__(self, text: str) -> None:
        self._beginning, *self._rest = (part.encode() for part in text.split(ROOM))
        compressor = zlib.compressobj(6, wbits=_GZIP)
        self._compressed = compressor.compress(self._beginning) + compressor.flush(zlib.Z_SYNC_FLUSH)
        self._checksum = zlib.crc32(self._beginning)

    def fill(self, *parts: str, is_gzip: bool) -> bytes:
        """Return the page with ``parts``, which are HTML, one for each room in it."""
        rest = b"".join(piece for part, text in zip(parts, self._rest, strict=True) for piece in (part.encode(), text))
        if not is_gzip:
            return self._beginning + rest
        blocks = [
            _stored(rest[start : start + _MAX_BLOCK], is_last=False)
            for start in range(0, len(rest) - _MAX_BLOCK, _MAX_BLOCK)
        ]
        last = _stored(rest[len(blocks) * _MAX_BLOCK :], is_last=True)
        trailer = pack("<II", zlib.crc32(rest, self._checksum), (len(self._beginning) + len(rest)) & 0xFFFFFFFF)
        return b"".join((self._compressed, *blocks, last, trailer))


def _stored(data: bytes, *, is_last: bool) -> bytes:
    return pack("<BHH", is_last, len(data), len(data) ^ 0xFFFF) + data
