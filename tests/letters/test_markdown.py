"""Letters' texts: taken apart, and shown without danger."""

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from petition.letters.markdown import TEXT_SIZE, BadText, join, split, to_html, trimmed


@pytest.mark.parametrize(
    ("text", "title", "body"),
    [
        ("# Title\n\nText.\n", "Title", "Text."),
        ("\ufeff# Title\r\nText.\r\n", "Title", "Text."),
        ("#   To C# and  F#  \n\n\n\nA\n\n\nB\n\n", "To C# and  F#", "A\n\n\nB"),
        ("# T\n \n    code", "T", "    code"),
        ("# T", "T", ""),
        ("# Письмо\n## Раздел", "Письмо", "## Раздел"),
        ("# " + "я" * 200 + "\n", "я" * 200, ""),
    ],
)
def test_split(text: str, title: str, body: str) -> None:
    assert split(text) == (title, body)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "must begin"),
        ("Title", "must begin"),
        ("#Title", "must begin"),
        ("## Title", "must begin"),
        ("\n# Title", "must begin"),
        (" # Title", "must begin"),
        ("#  \nText", "must begin"),
        ("# " + "a" * 201, "title longer"),
        ("# T\0", "control"),
        ("# T\tU", "control"),
        ("# T\n\x07", "control"),
        ("# T\n\ud800", "control"),
        ("# T\n" + "я" * (TEXT_SIZE // 2), "longer than 200 KB"),
    ],
)
def test_what_is_no_letter(text: str, problem: str) -> None:
    with pytest.raises(BadText, match=problem):
        split(text)


TITLES = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp", "Cs"]), min_size=1, max_size=60)
BODIES = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"], include_characters="\n\t"), max_size=200
)


@given(TITLES.map(str.strip).filter(bool), BODIES)
def test_join_and_split_are_opposite(title: str, body: str) -> None:
    text = join(title, trimmed(body))
    assert split(text) == (title, trimmed(body))
    assert join(*split(text)) == text
    assert split(text.replace("\n", "\r\n")) == (title, trimmed(body))


@pytest.mark.parametrize(
    ("markdown", "html"),
    [
        ("One\ntwo\n\n*three* **four**", "<p>One<br>\ntwo</p>\n<p><em>three</em> <strong>four</strong></p>\n"),
        ("# A\n## B\n### C\n###### D", "<h2>A</h2>\n<h3>B</h3>\n<h4>C</h4>\n<h4>D</h4>\n"),
        ("- a\n- b", "<ul>\n<li>a</li>\n<li>b</li>\n</ul>\n"),
        ("3. a", '<ol start="3">\n<li>a</li>\n</ol>\n'),
        ("> q", "<blockquote>\n<p>q</p>\n</blockquote>\n"),
        ("a  \nb", "<p>a<br>\nb</p>\n"),
        ("---", "<hr>\n"),
        ("`<b>`", "<p><code>&lt;b&gt;</code></p>\n"),
        ("```js\n<b>\n```", "<pre><code>&lt;b&gt;\n</code></pre>\n"),
        ('[a](https://b.org "t")', '<p><a href="https://b.org" rel="noopener nofollow">a</a></p>\n'),
        ("<https://b.org/>", '<p><a href="https://b.org/" rel="noopener nofollow">https://b.org/</a></p>\n'),
        ("[a](mailto:b@c.org)", '<p><a href="mailto:b@c.org" rel="noopener nofollow">a</a></p>\n'),
        ("[a](/en/privacy)", '<p><a href="/en/privacy" rel="noopener nofollow">a</a></p>\n'),
        ('![a "b"](/static/x.png "t")', '<p><img src="/static/x.png" alt="a &quot;b&quot;"></p>\n'),
        ("![a *b*](https://c.org/x.png)", "<p>a *b*</p>\n"),
        ("![a](//c.org/x.png)", "<p>a</p>\n"),
        ("[![a](http://c.org/x)](https://b.org)", '<p><a href="https://b.org" rel="noopener nofollow">a</a></p>\n'),
        ("~~a~~ \"b\" -- (c)", "<p>~~a~~ \"b\" -- (c)</p>\n"),
        ("", ""),
    ],
)  # fmt: skip
def test_html(markdown: str, html: str) -> None:
    assert to_html(markdown) == html


SAFE_TAGS = {
    "p",
    "h2",
    "h3",
    "h4",
    "ul",
    "ol",
    "li",
    "blockquote",
    "em",
    "strong",
    "a",
    "hr",
    "br",
    "img",
    "code",
    "pre",
    "sup",
}
SAFE_ATTRIBUTES = {
    ("a", "href"),
    ("a", "rel"),
    ("img", "src"),
    ("img", "alt"),
    ("ol", "start"),
    ("li", "value"),
    ("li", "id"),
    ("sup", "id"),
}


