"""Names of people and organizations: what is accepted, how they are searched, which language a name is in.

Any script, one letter, apostrophes and unbalanced quotes are all real names. Only what is not a name is refused
(addresses, links, numbers), and control characters. "@" is no address by itself: people write "Engineer @ Company".
"""

import re
import unicodedata
from typing import Literal

from petition.core.i18n import N_
from petition.core.text_cleaning import clean, has_direction_mark, has_hidden, is_blank, letters_of, without_invisible

__all__ = [
    "MAXIMUM",
    "clean",
    "fold",
    "organization_key",
    "problem_of_detail",
    "problem_of_organization",
    "problem_of_person",
    "script_of",
    "split_names",
    "within_one_edit",
    "words",
]

MAXIMUM = 200  # characters, after cleaning
MAX_WORD = 100  # characters of a search key's word: 400 bytes at most, where PostgreSQL's indexes take 2,000

MISSING_PERSON = N_("Enter your name.")
MISSING_ORGANIZATION = N_("Enter the organization’s name, in English or Russian.")
TOO_LONG = N_("Too long: use at most 200 characters.")
HIDDEN = N_("There is a hidden character here. Type the text instead of pasting it.")
DIRECTION = N_("There is a character here that changes the direction of the text. Type it instead of pasting it.")
ADDRESS = N_("Remove the e-mail address: it is not allowed here.")
LINK = N_("Remove the link: it is not allowed here.")
NO_LETTERS = N_("The name must contain letters.")

# A name, "@" and a domain without a space. With one more "@" in front it is an account of a social network.
_ADDRESS = re.compile(r"(?<![\w.+%@\uff20-])[\w.+%'-]+[@\uff20\ufe6b][\w-]+(?:[.。．｡][\w-]+)*[.。．｡][^\W\d_]{2,}")
_PLAIN_LINK = re.compile(r"://|\bwww\.", re.IGNORECASE)
# A bare domain differs from initials ("А.С. Пушкин", "St.Clair") by its last label. These are the endings seen in spam
# and in the two languages; endings that are also parts of names (de, la, le, di, st, no, is …) are left out.
_BARE_DOMAIN = re.compile(
    r"(?<![^\W_])[^\W_](?:[\w-]*[^\W_])?\."
    r"(?:(?:com|net|org|co)\.[a-z]{2}|com|net|org|info|biz|online|site|shop|store|xyz|top|club|live|pro|app|dev|"
    r"blog|link|click|agency|tech|space|website|media|news|ru|su|рф|рус|онлайн|сайт|by|ua|укр|бел|kz|uz|"
    r"uk|us|eu|io|tv|tk|ml|cf|gq|pw|cc|gg|gl|ly)"
    r"(?![^\W_]|\.[^\W_])",
    re.IGNORECASE,
)
# The same with a path behind it is a link with any ending: "bit.ly/x", "t.me/name".
_PATH = re.compile(r"[^\W_]\.[^\W\d_]{2,}/[^\W_]")


# Nothing can be hidden in these, and without a stop, a colon and an "@" nothing of them is a link or an address.
_HARMLESS = re.compile("[0-9A-Za-zА-яЁё «»“”„\"'’‘(),–—-]*")
_ANY_LETTER = re.compile("[A-Za-zА-яЁё]")


def problem_of_person(name: str) -> str | None:
    """Return what is wrong with a person's cleaned name, as a message for the catalogues, or None."""
    if _HARMLESS.fullmatch(name) and _ANY_LETTER.search(name):
        return None if len(name) <= MAXIMUM else TOO_LONG
    if is_blank(name):
        return MISSING_PERSON if not has_hidden(name) else HIDDEN
    if problem := _problem_of_any(name):
        return problem
    if _BARE_DOMAIN.search(name) or _PATH.search(name):
        return LINK
    return None if letters_of(name) else NO_LETTERS


def problem_of_organization(name: str) -> str | None:
    """Return what is wrong with an organization's cleaned name, as a message for the catalogues, or None.

    A domain is a name here ("IT.Partners LLP", "Mail.ru"), and so is a number ("1984").
    """
    if is_blank(name):
        return MISSING_ORGANIZATION if not has_hidden(name) else HIDDEN
    return _problem_of_any(name)


def problem_of_detail(text: str) -> str | None:
    """Return what is wrong with a cleaned affiliation, position or city, which may be empty, or None."""
    return _problem_of_any(text)


def _problem_of_any(text: str) -> str | None:
    if len(text) > MAXIMUM:
        return TOO_LONG
    if _HARMLESS.fullmatch(text):
        return None
    if has_hidden(text):
        return HIDDEN
    if has_direction_mark(text):
        return DIRECTION
    if _ADDRESS.search(text):
        return ADDRESS
    return LINK if _PLAIN_LINK.search(text) else None


# Latin letters that Unicode does not take apart.
_UNDECOMPOSED = str.maketrans(
    {"ø": "o", "đ": "d", "ł": "l", "ħ": "h", "ı": "i", "ŧ": "t", "æ": "ae", "œ": "oe", "ð": "d", "þ": "th"}
)
_COMBINING = re.compile("[\u0300-\u036f]+")
_LATIN_OR_GREEK = re.compile("[a-z\u00c0-\u024f\u0370-\u03ff\u1e00-\u1fff]")
_INNER_APOSTROPHE = re.compile(r"(?<=[^\W\d_])['’‘ʼ`´](?=[^\W\d_])")
# Joiners, variation selectors, tags: they change how a name looks, and are not typed into a search.
_UNTYPED = re.compile("[\u200c\u200d\u180b-\u180d\u180f\ufe00-\ufe0f\U000e0020-\U000e007f\U000e0100-\U000e01ef]")
_SPACES = re.compile(r"\s+")
# In such names, which most are, only case and ё have two spellings: folding them takes a fifth of the time.
_SIMPLE = re.compile("[ -~А-яЁё«»“”„–—]*")
_SIMPLE_WORD = re.compile("[0-9a-zа-я]+")


