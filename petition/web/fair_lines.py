"""Waiting requests in lines by network, served in turn: a flood waits for itself, and the longest line pays."""

from collections.abc import Hashable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item", bound=Hashable)


class _Branch(Generic[Item]):
    """A prefix: either the lines of narrower prefixes in it, in the order of their turns, or items, oldest first."""

    __slots__ = ("branches", "items", "size")

    def __init__(self) -> None:
        self.size = 0
        self.branches: dict[str, _Branch[Item]] = {}
        self.items: dict[Item, None] = {}


class FairLines(Generic[Item]):
    """Items in a tree of lines. A path names the lines from the widest prefix to the narrowest, for example /48, /64.

    Every act costs a step for each name of the path, but ``pop_from_largest``, which compares all lines of each level.
    """

    def __init__(self) -> None:
        self._root: _Branch[Item] = _Branch()
        self._paths: dict[Item, tuple[str, ...]] = {}

    def __len__(self) -> int:
        return self._root.size

    def add(self, item: Item, path: Sequence[str]) -> None:
        """Put ``item`` at the end of its line."""
        names = (*path, "")  # the last line holds items, and nothing is narrower
        line = self._root
        line.size += 1
        for name in names:
            branch = line.branches.get(name)
            if branch is None:
                branch = line.branches[name] = _Branch()
            line = branch
            line.size += 1
        line.items[item] = None
        self._paths[item] = names

    def is_largest_with(self, path: Sequence[str]) -> bool:
        """Return whether the widest line of ``path`` would be the largest, or as large, with one item more."""
        lines = self._root.branches
        own = lines.get(path[0] if path else "")
        return (own.size if own else 0) + 1 >= max((line.size for line in lines.values()), default=1)

    def discard(self, item: Item) -> None:
        """Take ``item`` out, if it is in a line."""
        path = self._paths.get(item)
        if path is not None:
            self._remove(item, path)

    def pop_next(self) -> Item:
        """Take out the oldest item of the line whose turn it is. Raises ``LookupError`` if all are empty."""
        line = self._root
        while line.branches:
            name = next(iter(line.branches))
            branch = line.branches[name] = line.branches.pop(name)  # to the end
            line = branch
        return self._pop_oldest(line)

    def pop_from_largest(self) -> Item:
        """Take out the oldest item of the longest line, chosen from the widest prefix to the narrowest.

        Raises ``LookupError`` if all are empty.
        """
        line = self._root
        while line.branches:
            line = max(line.branches.values(), key=_size)
        return self._pop_oldest(line)

    def _pop_oldest(self, line: _Branch[Item]) -> Item:
        if not line.items:
            raise LookupError
        item = next(iter(line.items))
        self._remove(item, self._paths[item])
        return item

    def _remove(self, item: Item, path: tuple[str, ...]) -> None:
        del self._paths[item]
        line = self._root
        line.size -= 1
        for name in path:
            branch = line.branches[name]
            branch.size -= 1
            if not branch.size:  # with all that is in it
                del line.branches[name]
                return
            line = branch
        del line.items[item]


def _size(line: _Branch[Item]) -> int:
    return line.size
