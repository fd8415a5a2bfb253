"""Countries: typed as names, stored as ISO 3166-1 alpha-2.

The names are those of Unicode's CLDR, through Babel, and the aliases below.
"""

import functools
import re
from collections.abc import Mapping

from babel import Locale, UnknownLocaleError
from babel.core import get_global

from petition.core.i18n import N_
from petition.signatures.names import fold

UNKNOWN = N_("We do not know this country. Write it another way, or leave the field empty.")

# Codes of CLDR that are no countries: unions, outlying parts, pseudo-locales, "unknown".
_NOT_COUNTRIES = frozenset(("EU", "EZ", "QO", "UN", "XA", "XB", "ZZ"))
_CODE = re.compile("[A-Z]{2}")
_FILLERS = frozenset(("and", "the", "и"))
DEFAULT_LANGUAGES = ("en", "ru")

# As people write them, spelled as ``_key`` leaves them.
_ALIASES = {
    "AE": "uae, emirates, оаэ, эмираты",
    "BA": "bosnia, босния",
    "BY": "belorussia, byelorussia, republic of belarus, белоруссия, республика беларусь, рб",
    "CD": "drc, dr congo, демократическая республика конго",
    "CH": "schweiz, suisse",
    "CI": "ivory coast, берег слоновой кости",
    "CN": "prc, people s republic of china, peoples republic of china, кнр",
    "CZ": "czech, czech republic, чешская республика",
    "DE": "deutschland, frg, federal republic of germany, фрг",
    "ES": "espana",
    "FI": "suomi",
    "GB": "uk, u k, britain, great britain, england, scotland, wales, northern ireland, "
    "великобритания, британия, англия, шотландия, уэльс, северная ирландия, соединенное королевство, "
    "united kingdom of great britain northern ireland",
    "GE": "sakartvelo, საქართველო",
    "HK": "hong kong, гонконг",
    "IR": "islamic republic of iran",
    "KG": "kirghizia, киргизстан, кыргызстан, кыргызская республика, киргизская республика",
    "KP": "dprk, north korea, кндр, северная корея",
    "KR": "korea, rok, south korea, republic of korea, корея, южная корея, республика корея",
    "KZ": "республика казахстан, рк",
    "MD": "moldavia, republic of moldova, молдавия, республика молдова",
    "MK": "macedonia, македония",
    "MM": "burma, бирма",
    "MO": "macao, macau, макао",
    "NL": "holland, голландия",
    "PL": "polska",
    "PS": "palestine, палестина",
    "RU": "rf, rossiya, rossija, russian federation, рф, российская федерация",
    "SK": "slovak republic, словацкая республика",
    "SY": "syrian arab republic",
    "TJ": "tadjikistan, республика таджикистан",
    "TM": "turkmenia, туркмения",
    "TR": "turkey, turkiye",
    "TW": "тайвань",
    "UA": "ukraina, україна",
    "US": "u s, u s a, usa, america, united states of america, америка, сша, соединенные штаты, "
    "соединенные штаты америки",
    "UZ": "republic of uzbekistan, республика узбекистан",
    "VA": "vatican, holy see, ватикан",
    "VN": "viet nam",
}


def match(text: str, languages: tuple[str, ...] = DEFAULT_LANGUAGES) -> str | None:
    """Return the code of the country named in ``text`` in one of the languages, or by its own code; else None.

    Case, accents, ё/е, punctuation, "the" and "and" do not matter.
    """
    return _codes_by_name(languages).get(_key(text))


def _key(text: str) -> str:
    """Fold a name so that "Bosnia & Herzegovina", "the Netherlands" and "Saint Lucia" match."""
    return " ".join("st" if word == "saint" else word for word in fold(text).split() if word not in _FILLERS)


def name_of(code: str, lang: str) -> str:
    """Return the country's name in a language; the code itself if it has none."""
    return _names(lang).get(code, code)


@functools.cache
def codes() -> frozenset[str]:
    """Return every code that ``match`` can return."""
    return frozenset(_names("en"))


@functools.cache
def _names(lang: str) -> Mapping[str, str]:
    try:
        territories = Locale.parse(lang).territories
    except (UnknownLocaleError, ValueError):
        return {}
    return {code: name for code, name in territories.items() if _CODE.fullmatch(code) and code not in _NOT_COUNTRIES}


@functools.cache
def _codes_by_name(languages: tuple[str, ...]) -> Mapping[str, str]:
    by_name = {alias: code for code, aliases in _ALIASES.items() for alias in aliases.split(", ")}
    for lang in dict.fromkeys((*DEFAULT_LANGUAGES, *languages)):
        for code, name in _names(lang).items():
            by_name.setdefault(_key(name), code)
            # "Palestinian Territories (…)" and the like are also known by the part before the bracket.
            by_name.setdefault(_key(name.partition("(")[0]), code)
    return by_name | _three_letter_codes() | {code.lower(): code for code in codes()}


def _three_letter_codes() -> dict[str, str]:
    replaced = get_global("territory_aliases")
    return {
        old.lower(): new[0]
        for old, new in replaced.items()
        if len(old) == 3 and old.isalpha() and len(new) == 1 and new[0] in codes()
    }
