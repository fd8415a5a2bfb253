"""A letter's sanitized HTML as nodes for a drawing: [tag, value, children]; a string is a piece of text.

The value is where a link leads ("a"), or the number of an item ("li"), else "".
"""

from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin

Node = str | list[Any]

_EMPTY = frozenset({"br", "hr", "img"})
_LISTS = frozenset({"ol", "ul"})


def nodes_of(html: str, base_url: str) -> list[Node]:
    """Return the nodes of ``html``; addresses in it are completed by ``base_url``, pictures become their words."""
    reader = _NodeReader(base_url)
    reader.feed(html)
    reader.close()
    return reader.root


class _NodeReader(HTMLParser):
    """Builds the tree; the ways between a note and its mention lead nowhere on paper, so they become text."""

    def __init__(self, base_url: str) -> None:
        super().__init__()
        self._base_url = base_url
        self.root: list[Node] = []
        self._open: list[tuple[str, list[Node]]] = [("", self.root)]
        self._numbers: list[int] = []
        self._is_way_back = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if tag == "img":
            self._add(f"[{attributes.get('alt', '')}]")
            return
        value: str | int = ""
        if tag == "a":
            tag, value = self._link(attributes.get("href", ""))
        elif tag in _LISTS:
            self._numbers.append(int(attributes.get("start") or 1))
        elif tag == "li":
            value = self._number(attributes.get("value", ""))
        children: list[Node] = []
        self._add([tag, value, children])
        if tag not in _EMPTY:
            self._open.append((tag, children))

    def _link(self, href: str) -> tuple[str, str]:
        self._is_way_back = href.startswith("#mention-")
        return ("span", "") if href.startswith("#") else ("a", urljoin(self._base_url, href))

    def _number(self, value: str) -> int:
        """Return the number of an item of the innermost list; those that follow count on from it."""
        number = int(value or self._numbers[-1])
        self._numbers[-1] = number + 1
        return number

    def handle_endtag(self, tag: str) -> None:
        if tag in _EMPTY or len(self._open) == 1:
            return
        self._open.pop()
        if tag in _LISTS:
            self._numbers.pop()
        elif tag == "a":
            self._is_way_back = False

    def handle_data(self, data: str) -> None:
        # White space between the items of a list is no item.
        if not self._is_way_back and (data.strip() or self._open[-1][0] not in {*_LISTS, ""}):
            self._add(data)

    def _add(self, node: Node) -> None:
        self._open[-1][1].append(node)
