"""Names: what is accepted, how they are searched, how two of them are told apart."""

import unicodedata

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from petition.core.text_cleaning import has_direction_mark, has_hidden
from petition.signatures import names
from petition.signatures.names import (
    fold,
    organization_key,
    problem_of_detail,
    problem_of_organization,
    problem_of_person,
    script_of,
    split_names,
    within_one_edit,
    words,
)

ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()), max_size=60)


@pytest.mark.parametrize(
    "name",
    [
        "Ann Lee",
        "А.С. Пушкин",
        "А. С. Пушкин",
        "J.R.R. Tolkien",
        "J.R.R.Tolkien",
        "St.Clair",
        "M.de Souza",
        "A.K. de la Cruz",
        "O'Brien",
        "D’Artagnan",
        "Дем'ян",
        "Ж",
        "李",
        "O",
        "علی\u200cرضا",
        "महात्मा गांधी",
        "Ng",
        "X Æ A-12",
        "Ivan 3rd",
        "Ἀριστοτέλης",
        "Петров-Водкин",
        "Ph.D. Smith",
        "Иванов И.И.",
        "И.И.Иванов",
        "Dr.No",
        "Sam (Sammy) Jo",
        "Louis XIV",
        "Mr.Smith",
        "ა ბ",
        "a" * 200,
        "Анна-Мария фон дер Ляйен",
        "И.о. Петрова",
        "Николай II",
        "St. John",
        "K.Comer",
        "Wolfgang A.Mozart",
        "Xi.Am",
        "Smith.MD",
    ],
)
def test_people_are_called_many_things(name: str) -> None:
    assert names.clean(name) == name
    assert problem_of_person(name) is None


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", names.MISSING_PERSON),
        ("\u3164", names.MISSING_PERSON),
        ("a" * 201, names.TOO_LONG),
        ("Ann\x00Lee", names.HIDDEN),
        ("\x00", names.HIDDEN),
        ("Ann\nLee", names.HIDDEN),
        ("Ann\u202eLee", names.DIRECTION),
        ("Ann\u200e", names.DIRECTION),
        ("ann@example.org", names.ADDRESS),
        ("Ann ann＠example.org", names.ADDRESS),
        ("иван@почта.рф", names.ADDRESS),
        ("Ann (ann.lee+x@mail.example.co.uk)", names.ADDRESS),
        ("http://spam", names.LINK),
        ("see WWW.spam", names.LINK),
        ("example.com", names.LINK),
        ("Buy at EXAMPLE.COM now", names.LINK),
        ("Ann (ann.org)", names.LINK),
        ("купи.рф", names.LINK),
        ("вася.ru!", names.LINK),
        ("shop.com.ua", names.LINK),
        ("a-b.co.uk", names.LINK),
        ("bit.ly/abc", names.LINK),
        ("t.me/abc", names.LINK),
        ("12345", names.NO_LETTERS),
        ("+7 (495) 123", names.NO_LETTERS),
        ("٣٤٥", names.NO_LETTERS),
        ("...", names.NO_LETTERS),
        ("👍", names.NO_LETTERS),
    ],
)
def test_what_is_no_persons_name_is_said(name: str, problem: str) -> None:
    assert problem_of_person(name) == problem


@pytest.mark.parametrize(
    "name",
    [
        "IT.Partners LLP",
        'ООО "Ромашка',
        "Ромашка»)",
        "Mail.ru",
        "1984",
        "C++",
        "Access Now",
        "ИП Иванов И.И.",
        "a/b",
        "!!!",
        "Роскомсвобода // Roskomsvoboda",
        "Wwworld",
        'АНО «Центр "Сова"»',
        "Engineer @ Acme",
        "@annlee, Void Editors",
        "Клуб @ Университет",
        "Developer @ Mail.ru",
        "Developer@Acme",
        "@ann@social.example.org",
    ],
)
def test_organizations_are_called_anything(name: str) -> None:
    assert problem_of_organization(name) is None
    assert problem_of_detail(name) is None


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", names.MISSING_ORGANIZATION),
        ("\0", names.HIDDEN),
        ("https://spam", names.LINK),
        ("Www.spam.org", names.LINK),
        ("write to a@b.org", names.ADDRESS),
        ("mailto:a@b.org", names.ADDRESS),
        ("a\tb", names.HIDDEN),
        ("a\u2066b", names.DIRECTION),
        ("я" * 201, names.TOO_LONG),
        ("\ud83d", names.HIDDEN),
    ],
)
def test_what_is_no_organizations_name_is_said(name: str, problem: str) -> None:
    assert problem_of_organization(name) == problem


