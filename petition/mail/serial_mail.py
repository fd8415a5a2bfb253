"""Many copies of one mail: written and serialized once, then filled in for each recipient.

Rendering and serializing take milliseconds, filling in takes microseconds. What differs has a fixed length and only
characters that no encoding changes (tokens, the Message-ID, the date), so lines break where they did. Only the line
with the recipient may grow: addresses that would need quoting or folding there are not filled in.
"""

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise

SIMPLE_ADDRESS = re.compile(r"[A-Za-z0-9._+-]{1,60}@[A-Za-z0-9.-]{1,60}")
_SOFT_BREAK = rb"=\r\n"


class SerialMail:
    """A serialized mail with slots. ``values`` are what stands in it by the name of its slot."""

    def __init__(self, content: bytes, values: Mapping[str, str]) -> None:
        self._lengths = {name: len(value) for name, value in values.items()}
        slots = sorted(_slots(content, values), key=lambda slot: slot[0])
        edges = [0, *(edge for start, end, *_ in slots for edge in (start, end)), len(content)]
        self._literals = [content[start:end] for start, end in list(pairwise(edges))[::2]]
        self._slots = [(name, begin, end) for _, _, name, begin, end in slots]
        self.is_whole = {name for name, *_ in self._slots} == set(values)

    def fill(self, recipient: str, values: Mapping[str, str]) -> bytes:
        """Return the mail to ``recipient``. Raises ``ValueError`` if a value has another length than the first had."""
        if {name: len(value) for name, value in values.items()} != self._lengths:
            raise ValueError("a value of another length does not fit into this mail")
        parts = [self._literals[0]]
        for (name, begin, end), literal in zip(self._slots, self._literals[1:], strict=True):
            parts += [values[name][begin:end].encode("ascii"), literal]
        return b"To: " + recipient.encode("ascii") + b"\r\n" + b"".join(parts)


def _slots(content: bytes, values: Mapping[str, str]) -> Sequence[tuple[int, int, str, int, int]]:
    """Return where pieces of the values stand: start, end, name, and begin and end within the value."""
    slots = []
    for name, value in values.items():
        pattern = f"(?:{_SOFT_BREAK.decode()})?".join(map(re.escape, value)).encode("ascii")
        for match in re.finditer(pattern, content):
            at, begin = match.start(), 0
            for piece in re.split(_SOFT_BREAK, match[0]):
                slots.append((at, at + len(piece), name, begin, begin + len(piece)))
                at, begin = at + len(piece) + 3, begin + len(piece)
    return slots


def without_recipient(content: bytes) -> bytes:
    """Return a mail without its line ``To``, which ``fill`` puts in front."""
    return re.sub(rb"\ATo: [^\r\n]*\r\n|(?<=\n)To: [^\r\n]*\r\n(?=[\s\S]*\r\n\r\n)", b"", content, count=1)
