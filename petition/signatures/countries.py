"""Countries: typed as people write them, stored as ISO 3166-1 alpha-2.

The field is optional, and people do not know how we spell a country. So names in all official languages are known,
flags, codes, "City, Country" and one typing error; what means no country, or two, is none.
"""

import functools
import re
from collections.abc import Mapping

from petition.core.i18n import N_
from petition.core.text_cleaning import without_invisible
from petition.signatures import country_names
from petition.signatures.country_names import DEFAULT_LANGUAGES, codes, key_of
from petition.signatures.names import fold, within_one_edit

__all__ = ["DEFAULT_LANGUAGES", "UNKNOWN", "codes", "match", "name_of", "prepare"]

UNKNOWN = N_("We do not know this country. Write it another way, or leave the field empty.")

MAX_TYPED = 200  # characters; what comes behind them is not read
MIN_MISTYPED = 6  # letters of a name in which one may be wrong; shorter ones are too near to each other
_FLAG = re.compile("([\U0001f1e6-\U0001f1ff])([\U0001f1e6-\U0001f1ff])|\U0001f3f4[\U000e0061-\U000e007a]+\U000e007f")
_REGIONAL_A = 0x1F1E6
_PARTS = re.compile(r"[,;:/|()\[\]+\n]|\s[-–—]+\s")
_EITHER = re.compile(r"[/|+&]|\s(?:and|or|и|или|und|oder|et|ou)\s", re.IGNORECASE)
# What stands between a country and another in a sentence: "Россия, но живу в Грузии".
_SENTENCE = re.compile(
    r"(?:^|\s)(?:но|живу|живем|живём|сейчас|теперь|из|в|во|but|now|live|living|from|in)(?=\s)", re.IGNORECASE
)
# Words around a name that are no part of it: "Республика Польша", "из Германии", "Kingdom of Norway".
_AROUND = frozenset(
    ("republic", "of", "kingdom", "state", "federal", "republika", "republica", "republique", "bundesrepublik")
).union(("республика", "республики", "королевство", "из", "в", "во", "in", "from"))
# States and territories of the United States and provinces of Canada: behind a town they are meant, not Israel (IL).
_STATES = """
al ak az ar ca co ct de fl ga hi id il in ia ks ky la me md ma mi mn ms mo mt ne nv nh nj nm ny nc nd oh ok or pa ri
sc sd tn tx ut vt va wa wv wi wy dc as gu mp pr vi ab bc mb nb nl ns nt nu on pe qc sk yt
"""
_STATE_CODES = frozenset(_STATES.split())
# Two that are named together and mean one: a state or a town of that name, or a part with a code of its own.
_TOGETHER = {frozenset(two): two[1] for two in (("GE", "US"), ("JM", "US"), ("GD", "ES"), ("NE", "NG"))} | {
    frozenset((part, whole)): part
    for whole, parts in (
        ("CN", ("HK", "MO")),
        ("US", ("AS", "GU", "MP", "PR", "VI")),
        ("GB", ("BM", "GG", "GI", "IM", "JE", "KY")),
        ("FR", ("GF", "GP", "MQ", "NC", "PF", "RE", "YT")),
        ("DK", ("FO", "GL")),
        ("NL", ("AW", "CW", "SX")),
        ("FI", ("AX",)),
    )
    for part in parts
}
_NO_ANSWER = frozenset(("no", "No", "na", "Na"))  # said, rather than the codes of Norway and Namibia


def match(text: str, languages: tuple[str, ...] = DEFAULT_LANGUAGES) -> str | None:
    """Return the code of the country that ``text`` names, or None if it names none, or several.

    Names are known in ``languages`` and in all official languages of the world; in ``languages`` one letter may be
    wrong. Case, accents, ё/е, punctuation, "the" and "and" do not matter. In "Town, XX" a code that a state of the
    United States or a province of Canada has as well is no country; alone it is.
    """
    text = text[:MAX_TYPED]
    if not text or text in _NO_ANSWER:
        return None
    return _as_offered(languages).get(text) or _match(text, languages)


@functools.cache
def _as_offered(languages: tuple[str, ...]) -> Mapping[str, str]:
    """Return code by name as the form offers them, which most people choose."""
    names = (name for lang in languages for name in country_names.names_in(lang).values())
    return {name: code for name in names if (code := _match(name, languages)) is not None}


def _match(text: str, languages: tuple[str, ...]) -> str | None:
    flags = {code for flag in _FLAG.finditer(text) if (code := _country_of_flag(flag)) is not None}
    words = _FLAG.sub(" ", text)
    if (code := _named(without_invisible(words), languages)) is not None:
        return code
    return flags.pop() if len(flags) == 1 and not fold(words) else None


def prepare(languages: tuple[str, ...] = DEFAULT_LANGUAGES) -> None:
    """Load the tables, which takes a second."""
    country_names.anywhere()
    _as_offered(languages)


def name_of(code: str, lang: str) -> str:
    """Return the country's name in a language; the code itself if it has none."""
    return country_names.names_in(lang).get(code, code)


def _country_of_flag(flag: re.Match[str]) -> str | None:
    if flag[1] is None:  # of a part of the United Kingdom, by tags
        return "GB" if flag[0][1:3] == "\U000e0067\U000e0062" else None
    code = "".join(chr(ord(sign) - _REGIONAL_A + ord("A")) for sign in flag.groups())
    return code if code in codes() else None


def _named(text: str, languages: tuple[str, ...]) -> str | None:
    if (code := _exact(text, languages)) is not None:
        return code
    if len(_codes_of(_EITHER.split(text), languages)) > 1:
        return None
    parts = [part for part in _PARTS.split(text) if fold(part)]
    is_short = [len(parts) > 1 and len(fold(part)) == 2 for part in parts]
    named = {
        code for part, short in zip(parts, is_short, strict=True) if not short for code in _within(part, languages)
    }
    # Next to a country's name, two letters are a region's: "Torino, TO, Italia".
    codes_behind = [
        part for part, short in zip(parts, is_short, strict=True) if short and fold(part) not in _STATE_CODES
    ]
    return _one_of(named or _codes_of(codes_behind, languages)) or (None if named else _mistyped(text, languages))


def _within(part: str, languages: tuple[str, ...]) -> set[str]:
    return _codes_of([part], languages) or _codes_of(_SENTENCE.split(part), languages)


def _codes_of(parts: list[str], languages: tuple[str, ...]) -> set[str]:
    return {code for part in parts if (code := _exact(part, languages) or _mistyped(part, languages)) is not None}


def _one_of(named: set[str]) -> str | None:
    return next(iter(named)) if len(named) == 1 else _TOGETHER.get(frozenset(named))


def _exact(text: str, languages: tuple[str, ...]) -> str | None:
    key = key_of(text)
    return _known(key, languages) or _known(" ".join(word for word in key.split() if word not in _AROUND), languages)


def _known(key: str, languages: tuple[str, ...]) -> str | None:
    return (
        country_names.spoken(languages).get(key)
        or country_names.abbreviations().get(key)
        or country_names.anywhere().get(key)
    )


def _mistyped(text: str, languages: tuple[str, ...]) -> str | None:
    key = " ".join(word for word in key_of(text).split() if word not in _AROUND)
    by_length = country_names.spoken_by_length(languages)
    lengths = range(max(MIN_MISTYPED, len(key)) - 1, len(key) + 2)
    near = {
        code
        for length in lengths
        if max(length, len(key)) >= MIN_MISTYPED
        for name, code in by_length.get(length, ())
        if within_one_edit(key, name)
    }
    return near.pop() if len(near) == 1 else None
