"""Every word people read stands in the catalogues, in each language, in the right forms."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.catalog import Message

from petition.core import i18n, resources
from tools import messages

CATALOGUES = messages.catalogue_files()
BY_LANGUAGE = {messages.language_of(path): path for path in CATALOGUES}
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|%%")
NO_BREAK = "\N{NO-BREAK SPACE}"

each_catalogue = pytest.mark.parametrize("path", CATALOGUES, ids=messages.language_of)


def entries(path: Path) -> list[Message]:
    return [message for message in messages.read(path) if message.id]


def forms(value: object) -> list[str]:
    return [value] if isinstance(value, str) else list(value or [])  # type: ignore[call-overload]


def russian() -> Iterator[str]:
    for message in entries(BY_LANGUAGE["ru"]):
        # Straight quotes in the source are a file's own syntax, shown as it is.
        if not re.search(r'"(?![^<]*>)', forms(message.id)[-1]):
            yield from forms(message.string)


def test_english_and_russian_are_there() -> None:
    assert {"en", "ru"} <= set(BY_LANGUAGE)


@each_catalogue
def test_file_holds_exactly_the_messages_of_the_sources(path: Path) -> None:
    expected = messages.updated(path, messages.messages())
    assert path.read_text(encoding="utf-8") == expected, "run: python tools/messages.py"


@each_catalogue
def test_everything_is_translated_and_nothing_is_guessed(path: Path) -> None:
    missing = [message.id for message in entries(path) if not forms(message.string) or not all(forms(message.string))]
    assert missing == []
    assert [message.id for message in entries(path) if message.fuzzy] == []


def test_english_says_what_the_sources_say() -> None:
    assert [each.id for each in entries(BY_LANGUAGE["en"]) if forms(each.id) != forms(each.string)] == []


@each_catalogue
def test_translations_use_the_same_placeholders(path: Path) -> None:
    for message in entries(path):
        expected = sorted(PLACEHOLDER.findall(forms(message.id)[-1]))
        for form in forms(message.string):
            assert sorted(PLACEHOLDER.findall(form)) == expected, message.id


@each_catalogue
def test_plurals_have_as_many_forms_as_the_language(path: Path) -> None:
    count = messages.read(path).num_plurals
    assert {len(forms(each.string)) for each in entries(path) if each.pluralizable} == {count}


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (1, "1 подпись"),
        (2, "2 подписи"),
        (5, "5 подписей"),
        (11, "11 подписей"),
        (21, "21 подпись"),
        (112, "112 подписей"),
    ],
)
def test_russian_counts(count: int, words: str) -> None:
    language = i18n.load(resources.folder("locales"))["ru"]
    said = language.ngettext("%(shown)s signature", "%(shown)s signatures", count) % {"shown": count}
    assert said.replace(NO_BREAK, " ") == words


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("a straight quote", re.compile(r"[\"'](?![^<]*>)")),
        ("English quotes", re.compile("[“”‘’]")),
        ("a hyphen for a dash", re.compile(r"\s-\s")),
        ("a dash that may begin a line", re.compile(r" —|^—")),
        ("three dots for an ellipsis", re.compile(r"\.\.\.")),
        (
            "a short word that may end a line",
            re.compile(r"(?<![\w-])(?:в|к|с|у|о|и|на|не|ни|по|за|от|из) ", re.IGNORECASE),
        ),
        ("a number apart from what it counts", re.compile(r"\d (?=дн|час|сут|знак)")),
    ],
)
def test_russian_is_set_as_russian(name: str, wrong: re.Pattern[str]) -> None:
    # Doubled quotes are CSV, told of as it is written.
    assert [text for text in russian() if wrong.search(text) and '""' not in text] == [], name
