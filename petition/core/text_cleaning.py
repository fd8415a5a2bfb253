"""What any short text from outside is put through: cleaning, and a look for what cannot be seen."""

import re
import unicodedata

# What is drawn as nothing and means nothing in a short text, and comes along with what is pasted: spaces and joiners of
# no width, soft hyphens, direction marks of phones, invisible operators, anchors, placeholders, musical controls.
_STRIPPED = dict.fromkeys(
    code
    for first, last in (
        (0x00AD, 0x00AD),
        (0x034F, 0x034F),
        (0x061C, 0x061C),
        (0x17B4, 0x17B5),
        (0x200B, 0x200B),
        (0x200E, 0x200F),
        (0x202A, 0x202E),
        (0x2060, 0x206F),
        (0xFEFF, 0xFEFF),
        (0xFFF9, 0xFFFC),
        (0x1BCA0, 0x1BCA3),
        (0x1D173, 0x1D17A),
    )
    for code in range(first, last + 1)
)
_NOT_LETTERS = re.compile("[^A-Za-z]+")  # in ASCII
_JOINERS = re.compile("[\u200c\u200d]+")
# The flags of England, Scotland and so on are a flag with tags behind it. Any other tag carries text that is not seen.
_TAGS = re.compile("(\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{3,6}\U000e007f)|[\U000e0000-\U000e007f]+")
_VARIATIONS = re.compile("[\u180b-\u180d\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]+")
_VARIATION = _VARIATIONS.pattern.removesuffix("+")
# Scripts in which a joiner shows: Arabic and its kin, those of India and South-East Asia, Mongolian.
_JOINED_SCRIPTS = re.compile(
    "[\u0600-\u08ff\u0900-\u109f\u1700-\u18af\u1900-\u1c4f\ua800-\uab2f\uabc0-\uabff\ufb50-\ufdff\ufe70-\ufefe"
    "\U00010a00-\U00010fff\U00011000-\U00011fff\U0001e900-\U0001e95f]"
)
# Every space separator (category Zs), the ends of lines, tabs, and letters that are drawn as a space.
_SPACES = re.compile("[\t\n\v\f\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u2800\u3000\u3164\uffa0]+")
# Putting marks into their order takes time by the square of their number (three seconds for 30,000 in a row), and no
# short text is as long as this before it is cleaned.
MAX_LENGTH = 1000  # characters
# Words of ASCII and Russian letters, one space apart: nothing is to be cleaned in most texts.
_CLEAN = re.compile("[!-~А-яЁё«»№–—]+(?: [!-~А-яЁё«»№–—]+)*")
_DIRECTION = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
# C0 and C1 controls, line and paragraph separators, invisible operators, interlinear marks, non-characters, tags,
# and halves of surrogate pairs, which no encoding can write.
_HIDDEN = re.compile(
    "[\u0000-\u001f\u007f-\u009f\u2028\u2029\u2061-\u2064\u206a-\u206f\ufff9-\ufffb\ufffe\uffff\ud800-\udfff"
    "\U000e0000-\U000e007f]"
)
# Letters by category, but drawn as nothing: Hangul fillers. The Braille blank is a symbol drawn as nothing.
_KEYS = frozenset("0123456789#*")  # that a selector and U+20E3 make a key of
_SKIN_TONES_AND_ARROWS = re.compile("[\U0001f3fb-\U0001f3ff\u2190-\u21ff]")
# Myanmar, Mongolian, ʼPhags-pa and ideographs have variants; so have punctuation marks that are emoji.
_VARYING = re.compile(
    "[\u1000-\u109f\u1800-\u18af\u203c\u2049\u2e80-\u9fff\ua840-\ua87f\uf900-\ufaff\U00020000-\U0003ffff]"
)
ZWJ = "\u200d"
VIRAMA = 9  # the combining class of signs that kill a vowel
_BLANKS = frozenset("\u115f\u1160\u3164\uffa0\u2800")


def clean(text: str) -> str:
    """Return ``text`` in NFC on one line, trimmed, with runs of spaces as one and without what is not seen.

    Joiners (U+200C, U+200D) and variation selectors stay where they show, one at a time: joiners in scripts that need
    them and between emoji, selectors behind symbols, ideographs and the like; a flag keeps its tags. Controls are left
    in, for ``has_hidden`` to see. Cleaning twice changes nothing. What comes after ``MAX_LENGTH`` is cut off: no short
    field takes as much.
    """
    text = text[:MAX_LENGTH]
    if not text or _CLEAN.fullmatch(text):
        return text
    if text.isascii():
        return _SPACES.sub(" ", text).strip(" ")
    text = _SPACES.sub(" ", unicodedata.normalize("NFC", text.translate(_STRIPPED)))
    text = without_invisible(text)
    # What was taken out may have stood between a letter and its accent.
    return _SPACES.sub(" ", unicodedata.normalize("NFC", text)).strip(" ")


def without_invisible(text: str) -> str:
    """Return ``text`` without characters that are drawn as nothing and change nothing."""
    if text.isascii():
        return text
    text = _TAGS.sub(lambda match: match[1] or "", text.translate(_STRIPPED))
    return _JOINERS.sub(_joiner, _VARIATIONS.sub(_variation, text))


def has_hidden(text: str) -> bool:
    """Return whether a control character, or another that is never drawn, is in ``text``."""
    return _HIDDEN.search(_TAGS.sub("", text) if _is_flag_tagged(text) else text) is not None


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


def _is_flag_tagged(text: str) -> bool:
    return "\U000e007f" in text and all(match[1] for match in _TAGS.finditer(text))


def _joiner(match: re.Match[str]) -> str:
    """Return the one of several joiners that shows in its place, or nothing."""
    text, start = match.string, match.start()
    before, after = text[start - 1 : start], text[match.end() : match.end() + 1]
    if _JOINED_SCRIPTS.match(before):
        # Half of a conjunct at the end of a word: old Malayalam spellings end so.
        is_dead = unicodedata.combining(before) == VIRAMA
        return match[0][0] if is_dead or (_is_letter(before) and _JOINED_SCRIPTS.match(after)) else ""
    if before and re.match(_VARIATION, before):
        before = text[start - 2 : start - 1]
    return ZWJ if ZWJ in match[0] and _is_symbol(before) and _is_symbol(after) else ""


def _variation(match: re.Match[str]) -> str:
    """Return the one of several variation selectors that shows in its place, or nothing."""
    text, start = match.string, match.start()
    base = text[start - 1 : start]
    if base in _KEYS:
        return match[0][0] if text[match.end() : match.end() + 1] == "\u20e3" else ""
    return match[0][0] if _is_symbol(base) or _VARYING.match(base) else ""


def _is_symbol(character: str) -> bool:
    """Return whether it may be part of an emoji."""
    return character != "" and (
        unicodedata.category(character) == "So" or _SKIN_TONES_AND_ARROWS.match(character) is not None
    )


def _is_letter(character: str) -> bool:
    return unicodedata.category(character)[0] in "LM"
