"""A letter's text: Markdown as written, HTML as shown.

Two walls: the Markdown parser passes no HTML through and its tokens are cut down to what a letter needs; what it
renders is then cleaned against an allow-list by a parser of its own (ammonia, through nh3).
"""

import re
from collections.abc import Iterator

import nh3
from markdown_it import MarkdownIt
from markdown_it.token import Token

from petition.core.errors import PetitionError

TITLE_LENGTH = 200  # characters
TEXT_SIZE = 200_000  # bytes of one language's text, the title line included

_PARSER = MarkdownIt("commonmark", {"html": False, "typographer": False, "linkify": False})
# h1 is the letter's own title, which stands outside the text.
_HEADINGS = {"h1": "h2", "h2": "h3", "h3": "h4", "h4": "h4", "h5": "h4", "h6": "h4"}
_TAGS = {"p", "h2", "h3", "h4", "ul", "ol", "li", "blockquote", "em", "strong", "a", "hr", "br", "img", "code", "pre"}
_ATTRIBUTES: dict[str, set[str]] = {"*": set(), "a": {"href"}, "img": {"src", "alt"}, "ol": {"start"}}
_SCHEMES = {"http", "https", "mailto"}
# A path here, not "//other.host", nor "/\other.host", which browsers read likewise.
_PATH = re.compile(r"/(?![/\\])[^\s\\\x00-\x20]*")
_HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class BadText(PetitionError):
    """A letter's text is not of the form "# Title", then Markdown."""


def split(text: str) -> tuple[str, str]:
    """Return (title, body) of a text whose first line is "# Title".

    Line ends become "\\n"; empty lines around the body go, and so do spaces around the title. Raises ``BadText``.
    """
    if len(text.encode(errors="replace")) > TEXT_SIZE:
        raise BadText(f"is longer than {TEXT_SIZE // 1000} KB")
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    first, _, body = text.partition("\n")
    title = first.removeprefix("# ").strip()
    if not first.startswith("# ") or not title:
        raise BadText('must begin with the line "# Title"')
    if len(title) > TITLE_LENGTH:
        raise BadText(f"has a title longer than {TITLE_LENGTH} characters")
    if _HIDDEN.search(title) or "\t" in title or _HIDDEN.search(body):
        raise BadText("contains control characters")
    return title, trimmed(body)


def has_control(text: str) -> bool:
    """Return whether a character is in ``text`` that no text of a letter may hold."""
    return _HIDDEN.search(text) is not None


def join(title: str, body: str) -> str:
    """Return the text that ``split`` takes apart again, ending in one line end."""
    return f"# {title}\n\n{body}\n" if body else f"# {title}\n"


def trimmed(body: str) -> str:
    """Return the body without empty lines around it; spaces in front of its first line stay (they may mean code)."""
    return re.sub(r"\A(?:[^\S\n]*\n)+", "", body).rstrip()


def to_html(markdown: str) -> str:
    """Return the sanitized HTML of a letter's body.

    Paragraphs, headings one level down, lists, quotes, emphasis, links (http, https, mailto, or a path here), rules,
    code, and images that are a path on this installation; any other image becomes its description.
    """
    tokens = _PARSER.parse(markdown)
    html = _PARSER.renderer.render(list(_reduced(tokens)), _PARSER.options, {})
    return nh3.clean(
        html,
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        attribute_filter=_filtered,
        url_schemes=_SCHEMES,
        link_rel="noopener nofollow",
        strip_comments=True,
    )


def _reduced(tokens: list[Token]) -> Iterator[Token]:
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = _HEADINGS[token.tag]
        elif token.type == "image" and not _PATH.fullmatch(str(token.attrGet("src"))):
            yield Token("text", "", 0, content=token.content)
            continue
        if token.children and token.type != "image":
            token.children = list(_reduced(token.children))
        yield token


def _filtered(tag: str, attribute: str, value: str) -> str | None:
    """Return the attribute's value, or None to drop it."""
    if (tag, attribute) == ("img", "src"):
        return value if _PATH.fullmatch(value) else None
    if (tag, attribute) == ("a", "href"):
        known = _PATH.fullmatch(value) or value.partition(":")[0].lower() in _SCHEMES
        return value if known else None
    return value
