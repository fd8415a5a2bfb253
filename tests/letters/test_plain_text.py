"""A text as one reads it: what is compared when it changes."""

import pytest

from petition.letters.markdown import to_html
from petition.letters.model import Text
from petition.letters.plain_text import paragraphs, plain_pair


@pytest.mark.parametrize(
    ("markdown", "read"),
    [
        ("One **two**\nthree.\n\nFour.", "One two three.\n\nFour."),
        ("We ask:\n\n- **Keep** it\n- Open & shut", "We ask:\n\n– Keep it\n\n– Open & shut"),
        ("- One\n\n  more\n\n- Two", "– One\n\nmore\n\n– Two"),
        ("See [the report](https://report.example/1).", "See the report (https://report.example/1)."),
        ("<https://report.example/1>", "https://report.example/1"),
        ("## A heading\n\n> Quoted\n\n---\n\nEnd", "A heading\n\nQuoted\n\nEnd"),
        ("![A picture](/pictures/1.png)", "[A picture] (/pictures/1.png)"),
        ("", ""),
    ],
)
def test_markup_goes_and_where_a_link_leads_stays(markdown: str, read: str) -> None:
    assert paragraphs(to_html(markdown)) == read


def text(title: str, markdown: str) -> Text:
    return Text(title, markdown, to_html(markdown))


def test_titles_stand_in_front() -> None:
    assert plain_pair(text("Old", "Some *words*"), text("New", "Some words")) == (
        "Old\n\nSome words",
        "New\n\nSome words",
    )


def test_where_only_the_markup_changed_that_is_shown() -> None:
    assert plain_pair(text("A", "Some *words*"), text("A", "Some words")) == ("A\n\nSome *words*", "A\n\nSome words")
