"""The draw: test vectors of docs/decisions/audit-by-sample.md, and what changes it."""

import hashlib
import re
from collections import Counter

import pytest

from petition.audits import draw, randomness
from petition.audits.randomness import RandomSource
from petition.core import resources
from petition.core.errors import Refused

ORIGIN, SIZE, ROOT = "letters.example.org/log/free-the-library", 120, hashlib.sha256(b"root").digest()
INDEXES = list(range(0, 120, 2))
# Round 1000 of drand's quicknet, as its servers publish it.
ROUND = 1000
RANDOMNESS = "fe290beca10872ef2fb164d2aa4442de4566183ec51c56ff3cd603d930e54fdd"
SIGNATURE = "b44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125e342b73a8dd2bacbe47e4b6b63ed5e39"
ANSWER = f'{{"round":{ROUND},"randomness":"{RANDOMNESS}","signature":"{SIGNATURE}"}}'
DIGEST = "ee5ddc69ae9e3bded6be59b278e3597640aded8e435c7b831c541f41a3253951"
DRAWN = [0, 4, 10, 14, 16, 18, 20, 32, 48, 62, 64, 72, 74, 82, 84, 90, 98, 100, 102, 112]


def test_the_vector_of_the_decision() -> None:
    text = draw.frame_text(ORIGIN, SIZE, ROOT, INDEXES)
    assert text.splitlines()[:4] == ["petition audit frame v1", ORIGIN, "120", text.splitlines()[3]]
    assert text.endswith("\n116\n118\n")
    assert draw.frame_digest(text).hex() == DIGEST
    value = randomness.read_value(RandomSource.DRAND, ROUND, ANSWER)
    assert value == RANDOMNESS
    assert draw.sample(draw.frame_digest(text), value, INDEXES, 20) == DRAWN
    page = (resources.PACKAGE.parent / "docs/decisions/audit-by-sample.md").read_text("utf-8")
    numbers = re.search(r"draws the entries\s+([0-9, \n]+)", page)
    assert numbers is not None
    assert [int(number) for number in numbers[1].replace("\n", " ").split(",")] == DRAWN
    assert DIGEST in page
    assert RANDOMNESS in page


def test_another_value_or_frame_draws_others() -> None:
    digest = draw.frame_digest(draw.frame_text(ORIGIN, SIZE, ROOT, INDEXES))
    other = draw.frame_digest(draw.frame_text(ORIGIN, SIZE, ROOT, INDEXES[:-1]))
    assert draw.sample(digest, "a", INDEXES, 20) != draw.sample(digest, "b", INDEXES, 20)
    assert draw.sample(digest, "a", INDEXES, 20) != draw.sample(other, "a", INDEXES, 20)
    assert draw.sample(digest, "a", INDEXES, 60) == INDEXES
    assert set(draw.sample(digest, "a", INDEXES, 10)) < set(draw.sample(digest, "a", INDEXES, 20))


def test_each_entry_is_drawn_as_often_as_the_others() -> None:
    digest, times = draw.frame_digest("frame"), Counter[int]()
    for value in range(1000):
        times.update(draw.sample(digest, str(value), INDEXES, 20))
    assert sum(times.values()) == 20_000
    expected = 20_000 / len(INDEXES)
    chi_squared = sum((times[index] - expected) ** 2 / expected for index in INDEXES)
    assert chi_squared < 115  # 59 degrees of freedom; beyond it lies one draw in a hundred thousand


def test_rounds_of_drand_have_their_time() -> None:
    for number in (1, 2, 1000, 123_456_789):
        moment = randomness.GENESIS + (number - 1) * randomness.PERIOD
        assert randomness.round_at(moment) == number
        assert randomness.round_at(moment - randomness.PERIOD / 2) == number


@pytest.mark.parametrize(
    ("number", "pasted", "message"),
    [
        (ROUND + 1, ANSWER, randomness.OTHER_ROUND),
        (ROUND, ANSWER.replace("fe29", "fe28"), randomness.DAMAGED),
        (ROUND, ANSWER.replace("b446", "b447"), randomness.DAMAGED),
        (ROUND, RANDOMNESS, randomness.NOT_DRAND),
        (ROUND, "[]", randomness.NOT_DRAND),
        (ROUND, "", randomness.NOT_DRAND),
        (ROUND, ANSWER.replace(f'"{RANDOMNESS}"', "7"), randomness.NOT_DRAND),
        (ROUND, "[" * 5000, randomness.NOT_DRAND),
    ],
)
def test_what_is_no_answer_of_this_round_is_refused(number: int, pasted: str, message: str) -> None:
    with pytest.raises(Refused) as refused:
        randomness.read_value(RandomSource.DRAND, number, pasted)
    assert refused.value.message == message


@pytest.mark.parametrize(("typed", "value"), [(" 3  17 21\n", "3 17 21"), ("Zürich 4,2 %", "Zürich 4,2 %")])
def test_another_sources_value_is_one_line(typed: str, value: str) -> None:
    assert randomness.read_value(RandomSource.OTHER, None, typed) == value
    for bad in ("", " ", "x" * 301):
        with pytest.raises(Refused):
            randomness.read_value(RandomSource.OTHER, None, bad)
