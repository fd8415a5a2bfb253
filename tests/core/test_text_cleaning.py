"""Cleaning of short texts."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from petition.core.text_cleaning import MAX_LENGTH, clean, has_direction_mark, has_hidden, is_blank, letters_of

ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()), max_size=40)
TRICKY = st.text(
    st.sampled_from(
        "ab 1\u0301\u0308иё\u200b\u200c\u200d\u00ad\ufeff\u2060\u00a0\u3000\t\nمی\u0915\u094d'"
        "\u200e\u2066\ufe0f👩🏽❤1\u20e3\u0d4d"
    ),
    max_size=20,
)


@pytest.mark.parametrize(
    ("typed", "cleaned"),
    [
        ("  Ann  Lee ", "Ann Lee"),
        ("Ann\u00a0\u2003Lee\u3000", "Ann Lee"),
        ("\tAnn Lee\r\n", "Ann Lee"),
        ("A\u200bn\ufeffn\u00ad \u2060Lee", "Ann Lee"),
        ("Zoe\u0308", "Zoë"),
        ("и\u0306", "й"),
        ("e\u200b\u0301", "é"),
        ("علی\u200cرضا", "علی\u200cرضا"),
        ("علی\u200c\u200c\u200dرضا", "علی\u200cرضا"),
        ("\u200cعلی\u200d", "علی"),
        ("Ann\u200d Lee", "Ann Lee"),
        ("क्\u200dष", "क्\u200dष"),
        ("1\u200d2", "12"),
        ("A\u200dnn", "Ann"),
        ("Ив\u200cан", "Иван"),
        ("അനില്\u200d", "അനില്\u200d"),
        ("Vera\u200f Novak", "Vera Novak"),
        ("\u2068Ahmed Ali\u2069", "Ahmed Ali"),
        ("\u202aИван Петров\u202c", "Иван Петров"),
        ("Ann\u202eLee", "AnnLee"),
        ("Moshe Levi\u200e", "Moshe Levi"),
        ("\u061cAnn\ufffc", "Ann"),
        ("Ann\tLee\r\nSmith\u2028Jones", "Ann Lee Smith Jones"),
        ("Ann\u3164Lee", "Ann Lee"),
        ("a\ufe0f!\ufe0f", "a!"),
        ("a\U000e0041\U000e0042b", "ab"),
        ("👨\u200d👩\u200d👧", "👨\u200d👩\u200d👧"),
        ("👩🏽\u200d🔬", "👩🏽\u200d🔬"),
        ("❤\ufe0f\u200d🔥", "❤\ufe0f\u200d🔥"),
        ("👨\u200c👩", "👨👩"),
        ("1\ufe0f\u20e3 1\ufe0f", "1\ufe0f\u20e3 1"),
        ("葛\U000e0100城", "葛\U000e0100城"),
        (
            "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
            "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
        ),
        ("", ""),
        ("\u200b \ufeff", ""),
    ],
)
def test_clean(typed: str, cleaned: str) -> None:
    assert clean(typed) == cleaned


def test_what_could_be_no_short_text_is_cut_before_it_is_put_in_order() -> None:
    marks = "\u0345" * 20_000 + "\u0334" * 20_000  # in the order that takes longest
    assert len(clean("a" + marks)) <= MAX_LENGTH
    assert clean("a" * 3000) == "a" * MAX_LENGTH


@given(ANY_TEXT | TRICKY)
def test_clean_is_stable_composed_and_trimmed(text: str) -> None:
    cleaned = clean(text)
    assert clean(cleaned) == cleaned
    assert unicodedata.is_normalized("NFC", cleaned)
    assert cleaned == cleaned.strip(" \t\n\r")
    assert "  " not in cleaned
    assert not set(cleaned) & set("\u200b\u2060\ufeff\u00ad\u00a0\u3000\t\n")
    assert not has_direction_mark(cleaned)


@pytest.mark.parametrize(
    "hidden", ["\0", "\x07", "\t", "\n", "\x7f", "\x85", "\u2028", "\ud800", "\U000e0041", "\uffff"]
)
def test_hidden_characters_are_seen(hidden: str) -> None:
    assert has_hidden(f"Ann{hidden}Lee")
    assert not has_direction_mark(f"Ann{hidden}Lee")


@pytest.mark.parametrize("mark", "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
def test_direction_marks_are_seen(mark: str) -> None:
    assert has_direction_mark(f"Ann{mark}")
    assert not has_hidden(f"Ann{mark}")


@pytest.mark.parametrize(
    "text",
    [
        "Ann Lee",
        "أحمد",
        "महात्मा",
        "علی\u200cرضا",
        "習近平",
        "𐐀",
        "👩‍🔬",
        "e\u0301",
        "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    ],
)
def test_what_can_be_seen_is_not_hidden(text: str) -> None:
    assert not has_hidden(text)
    assert not has_direction_mark(text)
    assert not is_blank(text)


@pytest.mark.parametrize("text", ["", " ", "\u3164", "\u2800 \u115f", "\u0301", "\0"])
def test_blank(text: str) -> None:
    assert is_blank(text)


def test_letters() -> None:
    assert letters_of("А. 1-é\u3164!") == "Аé"


@given(st.text("aЯ йё!~«—№\u0306", max_size=30))
def test_what_needs_no_cleaning_is_cleaned_to_the_same(text: str) -> None:
    # A character that is taken out sends it the long way.
    assert clean(text) == clean(f"{text}\u200b")
