"""The letter page as bytes that fit into one round trip.

Reports from Russia have connections to large foreign hosts freeze after 16 to 20 KB, and the first flight of a TCP
connection carries some 14 KB (RFC 6928: ten segments). So the page, form included, keeps below ``MOST`` with its
headers; what of a very long letter does not fit stands on a page of its own.
"""

from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from itertools import accumulate

from petition.web.page_cache import CachedResponse

MAX_BYTES = 14 * 1024  # bytes on the wire: status line, headers and compressed body
# What a server adds by itself (date, server) and the connection's own framing.
SERVER_ADDS = 120

HOPELESS = 60_000  # characters of HTML: text does not shrink to a quarter

VOID = {"hr", "br", "img"}


def fitting(html: str, make: Callable[[str, bool], CachedResponse]) -> CachedResponse:
    """Return the page with as much of the letter's ``html`` as fits, cut between paragraphs.

    ``make(html, cut)`` renders the page; ``cut`` tells whether to lead the reader to the rest.
    """
    whole = make(html, False)
    if fits(whole):
        return whole
    parts = blocks(html)
    least, most = 0, len(parts)
    page = make("", True)
    while least < most:
        middle = (least + most + 1) // 2
        candidate = make("".join(parts[:middle]), True)
        if fits(candidate):
            least, page = middle, candidate
        else:
            most = middle - 1
    return page


def shortened(html: str, make: Callable[[str, bool], CachedResponse]) -> CachedResponse:
    """Return a page that fits with the beginning of the letter, not with as much of it as possible.

    Other than ``fitting`` it renders three times as a rule and five at most: a page that everybody can have made as
    often as they like must not cost much.
    """
    for text, cut in _shorter_and_shorter(html):
        page = make(text, cut)
        if fits(page):
            break
    return page


def _shorter_and_shorter(html: str) -> Iterator[tuple[str, bool]]:
    """Yield beginnings of the letter, each with whether anything is left out; at last nothing of it."""
    if len(html) <= HOPELESS:
        yield html, False
    parts = blocks(html)
    for most in (12_000, 6_000, 3_000, 0):  # characters
        lengths = accumulate(len(part) for part in parts)
        yield "".join(part for part, length in zip(parts, lengths, strict=True) if length <= most), True


def fits(page: CachedResponse) -> bool:
    """Tell whether a page needs no second round trip."""
    return page.wire_size + SERVER_ADDS <= MAX_BYTES


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
