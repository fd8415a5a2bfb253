"""What any short text from outside is put through: cleaning, and a look for what cannot be seen."""

import re
import unicodedata

# Zero-width space, word joiner, BOM, soft hyphen: they come along with pasted text and mean nothing in a name.
_STRIPPED = dict.fromkeys((0x200B, 0x2060, 0xFEFF, 0x00AD))
_NOT_LETTERS = re.compile("[^A-Za-z]+")  # in ASCII
_JOINERS = re.compile("[\u200c\u200d]+")
# Every space separator (category Zs) but the plain one; tabs and line ends are control characters, not spaces.
_SPACES = re.compile("[ \u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]+")
# Putting marks into their order takes time by the square of their number (three seconds for 30,000 in a row), and no
# short text is as long as this before it is cleaned.
MAX_LENGTH = 1000  # characters
# Words of ASCII and Russian letters, one space apart: nothing is to be cleaned in most texts.
_CLEAN = re.compile("[!-~А-яЁё«»№–—]+(?: [!-~А-яЁё«»№–—]+)*")
_EDGES = " \t\r\n\u2028\u2029"
_DIRECTION = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
# C0 and C1 controls, line and paragraph separators, invisible operators, interlinear marks, non-characters, tags,
# and halves of surrogate pairs, which no encoding can write.
_HIDDEN = re.compile(
    "[\u0000-\u001f\u007f-\u009f\u2028\u2029\u2061-\u2064\u206a-\u206f\ufff9-\ufffb\ufffe\uffff\ud800-\udfff"
    "\U000e0000-\U000e007f]"
)
# Letters by category, but drawn as nothing: Hangul fillers. The Braille blank is a symbol drawn as nothing.
_BLANKS = frozenset("\u115f\u1160\u3164\uffa0\u2800")


def clean(text: str) -> str:
    """Return ``text`` in NFC, trimmed, with runs of spaces as one and without characters of no width.

    Joiners (U+200C, U+200D) stay between letters, one at a time, since Persian and Indic scripts need them there; a
    mark that belongs to a letter counts as one. Anything else suspicious is left in, for ``has_hidden`` and
    ``has_direction_mark`` to find. Cleaning twice changes nothing. What comes after ``MAX_LENGTH`` is cut off: no
    short field takes as much.
    """
    text = text[:MAX_LENGTH]
    if _CLEAN.fullmatch(text):
        return text
    if text.isascii():
        return _SPACES.sub(" ", text).strip(_EDGES)
    text = unicodedata.normalize("NFC", text.translate(_STRIPPED))
    text = _JOINERS.sub(_joiner_between_letters, text)
    # A stripped character or joiner may have stood between a letter and its accent.
    return _SPACES.sub(" ", unicodedata.normalize("NFC", text)).strip(_EDGES)


def has_hidden(text: str) -> bool:
    """Return whether a control character, or another that is never drawn, is in ``text``."""
    return _HIDDEN.search(text) is not None


def has_direction_mark(text: str) -> bool:
    """Return whether ``text`` has a mark, embedding, override or isolate that turns the direction of writing."""
    return _DIRECTION.search(text) is not None


def is_blank(text: str) -> bool:
    """Return whether nothing of ``text`` would be seen."""
    return all(
        character in _BLANKS or character.isspace() or unicodedata.category(character) in _UNSEEN for character in text
    )


def letters_of(text: str) -> str:
    if text.isascii():
        return _NOT_LETTERS.sub("", text)
    return "".join([character for character in text if character.isalpha() and character not in _BLANKS])


_UNSEEN = frozenset(("Cc", "Cf", "Mn"))


def _joiner_between_letters(match: re.Match[str]) -> str:
    text = match.string
    before, after = text[match.start() - 1 : match.start()], text[match.end() : match.end() + 1]
    return match[0][0] if _is_letter(before) and _is_letter(after) else ""


def _is_letter(character: str) -> bool:
    return character != "" and unicodedata.category(character)[0] in "LM"
