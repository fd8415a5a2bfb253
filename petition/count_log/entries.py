"""What stands in a log: which entries there are, and their bytes.

An entry is ``kind, exit, token`` and, where it speaks of several people, ``number``: 1, 1, 32 and 4 bytes. The token
is the hash of a receipt; entry and exit of one signature have the same.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum

TOKEN_BYTES = 32
NUMBER_BYTES = 4
MAX_NUMBER = 2 ** (8 * NUMBER_BYTES) - 1


class EntryKind(IntEnum):
    """What an entry counts."""

    PERSON = 1
    ORGANIZATION = 2
    LISTED_ORGANIZATION = 3  # from a file of names
    LISTED_PEOPLE = 4  # from a file of names, a number of them
    PAPER = 5  # a number of people who signed on paper

    @property
    def has_number(self) -> bool:
        return self in (EntryKind.LISTED_PEOPLE, EntryKind.PAPER)

    @property
    def is_imported(self) -> bool:
        """Whether the public count has it under ``imported``."""
        return self not in (EntryKind.PERSON, EntryKind.ORGANIZATION)

    @property
    def is_of_organization(self) -> bool:
        return self in (EntryKind.ORGANIZATION, EntryKind.LISTED_ORGANIZATION)


class Exit(IntEnum):
    """Why an entry ends; ``NONE`` if it begins."""

    NONE = 0
    WITHDRAWN = 1  # by the signatory
    REMOVED = 2  # by a moderator, for another reason than those below
    REVIEWED = 3  # an approval was taken back: it waits again
    UNDONE = 4  # the file was taken back
    CORRECTED = 5  # a number on paper was corrected or taken back
    REGROUPED = 6  # an organization joined another, or is listed by another source
    REMOVED_AS_FAKE = 7
    REMOVED_AS_DUPLICATE = 8
    REMOVED_AS_ABUSE = 9
    REMOVED_AS_NOT_AUTHORIZED = 10  # the one who signed for an organization
    REMOVED_AT_REQUEST = 11  # of the signatory

    @classmethod
    def _missing_(cls, value: object) -> "Exit | None":
        """Return a reason of a later version: a log is checked by programs that are older than it."""
        if not isinstance(value, int) or not 0 < value < 256:
            return None
        member = int.__new__(cls, value)
        member._name_, member._value_ = f"REASON_{value}", value
        return member

    @property
    def is_removal(self) -> bool:
        """Whether a moderator took it out."""
        return self is Exit.REMOVED or 7 <= self <= 11


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One entry: ``number`` people or organizations begin to count or, with an ``exit``, no longer do."""

    kind: EntryKind
    token: bytes
    number: int = 1
    exit: Exit = Exit.NONE

    @property
    def change(self) -> int:
        return -self.number if self.exit else self.number

    def __bytes__(self) -> bytes:
        number = self.number.to_bytes(NUMBER_BYTES) if self.kind.has_number else b""
        return bytes([self.kind, self.exit]) + self.token + number

    @classmethod
    def parse(cls, content: bytes) -> "LogEntry":
        """Read an entry. Raises ``ValueError``."""
        if len(content) < 2 + TOKEN_BYTES:
            raise ValueError("an entry is too short")
        kind, reason, token, rest = EntryKind(content[0]), Exit(content[1]), content[2:34], content[34:]
        if len(rest) != (NUMBER_BYTES if kind.has_number else 0):
            raise ValueError("an entry has another length than its kind")
        entry = cls(kind, token, int.from_bytes(rest) if rest else 1, reason)
        if not entry.number:
            raise ValueError("an entry counts nothing")
        return entry


def token_of(receipt: bytes) -> bytes:
    """Return what stands in the log for a receipt."""
    return hashlib.sha256(b"petition receipt\n" + receipt).digest()


@dataclass(slots=True)
class Recount:
    """The count as the entries of a log make it, and what of each token counts at present."""

    entries: int = 0
    by_kind: Counter[EntryKind] = field(default_factory=Counter)
    left: Counter[EntryKind] = field(default_factory=Counter)  # that do not count any more
    exits: Counter[Exit] = field(default_factory=Counter)
    open: dict[bytes, tuple[EntryKind, int]] = field(default_factory=dict)

    def add(self, entries: Iterable[LogEntry]) -> None:
        """Count further entries. Raises ``ValueError`` at one that cannot stand where it stands."""
        for entry in entries:
            kind, number = self.open.get(entry.token, (entry.kind, 0))
            after = number + entry.change
            if kind != entry.kind or after < 0 or (after > 1 and not kind.has_number):
                raise ValueError(f"entry {self.entries} does not fit those before it")
            if after:
                self.open[entry.token] = kind, after
            else:
                self.open.pop(entry.token, None)
            self.entries += 1
            self.by_kind[kind] += entry.change
            if entry.exit:
                self.exits[entry.exit] += entry.number
                self.left[kind] += entry.number

    @property
    def organizations(self) -> int:
        return sum(number for kind, number in self.by_kind.items() if kind.is_of_organization)

    @property
    def people(self) -> int:
        return self.total - self.organizations

    @property
    def imported(self) -> int:
        return sum(number for kind, number in self.by_kind.items() if kind.is_imported)

    @property
    def total(self) -> int:
        return sum(self.by_kind.values())
