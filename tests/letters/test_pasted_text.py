"""What people paste looks as they pasted it, and what would be lost is named."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from petition.letters.markdown import FOREIGN_PICTURE, HTML_TAG, MAX_EXAMPLE, MAX_LOSSES, TABLE, losses, to_html

WRAPPED = """\
This is a long paragraph that was wrapped by a mail program at some
seventy columns, as they have done since the days of the terminals,
and no reader has ever minded it, until a web page kept the breaks of
each line.

Yours,
Anna
Berlin"""


@pytest.mark.parametrize(
    ("pasted", "html"),
    [
        ("Мы требуем:\n— первое;\n— второе.", "<p>Мы требуем:<br>\n— первое;<br>\n— второе.</p>\n"),
        ("– Кто там?\n– Мы.", "<p>– Кто там?<br>\n– Мы.</p>\n"),
        ("Требуем:\n• третье\n• четвёртое", "<p>Требуем:</p>\n<ul>\n<li>третье</li>\n<li>четвёртое</li>\n</ul>\n"),
        ("▪ a\n\uf0b7 b\n· c", "<ul>\n<li>a</li>\n<li>b</li>\n<li>c</li>\n</ul>\n"),
        ("С уважением,\nКлуб\nРига", "<p>С уважением,<br>\nКлуб<br>\nРига</p>\n"),
        ("- пункт\n- второй\nС уважением", "<ul>\n<li>пункт</li>\n<li>второй</li>\n</ul>\n<p>С уважением</p>\n"),
        ("- one\n  more\n- two", "<ul>\n<li>one<br>\nmore</li>\n<li>two</li>\n</ul>\n"),
        ("Текст\n---\nКлуб", "<p>Текст</p>\n<hr>\n<p>Клуб</p>\n"),
        ("Текст\n===", "<p>Текст<br>\n===</p>\n"),
        ("    Красная строка\n\n\tи ещё", "<p>Красная строка</p>\n<p>и ещё</p>\n"),
        ("1. a\n2. b\n4. d", '<ol>\n<li>a</li>\n<li>b</li>\n<li value="4">d</li>\n</ol>\n'),
        ("1. a\n1. b", "<ol>\n<li>a</li>\n<li>b</li>\n</ol>\n"),
        ("Требуем\n2. второе", '<p>Требуем</p>\n<ol start="2">\n<li>второе</li>\n</ol>\n'),
        ("1.1. Раз\n1.2. Два", "<p>1.1. Раз<br>\n1.2. Два</p>\n"),
        ("+ 5 человек\n+7 999 000", "<p>+ 5 человек<br>\n+7 999 000</p>\n"),
        ("> 100 000 человек", "<p>&gt; 100 000 человек</p>\n"),
        ("5 * 3 * 2, ____ и snake_case_name", "<p>5 * 3 * 2, ____ и snake_case_name</p>\n"),
        ("П`ять і об`єкт", "<p>П`ять і об`єкт</p>\n"),
        ("доступ* нужен\n\n* по данным ООН", "<p>доступ* нужен</p>\n<p>* по данным ООН</p>\n"),
        ("[см.](дальше)", "<p>[см.](дальше)</p>\n"),
        ("[1]\n\n[1]: слово", "<p>[1]</p>\n<p>[1]: слово</p>\n"),
        ("a\\\nb", "<p>a<br>\nb</p>\n"),
        ("```\na\nb\n```", "<pre><code>a\nb\n</code></pre>\n"),
        ("~~~\n• a\nb\n~~~", "<pre><code>• a\nb\n</code></pre>\n"),
    ],
)
def test_it_looks_as_pasted(pasted: str, html: str) -> None:
    assert to_html(pasted) == html


def test_lines_that_a_program_wrapped_are_joined_and_others_are_not() -> None:
    paragraph, signature = to_html(WRAPPED).strip().split("</p>\n")
    assert "<br>" not in paragraph
    assert signature == "<p>Yours,<br>\nAnna<br>\nBerlin</p>"


def test_a_long_line_beside_long_lines_is_no_sign_of_wrapping() -> None:
    pasted = "\n".join(["Слово " * 30, "Слово " * 40, "Слово " * 20])
    assert to_html(pasted).count("<br>") == 2


def test_a_footnote_is_linked_both_ways_under_names_of_its_text() -> None:
    html = to_html("Раз[^1], два[^b], снова[^1].\n\n[^1]: примечание\n[^b]: второе")
    name = re.search(r'id="note-([0-9a-f]{6})-1"', html)
    assert name is not None
    assert f'<sup id="mention-{name[1]}-1"><a href="#note-{name[1]}-1"' in html
    assert f'<sup id="mention-{name[1]}-1-1"><a href="#note-{name[1]}-1"' in html
    assert f'<li id="note-{name[1]}-2" value="2"><p>второе <a href="#mention-{name[1]}-2"' in html
    assert f"note-{name[1]}" not in to_html("Другое[^1].\n\n[^1]: примечание")


@pytest.mark.parametrize("lone", ["[^2]: без ссылки", "Раз[^1].\n\n[^1]: раз\n[^1]: опять", "[^x] нет"])
def test_a_footnote_that_has_no_partner_stays_text(lone: str) -> None:
    words = re.sub(r"<[^>]*>", "", to_html(lone))
    assert all(word in words for word in re.findall(r"\w{2,}", lone))


WORDS = st.text(st.sampled_from("абв -—•*_`>[]()^:1.2!|#+\n<"), max_size=60)


@given(WORDS)
def test_no_word_is_lost(pasted: str) -> None:
    html = to_html(f"слово {pasted}\n\nконец")
    visible = re.sub(r"<[^>]*>", "", html)
    assert re.findall(r"[а-в]", visible.replace("слово", "").replace("конец", "")) == re.findall(r"[а-в]", pasted)


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        ("![Карта](https://pictures.example/a.png)", [FOREIGN_PICTURE]),
        ("a ![b](//x.example/c) <b>d</b>", [FOREIGN_PICTURE, HTML_TAG]),
        ("<!-- c -->\n\n<br/>", [HTML_TAG, HTML_TAG]),
        ("| a | b |\n|---|---|\n| 1 | 2 |", [TABLE]),
        ("a | b\n--|--\n1 | 2", [TABLE]),
        ("`<b>` и 1 < 2 > 0, <3, a | b, <https://x.example>", []),
        ("![x](/pictures/1.png)", []),
        ("```\n<b>\n```", []),
    ],
)
def test_what_is_lost_is_named(text: str, messages: list[str]) -> None:
    assert [loss.message for loss in losses(text)] == messages


def test_what_is_named_is_limited() -> None:
    found = losses("\n\n".join(f"![a](https://x.example/{'y' * 200}{number})" for number in range(50)))
    assert len(found) == MAX_LOSSES
    assert {len(loss.example) for loss in found} == {MAX_EXAMPLE}