class Walker(HTMLParser):
    """Checks each tag and attribute as a browser would meet it."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Fail on anything outside the allow-list."""
        assert tag in SAFE_TAGS
        for name, value in attrs:
            assert (tag, name) in SAFE_ATTRIBUTES
            # Browsers drop these inside addresses before they look at the scheme.
            address = re.sub("[\t\r\n]", "", value or "").strip()
            if name == "href":
                assert re.match(r"(?i)(https?:|mailto:|/(?![/\\])|#(note|mention)-[0-9a-f]{6}-)", address)
            if name == "id":
                assert re.fullmatch(r"(note|mention)-[0-9a-f]{6}-[0-9-]+", address)
            if name == "src":
                assert re.match(r"/(?![/\\])", address)

    def handle_comment(self, data: str) -> None:
        """Comments are never let through."""
        raise AssertionError(data)

    def handle_decl(self, decl: str) -> None:
        """Nor are declarations."""
        raise AssertionError(decl)

    def handle_pi(self, data: str) -> None:
        """Nor are processing instructions."""
        raise AssertionError(data)

    def unknown_decl(self, data: str) -> None:
        """Nor is anything unknown."""
        raise AssertionError(data)


def walk(markdown: str) -> str:
    """Return the HTML, checked."""
    html = to_html(markdown)
    walker = Walker()
    walker.feed(html)
    walker.close()
    return html


ATTACKS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)>",
    "<svg><style><!--</style><img src=x onerror=alert(1)>-->",
    "<math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    "<!-- --!><img src=x onerror=alert(1)> -->",
    "[a](javascript:alert(1))",
    "[a](JaVaScRiPt:alert(1))",
    "[a](java\tscript:alert(1))",
    "[a](&#106;avascript:alert(1))",
    "[a](&#x6A&#x61vascript:alert(1))",
    "[a](javascript&colon;alert(1))",
    "[a]( javascript:alert(1))",
    "[a](<javascript:alert(1)>)",
    "[a](data:text/html;base64,PHNjcmlwdD4=)",
    "[a](vbscript:x)",
    "[a](file:///etc/passwd)",
    "[a](//evil.example)",
    "[a](/\\evil.example)",
    "[a](/%5c/evil.example)",
    "[a][b]\n\n[b]: javascript:alert(1)",
    "<javascript:alert(1)>",
    '[a](https://x.org "\\"><script>alert(1)</script>")',
    '[a](https://x.org/"onmouseover=alert(1))',
    "![a](javascript:alert(1))",
    "![a](data:image/svg+xml,<svg/onload=alert(1)>)",
    "![a](https://evil.example/x.png)",
    "![a](//evil.example/x.png)",
    "![a](/\\evil.example/x.png)",
    "![a](/&#9;/evil.example)",
    "![a](&#47;/evil.example)",
    "![\"><script>alert(1)</script>](/x.png)",
    "![a][b]\n\n[b]: //evil.example/x",
    "[![a](javascript:1)](javascript:2)",
    "```\"><script>alert(1)</script>\nx\n```",
    "# <script>alert(1)</script>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&#60;script&#62;alert(1)",
    "<a href='javascript:alert(1)'>a</a>",
    "<iframe srcdoc='<script>alert(1)</script>'>",
    "<base href=//evil.example>",
    "<?php ?><![CDATA[<script>]]>",
]  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_dangerous_is_shown(attack: str) -> None:
    assert "<script" not in walk(attack).lower()


PIECES = st.sampled_from(
    [
        *ATTACKS,
        "[",
        "](",
        ")",
        "!",
        "<",
        ">",
        "*",
        "_",
        "`",
        "```\n",
        "\n",
        "\n\n",
        "> ",
        "- ",
        "1. ",
        "    ",
        "&#",
        ";",
        '"',
        "'",
    ]
)


@given(st.lists(PIECES | st.text(max_size=8), max_size=12).map("".join))
def test_nothing_dangerous_comes_of_any_mixture(markdown: str) -> None:
    walk(markdown)


def test_a_long_text_is_shown_whole() -> None:
    html = to_html("Параграф текста. " * 20 + "\n\n" + "word " * 10_000)
    assert html.count("word") == 10_000


@pytest.mark.parametrize("nasty", ["[" * 5_000, "*a **a " * 2_000, ">" * 5_000, "![[" * 1_000, "<" * 5_000])
def test_nasty_nesting_is_survived(nasty: str) -> None:
    walk(nasty)
