"""A letter's HTML as nodes: every word stays, notes and pictures become words, lists keep their numbers."""

import re
from html import unescape

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from petition.letters import markdown
from petition.packages.text_nodes import Node, nodes_of


@pytest.mark.parametrize(
    ("html", "nodes"),
    [
        ("<p>One <em>two</em></p>", [["p", "", ["One ", ["em", "", ["two"]]]]]),
        (
            '<ol start="3">\n<li>a</li>\n<li value="7">b</li><li>c</li></ol>',
            [["ol", "", [["li", 3, ["a"]], ["li", 7, ["b"]], ["li", 8, ["c"]]]]],
        ),
        ('<p><a href="/en/x">x</a></p>', [["p", "", [["a", "https://letters.example/en/x", ["x"]]]]]),
        ('<p><img src="/p" alt="a map"><br>z</p>', [["p", "", ["[a map]", ["br", "", []], "z"]]]),
        ('<p>z<sup><a href="#note-1">1</a></sup></p>', [["p", "", ["z", ["sup", "", [["span", "", ["1"]]]]]]]),
        ('<li>note <a href="#mention-1">back</a></li>', None),
    ],
)
def test_nodes(html: str, nodes: list[Node] | None) -> None:
    if nodes is None:
        assert "back" not in words(nodes_of(f"<ol>{html}</ol>", "https://letters.example"))
    else:
        assert nodes_of(html, "https://letters.example") == nodes


def words(nodes: list[Node]) -> str:
    return "".join(node if isinstance(node, str) else words(node[2]) for node in nodes)


@given(st.text(alphabet="ab *_#>-1.\n[]()!`", max_size=120))
@example("1\n\n1")
def test_no_word_is_lost(text: str) -> None:
    """White space between blocks is dropped, and nothing else: paragraphs are nodes of their own."""
    html = markdown.to_html(text)
    plain = unescape(re.sub("<[^>]*>", "", html))
    assert without_space(words(nodes_of(html, "https://letters.example"))) == without_space(plain)


def without_space(text: str) -> str:
    return "".join(text.split())
