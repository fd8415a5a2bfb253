"""The badge: a small SVG with the count as text, and the same for Shields.

The text is SVG text, so that it can be selected, searched and read by screen readers; its position is computed from a
table of widths, since a server has no fonts. An image cannot load resources, so colours and fonts are in it.
"""

from dataclasses import dataclass
from html import escape

from petition.formats.xml import strip_invalid
from petition.pictures.colours import ACCENTS, AUTO, DARK, LIGHT, ink_on
from petition.pictures.text_widths import width_of

FONTS = "Verdana,'DejaVu Sans',Geneva,sans-serif"


@dataclass(frozen=True, slots=True)
class BadgeStyle:
    """The measures of a style, in pixels."""

    height: int
    size: float
    padding: float
    radius: int


BADGE_STYLES = {
    "flat": BadgeStyle(20, 11, 7, 3),
    "square": BadgeStyle(20, 11, 7, 0),
    "large": BadgeStyle(32, 15, 12, 4),
}

# Background and text colour of the left half.
_LABEL_COLOURS = {LIGHT: ("#3b3e45", "#ffffff"), DARK: ("#33363c", "#e7e5df")}


@dataclass(frozen=True, slots=True)
class Badge:
    """What a badge shows; screen readers read ``title``. ``style`` is one of ``BADGE_STYLES``."""

    label: str
    message: str
    title: str
    style: str
    theme: str
    lang: str


def svg(badge: Badge) -> bytes:
    style = BADGE_STYLES[badge.style]
    label_width, message_width = (round(width_of(text, style.size), 1) for text in (badge.label, badge.message))
    edge = round(label_width + 2 * style.padding)  # a whole pixel, or a seam would show
    width = edge + round(message_width + 2 * style.padding)
    baseline = round(style.height / 2 + style.size * 0.36, 1)
    label_x, message_x = round((edge - label_width) / 2, 1), round(edge + (width - edge - message_width) / 2, 1)
    title = _escape(badge.title)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{style.height}" role="img"'
        f' lang="{badge.lang}" aria-label="{title}">',
        f"<title>{title}</title>",
        f"<style>{css(badge.theme)}</style>",
        f'<clipPath id="c"><rect width="{width}" height="{style.height}" rx="{style.radius}"/></clipPath>',
        f'<g clip-path="url(#c)"><rect class="l" width="{edge}" height="{style.height}"/>'
        f'<rect class="r" x="{edge}" width="{width - edge}" height="{style.height}"/></g>',
        f'<g font-family="{FONTS}" font-size="{style.size}">'
        f'<text class="a" x="{label_x}" y="{baseline}" textLength="{label_width}">{_escape(badge.label)}</text>'
        f'<text class="b" x="{message_x}" y="{baseline}" textLength="{message_width}">{_escape(badge.message)}</text>'
        "</g>",
        "</svg>",
    ]
    return "".join(parts).encode()


def css(theme: str) -> str:
    """Return the colours of a theme; ``auto`` follows the browser's."""
    if theme != AUTO:
        return _colours(theme)
    return f"{_colours(LIGHT)}@media(prefers-color-scheme:dark){{{_colours(DARK)}}}"


def _colours(theme: str) -> str:
    background, text = _LABEL_COLOURS[theme]
    accent = ACCENTS[theme]
    return f".l{{fill:{background}}}.a{{fill:{text}}}.r{{fill:{accent}}}.b{{fill:{ink_on(accent)}}}"


def shields(label: str, message: str) -> dict[str, object]:
    """Return what Shields' endpoint badge takes (shields.io/badges/endpoint-badge); it rejects any other key."""
    return {"schemaVersion": 1, "label": label, "message": message, "color": ACCENTS[LIGHT].removeprefix("#")}


def _escape(text: str) -> str:
    """Escape for XML, without characters that XML cannot contain."""
    return escape(strip_invalid(text))
