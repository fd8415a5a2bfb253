"""Drafts as fields: one canonical form for each, and two hands joined without losing anything."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from petition.core.errors import Refused
from petition.core.ids import PictureId
from petition.drafts import draft_fields
from petition.drafts.draft_fields import LetterFrame
from petition.letters.model import Sharing, goal_at
from petition.letters.parties import Party

LANGUAGES = ("en", "ru")
NAMES = draft_fields.fields_of(LANGUAGES)
VALUES = st.sampled_from(["", "a", "b", "c"])
DRAFTS = st.fixed_dictionaries(dict.fromkeys(NAMES, VALUES))


@pytest.mark.parametrize(
    ("total", "goal"), [(0, 10), (9, 10), (10, 20), (11, 20), (19, 20), (20, 30), (30, 30), (31, 30), (10**9, 30)]
)
def test_the_goal_rises_when_it_is_reached(total: int, goal: int) -> None:
    assert goal_at(10, (20, 30), total) == goal
    assert goal_at(10, (), total) == 10
    assert goal_at(None, (), total) is None


@pytest.mark.parametrize(
    ("name", "typed", "kept"),
    [
        ("title.en", "  A title ", "A title"),
        ("text.en", "\r\n\r\na\r\nb\r\n ", "a\nb"),
        ("text.en", "    code", "    code"),
        ("sharing.en", "one\r\ntwo  three", "one two three"),
        ("goal", " 5 000 ", "5000"),
        ("goal", "5,000", "5000"),
        ("goal", "1.000.000", "1000000"),
        ("goal", "5\u00a0000", "5000"),
        ("goal", "", ""),
        ("next_goals", "6000, 7000;8000", "6000 7000 8000"),
        ("next_goals", "10 000, 25 000", "10000 25000"),
        ("next_goals", "10\u00a0000; 25,000; 1.000.000", "10000 25000 1000000"),
        ("next_goals", "100 200, 300", "100 200 300"),
        ("next_goals", " 5000 6000 ", "5000 6000"),
        ("next_goals", " ", ""),
        ("closes_at", "2027-03-01T18:30", "2027-03-01T18:30:00"),
        ("closes_at", "2027-03-01 18:30:05", "2027-03-01T18:30:05"),
        ("closes_at", "2027-03-01T18:30:05.123", "2027-03-01T18:30:05.123000"),
        ("closes_at", "2027-03-01", "2027-03-01T00:00:00"),
        ("names_in_search", "yes", "yes"),
        ("names_in_search", "on", ""),
    ],
)
def test_each_field_has_one_form(name: str, typed: str, kept: str) -> None:
    assert draft_fields.checked(name, typed) == kept
    assert draft_fields.checked(name, kept) == kept


@given(st.sampled_from(NAMES), st.text())
def test_whatever_is_typed_has_a_form_or_is_refused(name: str, typed: str) -> None:
    if name in draft_fields.PARTIES or name.startswith("picture."):
        return
    try:
        kept = draft_fields.checked(name, typed)
    except Refused:
        return
    assert draft_fields.checked(name, kept) == kept


def test_a_letter_goes_through_its_fields() -> None:
    frame = LetterFrame(
        goal=5,
        next_goals=(7, 9),
        closes_at=datetime(2027, 3, 1, 18, 30, 5, 123456, UTC),
        names_in_search=True,
        initiators=(Party({"en": 'A "b"', "ru": "Б"}, "https://a.example"),),
        addressees=(Party({"ru": "В"}), Party({"en": "C"})),
        sharing={"ru": Sharing("Читайте", PictureId(2**61), "Море")},
    )
    texts = {"ru": ("Имя", "Текст")}
    fields = draft_fields.written(frame, texts, LANGUAGES)
    assert sorted(fields) == sorted(NAMES)
    assert draft_fields.read_frame(fields, LANGUAGES) == frame
    assert draft_fields.read_texts(fields, LANGUAGES) == texts
    empty = draft_fields.written(LetterFrame(), {}, LANGUAGES)
    assert set(empty.values()) == {""}
    assert draft_fields.read_frame(empty, LANGUAGES) == LetterFrame()
    assert draft_fields.read_texts(empty, LANGUAGES) == {}


@given(DRAFTS, DRAFTS, DRAFTS)
def test_two_hands_are_joined(before: dict[str, str], mine: dict[str, str], theirs: dict[str, str]) -> None:
    seen = {name: draft_fields.digest(value) for name, value in before.items()}
    merged = draft_fields.merge(theirs, mine, seen)
    for name in NAMES:
        i_changed, they_changed = mine[name] != before[name], theirs[name] != before[name]
        both = i_changed and they_changed and mine[name] != theirs[name]
        assert (name in merged.conflicts) == both
        assert (name in merged.write) == (i_changed and not they_changed)
        if both:
            assert merged.conflicts[name] == theirs[name]
        result = merged.write.get(name, theirs[name])
        assert result == (mine[name] if i_changed and not they_changed else theirs[name])


def test_whoever_does_not_say_what_was_seen_overwrites_nothing() -> None:
    now = dict.fromkeys(NAMES, "theirs")
    merged = draft_fields.merge(now, {"goal": "mine", "slug": "x"}, {})
    assert (merged.write, merged.conflicts) == ({}, {"goal": "theirs"})


@pytest.mark.parametrize(
    ("goal", "following", "fine"),
    [("5", "6 7", True), ("5", "", True), ("", "", True), ("", "6", False), ("5", "5", False), ("7", "6 8", False)],
)
def test_goals_rise(goal: str, following: str, fine: bool) -> None:
    fields = {"goal": goal, "next_goals": following}
    if fine:
        draft_fields.check_goals(fields)
        return
    with pytest.raises(Refused) as caught:
        draft_fields.check_goals(fields)
    assert caught.value.field == "next_goals"
