"""What countries are called: by Unicode's CLDR in many languages, through Babel, and as people write them.

The big table is read from Babel's files one after the other and not through ``Locale``, which would hold all of what it
knows of a hundred languages (80 MB) for the names of their countries (9 MB).
"""

import functools
import pickle
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from babel import Locale, UnknownLocaleError
from babel.core import get_global
from babel.languages import get_official_languages
from babel.localedata import exists, resolve_locale_filename

from petition.signatures.names import fold

# Codes of CLDR that are no countries: unions, outlying parts, pseudo-locales, "unknown".
_NOT_COUNTRIES = frozenset(("EU", "EZ", "QO", "UN", "XA", "XB", "ZZ"))
_CODE = re.compile("[A-Z]{2}")
_FILLERS = frozenset(("and", "the", "и"))
_APOSTROPHES = str.maketrans("ʻʼʽ", "'''")  # letters in Oʻzbekiston, which people type as a quote
DEFAULT_LANGUAGES = ("en", "ru")
# Spoken by many, and official in no country as a whole.
_FURTHER_LANGUAGES = ("ce", "cy", "eu", "gd", "gl", "os", "sah", "tt", "yi")

# As people write them, spelled as ``key_of`` leaves them.
ALIASES = {
    "AE": "uae, emirates, оаэ, эмираты",
    "BA": "bosnia, босния",
    "BY": "belorussia, byelorussia, republic of belarus, белоруссия, белорусия, республика беларусь, рб",
    "CD": "drc, dr congo, демократическая республика конго",
    "CF": "цар",
    "CH": "schweiz, suisse, helvetia",
    "CI": "ivory coast, берег слоновой кости",
    "CN": "prc, people s republic of china, peoples republic of china, кнр",
    "CZ": "czech, ceska, czech republic, чешская республика",
    "DE": "deutschland, frg, brd, federal republic of germany, фрг",
    "ES": "espana",
    "FI": "suomi",
    "FM": "микронезия, micronesia",
    "GB": "uk, u k, britain, great britain, england, scotland, wales, northern ireland, "
    "великобритания, британия, англия, шотландия, уэльс, северная ирландия, соединенное королевство, "
    "united kingdom of great britain northern ireland",
    "GE": "sakartvelo, საქართველო",
    "HK": "hong kong, гонконг",
    "IE": "eire, republic of ireland",
    "IR": "islamic republic of iran",
    "KG": "kirghizia, киргизстан, кыргызстан, кыргызская республика, киргизская республика",
    "KP": "dprk, north korea, кндр, северная корея",
    "KR": "한국, korea, rok, south korea, republic of korea, корея, южная корея, республика корея",
    "KZ": "республика казахстан, рк",
    "MD": "moldavia, republic of moldova, молдавия, республика молдова",
    "MK": "macedonia, македония",
    "MM": "burma, бирма",
    "MO": "macao, macau, макао",
    "NL": "holland, голландия",
    "NZ": "aotearoa",
    "PL": "polska",
    "PS": "palestine, палестина",
    "RU": "rf, rossiyskaya federatsiya, rossiya, rossija, rossia, russian federation, рф, российская федерация",
    "SK": "slovenska, slovak republic, словацкая республика",
    "SY": "syrian arab republic",
    "TH": "siam, сиам, ประเทศไทย",
    "TJ": "tadjikistan, республика таджикистан",
    "TM": "turkmenia, туркмения",
    "TR": "turkey, turkiye",
    "TW": "тайвань, republic of china, китайская республика",
    "UA": "ukraina, україна",
    "US": "u s, u s a, usa, america, united states of america, америка, сша, соединенные штаты, "
    "соединенные штаты америки",
    "UZ": "republic of uzbekistan, республика узбекистан",
    "VA": "vatican, holy see, ватикан",
    "VN": "viet nam",
    "ZA": "юар, rsa",
}


def key_of(text: str) -> str:
    """Fold a name so that "Bosnia & Herzegovina", "the Netherlands" and "Saint Lucia" match."""
    words = fold(text.translate(_APOSTROPHES)).split()
    return " ".join("st" if word == "saint" else word for word in words if word not in _FILLERS)


@functools.cache
def codes() -> frozenset[str]:
    """Return every code of a country."""
    return frozenset(names_in("en"))


@functools.cache
def names_in(lang: str) -> Mapping[str, str]:
    """Return the names in a language by code; none if the language is unknown."""
    try:
        territories = Locale.parse(lang).territories
    except (UnknownLocaleError, ValueError):
        return {}
    return {code: name for code, name in territories.items() if _CODE.fullmatch(code) and code not in _NOT_COUNTRIES}


@functools.cache
def spoken(languages: tuple[str, ...]) -> Mapping[str, str]:
    """Return key → code of the names in these languages and of the aliases: those that may be mistyped."""
    by_name = {alias: code for code, aliases in ALIASES.items() for alias in aliases.split(", ")}
    for lang in dict.fromkeys((*DEFAULT_LANGUAGES, *languages)):
        for code, name in names_in(lang).items():
            by_name.setdefault(key_of(name), code)
            # "Palestinian Territories (…)" and the like are also known by the part before the bracket.
            by_name.setdefault(key_of(name.partition("(")[0]), code)
    return by_name


@functools.cache
def spoken_by_length(languages: tuple[str, ...]) -> Mapping[int, Sequence[tuple[str, str]]]:
    """Return the (key, code) of ``spoken`` by the key's length: a mistyped name is compared to few of them."""
    by_length: dict[int, list[tuple[str, str]]] = {}
    for name, code in spoken(languages).items():
        by_length.setdefault(len(name), []).append((name, code))
    return by_length


@functools.cache
def abbreviations() -> Mapping[str, str]:
    """Return key → code of the codes themselves, of two and of three letters."""
    replaced = get_global("territory_aliases")
    three = {
        old.lower(): new[0]
        for old, new in replaced.items()
        if len(old) == 3 and old.isalpha() and len(new) == 1 and new[0] in codes()
    }
    return three | {code.lower(): code for code in codes()}


@functools.cache
def anywhere() -> Mapping[str, str]:
    """Return key → code of the names in the official languages of all countries, but for those that mean several."""
    meanings: dict[str, set[str]] = {}
    names = {(name, code) for lang in _official_languages() for code, name in _territories(lang).items()}
    for name, code in names:
        if code in codes():
            meanings.setdefault(key_of(name), set()).add(code)
    return {name: next(iter(meant)) for name, meant in meanings.items() if len(meant) == 1 and len(name) > 1}


def _official_languages() -> list[str]:
    official = [
        lang for code in sorted(codes()) for lang in get_official_languages(code, regional=False, de_facto=True)
    ]
    return [lang for lang in dict.fromkeys((*official, *_FURTHER_LANGUAGES)) if exists(lang)]


def _territories(lang: str) -> Mapping[str, str]:
    data = Path(resolve_locale_filename(lang)).read_bytes()
    territories: Mapping[str, str] = pickle.loads(data).get("territories", {})  # noqa: S301 - Babel's own file
    return territories