def fold(name: str) -> str:
    """Return the search key of a name: its words in plain lower case, one space apart.

    Case, compatibility forms, ё/е and the accents of Latin and Greek letters do not matter, nor do stress marks on
    Cyrillic ones; й, ї and ў are letters of their own and stay. Punctuation and symbols separate words, but an
    apostrophe inside a word goes without a trace (O'Brien is found as "obrien", Дем'ян as "демян"). Marks of other
    scripts stay: in Indic scripts they are the vowels. Folding twice changes nothing. Words are cut where an index
    could not take them any more.
    """
    if _SIMPLE.fullmatch(name):
        text = _INNER_APOSTROPHE.sub("", name.lower().replace("ё", "е"))
        return " ".join(word[:MAX_WORD] for word in _SIMPLE_WORD.findall(text))
    text = _INNER_APOSTROPHE.sub("", _plain(name))
    separated = "".join(character if _in_word(character) else " " for character in text)
    return " ".join(word[:MAX_WORD] for word in separated.split())


def words(key: str) -> tuple[str, ...]:
    """Return the distinct words of a search key, in order."""
    return tuple(dict.fromkeys(key.split()))


def organization_key(name: str) -> str:
    """Return the key under which different spellings of an organization's name are equal.

    Case, spacing, quotes, brackets, ё/е and accents do not matter; the legal form does, and so does other punctuation:
    "C++" is not "C".
    """
    text = "".join(" " if _is_quote_or_bracket(character) else character for character in _plain(name))
    return _SPACES.sub(" ", text).strip() or _SPACES.sub(" ", name).strip()


def _plain(name: str) -> str:
    text = _UNTYPED.sub("", unicodedata.normalize("NFKC", without_invisible(name))).casefold().translate(_UNDECOMPOSED)
    text = "".join(map(_without_accent, unicodedata.normalize("NFC", text)))
    # Letters with accents of their own are composed now; a mark that is still separate is a stress mark or the like.
    return unicodedata.normalize("NFC", _COMBINING.sub("", text)).replace("ё", "е")


def _without_accent(character: str) -> str:
    if not _LATIN_OR_GREEK.match(character):
        return character
    return _COMBINING.sub("", unicodedata.normalize("NFD", character))


def _in_word(character: str) -> bool:
    return unicodedata.category(character)[0] in "LMN"


def _is_quote_or_bracket(character: str) -> bool:
    return character in "\"'`´ʼ" or unicodedata.category(character) in ("Pi", "Pf", "Ps", "Pe")


def within_one_edit(first: str, second: str) -> bool:
    """Return whether two words differ by at most one typing error.

    An error is a letter too many, missing or replaced, or two neighbours swapped (Damerau, 1964). Words of up to three
    letters must be equal: one error makes another word of them.
    """
    if first == second:
        return True
    shorter, longer = sorted((first, second), key=len)
    if len(shorter) <= 3 or len(longer) - len(shorter) > 1:
        return False
    start = _common_prefix(shorter, longer)
    if len(shorter) < len(longer):
        return shorter[start:] == longer[start + 1 :]
    if shorter[start + 1 :] == longer[start + 1 :]:
        return True
    swapped = longer[start + 1 : start + 2] + longer[start]
    return shorter[start : start + 2] == swapped and shorter[start + 2 :] == longer[start + 2 :]


def _common_prefix(first: str, second: str) -> int:
    for index, (one, other) in enumerate(zip(first, second, strict=False)):
        if one != other:
            return index
    return min(len(first), len(second))


Script = Literal["latin", "cyrillic", "other"]
_CYRILLIC = re.compile("[\u0400-\u052f\u1c80-\u1c8f\u2de0-\u2dff\ua640-\ua69f]")
_LATIN = re.compile(
    "[A-Za-z\u00aa\u00ba\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u1e00-\u1eff\uff21-\uff3a\uff41-\uff5a]"
)


def script_of(text: str) -> Script:
    """Return the script a name is in. One Cyrillic letter makes it Cyrillic.

    Russian names often contain foreign brands («ООО "Yandex"»), English names never contain Cyrillic.
    """
    if _CYRILLIC.search(text):
        return "cyrillic"
    return "latin" if _LATIN.search(text) else "other"


def split_names(field: str) -> tuple[str | None, str | None]:
    """Return (English name, Russian name) of an organization from one field; at least one unless it is empty.

    A single " // " splits it if exactly one side is Cyrillic, in either order. Otherwise the whole field is one name,
    Russian if it is Cyrillic, else English (and every other language): the languages of two sides in one script are
    unknown, and a lone "/" belongs to the name.
    """
    whole = clean(field)
    if not whole:
        return None, None
    first, separator, second = whole.partition(" // ")
    if separator and " // " not in second:
        if script_of(first) != "cyrillic" and script_of(second) == "cyrillic":
            return first.strip(), second.strip()
        if script_of(first) == "cyrillic" and script_of(second) != "cyrillic":
            return second.strip(), first.strip()
    return (None, whole) if script_of(whole) == "cyrillic" else (whole, None)
