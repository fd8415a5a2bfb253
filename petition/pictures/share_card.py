"""The picture shown with a shared link: its text and how it is drawn.

Typst draws it: it shapes any script, breaks lines by language and brings a font for both of our scripts. Its inputs are
plain text. Drawing takes some 15 ms without the interpreter lock, so it runs in a thread.
"""

import io
import re
import unicodedata
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from PIL import Image

from petition.core import resources

if TYPE_CHECKING:
    import typst

WIDTH, HEIGHT = 1200, 630  # pixels: what the big networks require
PER_INCH = 144
COLOURS = 64
MAX_TITLE = 220  # characters
MAX_LINE = 90
MAX_WORD = 24  # characters; a longer one may be broken anywhere
_BREAK = "\u200b"

# Pictographs, flags, keycaps, skin tones, their joiners and selectors: the font has none of them.
_EMOJI = re.compile(
    "[\U0001f000-\U0001faff\U0001f1e6-\U0001f1ff\u2600-\u27bf\u2b00-\u2bff\u231a-\u23ff\ufe00-\ufe0f\u200d\u20e3"
    "\U000e0020-\U000e007f]+"
)
# A word of one letter must not end a line; in Russian that looks like a mistake.
_ONE_LETTER_WORD = re.compile(r"(?<!\S)(\w) (?=\w)")


@dataclass(frozen=True, slots=True)
class Card:
    """The text of one picture, as drawn. ``direction`` is the title's: ltr or rtl."""

    lang: str
    title: str
    title_lang: str
    direction: str
    to: str
    number: str
    label: str
    sender: str  # ``from`` in share_card.typ
    site: str
    news: str = ""  # what addressees did


def drawable(text: str, max_length: int) -> str:
    """Return ``text`` on one line, cut to ``max_length``, without emoji, with break opportunities in long words."""
    text = " ".join(_EMOJI.sub("", text).split())
    if len(text) > max_length:
        text = text[: max_length - 1].rstrip() + "…"
    return _ONE_LETTER_WORD.sub("\\1\u00a0", " ".join(_breakable(word) for word in text.split(" ")))


def _breakable(word: str) -> str:
    if len(word) <= MAX_WORD:
        return word
    return _BREAK.join(word[i : i + 4] for i in range(0, len(word), 4))


def direction_of(text: str) -> str:
    """Return the direction of the first letter that has one (UAX 9, rule P2)."""
    for character in text:
        direction = unicodedata.bidirectional(character)
        if direction in {"R", "AL"}:
            return "rtl"
        if direction == "L":
            return "ltr"
    return "ltr"


def draw(card: Card) -> bytes:
    """Return the picture as PNG of 64 colours, 10 to 30 KB. Takes some 70 ms, mostly without the interpreter lock."""
    inputs: dict[str, Any] = asdict(card)
    inputs["from"] = inputs.pop("sender")
    png = _compiler().compile(format="png", ppi=PER_INCH, sys_inputs=inputs)
    if not isinstance(png, bytes):  # a list, if there are several pages
        raise RuntimeError("the card does not fit on its page")
    output = io.BytesIO()
    with Image.open(io.BytesIO(png)) as image:
        image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(output, "PNG", optimize=True)
    return output.getvalue()


@lru_cache(maxsize=1)
def _compiler() -> "typst.Compiler":
    """Cached: the compiler searches for the machine's fonts, which takes half a second."""
    import typst  # with all it needs some 10 MB, and not every process draws

    return typst.Compiler(str(resources.PACKAGE / "pictures" / "share_card.typ"))
