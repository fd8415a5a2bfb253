"""What changed between two texts, word by word: plain data that a template marks up.

Paragraphs are compared first, then the words of those that resemble one another. The comparison is Myers' (An O(ND)
Difference Algorithm and Its Variations, 1986) with a limit on its steps: past it, all that lies between the common
beginning and the common end counts as replaced, which is never wrong, only coarse.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, NamedTuple, TypeAlias

Fate = Literal["same", "added", "removed"]


class Run(NamedTuple):
    """Some words in a row that share one fate."""

    fate: Fate
    text: str


# One paragraph: its "same" and "removed" runs make up the old one, its "same" and "added" runs the new one.
Block: TypeAlias = tuple[Run, ...]

_STEPS = 200_000  # of one call, a fraction of a second
_ALIKE = 0.4  # two paragraphs with this share of words in common are one that was changed
_AHEAD = 4  # so many new paragraphs may have come in between
_BREAK = re.compile(r"\n(?:[^\S\n]*\n)+")
_WORD = re.compile(r"\w+\s*|[^\w\s]\s*|\s+")


class _Steps:
    """How many more comparisons may be made."""

    def __init__(self, left: int) -> None:
        self.left = left


def changes(old: str, new: str) -> list[Block]:
    """Return the paragraphs of both texts in reading order, each as its runs.

    Empty lines part paragraphs and are in none of them. Takes bounded time, however long and different the texts are.
    """
    steps = _Steps(_STEPS)
    before, after = _paragraphs(old), _paragraphs(new)
    blocks: list[Block] = []
    for removed_part, added_part, unchanged in _hunks(before, after, steps):
        blocks += _matched(removed_part, added_part, steps)
        blocks += [(Run("same", paragraph),) for paragraph in unchanged]
    return blocks


def _paragraphs(text: str) -> list[str]:
    return [paragraph for paragraph in _BREAK.split(text.strip("\n")) if paragraph]


def _matched(removed_part: Sequence[str], added_part: Sequence[str], steps: _Steps) -> Iterator[Block]:
    """Yield a block for each paragraph, those that resemble one another as one."""
    done, bags = 0, [_bag(paragraph) for paragraph in added_part]
    for paragraph in removed_part:
        bag, near = _bag(paragraph), range(done, min(done + _AHEAD + 1, len(added_part)))
        index = next((index for index in near if _alike(bag, bags[index])), None)
        if index is None:
            yield (Run("removed", paragraph),)
            continue
        yield from ((Run("added", paragraph),) for paragraph in added_part[done:index])
        yield tuple(_runs(paragraph, added_part[index], steps))
        done = index + 1
    yield from ((Run("added", paragraph),) for paragraph in added_part[done:])


def _bag(paragraph: str) -> Counter[str]:
    return Counter(re.findall(r"\w+", paragraph))


def _alike(old: Counter[str], new: Counter[str]) -> bool:
    return (old & new).total() * 2 > _ALIKE * (old.total() + new.total())


def _runs(old: str, new: str, steps: _Steps) -> Iterator[Run]:
    """Yield the runs of one changed paragraph.

    Between two changes at least one word is kept: a lone comma or space there would only make confetti.
    """
    hunks = list(_hunks(_WORD.findall(old), _WORD.findall(new), steps))
    removed = added = ""
    for number, (removed_part, added_part, unchanged) in enumerate(hunks, 1):
        removed, added, same = removed + "".join(removed_part), added + "".join(added_part), "".join(unchanged)
        if number < len(hunks) and (removed or added) and not re.search(r"\w", same):
            removed, added = removed + same, added + same
            continue
        runs = Run("removed", removed), Run("added", added), Run("same", same)
        yield from (run for run in runs if run.text)
        removed = added = ""


def _hunks(
    old: Sequence[str], new: Sequence[str], steps: _Steps
) -> Iterator[tuple[Sequence[str], Sequence[str], Sequence[str]]]:
    """Yield (what went, what came instead, what stayed after that), in order."""
    at_old = at_new = 0
    for start_old, start_new, length in _unchanged(old, new, steps):
        if length or start_old > at_old or start_new > at_new:
            yield old[at_old:start_old], new[at_new:start_new], old[start_old : start_old + length]
        at_old, at_new = start_old + length, start_new + length


def _unchanged(old: Sequence[str], new: Sequence[str], steps: _Steps) -> Iterator[tuple[int, int, int]]:
    """Yield (place in old, place in new, length) of what both have, in order; the last reaches both ends."""
    start = _common(old, new)
    end = _common(old[start:][::-1], new[start:][::-1])
    yield 0, 0, start
    for x, y, length in _joined(_matches(old[start : len(old) - end], new[start : len(new) - end], steps)):
        yield start + x, start + y, length
    yield len(old) - end, len(new) - end, end


def _common(old: Sequence[str], new: Sequence[str]) -> int:
    for index, (one, other) in enumerate(zip(old, new, strict=False)):
        if one != other:
            return index
    return min(len(old), len(new))


def _joined(matches: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int, int]]:
    """Join neighbouring matches into longer ones."""
    x = y = length = 0
    for i, j in matches:
        if length and (i, j) == (x + length, y + length):
            length += 1
            continue
        if length:
            yield x, y, length
        x, y, length = i, j, 1
    if length:
        yield x, y, length


def _matches(old: Sequence[str], new: Sequence[str], steps: _Steps) -> list[tuple[int, int]]:
    """Return which place of ``old`` is which of ``new`` in a shortest edit script; none if that takes too long."""
    reached = {1: 0}  # by diagonal (x - y): how far in ``old`` one gets with the edits so far
    trace: list[dict[int, int]] = []
    for edits in range(len(old) + len(new) + 1):
        trace.append(dict(reached))
        for diagonal in range(-edits, edits + 1, 2):
            _, start = _came_from(reached, diagonal, edits)
            x = start + _common_from(old, new, start, start - diagonal)
            steps.left -= x - start + 1
            reached[diagonal] = x
            if x >= len(old) and x - diagonal >= len(new):
                return _walked_back(trace, len(old), len(new))
        if steps.left < 0:
            return []
    return []


def _came_from(reached: dict[int, int], diagonal: int, edits: int) -> tuple[int, int]:
    """Return (the diagonal before the last edit, how far in ``old`` that edit led)."""
    if diagonal == -edits or (diagonal != edits and reached[diagonal - 1] < reached[diagonal + 1]):
        return diagonal + 1, reached[diagonal + 1]
    return diagonal - 1, reached[diagonal - 1] + 1


def _common_from(old: Sequence[str], new: Sequence[str], x: int, y: int) -> int:
    length = 0
    while x + length < len(old) and y + length < len(new) and old[x + length] == new[y + length]:
        length += 1
    return length


def _walked_back(trace: list[dict[int, int]], x: int, y: int) -> list[tuple[int, int]]:
    matches: list[tuple[int, int]] = []
    for edits in range(len(trace) - 1, -1, -1):
        diagonal, start = _came_from(trace[edits], x - y, edits)
        while x > start:
            x, y = x - 1, y - 1
            matches.append((x, y))
        x = trace[edits][diagonal]
        y = x - diagonal
    return matches[::-1]
