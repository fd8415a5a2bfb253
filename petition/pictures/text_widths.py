"""The width of a text without a font: a table of the advance widths of a generic sans.

The widths are those of DejaVu Sans and Verdana, in hundredths of the font size. With another font ``textLength`` in the
SVG makes up the difference.
"""

import unicodedata

_BY_WIDTH = {
    20: "\u202f",
    28: "'ijl",
    30: "IJ",
    32: " ,.\xa0’",
    35: "/:;\\|f-",
    40: "()[]t!r",
    50: '"*_`–szгз?',
    55: "cсэ“”",
    59: "LFkтvxyвухчь",
    61: "PРкяTYao«»ГТУаоeбеё",
    64: "ESbdghnpquЕрЁ$0123456789{}ЗлийнпъK",
    69: "AVАцBRXZБВХЧЬЯд",
    72: "CСЭКU",
    76: "HNИЙЛНПмDG",
    79: "&ДЦOQОыw",
    84: "Ъ#+<=>^~юф",
    89: "MМФЫжш",
    96: "щ%mW",
    100: "@—",
    108: "№ШЖЮЩ",
}
_WIDTHS = {character: width for width, characters in _BY_WIDTH.items() for character in characters}
_OTHER, _WIDE = 64, 100  # any other letter; an ideograph or an emoji


def width_of(text: str, size: float) -> float:
    return sum(_width(character) for character in text) * size / 100


def _width(character: str) -> int:
    width = _WIDTHS.get(character)
    if width is not None:
        return width
    if unicodedata.combining(character) or unicodedata.category(character) in {"Cf", "Mn", "Me"}:
        return 0
    return _WIDE if unicodedata.east_asian_width(character) in "WF" else _OTHER
