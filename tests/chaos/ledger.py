"""What clients were answered, and nothing else: the only thing that the checker knows of an installation.

All times are seconds since the beginning of the run.
"""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

TAKEN = 303
LATER = 503


@dataclass
class Person:
    """Someone who signs. What has not happened is ``None``."""

    name: str
    email: str
    is_public: bool
    signed_at: float | None = None  # a form was answered 303
    mailed_at: list[float] = field(default_factory=list)
    confirming_at: float | None = None  # the first confirmation was sent
    confirmed_at: float | None = None
    leaving_at: float | None = None  # the first withdrawal was sent
    left_at: float | None = None

    @property
    def may_count(self) -> bool:
        """Whether its signature may be in the count at the end."""
        return self.confirming_at is not None and self.left_at is None

    @property
    def must_count(self) -> bool:
        """Whether its signature has to be in the count at the end."""
        return self.confirmed_at is not None and self.leaving_at is None


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to an act or to a reader; its status is 0 if the connection ended without one."""

    what: str
    status: int
    asked_at: float
    answered_at: float

    @property
    def wait(self) -> float:
        """Seconds until it came."""
        return self.answered_at - self.asked_at


@dataclass(frozen=True, slots=True)
class Sight:
    """A count that a client was shown."""

    what: str  # the address
    by: str  # the connection, and so the process that answered
    asked_at: float
    shown_at: float
    total: int


@dataclass(frozen=True, slots=True)
class Span:
    """A fault, from its beginning to its end."""

    name: str
    start: float
    end: float


@dataclass
class Ledger:
    """All of it."""

    people: dict[str, Person] = field(default_factory=dict)  # by mailbox
    answers: list[Answer] = field(default_factory=list)
    sights: list[Sight] = field(default_factory=list)
    snapshots: list[tuple[int, int]] = field(default_factory=list)  # counted, rows: both of one moment
    faults: list[Span] = field(default_factory=list)
    strange_mails: int = 0  # to mailboxes that sent no form
    _started: float = field(default_factory=time.monotonic)

    def now(self) -> float:
        """Return the seconds since the beginning."""
        return time.monotonic() - self._started

    def during(self, start: float, end: float) -> list[Answer]:
        """Return the answers to what was asked in a span of time."""
        return [answer for answer in self.answers if start <= answer.asked_at < end]


def statuses(answers: Sequence[Answer]) -> Counter[int]:
    """Return how often there was which status."""
    return Counter(answer.status for answer in answers)


def percentile(answers: Sequence[Answer], percent: int) -> float:
    """Return the milliseconds after which so many percent had come; 0 if there are none."""
    waits = sorted(answer.wait for answer in answers)
    return 1000 * waits[min(len(waits) - 1, len(waits) * percent // 100)] if waits else 0.0
