"""Countries from free text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from petition.signatures import countries
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
    ],
)
def test_countries_as_people_write_them(text: str, code: str) -> None:
    assert match(text) == code


@pytest.mark.parametrize(
    "text", ["", " ", "Atlantis", "Москва", "EU", "European Union", "ZZ", "Unknown Region", "UN", "12", "\0"]
)
def test_what_is_no_country(text: str) -> None:
    assert match(text) is None


def test_a_third_language_is_matched_too() -> None:
    assert match("Österreich") is None
    assert match("Österreich", ("en", "ru", "de")) == "AT"
    assert match("Österreich", ("en", "xx_NONE")) is None


@pytest.mark.parametrize("lang", ["en", "ru"])
def test_every_country_is_known_by_its_code_and_name(lang: str) -> None:
    assert len(codes()) > 240
    for code in codes():
        assert match(code) == code
        assert match(name_of(code, lang)) == code
        assert match(name_of(code, lang).upper()) == code


def test_aliases_are_spelled_as_they_are_looked_up_and_all_reach_their_country() -> None:
    for code, aliases in countries._ALIASES.items():
        for alias in aliases.split(", "):
            assert countries._key(alias) == alias
            assert match(alias) == code


def test_names() -> None:
    assert name_of("RU", "en") == "Russia"
    assert name_of("RU", "ru") == "Россия"
    assert name_of("QQ", "en") == "QQ"
    assert name_of("RU", "no-such-language") == "RU"


@given(st.text(max_size=60))
def test_any_text_is_a_country_or_none(text: str) -> None:
    assert match(text) in codes() | {None}