def test_a_detail_may_be_empty() -> None:
    assert problem_of_detail("") is None


@given(ANY_TEXT)
def test_what_passes_can_be_stored_and_seen(text: str) -> None:
    name = names.clean(text)
    for rule in (problem_of_person, problem_of_organization):
        if rule(name) is None:
            name.encode()  # PostgreSQL takes no halves of surrogate pairs
            assert "\0" not in name
            assert 1 <= len(name) <= names.MAXIMUM
            assert "://" not in name


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("Иванов  Пётр", "иванов петр"),
        ("ЁЛКИН", "елкин"),
        ("Чайковский", "чайковский"),
        ("Ві́ктор Ю́щенко", "віктор ющенко"),
        ("Їжак Ўладзімір", "їжак ўладзімір"),
        ("José Łukasz Ångström", "jose lukasz angstrom"),
        ("Straße", "strasse"),
        ("Ἀριστοτέλης", "αριστοτελησ"),
        ("O'Brien", "obrien"),
        ("Дем’ян", "демян"),
        ("'Ромашка' \"Анна\"", "ромашка анна"),
        ("Петров-Водкин", "петров водкин"),
        ("А.С.Пушкин", "а с пушкин"),
        ("İpek Işık", "ipek isik"),
        ("Ａｎｎ", "ann"),
        ("علی\u200cرضا", "علیرضا"),
        ("महात्मा", "महात्मा"),
        ("ﬁn", "fin"),
        ("!!!", ""),
        ("\u2068Ahmed\u2069 A\u200eli", "ahmed ali"),
        ("葛\U000e0100城", "葛城"),
        ("Œuvre ǅ", "oeuvre dz"),
    ],
)
def test_fold(name: str, key: str) -> None:
    assert fold(name) == key


@given(ANY_TEXT)
def test_fold_is_stable(text: str) -> None:
    key = fold(text)
    assert fold(key) == key
    assert key == " ".join(key.split())


@given(st.text(st.characters(codec="utf-8", categories=["Lu", "Ll", "Lt"]), max_size=30))
def test_fold_does_not_see_composition(text: str) -> None:
    assert fold(unicodedata.normalize("NFD", text)) == fold(unicodedata.normalize("NFC", text))


@given(st.text("абвгдеёжзийклмнопрстуфхцчшщъыьэюя ABCXYZéü", max_size=30))
def test_fold_does_not_see_case(text: str) -> None:
    assert fold(text.upper()) == fold(text.lower()) == fold(text)


def test_words_are_distinct_and_in_order() -> None:
    assert words("b a b c a") == ("b", "a", "c")
    assert words("") == ()


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ('ООО "Ромашка"', "ооо «ромашка»", True),
        ('ООО "Ромашка', "ООО Ромашка", True),
        ("Фонд  (Ёлка)", "Фонд Елка", True),
        ("ООО Ромашка", "Ромашка", False),
        ("C++", "C", False),
        ("A&B", "A B", False),
        ("Médecins", "MEDECINS", True),
    ],
)
def test_organization_key(one: str, other: str, same: bool) -> None:
    assert (organization_key(one) == organization_key(other)) is same


@given(ANY_TEXT)
def test_an_organization_key_is_never_empty(text: str) -> None:
    name = names.clean(text)
    assume(problem_of_organization(name) is None)
    assert organization_key(name)


