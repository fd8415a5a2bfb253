"""The picture of a code: leaning, waving letters with a hair across them; for people first.

A determined machine reads any such picture. What bounds it are the ceilings on drawn codes; the picture only has to
cost more than nothing, so it stays easy on the eyes.
"""

import io
import math
import random
from functools import lru_cache

from PIL import Image, ImageDraw, ImageFont

# Letters that the Latin and the Cyrillic alphabet share, so that no visitor has to switch the keyboard; without O,
# which is taken for a zero. They lean without being taken for each other.
ALPHABET = "ABCEHKMPTXY"
CYRILLIC = "АВСЕНКМРТХУ"  # the same, as a Russian keyboard types them

SCALE = 2  # picture pixels to a CSS pixel: sharp on phones
HEIGHT = 72  # CSS pixels
ADVANCE = 38  # CSS pixels from one letter to the next
MARGIN = 22
LETTER = 42  # height of the type in CSS pixels
PAPER, INK = (243, 240, 231), (38, 44, 66)  # its own ground, so that it reads on a light page and on a dark one
SHADES = 4

_random = random.SystemRandom()


def width(letters: int) -> int:
    """Return the width of a picture of so many letters, in CSS pixels."""
    return 2 * MARGIN + ADVANCE * letters


def code(letters: int) -> str:
    return "".join(_random.choices(ALPHABET, k=letters))


def draw(text: str) -> bytes:
    """Return ``text`` as a PNG of at most 4 KB, about 15 ms of work."""
    size = (width(len(text)) * SCALE, HEIGHT * SCALE)
    mask = Image.new("L", size, 0)
    for position, letter in enumerate(text):
        glyph = _glyph(letter)
        centre = (MARGIN + ADVANCE * (position + 0.5)) * SCALE + _random.uniform(-3, 3) * SCALE
        top = (size[1] - glyph.height) / 2 + _random.uniform(-4, 4) * SCALE
        mask.paste(255, (round(centre - glyph.width / 2), round(top)), glyph)
    mask = _wave(mask)
    _hairs(mask)
    return _png(mask)


@lru_cache(maxsize=1)
def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=LETTER * SCALE)


def _glyph(letter: str) -> Image.Image:
    """Draw one letter, leaning, cut to its bounds."""
    side = round(LETTER * SCALE * 1.4)
    glyph = Image.new("L", (side, side), 0)
    ImageDraw.Draw(glyph).text((side / 2, side / 2), letter, font=_font(), fill=255, anchor="mm", stroke_width=1)
    glyph = glyph.rotate(_random.uniform(-16, 16), Image.Resampling.BICUBIC)
    return glyph.crop(glyph.getbbox())


def _wave(mask: Image.Image) -> Image.Image:
    """Bend the line of letters along two slow waves, in strips small enough not to show."""
    phase, other = _random.uniform(0, math.tau), _random.uniform(0, math.tau)
    high, wide = _random.uniform(2, 4) * SCALE, _random.uniform(2, 3.5) * SCALE
    step, (right, bottom) = 18, mask.size

    def moved(x: float, y: float) -> tuple[float, float]:
        down = high * math.sin(math.tau * x / (130 * SCALE) + phase)
        aside = wide * math.sin(math.tau * y / (70 * SCALE) + other)
        return x + aside, y + down

    mesh = []
    for x in range(0, right, step):
        for y in range(0, bottom, step):
            box = (x, y, min(x + step, right), min(y + step, bottom))
            corners = ((box[0], box[1]), (box[0], box[3]), (box[2], box[3]), (box[2], box[1]))
            mesh.append((box, tuple(value for corner in corners for value in moved(*corner))))
    return mask.transform(mask.size, Image.Transform.MESH, mesh, Image.Resampling.BILINEAR)


def _hairs(mask: Image.Image) -> None:
    """Lay two thin lines across: one in ink, one that cuts the letters."""
    pen = ImageDraw.Draw(mask)
    for fill in (200, 0):
        start = _random.uniform(0.3, 0.7) * mask.height
        rise = _random.uniform(-0.25, 0.25) * mask.height
        swing, phase = _random.uniform(4, 9) * SCALE, _random.uniform(0, math.tau)
        line = [
            (x, start + rise * x / mask.width + swing * math.sin(phase + math.tau * x / (150 * SCALE)))
            for x in range(-4, mask.width + 8, 4)
        ]
        pen.line(line, fill=fill, width=SCALE + 1, joint="curve")


def _png(mask: Image.Image) -> bytes:
    """Colour the mask in a few shades between paper and ink."""
    shaded = mask.point([round(value / 255 * (SHADES - 1)) for value in range(256)])
    picture = Image.frombytes("P", shaded.size, shaded.tobytes())
    picture.putpalette(
        [
            round(paper + (ink - paper) * shade / (SHADES - 1))
            for shade in range(SHADES)
            for paper, ink in zip(PAPER, INK, strict=True)
        ]
    )
    out = io.BytesIO()
    picture.save(out, "PNG", compress_level=9, bits=2)
    return out.getvalue()
