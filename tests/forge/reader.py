"""Reads drawn codes by comparing each letter with letters that our own drawing made: about what a forger writes."""

import io
from dataclasses import dataclass, field

from PIL import Image, ImageFilter

from petition.captcha import picture

CELL = (24, 36)


@dataclass
class Reader:
    """Known letters as bits; the nearest one is taken."""

    known: list[tuple[int, str]] = field(default_factory=list)

    def learn(self, pictures: int, letters: int = 5) -> None:
        """Draw codes, and remember their letters."""
        for _ in range(pictures):
            answer = picture.code(letters)
            cells = _cells(picture.draw(answer), letters)
            self.known += zip(cells, answer, strict=True)

    def read(self, png: bytes, letters: int = 5) -> str:
        """Return what the picture shows."""
        return "".join(
            min(self.known, key=lambda known: (known[0] ^ cell).bit_count())[1] for cell in _cells(png, letters)
        )


def _cells(png: bytes, letters: int) -> list[int]:
    drawn = Image.open(io.BytesIO(png)).convert("L").filter(ImageFilter.MedianFilter(7))
    scale = picture.SCALE
    cells = []
    for position in range(letters):
        centre = (picture.MARGIN + picture.ADVANCE * (position + 0.5)) * scale
        half = picture.ADVANCE * scale * 0.62
        cell = drawn.crop((round(centre - half), 0, round(centre + half), picture.HEIGHT * scale))
        ink = cell.point(lambda shade: 255 if shade < 150 else 0)
        box = ink.getbbox() or (0, 0, *cell.size)
        small = ink.crop(box).resize(CELL)
        cells.append(int.from_bytes(bytes(255 if shade > 127 else 0 for shade in small.tobytes())))
    return cells