@pytest.mark.parametrize(
    ("typed", "meant", "close"),
    [
        ("иванав", "иванов", True),
        ("ивонов", "иванов", True),
        ("иваон", "иваном", False),
        ("иваонв", "иванов", True),
        ("ианов", "иванов", True),
        ("ивванов", "иванов", True),
        ("иванов", "иванов", True),
        ("виаонв", "иванов", False),
        ("иванав", "ивановы", False),
        ("ива", "иван", False),
        ("ян", "ян", True),
        ("яна", "янa", False),
        ("abcd", "abdc", True),
        ("abcd", "bacd", True),
        ("abcd", "cbad", False),
        ("abcd", "abcde", True),
        ("abcd", "xabcd", True),
        ("abcd", "abc", False),
        ("", "", True),
        ("", "a", False),
    ],
)
def test_within_one_edit(typed: str, meant: str, close: bool) -> None:
    assert within_one_edit(typed, meant) is close
    assert within_one_edit(meant, typed) is close


def edits(word: str) -> set[str]:
    """Return every word one error away over a small alphabet: the definition itself."""
    cuts = [(word[:i], word[i:]) for i in range(len(word) + 1)]
    return (
        {a + b[1:] for a, b in cuts if b}
        | {a + b[1] + b[0] + b[2:] for a, b in cuts if len(b) > 1}
        | {a + c + b[1:] for a, b in cuts if b for c in "аб"}
        | {a + c + b for a, b in cuts for c in "аб"}
        | {word}
    )


@given(st.text("аб", min_size=3, max_size=7), st.text("аб", min_size=3, max_size=7))
def test_within_one_edit_is_the_definition(one: str, other: str) -> None:
    if min(len(one), len(other)) <= 3:
        assert within_one_edit(one, other) is (one == other)
    else:
        assert within_one_edit(one, other) is (other in edits(one))


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("Ann", "latin"),
        ("Анна", "cyrillic"),
        ('ООО "Yandex"', "cyrillic"),
        ("საქართველო", "other"),
        ("1984", "other"),
        ("", "other"),
    ],
)
def test_script_of(text: str, script: str) -> None:
    assert script_of(text) == script


@pytest.mark.parametrize(
    ("field", "english", "russian"),
    [
        ("Roskomsvoboda // Роскомсвобода", "Roskomsvoboda", "Роскомсвобода"),
        ("Роскомсвобода // Roskomsvoboda", "Roskomsvoboda", "Роскомсвобода"),
        (" A  //  Б ", "A", "Б"),
        ("Access Now", "Access Now", None),
        ("Ромашка", None, "Ромашка"),
        ("a/b", "a/b", None),
        ("а / б", None, "а / б"),
        ("One // Two", "One // Two", None),
        ("Один // Два", None, "Один // Два"),
        ("One//Два", None, "One//Два"),
        ("A // Б // C", None, "A // Б // C"),
        ("1984 // Оруэлл", "1984", "Оруэлл"),
        ('ООО "Ромашка // Daisy', "Daisy", 'ООО "Ромашка'),
        ("// Ромашка", None, "// Ромашка"),
        ("საქართველო", "საქართველო", None),
        ("  ", None, None),
    ],
)
def test_split_names(field: str, english: str | None, russian: str | None) -> None:
    assert split_names(field) == (english, russian)


@given(ANY_TEXT)
def test_split_names_loses_nothing(text: str) -> None:
    english, russian = split_names(text)
    letters = sorted(names.clean(text).replace(" // ", "").replace(" ", ""))
    found = sorted(((english or "") + (russian or "")).replace(" // ", "").replace(" ", ""))
    assert found == letters


@given(st.text("aZ'`-_ЁйЯ 1«»“”„–—.", max_size=20))
def test_simple_names_fold_as_all_do(name: str) -> None:
    # A joiner goes without a trace, and sends it the long way.
    assert fold(name) == fold(f"{name}\u200d")


HARMLESS = [character for character in map(chr, range(0x3000)) if names._HARMLESS.fullmatch(character)]


@given(st.text(st.sampled_from(HARMLESS), max_size=60))
def test_names_that_are_taken_without_a_closer_look_hide_nothing(name: str) -> None:
    patterns = names._ADDRESS, names._PLAIN_LINK, names._BARE_DOMAIN, names._PATH
    assert not any(pattern.search(name) for pattern in patterns)
    assert not has_hidden(name)
    assert not has_direction_mark(name)
