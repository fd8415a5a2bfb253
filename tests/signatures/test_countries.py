"""Countries from free text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from petition.signatures import country_names
from petition.signatures.countries import codes, match, name_of


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Russia", "RU"),
        (" РОССИЯ. ", "RU"),
        ("РФ", "RU"),
        ("Российская Федерация", "RU"),
        ("rus", "RU"),
        ("ru", "RU"),
        ("USA", "US"),
        ("U.S.A.", "US"),
        ("Соединённые Штаты Америки", "US"),
        ("UK", "GB"),
        ("england", "GB"),
        ("Великобритания", "GB"),
        ("Белоруссия", "BY"),
        ("Беларусь", "BY"),
        ("Czech Republic", "CZ"),
        ("Czechia", "CZ"),
        ("Côte d’Ivoire", "CI"),
        ("cote d'ivoire", "CI"),
        ("Türkiye", "TR"),
        ("Turkey", "TR"),
        ("Bosnia & Herzegovina", "BA"),
        ("Bosnia and Herzegovina", "BA"),
        ("Myanmar", "MM"),
        ("Hong Kong", "HK"),
        ("Косово", "XK"),
        ("the Netherlands", "NL"),
        ("South Korea", "KR"),
        ("Saint Lucia", "LC"),
        ("Moscow, Russia", "RU"),
        ("Москва, Россия", "RU"),
        ("Россия, Москва", "RU"),
        ("Москва (Россия)", "RU"),
        ("RU - Russia", "RU"),
        ("Atlanta, Georgia, USA", "US"),
        ("Wien, Österreich", "AT"),
        ("из Германии", "DE"),
        ("Республика Польша", "PL"),
        ("Kingdom of Norway", "NO"),
        ("Republic of China", "TW"),
        ("🇷🇺", "RU"),
        ("Россия 🇷🇺", "RU"),
        ("🇩🇪 🇩🇪", "DE"),
        ("🏴󠁧󠁢󠁳󠁣󠁴󠁿", "GB"),
        ("\u2068Россия\u2069", "RU"),
    ],
)
def test_countries_as_people_write_them(text: str, code: str) -> None:
    assert match(text) == code


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Österreich", "AT"),
        ("Italia", "IT"),
        ("Lietuva", "LT"),
        ("Česko", "CZ"),
        ("Česká republika", "CZ"),
        ("Danmark", "DK"),
        ("Norge", "NO"),
        ("Nederland", "NL"),
        ("България", "BG"),
        ("Ελλάδα", "GR"),
        ("日本", "JP"),
        ("中国", "CN"),
        ("대한민국", "KR"),
        ("مصر", "EG"),
        ("ישראל", "IL"),
        ("ไทย", "TH"),
        ("Հայաստան", "AM"),
        ("Україна", "UA"),
        ("O'zbekiston", "UZ"),
        ("Éire", "IE"),
        ("Rusia", "RU"),
        ("Russland", "RU"),
    ],
)
def test_countries_in_their_own_and_in_other_languages(text: str, code: str) -> None:
    assert match(text) == code


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("ЮАР", "ZA"),
        ("Тайланд", "TH"),
        ("Белорусь", "BY"),
        ("Росия", "RU"),
        ("Голандия", "NL"),
        ("Deutschalnd", "DE"),
        ("Украйна", "UA"),
        ("Москва, Росия", "RU"),
    ],
)
def test_one_letter_may_be_wrong(text: str, code: str) -> None:
    assert match(text) == code


@pytest.mark.parametrize(
    "text",
    [
        *("Chicago, IL", "chicago, il", "Denver, CO", "San Francisco, CA", "Boston, MA", "Birmingham, AL"),
        *("Indianapolis, IN", "New Orleans, LA", "Omaha, NE", "Wilmington, DE", "Berlin, DE", "Toronto, ON"),
        *("San Juan, PR", "Charlottetown, PE", "Россия, Грузия", "россия, но живу в грузии", "RU, DE, Грузия, Россия"),
        *("Я из России, живу в Грузии", "Россия, сейчас в Германии", "Россия но живу в Грузии"),
    ],
)
def test_a_state_behind_a_town_and_two_countries_are_none(text: str) -> None:
    assert match(text) is None


@pytest.mark.parametrize(
    ("text", "code"),
    [
        *(("USA, CA", "US"), ("США, CA", "US"), ("Los Angeles, CA, USA", "US"), ("Berlin, DE, Germany", "DE")),
        *(
            ("DE", "DE"),
            ("CA", "CA"),
            ("il", "IL"),
            ("Moscow, RU", "RU"),
            ("Bern, CH", "CH"),
            ("Торонто, Канада", "CA"),
        ),
        *(
            ("Torino, TO, Italia", "IT"),
            ("Granada, España", "ES"),
            ("Hong Kong, China", "HK"),
            ("Tbilisi, Georgia", "GE"),
        ),
        *(
            ("Москва, Россия, Россия", "RU"),
            ("London, England, UK", "GB"),
            ("живу в Грузии", "GE"),
            ("Россия, в отъезде", "RU"),
        ),
    ],
)
def test_a_country_beside_a_town_or_a_state(text: str, code: str) -> None:
    assert match(text) == code


@pytest.mark.parametrize("text", ["Slovania", "Xambia", "Иландия", "Пери"])
def test_what_may_be_two_countries_or_is_too_short_is_not_guessed(text: str) -> None:
    assert match(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "Atlantis",
        "Москва",
        "EU",
        "European Union",
        "ZZ",
        "Unknown Region",
        "UN",
        "12",
        "\0",
        "-",
        "нет",
        "no",
        "n/a",
        "СССР",
        "USSR",
        "Югославия",
        "Крым",
        "Crimea",
        "Abkhazia",
        "Абхазия",
        "Чечня",
        "New Jersey",
        "New Mexico",
        "Россия/Германия",
        "Россия и Германия",
        "🇷🇺🇺🇦",
        "🇪🇺",
        "🏳️‍🌈",
        "Москва 🇷🇺 🇺🇦",
    ],
)
def test_what_is_no_country(text: str) -> None:
    assert match(text) is None


def test_in_a_third_language_of_the_pages_one_letter_may_be_wrong_too() -> None:
    assert match("Osterraich") is None
    assert match("Osterraich", ("en", "ru", "de")) == "AT"
    assert match("Osterraich", ("en", "xx_NONE")) is None


@pytest.mark.parametrize("lang", ["en", "ru"])
def test_every_country_is_known_by_its_code_and_name(lang: str) -> None:
    assert len(codes()) > 240
    for code in codes():
        assert match(code) == code
        assert match(name_of(code, lang)) == code
        assert match(name_of(code, lang).upper()) == code


def test_aliases_are_spelled_as_they_are_looked_up_and_all_reach_their_country() -> None:
    for code, aliases in country_names.ALIASES.items():
        for alias in aliases.split(", "):
            assert country_names.key_of(alias) == alias
            assert match(alias) == code


def test_names() -> None:
    assert name_of("RU", "en") == "Russia"
    assert name_of("RU", "ru") == "Россия"
    assert name_of("QQ", "en") == "QQ"
    assert name_of("RU", "no-such-language") == "RU"


@given(st.text(max_size=60))
def test_any_text_is_a_country_or_none(text: str) -> None:
    assert match(text) in codes() | {None}
