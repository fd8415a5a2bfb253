"""The letter page as bytes that come through where connections freeze.

Reports from Russia have connections to large foreign hosts freeze after 16 to 20 KB, TLS included. So the page, form
included, stays below ``MAX_BYTES`` with its headers: the handshake, the answer to the form and the page after it then
fit into the same connection. The rest of a long letter stands on a page of its own.
"""

from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from itertools import accumulate

from petition.web.page_cache import CachedResponse

# On the wire: status line, headers and body, compressed by brotli in a hurry. Of the 10 KB of a first answer so much,
# that all the rest of signing comes through.
MAX_BYTES = 9_780
SERVER_BYTES = 90  # headers that a server adds (date, server, connection)
MAX_WHOLE = 60_000  # characters of HTML; text does not shrink to a quarter, so more is not tried whole

VOID = {"hr", "br", "img"}

# Renders the page with this HTML as the text; True if that is not all of it and a link to the rest is needed.
Render = Callable[[str, bool], CachedResponse]


def fit(html: str, render: Render) -> CachedResponse:
    """Return the page with as much of the letter's ``html`` as fits, cut between paragraphs."""
    whole = render(html, False)
    if fits(whole):
        return whole
    parts = blocks(html)
    low, high = 0, len(parts)
    page = render("", True)
    while low < high:
        middle = (low + high + 1) // 2
        candidate = render("".join(parts[:middle]), True)
        if fits(candidate):
            low, page = middle, candidate
        else:
            high = middle - 1
    return page


def fit_beginning(html: str, render: Render) -> CachedResponse:
    """Return a page that fits with the beginning of the letter, not with as much of it as possible.

    Renders three times as a rule and six at most: a page that any client can request as often as it likes must be
    cheap.
    """
    for text, cut in _ever_shorter(html):
        page = render(text, cut)
        if fits(page):
            break
    return page


def _ever_shorter(html: str) -> Iterator[tuple[str, bool]]:
    """Yield shorter and shorter beginnings of the letter, with whether anything is left out; the last is empty."""
    if len(html) <= MAX_WHOLE:
        yield html, False
    parts = blocks(html)
    for limit in (12_000, 6_000, 3_000, 1_000, 0):  # characters
        lengths = accumulate(len(part) for part in parts)
        yield "".join(part for part, length in zip(parts, lengths, strict=True) if length <= limit), True


def fits(page: CachedResponse) -> bool:
    return page.wire_size + SERVER_BYTES <= MAX_BYTES


def blocks(html: str) -> list[str]:
    """Return ``html`` cut between its outermost elements; joined again they are the same text."""
    cutter = _Cutter(html)
    cutter.feed(html)
    cutter.close()
    return cutter.parts()


class _Cutter(HTMLParser):
    """Notes where an outermost element ends."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=False)
        self._html = html
        self._line_starts = [0]
        for i, character in enumerate(html):
            if character == "\n":
                self._line_starts.append(i + 1)
        self._depth = 0
        self._cuts: list[int] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self._depth += 1
        elif self._depth == 0:
            self._cut(len(self.get_starttag_text() or ""))

    def handle_endtag(self, tag: str) -> None:
        self._depth -= 1
        if self._depth == 0:
            self._cut(len(f"</{tag}>"))

    def parts(self) -> list[str]:
        ends = [*self._cuts, len(self._html)]
        return [part for start, end in zip([0, *self._cuts], ends, strict=True) if (part := self._html[start:end])]

    def _cut(self, length: int) -> None:
        line, column = self.getpos()
        self._cuts.append(self._line_starts[line - 1] + column + length)
