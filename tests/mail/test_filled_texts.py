"""Texts that are rendered once and filled in: the same, character for character, as if each were rendered."""

import quopri
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from petition.core import i18n, mail_texts
from petition.core.letter_facts import LetterAbout, SignatoryNames
from petition.core.templates import Renderer
from petition.mail import filled_texts, mime
from petition.mail.filled_texts import FilledTexts
from petition.mail.model import Template
from tests.mail.installation import settings

NAMES = [
    SignatoryNames(),
    SignatoryNames("Anna Orlova", None),
    SignatoryNames("Анна «Орлова»", "Society // Общество"),
    SignatoryNames("%(title)s %s {{ 7 * 7 }} {% if x %}", "=?utf-8?q?x?= \\1 \\g<0>"),
    SignatoryNames("<b>&amp;'\"", "<script>alert(1)</script>"),
    SignatoryNames("x" * 100, "длинное " * 12),
    SignatoryNames("line\u2028ends\nin\x85it", "nul\0nul"),
]
ABOUT = LetterAbout("Keep <the> channels %(open)s", "en", ("Society & Co", "Б"), 2)


class Counting(Renderer):
    """Counts what it renders."""

    times = 0

    def render(self, name: str, lang: str, /, **context: Any) -> str:
        self.times += 1
        return super().render(name, lang, **context)


@pytest.fixture(scope="module")
def renderer(tmp_path_factory: pytest.TempPathFactory) -> Counting:
    its = settings(Path(tmp_path_factory.mktemp("data")), "postgresql://nowhere")
    return Counting(i18n.load(its.locales_dir), "https://letters.example", "Pier & Co")


def context(number: int) -> dict[str, Any]:
    link = f"https://letters.example/en/confirm/AAA{number}&x"
    return {
        "letter_url": "https://letters.example/en/the-slug",
        "kind": "person",
        "links": [(None, link)],
        "link": link,
        "code": f"{number:06}",
        "by_reply": False,
        "never_link": f"https://letters.example/en/never/{number}",
    }


@pytest.mark.parametrize("lang", ["en", "ru"])
@pytest.mark.parametrize("template", [one.value for one in Template if one is not Template.FIND_SIGNED])
def test_filled_is_rendered(renderer: Counting, template: str, lang: str) -> None:
    texts = FilledTexts(renderer)
    for number, names in enumerate([*NAMES, *reversed(NAMES)]):
        for about in (ABOUT, None):
            values = context(number)
            rendered = mail_texts.render(renderer, template, lang, {**values, "about": about, "names": names})
            assert texts.render(template, lang, values, about, names) == mime.encoded(rendered)


def test_the_second_mail_of_a_shape_is_not_rendered(renderer: Counting) -> None:
    texts = FilledTexts(renderer)
    texts.render("confirm", "en", context(1), ABOUT, NAMES[1])
    before = renderer.times
    for number, names in enumerate(NAMES[4:6] * 20):
        assert f"{number:06}".encode() in texts.render("confirm", "en", context(number), ABOUT, names).text
    assert renderer.times == before + 6  # with an organization it is another shape
    texts.render("confirm", "en", {**context(1), "code": None}, ABOUT, NAMES[4])
    assert renderer.times == before + 12


def test_what_a_template_does_to_a_value_is_not_left_out(renderer: Counting, monkeypatch: pytest.MonkeyPatch) -> None:
    def render(_renderer: object, _template: str, _lang: str, context: Mapping[str, Any]) -> mail_texts.MailTexts:
        return mail_texts.MailTexts("Subject", str(context["code"]).replace("4", "four"), "")

    monkeypatch.setattr(mail_texts, "render", render)
    texts = FilledTexts(renderer)
    for number in (444, 545):
        assert b"four" in texts.render("confirm", "en", context(number), ABOUT, NAMES[1]).text


def test_shapes_are_forgotten(renderer: Counting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filled_texts, "MAX_SHAPES", 2)
    texts = FilledTexts(renderer)
    urls = [f"https://letters.example/en/letter-{number}" for number in (1, 2, 3, 1)]
    for url in urls:
        parts = texts.render("confirm", "en", {**context(1), "letter_url": url}, ABOUT, NAMES[1])
        assert url in quopri.decodestring(parts.text).decode()
    before = renderer.times
    texts.render("confirm", "en", {**context(1), "letter_url": urls[1]}, ABOUT, NAMES[1])  # forgotten
    assert renderer.times == before + 6


def test_lines_are_encoded_as_the_whole_text_would_be(monkeypatch: pytest.MonkeyPatch, renderer: Counting) -> None:
    lines = ["", ".", "..", " ", "x \t", "=", "x" * 75, "x" * 76, "я" * 60, "a" * 901, "{} {}", "{}", ".{}", "x {} "]
    values = ["", ".", "a", "ю", " ", "я " * 70, "x" * 899, "=3D"]

    def text_of(chosen: list[str], names: SignatoryNames) -> str:
        return "\n".join(line.replace("{}", names.person or "", 1).format(names.organization) for line in chosen) + "\n"

    for start in range(len(lines)):
        chosen, texts = lines[start:] + lines[:start] * (start % 2), FilledTexts(renderer)
        monkeypatch.setattr(
            mail_texts,
            "render",
            lambda *_args, chosen=chosen: mail_texts.MailTexts("x", *[text_of(chosen, _args[-1]["names"])] * 2),
        )
        for one in values:
            for other in (one, values[0], values[-1]):
                names = SignatoryNames(one, other)
                whole = text_of(chosen, names)
                expected = mime.encoded(mail_texts.MailTexts("x", whole, whole)).text
                assert texts.render("confirm", "en", context(1), ABOUT, names).text == expected
