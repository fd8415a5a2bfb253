"""The drawn code: what stands in the picture passes, whichever keyboard typed it; nothing else does."""

import base64
import hashlib
import io
import string
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from petition.captcha import Passed, Refusal, picture
from petition.captcha.drawn import HARD_LETTERS, LETTERS, LIFETIME, MAX_TOKEN, DrawnCodes, normal
from petition.core.ids import LetterId
from tests.captcha.installation import KEY, LETTER, OTHER_KEY

LONG = timedelta(days=1)  # a whole run may take longer than a token is good for
CODES = DrawnCodes([KEY], lifetime=LONG)
TOKEN = CODES.token("HEXAM", LETTER, hard=False)


@pytest.mark.parametrize("typed", ["HEXAM", "hexam", " he xam ", "HEX-AM", "НЕХАМ", "нехам", "Hехам", "he\u00a0xam"])
def test_the_code_passes_however_it_is_typed(typed: str) -> None:
    result = CODES.check(TOKEN, typed, LETTER)
    assert isinstance(result, Passed)
    assert result.price == 0
    assert timedelta(0) < result.expires_at - datetime.now(UTC) <= LONG
    assert result.nonce == CODES.nonce(TOKEN)


@pytest.mark.parametrize("typed", ["HEXAK", "HEXA", "HEXAMM", "", "МАХЕН", "\ud800", "HEXAM" * 20, "\0"])
def test_anything_else_is_wrong(typed: str) -> None:
    assert CODES.check(TOKEN, typed, LETTER) is Refusal.WRONG


def test_the_dear_one_is_longer_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture, "draw", str.encode)  # so that the picture tells what it shows
    codes = DrawnCodes([KEY])
    for hard, length in ((False, LETTERS), (True, HARD_LETTERS)):
        drawn = codes.draw(LETTER, hard=hard)
        answer = drawn.png.decode()
        assert len(answer) == drawn.length == length
        assert set(answer) <= set(picture.ALPHABET)
        result = codes.check(drawn.token, answer, LETTER)
        assert isinstance(result, Passed)
        assert (result.price, result.drawn) == (0, True)


def test_one_is_good_for_so_long() -> None:
    result = CODES.check(DrawnCodes([KEY]).token("HEXAM", LETTER, hard=False), "HEXAM", LETTER)
    assert isinstance(result, Passed)
    assert timedelta(0) < result.expires_at - datetime.now(UTC) <= LIFETIME


def test_another_letter_and_an_old_one_are_refused() -> None:
    assert CODES.check(TOKEN, "HEXAM", LetterId(LETTER + 1)) is Refusal.OTHER_LETTER
    old = DrawnCodes([KEY], lifetime=timedelta(seconds=-2)).token("HEXAM", LETTER, hard=False)
    assert CODES.check(old, "HEXAM", LETTER) is Refusal.EXPIRED
    assert CODES.nonce(old) is None


def test_other_secrets_are_not_accepted_older_ones_are() -> None:
    assert DrawnCodes([OTHER_KEY]).check(TOKEN, "HEXAM", LETTER) is Refusal.WRONG
    rotated = DrawnCodes([OTHER_KEY, KEY])
    assert isinstance(rotated.check(TOKEN, "HEXAM", LETTER), Passed)
    fresh = rotated.token("HEXAM", LETTER, hard=False)
    assert isinstance(DrawnCodes([OTHER_KEY]).check(fresh, "HEXAM", LETTER), Passed)
    assert CODES.check(fresh, "HEXAM", LETTER) is Refusal.WRONG


def test_the_token_does_not_give_the_answer_away() -> None:
    stub = base64.urlsafe_b64decode(TOKEN.split(".")[0] + "===")
    nonce, digest = stub[-32:-16], stub[-16:]
    assert b"HEXAM" not in stub
    for guess in (b"HEXAM", nonce + b"HEXAM", b"HEXAM" + nonce):
        assert hashlib.sha256(guess).digest()[:16] != digest
    again = CODES.token("HEXAM", LETTER, hard=False)
    assert base64.urlsafe_b64decode(again.split(".")[0] + "===")[-16:] != digest


@given(st.integers(0, len(TOKEN) - 1), st.characters(codec="ascii"))
def test_a_changed_token_is_wrong(place: int, letter: str) -> None:
    text = TOKEN[:place] + letter + TOKEN[place + 1 :]
    result = CODES.check(text, "HEXAM", LETTER)
    if base64url_equal(text):
        assert isinstance(result, Passed)
        assert result.nonce == CODES.nonce(TOKEN)
    else:
        assert result is Refusal.WRONG
        assert CODES.nonce(text) is None


def base64url_equal(text: str) -> bool:
    """Tell whether ``text`` has the same bytes: the last character of base64 has bits that mean nothing."""
    if "." not in text[:-1] or not text[-1:].strip():
        return text == TOKEN
    (stub, mac), (own_stub, own_mac) = text.rsplit(".", 1), TOKEN.rsplit(".", 1)
    try:
        return stub == own_stub and mac_bytes(mac) == mac_bytes(own_mac)
    except ValueError:
        return text == TOKEN


def mac_bytes(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)


def test_every_last_character_is_right_or_wrong_as_its_bytes_are() -> None:
    for letter in string.ascii_letters + string.digits + "-_":
        text = TOKEN[:-1] + letter
        assert isinstance(CODES.check(text, "HEXAM", LETTER), Passed) == base64url_equal(text)


@given(st.text(), st.text())
def test_anything_typed_is_wrong_and_never_an_error(token: str, typed: str) -> None:
    assert CODES.check(token, typed, LETTER) is Refusal.WRONG
    assert CODES.nonce(token) is None
    CODES.check(TOKEN, typed, LETTER)


def test_the_alphabets_are_pairs_that_normalise_to_one() -> None:
    assert normal(picture.CYRILLIC) == picture.ALPHABET
    assert normal(picture.CYRILLIC.lower()) == picture.ALPHABET
    assert len(TOKEN) < MAX_TOKEN


@pytest.mark.parametrize("hard", [False, True])
def test_the_picture_is_a_small_png_of_the_size_it_tells(hard: bool) -> None:
    for _ in range(5):
        drawn = CODES.draw(LETTER, hard=hard)
        assert len(drawn.png) <= 4096
        assert drawn.src == "data:image/png;base64," + base64.b64encode(drawn.png).decode()
        with Image.open(io.BytesIO(drawn.png)) as image:
            assert image.format == "PNG"
            assert image.size == (drawn.width * picture.SCALE, drawn.height * picture.SCALE)
            assert not image.info  # nothing but the picture: no text, no time
            colours = image.convert("RGB").getcolors()
        assert colours is not None
        most, ground = max(colours)
        assert ground == picture.PAPER
        assert most < image.width * image.height * 0.95


def test_the_same_code_never_looks_the_same_and_codes_differ() -> None:
    assert len({picture.draw("HEXAM") for _ in range(5)}) == 5
    assert len({picture.code(8) for _ in range(100)}) == 100


def test_the_widest_code_stays_inside_and_below_4_kb() -> None:
    for _ in range(5):
        png = picture.draw("M" * HARD_LETTERS)
        assert len(png) <= 4096
        with Image.open(io.BytesIO(png)) as image:
            rgb = image.convert("RGB")
            edge = [rgb.getpixel((x, y)) for x in range(rgb.width) for y in (0, rgb.height - 1)]
        assert set(edge) == {picture.PAPER}
