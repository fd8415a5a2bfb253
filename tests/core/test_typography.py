"""What a typesetter adds: soft hyphens in long words, spaces that hold, one bullet an item."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from petition.core.typography import MIN_BACK, MIN_FRONT, SOFT_HYPHEN, heading, hyphenated, script_lang, spaced, typeset

VOWEL = re.compile("[аеёиоуыэюяіїєў]", re.IGNORECASE)


@pytest.mark.parametrize(
    ("word", "parts"),
    [
        ("телекоммуникационным", "теле-ком-му-ни-ка-ци-он-ным"),
        ("Международным", "Международным"),  # short enough for a line
        ("международного", "между-на-род-ного"),
        ("государственными", "госу-дар-ствен-ными"),
        ("профессиональным", "профес-си-ональ-ным"),
        ("интернет-компаниям", "интернет-компаниям"),
        ("telecommunications", "telecommunications"),
    ],
)
def test_long_russian_words_break_at_syllables(word: str, parts: str) -> None:
    assert hyphenated(word).replace(SOFT_HYPHEN, "-") == parts


@given(st.text(st.characters(codec="utf-8", exclude_characters=SOFT_HYPHEN), max_size=80))
def test_nothing_but_soft_hyphens_is_added(text: str) -> None:
    assert hyphenated(text).replace(SOFT_HYPHEN, "") == text


@given(st.text("абвгдеёжзийклмнопрстуфхцчшщъыьэюяАБ", min_size=14, max_size=40))
def test_every_part_of_a_word_can_be_read(word: str) -> None:
    pieces = hyphenated(word).split(SOFT_HYPHEN)
    if len(pieces) > 1:
        assert all(VOWEL.search(piece) for piece in pieces)
        assert len(pieces[0]) >= MIN_FRONT
        assert len(pieces[-1]) >= MIN_BACK
        assert not any(piece[0] in "ьъй" for piece in pieces[1:])


def test_short_words_hold_to_the_next() -> None:
    assert spaced("информацию о происходящем и в сети", "ru") == "информацию о\u00a0происходящем и\u00a0в\u00a0сети"
    assert spaced("Мы — за свет", "ru") == "Мы\u00a0— за\u00a0свет"
    assert spaced("a letter to a friend", "en") == "a letter to a friend"
    assert heading("О телекоммуникационным", "ru").startswith("О\u00a0теле")


def test_html_keeps_its_tags_and_code() -> None:
    html = '<p>Мы в <em>сети</em> и <a href="/о в">в доме</a></p><pre><code>в коде</code></pre>'
    assert typeset(html, "ru") == (
        '<p>Мы в\u00a0<em>сети</em> и\u00a0<a href="/о в">в\u00a0доме</a></p><pre><code>в коде</code></pre>'
    )


@pytest.mark.parametrize("text", ["❌ no", "👍 yes", "• one", "— one"])
def test_an_item_with_a_marker_of_its_own_gets_no_second_one(text: str) -> None:
    assert typeset(f"<ul><li>{text}</li><li>\n<p>{text}</p></li></ul>", "en").count('class="bare"') == 2
    assert 'class="bare"' not in typeset("<ul><li>plain</li><li>№ 5</li><li><p>© us</p></li></ul>", "en")


def test_names_are_read_in_their_script() -> None:
    assert [script_lang(name) for name in ("Пётр Ясень", "Lea Marrin", "Lea Ясень", "李", "7")] == [
        "ru",
        "en",
        "",
        "",
        "",
    ]
