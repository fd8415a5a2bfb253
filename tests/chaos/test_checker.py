"""The checker finds each kind of lie, and nothing where all is well."""

from dataclasses import replace

import pytest

from tests.chaos.checker import Outcome, Rules, judge
from tests.chaos.ledger import Answer, Ledger, Person, Sight, Span

RULES = Rules(lag=1.0, recovery=2.0)


def person(number: int, **changes: object) -> Person:
    """Return someone who signed, had the mail and confirmed, a second each."""
    one = Person(
        f"Vera {number}", f"voice{number}@letters.example", True, number, [number + 1.0], number + 2, number + 3
    )
    return replace(one, **changes)  # type: ignore[arg-type]


@pytest.fixture
def ledger() -> Ledger:
    """Give what clients were answered by an installation in which all is well: three people, the second one left."""
    people = [person(0), person(10, leaving_at=20.0, left_at=21.0), person(30)]
    ledger = Ledger({one.email: one for one in people})
    ledger.answers = [Answer("sign", 303, 0, 1), Answer("sign", 503, 0, 1), Answer("read", 200, 0, 1)]
    ledger.sights = [Sight("count", "1", at, at + 0.1, total) for at, total in ((9, 1), (19, 2), (25, 1), (40, 2))]
    ledger.snapshots = [(0, 0), (2, 2)]
    return ledger


@pytest.fixture
def outcome() -> Outcome:
    """Give the list and the count that belong to them."""
    return Outcome(2, ["Vera 30", "Vera 0"])


def test_nothing_is_wrong_where_all_is_well(ledger: Ledger, outcome: Outcome) -> None:
    assert judge(ledger, outcome, RULES) == []


@pytest.mark.parametrize(
    ("count", "names", "complaint"),
    [
        (2, ["Vera 30"], "confirmed names are not listed: Vera 0"),
        (2, ["Vera 30", "Vera 0", "Vera 0"], "listed twice: Vera 0"),
        (2, ["Vera 30", "Vera 0", "Vera 10"], "must not be: Vera 10"),
        (1, ["Vera 30", "Vera 0"], "the count is 1; by the answers it is 2 to 2"),
        (3, ["Vera 30", "Vera 0"], "the count is 3; by the answers it is 2 to 2"),
    ],
)
def test_what_the_pages_say_in_the_end(ledger: Ledger, count: int, names: list[str], complaint: str) -> None:
    (sentence,) = judge(ledger, Outcome(count, names), RULES)
    assert complaint in sentence


def test_an_act_without_an_answer_may_count_or_not(ledger: Ledger) -> None:
    ledger.people["voice30@letters.example"].confirmed_at = None
    assert judge(ledger, Outcome(2, ["Vera 30", "Vera 0"]), RULES) == []
    assert judge(ledger, Outcome(1, ["Vera 0"]), RULES) == []


@pytest.mark.parametrize("what", ["sign", "confirm", "withdraw", "read"])
def test_an_error(ledger: Ledger, outcome: Outcome, what: str) -> None:
    ledger.answers.append(Answer(what, 500, 0, 1))
    assert judge(ledger, outcome, RULES) == [f"{what} was answered 500, 1 times"]


def test_a_form_without_a_mail(ledger: Ledger, outcome: Outcome) -> None:
    ledger.people["voice0@letters.example"].mailed_at.clear()
    assert "1 forms answered 303 have no mail" in judge(ledger, outcome, RULES)[0]


def test_a_mail_that_came_again_needs_a_fault(ledger: Ledger, outcome: Outcome) -> None:
    ledger.people["voice0@letters.example"].mailed_at.append(8.0)
    assert "had a mail twice without a fault" in judge(ledger, outcome, RULES)[0]
    ledger.faults.append(Span("worker_killed", 1.5, 3.0))
    assert judge(ledger, outcome, RULES) == []


def test_a_mail_to_a_stranger(ledger: Ledger, outcome: Outcome) -> None:
    ledger.strange_mails = 1
    assert judge(ledger, outcome, RULES) == ["1 mails went to mailboxes that sent no form"]


def test_a_count_that_is_not_the_rows(ledger: Ledger, outcome: Outcome) -> None:
    ledger.snapshots.append((3, 2))
    assert "in 1 snapshots: (3, 2)" in judge(ledger, outcome, RULES)[0]


def test_a_count_ahead_of_the_confirmations(ledger: Ledger, outcome: Outcome) -> None:
    ledger.sights.insert(0, Sight("count", "2", 1, 1.5, 1))
    assert "1 counts were ahead" in judge(ledger, outcome, RULES)[0]


def test_a_count_behind_them_needs_a_fault(ledger: Ledger, outcome: Outcome) -> None:
    ledger.sights.append(Sight("count", "2", 41, 41.1, 1))
    assert "1 counts were behind by more than 1.0 s" in judge(ledger, outcome, RULES)[0]
    ledger.faults.append(Span("database_killed", 38, 40))
    assert judge(ledger, outcome, RULES) == []


def test_a_count_that_goes_back(ledger: Ledger, outcome: Outcome) -> None:
    ledger.faults.append(Span("database_killed", 38, 60))  # in which pages may be old
    ledger.sights += [Sight("count", "3", 42, 42.1, 2), Sight("count", "3", 43, 43.1, 1)]
    assert "1 counts went back: 2, then" in judge(ledger, outcome, RULES)[0]
