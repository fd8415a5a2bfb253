"""What a typesetter adds to a text that people wrote: places to break long words, spaces that hold, one bullet.

Applied where a page is rendered, never to what is stored, searched, copied or sent: titles of pages, share links, JSON
and mails have the text as written. See docs/decisions/typography.md.
"""

import itertools
import re
import unicodedata
from collections.abc import Iterator

SOFT_HYPHEN = "\u00ad"
NO_BREAK = "\u00a0"
LONG_WORD = 14  # letters; shorter words fit into a line of a phone
MIN_FRONT, MIN_BACK = 4, 3  # letters in front of the first break and behind the last

_VOWELS = frozenset("аеёиоуыэюяіїєў")
_SIGNS = frozenset("йьъ")  # belong to the letter in front of them
_LIQUIDS = frozenset("рл")
_LONG = re.compile(rf"[а-яёіїєў]{{{LONG_WORD},}}", re.IGNORECASE)
# Russian prepositions, conjunctions and particles of one or two letters do not end a line (Milchin, 3.3).
_SHORT_WORD = re.compile(
    r"(?<![\w-])(в|во|к|ко|с|со|о|об|у|и|а|но|на|по|за|из|от|до|не|ни)[ \n]+(?=\S|\Z)",
    re.IGNORECASE,
)
_DASH = re.compile(r" +(?=[—–] )")
_TAG = re.compile(r"(<[^>]*>)")
_ITEM = re.compile(r"<li>(\s*(?:<p>)?\s*)(?=(.))", re.DOTALL)
_BULLETS = frozenset("•·●▪◦‣–—-*")


def hyphenated(text: str) -> str:
    """Return ``text`` with soft hyphens between the syllables of long Russian words.

    For headings: browsers without a dictionary would break them inside a syllable and without a hyphen.
    """
    return _LONG.sub(lambda match: SOFT_HYPHEN.join(_parts(match[0])), text)


def _parts(word: str) -> Iterator[str]:
    start = 0
    for end in _breaks(word.lower()):
        if end >= MIN_FRONT and len(word) - end >= MIN_BACK and end - start > 1:
            yield word[start:end]
            start = end
    yield word[start:]


def _breaks(word: str) -> Iterator[int]:
    """Yield where a syllable begins: one between two neighbouring vowels."""
    vowels = [index for index, letter in enumerate(word) if letter in _VOWELS]
    for left, right in itertools.pairwise(vowels):
        yield left + 1 + _closing(word[left + 1 : right])


def _closing(consonants: str) -> int:
    """Return how many of the consonants between two vowels end the first syllable."""
    signs = [index for index, letter in enumerate(consonants) if letter in _SIGNS]
    if signs:
        return signs[-1] + 1
    if len(consonants) < 2:
        return 0
    is_cluster = len(consonants) == 2 and consonants[1] in _LIQUIDS and consonants[0] not in _LIQUIDS
    return 0 if is_cluster and consonants[0] not in "мн" else 1


def spaced(text: str, lang: str) -> str:
    """Return plain ``text`` with spaces that hold short Russian words and dashes to their neighbours."""
    if lang != "ru":
        return text
    # Twice: of two short words in a row the first match takes the space in front of the second.
    once = _SHORT_WORD.sub(rf"\1{NO_BREAK}", text)
    return _DASH.sub(NO_BREAK, _SHORT_WORD.sub(rf"\1{NO_BREAK}", once))


def heading(text: str, lang: str) -> str:
    """Return a title as it stands at the head of a page."""
    return hyphenated(spaced(text, lang))


def typeset(html: str, lang: str) -> str:
    """Return sanitized ``html`` with spaces as in ``spaced``, and without a marker where an item has one of its own."""
    parts = _TAG.split(_ITEM.sub(_bare, html))
    is_code = False
    for index, part in enumerate(parts):
        if part.startswith("<"):
            is_code = part in {"<code>", "<pre>"} or (is_code and part not in {"</code>", "</pre>"})
        elif not is_code:
            parts[index] = spaced(part.replace("&nbsp;", NO_BREAK), lang)  # the entity takes more bytes
    return "".join(parts)


def _bare(item: re.Match[str]) -> str:
    return f'<li class="bare">{item[1]}' if _is_marker(item[2]) else item[0]


def _is_marker(character: str) -> bool:
    return character in _BULLETS or (unicodedata.category(character) == "So" and character not in "©®™°№")


def script_lang(name: str) -> str:
    """Return the language by which a name is best read aloud: "ru" for Cyrillic, "en" for Latin, else ""."""
    letters = [unicodedata.name(character, "") for character in name if character.isalpha()]
    if letters and all(letter.startswith("CYRILLIC") for letter in letters):
        return "ru"
    return "en" if letters and all(letter.startswith("LATIN") for letter in letters) else ""
