"""Pictures for sharing: checked before anything is decoded, and made anew, so that nothing else travels in the file."""

import hashlib
import io
import struct
import threading
import warnings

from PIL import Image, UnidentifiedImageError

from petition.core.errors import PetitionError
from petition.core.i18n import N_
from petition.core.ids import PictureId

MAX_BYTES = 1024 * 1024
MAX_PIXELS = 24_000_000  # what a telephone takes; decoded some 100 MB for a moment
MIN_PIXELS = 200  # pixels on a side: no network displays smaller ones
MAX_SIDE = 1200  # pixels on a side, as networks show them
TYPES = {"image/jpeg": "jpg", "image/png": "png", "image/webp": "webp"}
_FORMATS = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}
_QUALITIES = (86, 76, 64)

TOO_BIG = N_("The picture must be 1 MB or smaller.")
NO_PICTURE = N_("We could not read this picture. Use a PNG, JPEG or WebP file.")
BAD_SIZE = N_("The picture must be at least 200 pixels on each side and at most 24 million pixels in all.")


class BadPicture(PetitionError):
    """This cannot be a sharing picture; ``message`` is for the catalogues."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


_ALONE = threading.Lock()


def number_of(content: bytes) -> PictureId:
    """Return the id of a picture: 62 bits of its SHA-256, never 0."""
    return PictureId(int.from_bytes(hashlib.sha256(content).digest()[:8], "big") >> 2 | 1)


def type_of(content: bytes) -> str:
    """Return the media type of a picture that may stay as it is. Decodes it. Raises ``BadPicture``."""
    return _FORMATS[str(_opened(content)[1])]


def redraw(content: bytes, *, max_bytes: int = MAX_BYTES, max_side: int = MAX_SIDE) -> tuple[str, bytes]:
    """Return (media type, content) of the same picture at most ``max_side`` wide or high, without the file's
    metadata (place and time of the shot, among others). Raises ``BadPicture``.

    One at a time: decoded, a picture takes a hundred megabytes.
    """
    with _ALONE:
        return _redraw(content, max_bytes, max_side)


def _redraw(content: bytes, max_bytes: int, max_side: int) -> tuple[str, bytes]:
    picture, _ = _opened(content, max_bytes)
    picture.thumbnail((max_side, max_side))
    if picture.has_transparency_data or picture.mode in {"P", "1"}:
        content = _saved(picture.convert("RGBA"), "PNG", optimize=True)
        if len(content) <= max_bytes:
            return "image/png", content
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture.convert("RGBA"))
    for quality in _QUALITIES:
        content = _saved(picture.convert("RGB"), "JPEG", quality=quality, optimize=True, progressive=True)
        if len(content) <= max_bytes:
            return "image/jpeg", content
    raise BadPicture(TOO_BIG)


def _opened(content: bytes, max_bytes: int = MAX_BYTES) -> tuple[Image.Image, str | None]:
    """Return the decoded picture, upright, and the name of its format."""
    if len(content) > max_bytes:
        raise BadPicture(TOO_BIG)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of damaged metadata, which is dropped anyway
            picture = Image.open(io.BytesIO(content), formats=tuple(_FORMATS))
            width, height = picture.size
            if min(width, height) < MIN_PIXELS or width * height > MAX_PIXELS:
                raise BadPicture(BAD_SIZE)
            picture.load()
            return _upright(picture), picture.format
    except Image.DecompressionBombError:
        raise BadPicture(BAD_SIZE) from None
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, MemoryError, struct.error):
        raise BadPicture(NO_PICTURE) from None


def _upright(picture: Image.Image) -> Image.Image:
    """Turn a picture as its camera was held (EXIF's orientation), since that note does not stay."""
    turns = {3: 180, 6: 270, 8: 90}
    orientation = picture.getexif().get(0x0112, 1)
    return picture.rotate(turns[orientation], expand=True) if orientation in turns else picture


def _saved(picture: Image.Image, picture_format: str, **options: object) -> bytes:
    out = io.BytesIO()
    picture.save(out, picture_format, **options)
    return out.getvalue()
