"""What changed between two texts."""

import random
import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from petition.letters import text_diff
from petition.letters.text_diff import Block, Run, changes


def side(blocks: list[Block], other: str) -> list[str]:
    """Return the paragraphs without what belongs to the other side only."""
    found = ["".join(run.text for run in block if run.fate != other) for block in blocks]
    return [each for each in found if each]


def paragraphs(text: str) -> list[str]:
    """Return what ``changes`` takes for paragraphs."""
    return [each for each in re.split(r"\n(?:[^\S\n]*\n)+", text.strip("\n")) if each]


def check(old: str, new: str) -> list[Block]:
    """Return the changes, having made sure that both texts can be read from them."""
    blocks = changes(old, new)
    assert side(blocks, "added") == paragraphs(old)
    assert side(blocks, "removed") == paragraphs(new)
    for block in blocks:
        assert block
        assert all(run.text for run in block)
        for one, next_one in pairwise(block):
            assert one.fate != next_one.fate
    return blocks


@pytest.mark.parametrize(
    ("old", "new", "blocks"),
    [
        ("", "", []),
        ("One.\n\nTwo.", "One.\n\n\n\nTwo.\n", [(Run("same", "One."),), (Run("same", "Two."),)]),
        ("", "One.", [(Run("added", "One."),)]),
        ("One.", "", [(Run("removed", "One."),)]),
        (
            "We ask you to stay.",
            "We beg you to stay!",
            [(Run("same", "We "), Run("removed", "ask "), Run("added", "beg "), Run("same", "you to stay"),
              Run("removed", "."), Run("added", "!"))],
        ),
        ("A b c.\n\nOther words here.", "A b c.", [(Run("same", "A b c."),), (Run("removed", "Other words here."),)]),
        (
            "Письмо всем.\n\nОстаньтесь с нами здесь.",
            "Письмо всем.\n\nСовсем другое начало.\n\nОстаньтесь с нами сейчас.",
            [
                (Run("same", "Письмо всем."),),
                (Run("added", "Совсем другое начало."),),
                (Run("same", "Останьтесь с нами "), Run("removed", "здесь"), Run("added", "сейчас"), Run("same", ".")),
            ],
        ),
        (
            "x y z one, two w",
            "x y z three, four w",
            [(Run("same", "x y z "), Run("removed", "one, two "), Run("added", "three, four "), Run("same", "w"))],
        ),
        ("cats", "dogs", [(Run("removed", "cats"),), (Run("added", "dogs"),)]),
    ],
)  # fmt: skip
def test_changes(old: str, new: str, blocks: list[Block]) -> None:
    assert check(old, new) == blocks


LETTERS = st.lists(
    st.lists(st.sampled_from(["a ", "b ", "c ", "d, ", "— ", "e\n", "."]), max_size=8).map("".join), max_size=6
)
TEXTS = LETTERS.map("\n\n".join)


@given(TEXTS, TEXTS)
def test_both_texts_can_be_read_from_the_changes(old: str, new: str) -> None:
    check(old, new)


@given(st.text(max_size=60), st.text(max_size=60))
def test_any_text_can_be_compared(old: str, new: str) -> None:
    check(old, new)


@given(TEXTS)
def test_a_text_does_not_differ_from_itself(text: str) -> None:
    assert all(run.fate == "same" for block in changes(text, text) for run in block)


@given(st.lists(st.sampled_from("abc"), max_size=10), st.lists(st.sampled_from("abc"), max_size=10))
def test_as_much_is_kept_as_can_be(old: list[str], new: list[str]) -> None:
    """Against the textbook's longest common subsequence."""
    table = [[0] * (len(new) + 1) for _ in range(len(old) + 1)]
    for i, one in enumerate(old):
        for j, other in enumerate(new):
            table[i + 1][j + 1] = table[i][j] + 1 if one == other else max(table[i][j + 1], table[i + 1][j])
    matches = text_diff._matches(old, new, text_diff._Steps(10**6))
    assert len(matches) == table[-1][-1]
    assert matches == sorted(set(matches))
    assert all(old[i] == new[j] for i, j in matches)


def words(seed: int, count: int, kinds: int) -> str:
    """Return many random words, some of them parted by an empty line."""
    chance = random.Random(seed)
    return "".join(f"w{chance.randrange(kinds)}{chance.choice([' ', ' ', ' ', chr(10) * 2])}" for _ in range(count))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (words(1, 10_000, 10**6), words(2, 10_000, 10**6)),  # nothing in common
        (words(1, 10_000, 2), words(2, 10_000, 2)),  # too much in common
        ("a " * 100_000, "b " * 100_000),
        ("a " * 100_000, "a b " * 50_000),
        ("a\n\n" * 10_000, "b\n\na\n\n" * 5_000),
        (("word " * 99 + "x\n\n") * 100, ("word " * 99 + "y\n\n") * 100),
    ],
)
def test_the_steps_are_limited(old: str, new: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[text_diff._Steps] = []

    class Counted(text_diff._Steps):
        def __init__(self, left: int) -> None:
            super().__init__(left)
            made.append(self)

    monkeypatch.setattr(text_diff, "_Steps", Counted)
    check(old, new)
    # One round of one comparison may still be finished when they run out: at most as long as the texts.
    assert made[0].left > -len(old)


def test_past_the_limit_what_surrounds_the_change_is_still_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_diff, "_STEPS", 0)
    assert check("a b c d e f", "a b x d y f") == [
        (Run("same", "a b "), Run("removed", "c d e "), Run("added", "x d y "), Run("same", "f"))
    ]
