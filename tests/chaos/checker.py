"""The checker outside the system: compares what clients were answered with what the public pages say in the end.

It knows no table and no module of the product. Outside of faults, pages have to be up to date; during them they may be
old, but never ahead of what people did.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tests.chaos.ledger import LATER, TAKEN, Answer, Ledger, Sight

ACTS = ("sign", "confirm", "withdraw")
NO_ANSWER = 0  # a process was killed while it had the request
BEFORE = 1.0  # seconds before a fault, in which a mail may have been handed over and not yet crossed off


@dataclass(frozen=True)
class Outcome:
    """What the public API says when everything is over."""

    total: int
    names: Sequence[str]  # of the whole list, as it came


@dataclass(frozen=True)
class Rules:
    """How slow things may be, in seconds."""

    lag: float  # of a page behind the acts
    recovery: float  # until everything is well after a fault


def judge(ledger: Ledger, outcome: Outcome, rules: Rules) -> list[str]:
    """Return what is wrong, a sentence each."""
    return [
        *_answers(ledger.answers),
        *_mails(ledger, rules),
        *_count(ledger, outcome),
        *_names(ledger, outcome),
        *_snapshots(ledger),
        *_sights(ledger, rules),
    ]


def _answers(answers: Sequence[Answer]) -> Iterable[str]:
    """Acts are answered 303 or 503, reads never 500."""
    for (what, status), number in sorted(Counter((answer.what, answer.status) for answer in answers).items()):
        allowed = {TAKEN, LATER, NO_ANSWER} if what in ACTS else {200, LATER, NO_ANSWER}
        if status not in allowed:
            yield f"{what} was answered {status}, {number} times"


def _mails(ledger: Ledger, rules: Rules) -> Iterable[str]:
    """Everyone whose form was taken has the mail; it came again only to those whose mail met a fault."""
    people = ledger.people.values()
    missing = [person.email for person in people if person.signed_at is not None and not person.mailed_at]
    if missing:
        yield f"{len(missing)} forms answered 303 have no mail: {missing[0]} …"
    again = [
        person.email
        for person in people
        if len(person.mailed_at) > 1
        and not any(
            fault.start - BEFORE <= at <= fault.end + rules.recovery
            for fault in ledger.faults
            for at in person.mailed_at
        )
    ]
    if again:
        yield f"{len(again)} people had a mail twice without a fault: {again[0]} …"
    if ledger.strange_mails:
        yield f"{ledger.strange_mails} mails went to mailboxes that sent no form"


def _count(ledger: Ledger, outcome: Outcome) -> Iterable[str]:
    least = sum(person.must_count for person in ledger.people.values())
    most = sum(person.may_count for person in ledger.people.values())
    if not least <= outcome.total <= most:
        yield f"the count is {outcome.total}; by the answers it is {least} to {most}"


def _names(ledger: Ledger, outcome: Outcome) -> Iterable[str]:
    """The list has every public name once, and no other."""
    times = Counter(outcome.names)
    doubled = [name for name, number in times.items() if number > 1]
    if doubled:
        yield f"{len(doubled)} names are listed twice: {doubled[0]} …"
    public = [person for person in ledger.people.values() if person.is_public]
    lost = [person.name for person in public if person.must_count and person.name not in times]
    if lost:
        yield f"{len(lost)} confirmed names are not listed: {lost[0]} …"
    possible = {person.name for person in public if person.may_count}
    surplus = [name for name in times if name not in possible]
    if surplus:
        yield f"{len(surplus)} names are listed that must not be: {surplus[0]} …"


def _snapshots(ledger: Ledger) -> Iterable[str]:
    wrong = [pair for pair in ledger.snapshots if pair[0] != pair[1]]
    if wrong:
        yield f"the count was not the number of rows in {len(wrong)} snapshots: {wrong[0]}"


def _sights(ledger: Ledger, rules: Rules) -> Iterable[str]:
    """A count is never ahead of people's acts, in calm not behind them, and never goes back unless someone left."""
    moments = _Moments(ledger)
    ahead = [sight for sight in ledger.sights if sight.total > moments.confirming(sight.shown_at)]
    if ahead:
        yield f"{len(ahead)} counts were ahead of all confirmations: {ahead[0]}"
    behind = [
        sight
        for sight in ledger.sights
        if _is_calm(ledger, sight, rules)
        and sight.total < moments.confirmed(sight.asked_at - rules.lag) - moments.leaving(sight.shown_at)
    ]
    if behind:
        yield f"{len(behind)} counts were behind by more than {rules.lag:.1f} s: {behind[0]}"
    back = [
        f"{before.total}, then {after}"
        for before, after in _neighbours(ledger.sights)
        if before.total - after.total > moments.leaving(after.shown_at) - moments.left(_safely(before, ledger, rules))
    ]
    if back:
        yield f"{len(back)} counts went back: {back[0]}"


def _is_calm(ledger: Ledger, sight: Sight, rules: Rules) -> bool:
    """Whether there is no fault while it was shown, nor just before."""
    return not any(
        fault.start <= sight.shown_at and sight.asked_at <= fault.end + rules.recovery + rules.lag
        for fault in ledger.faults
    )


def _safely(sight: Sight, ledger: Ledger, rules: Rules) -> float:
    """Return the time until which all withdrawals are surely in ``sight``: a page of a fault is as old as the fault."""
    starts = (fault.start for fault in ledger.faults if fault.start <= sight.shown_at <= fault.end + rules.recovery)
    return min(starts, default=sight.asked_at) - rules.lag


def _neighbours(sights: Sequence[Sight]) -> Iterator[tuple[Sight, Sight]]:
    """Yield what the same connection showed at the same address, one after the other."""
    last: dict[tuple[str, str], Sight] = {}
    for sight in sights:
        before = last.get((sight.what, sight.by))
        if before is not None:
            yield before, sight
        last[sight.what, sight.by] = sight


class _Moments:
    """How many had done what by a moment."""

    def __init__(self, ledger: Ledger) -> None:
        people = list(ledger.people.values())
        self._confirming = _sorted(person.confirming_at for person in people)
        self._confirmed = _sorted(person.confirmed_at for person in people)
        self._leaving = _sorted(person.leaving_at for person in people)
        self._left = _sorted(person.left_at for person in people)

    def confirming(self, at: float) -> int:
        return bisect_right(self._confirming, at)

    def confirmed(self, at: float) -> int:
        return bisect_right(self._confirmed, at)

    def leaving(self, at: float) -> int:
        return bisect_right(self._leaving, at)

    def left(self, at: float) -> int:
        return bisect_right(self._left, at)


def _sorted(times: Iterable[float | None]) -> list[float]:
    return sorted(at for at in times if at is not None)
