"""The badge: a small SVG with the count as text, and the same for Shields.

Text is text, so that it can be selected, read out and found; its place is computed from a table of widths, since a
server has no fonts. An image may not load anything, so colours and faces are in it.
"""

import re
from dataclasses import dataclass
from html import escape

from petition.web.embeds.colours import ACCENTS, DARK, LIGHT, ink_on
from petition.web.embeds.options import AUTO
from petition.web.embeds.text_widths import width_of

FONTS = "Verdana,'DejaVu Sans',Geneva,sans-serif"
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Look:
    """The measures of a style, in pixels."""

    height: int
    size: float
    padding: float
    radius: int


LOOKS = {"flat": Look(20, 11, 7, 3), "square": Look(20, 11, 7, 0), "large": Look(32, 15, 12, 4)}

# Paper and ink of the left half.
_LABEL = {LIGHT: ("#3b3e45", "#ffffff"), DARK: ("#33363c", "#e7e5df")}


def svg(label: str, message: str, title: str, style: str, theme: str, lang: str) -> bytes:
    """Return the badge. ``title`` is what is read out, ``style`` one of ``LOOKS``."""
    look = LOOKS[style]
    left, right = (round(width_of(text, look.size), 1) for text in (label, message))
    edge = round(left + 2 * look.padding)  # on whole pixels, so that no seam shows
    whole = edge + round(right + 2 * look.padding)
    base = round(look.height / 2 + look.size * 0.36, 1)
    at = round((edge - left) / 2, 1), round(edge + (whole - edge - right) / 2, 1)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{whole}" height="{look.height}" role="img" lang="{lang}"'
        f' aria-label="{_text(title)}">',
        f"<title>{_text(title)}</title>",
        f"<style>{css(theme)}</style>",
        f'<clipPath id="c"><rect width="{whole}" height="{look.height}" rx="{look.radius}"/></clipPath>',
        f'<g clip-path="url(#c)"><rect class="l" width="{edge}" height="{look.height}"/>'
        f'<rect class="r" x="{edge}" width="{whole - edge}" height="{look.height}"/></g>',
        f'<g font-family="{FONTS}" font-size="{look.size}">'
        f'<text class="a" x="{at[0]}" y="{base}" textLength="{left}">{_text(label)}</text>'
        f'<text class="b" x="{at[1]}" y="{base}" textLength="{right}">{_text(message)}</text></g>',
        "</svg>",
    ]
    return "".join(parts).encode()


def css(theme: str) -> str:
    """Return the colours of a theme; ``auto`` follows the reader's."""
    if theme != AUTO:
        return _colours(theme)
    return f"{_colours(LIGHT)}@media(prefers-color-scheme:dark){{{_colours(DARK)}}}"


def _colours(theme: str) -> str:
    paper, ink = _LABEL[theme]
    accent = ACCENTS[theme]
    return f".l{{fill:{paper}}}.a{{fill:{ink}}}.r{{fill:{accent}}}.b{{fill:{ink_on(accent)}}}"


def shields(label: str, message: str) -> dict[str, object]:
    """Return what Shields' endpoint badge takes (shields.io/badges/endpoint-badge); it rejects any other key."""
    return {"schemaVersion": 1, "label": label, "message": message, "color": ACCENTS[LIGHT].removeprefix("#")}


def _text(text: str) -> str:
    """Escape for XML; what XML cannot hold at all is left out."""
    return escape(_NOT_XML.sub("", text))
