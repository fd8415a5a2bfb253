"""A letter's text: Markdown as written, HTML as shown.

Two walls: the Markdown parser passes no HTML through and its tokens are cut down to what a letter needs; what it
renders is then cleaned against an allow-list by a parser of its own (ammonia, through nh3).
"""

import re
from collections.abc import Iterator, Sequence
from hashlib import sha256
from itertools import islice
from typing import Any, NamedTuple

import nh3
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markdown_it.utils import EnvType
from mdit_py_plugins.footnote import footnote_plugin

from petition.core.errors import PetitionError
from petition.core.i18n import N_
from petition.letters import pasted_text

TITLE_LENGTH = 200  # characters
TEXT_SIZE = 200_000  # bytes of one language's text, the title line included

# h1 is the letter's own title, which stands outside the text.
_HEADINGS = {"h1": "h2", "h2": "h3", "h3": "h4", "h4": "h4", "h5": "h4", "h6": "h4"}
_TAGS = {
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
_ATTRIBUTES: dict[str, set[str]] = {
    "*": set(),
    "a": {"href"},
    "img": {"src", "alt"},
    "ol": {"start"},
    "li": {"id", "value"},
    "sup": {"id"},
}
_SCHEMES = {"http", "https", "mailto"}
# A path here, not "//other.host", nor "/\other.host", which browsers read likewise.
_PATH = re.compile(r"/(?![/\\])[^\s\\\x00-\x20]*")
_NOTE = re.compile(r"#(?:note|mention)-[0-9a-f]{6}(?:-[0-9]{1,5}){1,2}")
_NUMBER = re.compile(r"[1-9][0-9]{0,3}")
_HTML_TAG = re.compile(r"</?[A-Za-z][A-Za-z0-9-]*(?:\s[^<>]*)?/?>|<!--")
_TABLE = re.compile(r"^[^\n]*\|[^\n]*(?=\n[ |:-]*-[ |:-]*\|[ |:-]*$)|^\|[^\n]*\|[^\n]*(?=\n[ |:-]+$)", re.MULTILINE)
_HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


MAX_LOSSES = 10  # named for one text
MAX_EXAMPLE = 80  # characters

FOREIGN_PICTURE = N_("Pictures from other sites are left out; their description stays: %(example)s")
HTML_TAG = N_("HTML is not read; readers see the tags as they are typed: %(example)s")
TABLE = N_("Tables are not drawn; readers see the bars as they are typed: %(example)s")


class Loss(NamedTuple):
    """Something in a text that readers will not see as its author may expect."""

    message: str  # for the catalogues, with ``example``
    example: str


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


class _LetterParser(MarkdownIt):
    """CommonMark as people mean it; a link or note that leads nowhere stays text, so that no word of it is lost."""

    def __init__(self) -> None:
        super().__init__("commonmark", {"html": False, "typographer": False, "linkify": False})
        # A line above "---" is no heading, and a line that begins with spaces is no code.
        self.disable(["lheading", "code"])
        self.use(footnote_plugin, inline=False)
        self.add_render_rule("footnote_ref", _note_mention)
        self.add_render_rule("footnote_block_open", lambda *_: "<hr>\n<ol>\n")
        self.add_render_rule("footnote_block_close", lambda *_: "</ol>\n")
        self.add_render_rule("footnote_open", _note_open)
        self.add_render_rule("footnote_close", lambda *_: "</li>\n")
        self.add_render_rule("footnote_anchor", _note_back)

    def validateLink(self, url: str) -> bool:
        """Return whether ``url`` is http, https, mailto, "//host" or a path here."""
        return url.startswith("//") or _PATH.fullmatch(url) is not None or url.partition(":")[0].lower() in _SCHEMES


def _note_mention(_self: Any, tokens: Sequence[Token], index: int, _options: Any, env: EnvType) -> str:
    name, label = _note_name(tokens[index], env), _note_label(tokens[index])
    again = f"-{tokens[index].meta['subId']}" if tokens[index].meta["subId"] else ""
    return f'<sup id="mention-{name}{again}"><a href="#note-{name}">{label}</a></sup>'


def _note_open(_self: Any, tokens: Sequence[Token], index: int, _options: Any, env: EnvType) -> str:
    return f'<li id="note-{_note_name(tokens[index], env)}" value="{_note_label(tokens[index])}">'


def _note_back(_self: Any, tokens: Sequence[Token], index: int, _options: Any, env: EnvType) -> str:
    again = f"-{tokens[index].meta['subId']}" if tokens[index].meta["subId"] else ""
    return f' <a href="#mention-{_note_name(tokens[index], env)}{again}">\u21a9\ufe0e</a>'


def _note_name(token: Token, env: EnvType) -> str:
    return f"{env['text']}-{token.meta['id'] + 1}"


def _note_label(token: Token) -> str:
    """Return the number that the author has written; notes with other labels are numbered."""
    label = str(token.meta["label"])
    return label if _NUMBER.fullmatch(label) else str(token.meta["id"] + 1)


_PARSER = _LetterParser()


def to_html(markdown: str) -> str:
    """Return the sanitized HTML of a letter's body, which looks as its author has typed or pasted it.

    Paragraphs and their line breaks, headings one level down, lists with their numbers, quotes, emphasis, links (http,
    https, mailto, or a path here), rules, code, footnotes, and images that are a path on this installation; any other
    image becomes its description (``losses`` names it).
    """
    tokens, env = _parsed(markdown)
    html = _PARSER.renderer.render(list(_reduced(tokens)), _PARSER.options, env)
    return nh3.clean(
        html,
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        attribute_filter=_filtered,
        url_schemes=_SCHEMES,
        link_rel="noopener nofollow",
        strip_comments=True,
    )


def losses(markdown: str) -> list[Loss]:
    """Return what readers will not see as the author may expect, in the order of the text, at most ``MAX_LOSSES``."""
    tokens, _ = _parsed(markdown)
    return list(islice(_losses(tokens), MAX_LOSSES))


def _losses(tokens: Sequence[Token]) -> Iterator[Loss]:
    for token in tokens:
        if token.type == "image" and not _PATH.fullmatch(str(token.attrGet("src"))):
            yield Loss(FOREIGN_PICTURE, _shortened(str(token.attrGet("src"))))
        elif token.type == "text" and (tag := _HTML_TAG.search(token.content)):
            yield Loss(HTML_TAG, _shortened(tag[0]))
        elif token.type == "inline" and (table := _TABLE.search(token.content)):
            yield Loss(TABLE, _shortened(table[0]))
        yield from _losses(token.children or ())


def _shortened(text: str) -> str:
    text = text.strip()
    return text if len(text) <= MAX_EXAMPLE else text[: MAX_EXAMPLE - 1] + "…"


def _parsed(markdown: str) -> tuple[list[Token], dict[str, Any]]:
    # Several texts may stand on one page: the names of their notes must differ.
    env = {"text": sha256(markdown.encode(errors="replace")).hexdigest()[:6]}
    return _PARSER.parse(pasted_text.as_markdown(markdown), env), env


def _reduced(tokens: list[Token]) -> Iterator[Token]:
    for index, token in enumerate(tokens):
        if token.type in ("heading_open", "heading_close"):
            token.tag = _HEADINGS[token.tag]
        elif token.type == "ordered_list_open":
            _number_items(tokens, index)
        elif token.type == "image" and not _PATH.fullmatch(str(token.attrGet("src"))):
            yield Token("text", "", 0, content=token.content)
            continue
        elif token.type == "link_open" and str(token.attrGet("href")).startswith("//"):
            token.attrSet("href", f"https:{token.attrGet('href')}")
        if token.children and token.type != "image":
            token.children = list(_reduced(token.children))
        yield token


def _number_items(tokens: list[Token], start: int) -> None:
    """Let items keep the numbers of the text ("1. 2. 4."), unless all have the same, which means to count them."""
    items, level = [], tokens[start].level
    for token in tokens[start + 1 :]:
        if token.type == "ordered_list_close" and token.level == level:
            break
        if token.type == "list_item_open" and token.level == level + 1:
            items.append(token)
    if len({token.info for token in items}) > 1:
        for token, before in zip(items[1:], items, strict=False):
            if int(token.info) != int(before.info) + 1:
                token.attrSet("value", str(int(token.info)))


def _filtered(tag: str, attribute: str, value: str) -> str | None:
    """Return the attribute's value, or None to drop it."""
    if (tag, attribute) == ("img", "src"):
        return value if _PATH.fullmatch(value) else None
    if (tag, attribute) == ("a", "href"):
        known = _PATH.fullmatch(value) or _NOTE.fullmatch(value) or value.partition(":")[0].lower() in _SCHEMES
        return value if known else None
    if attribute == "id":
        return value if _NOTE.fullmatch(f"#{value}") else None
    if attribute == "value":
        return value if re.fullmatch("[0-9]{1,9}", value) else None
    return value
