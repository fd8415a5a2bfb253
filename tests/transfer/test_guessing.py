"""What titles of columns and cells of a choice mean: as people ask in forms, and never more open than they said."""

import pytest

from petition.signatures.model import Kind, Visibility
from petition.transfer.guessing import guess, is_no_header, kind_of, visibility_of

RUSSIAN = {
    "Отметка времени": "signed_at",
    "Имя пользователя": "email",
    "Как вас зовут? Имя и фамилия так, как они должны стоять под письмом": "name",
    "Из какого вы города?": "city",
    "В какой стране вы живёте?": "country",
    "Где вы работаете и кем? (необязательно)": "affiliation",
    "Можно ли показать ваше имя на сайте?": "visibility",
    "Вы подписываете как": "kind",
    "Я согласен(на) на обработку персональных данных": "",
}
ENGLISH = {
    "Timestamp": "signed_at",
    "Email Address": "email",
    "What is your full name, as it should appear under the letter?": "name",
    "Which city do you live in?": "city",
    "Which country do you live in?": "country",
    "Where do you work, and as what? (optional)": "affiliation",
    "Do you consent to the publication of your name?": "visibility",
    "I agree that my data are processed": "",
}


@pytest.mark.parametrize("form", [RUSSIAN, ENGLISH], ids=["ru", "en"])
def test_questions_of_a_form(form: dict[str, str]) -> None:
    assert guess(list(form)) == tuple(form.values())


@pytest.mark.parametrize(
    ("header", "fields"),
    [
        # The last name alone is nobody's name.
        (["First Name", "Last Name", "E-mail"], ("first", "last", "email")),
        (["Your first name", "Your last name"], ("first", "last")),
        (["Имя", "Фамилия"], ("first", "last")),
        (["Ваше имя", "Ваша фамилия"], ("first", "last")),
        (["Name", "Surname"], ("first", "last")),
        (["Фамилия, имя"], ("name",)),
        (["Last name, first name"], ("name",)),
        (["Имя", "Город"], ("name", "city")),
        (["Date of birth", "Date", "Name"], ("", "signed_at", "name")),
        (["Full name (will be published)"], ("name",)),
    ],
)
def test_names(header: list[str], fields: tuple[str, ...]) -> None:
    assert guess(header) == fields


@pytest.mark.parametrize(
    "cell",
    [
        "Нет, не показывать всем",
        "No, do not show it to everyone",
        "Не показывать публично",
        "Yes, but not publicly",
        "Только организаторам, не публично",
        "Don’t show it to everybody",
        "Скрыть",
        "no one, not even the public",
    ],
)
def test_whoever_says_no_is_not_shown(cell: str) -> None:
    assert visibility_of(cell) is Visibility.ORGANIZERS


@pytest.mark.parametrize("cell", ["Да", "Yes, everyone may see it", "Публично", "public", "Да, покажите всем"])
def test_whoever_says_yes_is_shown(cell: str) -> None:
    assert visibility_of(cell) is Visibility.PUBLIC


@pytest.mark.parametrize("cell", ["Согласен", "maybe", "Не анонимно", "Никому, кроме организаторов", "42"])
def test_in_doubt_the_row_is_asked_about(cell: str) -> None:
    assert visibility_of(cell) is None


def test_anonymous_is_counted_only() -> None:
    assert visibility_of("Анонимно") is visibility_of("Yes, anonymously") is Visibility.COUNTED


@pytest.mark.parametrize(
    ("cell", "kind"),
    [
        ("Юридическое лицо", Kind.ORGANIZATION),
        ("Представитель организации", Kind.ORGANIZATION),
        ("On behalf of an organization", Kind.ORGANIZATION),
        ("ИП", Kind.ORGANIZATION),
        ("Частное лицо", Kind.PERSON),
        ("Физическое лицо", Kind.PERSON),
        ("As an individual", Kind.PERSON),
        ("a private person, not an organization", None),
        ("лицо", None),
    ],
)
def test_who_signs(cell: str, kind: Kind | None) -> None:
    assert kind_of(cell) is kind


def test_a_signatory_is_no_header() -> None:
    assert is_no_header(["Vera Novak", "vera@letters.example", "Riga"])
    assert is_no_header(["Our petition of 2022"])
    assert is_no_header(["05.03.2022", "Name"])
    assert not is_no_header(["Отметка времени", "Имя"])
