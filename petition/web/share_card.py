"""What stands on the picture beside a shared link, and how it is drawn.

Typst draws, since it shapes any script, breaks lines by language and brings a font with both of ours. Its inputs are
plain text. Drawing takes some 15 ms and lets go of the interpreter, so it runs in a thread beside the event loop.
"""

import io
import re
import unicodedata
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import typst
from PIL import Image

from petition.core import resources

WIDTH, HEIGHT = 1200, 630  # pixels: what the big networks ask for
PER_INCH = 144
COLOURS = 64
MAX_TITLE = 220  # characters
MAX_LINE = 90
MAX_WORD = 24  # characters; a longer one may be broken anywhere
_BREAK = "\u200b"

# Pictographs, flags, keycaps, skin tones, their joiners and selectors: there is no font for them, and a letter's title
# says the same without.
_EMOJI = re.compile(
    "[\U0001f000-\U0001faff\U0001f1e6-\U0001f1ff\u2600-\u27bf\u2b00-\u2bff\u231a-\u23ff\ufe00-\ufe0f\u200d\u20e3"
    "\U000e0020-\U000e007f]+"
)
# A word of one letter does not end a line; in Russian that looks like a mistake.
_LONELY = re.compile(r"(?<!\S)(\w) (?=\w)")


@dataclass(frozen=True, slots=True)
class Card:
    """The words on one picture, as they are drawn. ``direction`` is the title's: ltr or rtl."""

    lang: str
    title: str
    title_lang: str
    direction: str
    to: str
    number: str
    label: str
    # Named ``from`` in the drawing.
    sender: str
    site: str


def drawable(text: str, most: int) -> str:
    """Return ``text`` on one line, without emoji, of at most ``most`` characters, with long words made breakable."""
    text = " ".join(_EMOJI.sub("", text).split())
    if len(text) > most:
        text = text[: most - 1].rstrip() + "…"
    return _LONELY.sub("\\1\u00a0", " ".join(_breakable(word) for word in text.split(" ")))


def _breakable(word: str) -> str:
    if len(word) <= MAX_WORD:
        return word
    return _BREAK.join(word[i : i + 4] for i in range(0, len(word), 4))


def direction_of(text: str) -> str:
    """Return the direction of the first letter that has one (UAX 9, rule P2)."""
    for each in text:
        way = unicodedata.bidirectional(each)
        if way in {"R", "AL"}:
            return "rtl"
        if way == "L":
            return "ltr"
    return "ltr"


def draw(card: Card) -> bytes:
    """Return the picture as PNG of 64 colours, 10 to 30 KB. Takes some 70 ms, most of them without the interpreter."""
    inputs: dict[str, Any] = asdict(card)
    inputs["from"] = inputs.pop("sender")
    drawn = _compiler().compile(format="png", ppi=PER_INCH, sys_inputs=inputs)
    if not isinstance(drawn, bytes):  # one for each page, if there were several
        raise RuntimeError("the card does not fit on its page")
    small = io.BytesIO()
    with Image.open(io.BytesIO(drawn)) as image:
        image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(small, "PNG", optimize=True)
    return small.getvalue()


@lru_cache(maxsize=1)
def _compiler() -> typst.Compiler:
    """Make the compiler once: it looks for the fonts of the machine, which takes half a second."""
    return typst.Compiler(str(resources.PACKAGE / "web" / "share_card.typ"))
