"""The files of a log in the C2SP tlog-tiles format: their paths, and what stands in them."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache

from petition.count_log import merkle

WIDTH = 256  # hashes of a full tile, entries of a full bundle
HEIGHT = 8  # levels of the tree that a tile spans
MAX_LEVEL = 63
MAX_NUMBER = 10**12
CHECKPOINT = "checkpoint"
PATH = re.compile(
    r"tile/(?P<level>entries|0|[1-9][0-9]?)/(?P<number>(?:x[0-9]{3}/){0,4}[0-9]{3})(?:\.p/(?P<width>[1-9][0-9]{0,2}))?"
)

Read = Callable[[str], bytes]  # of a path below the log's address; raises ``LookupError`` if there is no such file


@dataclass(frozen=True, slots=True)
class TilePath:
    """Where a tile is, or with ``level`` None a bundle of entries."""

    level: int | None
    number: int
    width: int = WIDTH

    def __str__(self) -> str:
        level = "entries" if self.level is None else self.level
        suffix = f".p/{self.width}" if self.width < WIDTH else ""
        return f"tile/{level}/{_number_path(self.number)}{suffix}"

    @classmethod
    def parse(cls, path: str) -> "TilePath":
        """Return what ``path`` names. Raises ``ValueError`` if it is not the one spelling of a path."""
        match = PATH.fullmatch(path)
        if match is None:
            raise ValueError("no path of a tile")
        level = None if match["level"] == "entries" else int(match["level"])
        number = int(match["number"].replace("x", "").replace("/", ""))
        tile = cls(level, number, int(match["width"] or WIDTH))
        if (level or 0) > MAX_LEVEL or number >= MAX_NUMBER or str(tile) != path:
            raise ValueError("no path of a tile")
        return tile

    def is_in(self, size: int) -> bool:
        """Return whether a tree of ``size`` leaves has this tile: full, or a partial one of an earlier size."""
        return 0 < self.width <= tile_width(self.level, self.number, size)


def _number_path(number: int) -> str:
    *groups, last = f"{number:,}".replace(",", " ").split()
    if not groups:
        return f"{number:03d}"
    return "/".join([f"x{int(groups[0]):03d}", *(f"x{group}" for group in groups[1:]), last])


def tile_width(level: int | None, number: int, size: int) -> int:
    """Return how many hashes or entries a tile has in a tree of ``size`` leaves: 0 to 256."""
    return max(0, min(WIDTH, (size >> HEIGHT * (level or 0)) - number * WIDTH))


def paths_of(size: int) -> Iterable[TilePath]:
    """Yield every tile and bundle of a tree of ``size`` leaves."""
    for number in range(-(-size // WIDTH)):
        yield TilePath(None, number, tile_width(None, number, size))
    level = 0
    while width := size >> HEIGHT * level:
        for number in range(-(-width // WIDTH)):
            yield TilePath(level, number, tile_width(level, number, size))
        level += 1


def join_entries(entries: Iterable[bytes]) -> bytes:
    """Return a bundle: entries of up to 65,535 bytes, each behind its length."""
    return b"".join(len(entry).to_bytes(2) + entry for entry in entries)


def split_entries(bundle: bytes) -> list[bytes]:
    """Return the entries of a bundle. Raises ``ValueError`` if it ends within one."""
    entries, at = [], 0
    while at < len(bundle):
        end = at + 2 + int.from_bytes(bundle[at : at + 2])
        if at + 2 > len(bundle) or end > len(bundle):
            raise ValueError("a bundle ends within an entry")
        entries.append(bundle[at + 2 : end])
        at = end
    return entries


def split_hashes(tile: bytes) -> list[bytes]:
    """Return the hashes of a tile. Raises ``ValueError`` if it ends within one."""
    if len(tile) % merkle.HASH_BYTES:
        raise ValueError("a tile ends within a hash")
    return [tile[at : at + merkle.HASH_BYTES] for at in range(0, len(tile), merkle.HASH_BYTES)]


def hashes_of(read: Read, size: int) -> merkle.HashAt:
    """Return ``HashAt`` for a tree of ``size`` leaves from its tiles, of which it caches the last few.

    It raises ``LookupError`` for a tile that is not there and ``ValueError`` for one of another length.
    """

    @lru_cache(maxsize=64)
    def tile(level: int, number: int) -> list[bytes]:
        path = TilePath(level, number, tile_width(level, number, size))
        hashes = split_hashes(read(str(path)))
        if len(hashes) != path.width:
            raise ValueError("a tile is not as wide as its path says")
        return hashes

    def hash_at(level: int, index: int) -> bytes:
        tile_level, height = divmod(level, HEIGHT)
        number, first = divmod(index << height, WIDTH)
        return merkle.complete_hash(tile(tile_level, number)[first : first + (1 << height)])

    return hash_at
