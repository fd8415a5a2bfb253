"""The meaning of columns' titles and of cells with a choice: as forms ask, and never more public than the answer."""

from datetime import UTC, datetime

import pytest

from petition.imports import column_mapping
from petition.imports.column_guessing import guess, is_no_header, kind_of, visibility_of
from petition.signatures.csv_format import Problem, Row
from petition.signatures.model import Kind, Visibility

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
def test_no_means_organizers(cell: str) -> None:
    assert visibility_of(cell) is Visibility.ORGANIZERS


@pytest.mark.parametrize("cell", ["Да", "Yes, everyone may see it", "Публично", "public", "Да, покажите всем"])
def test_yes_means_public(cell: str) -> None:
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


@pytest.mark.parametrize(
    "title",
    [
        "Do not show my name",
        "I do not want my name to be shown",
        "Не показывать имя",
        "Would you rather not be shown?",
        "Вы согласны, чтобы имя не публиковалось?",
        "Хотите остаться анонимным (имя не показывать)?",
        "Do you wish to remain hidden from the public list?",
        "Please don’t publish my name",
        "Hide my name",
        "Keep my name private",
        "Скрыть ваше имя?",
        "Would you mind if we show your name?",
        "Показывать имя только организаторам?",
        "I publicly support this letter",
        "Is your organization a public body?",
        "Хотите видеть наши новости?",
        "May we show your e-mail address?",
        "May your employer be shown?",
    ],
)
def test_a_title_that_may_mean_something_else_is_nothing(title: str) -> None:
    assert guess([title]) == ("",)


@pytest.mark.parametrize(
    "title",
    [
        "visibility",
        "Видимость",
        "Публично?",
        "Who may see",
        "Who can see your name?",
        "Кто видит имя",
        "Show your name",
        "Показать ваше имя?",
        "May we show your name?",
        "Согласны ли вы на публикацию вашего имени?",
        "Можно опубликовать имя?",
        "Name visibility",
    ],
)
def test_a_title_that_asks_who_sees_the_name(title: str) -> None:
    assert guess([title]) == ("visibility",)


@pytest.mark.parametrize(
    ("title", "field"),
    [("E-mail (will not be published)", "email"), ("Display name", "name"), ("Не обязательно: город", "city")],
)
def test_a_title_that_only_names_what_is_public(title: str, field: str) -> None:
    assert guess([title]) == (field,)


@pytest.mark.parametrize(
    "cell",
    [
        "Non-public",
        "semi-public",
        "yes, confidential",
        "yes, keep it secret",
        "Да, скрывать имя",
        "Да, конфиденциально",
        "да, но без фамилии",
        "yes, except my surname",
        "everyone but the press",
        "Да, под псевдонимом",
        "Только организаторам",
        "Yes, my initials",
        "Yes, you may see it",
        "Yes, to you",
        "Всё равно",
    ],
)
def test_an_answer_that_restricts_itself_is_not_public(cell: str) -> None:
    assert visibility_of(cell) in {None, Visibility.ORGANIZERS}


@pytest.mark.parametrize(
    "cell",
    [
        "Да, показывать всем",
        "Yes, show my name publicly",
        "Yes, you can show my name on the site",
        "Да, пожалуйста, покажите моё имя",
        "Да, согласен(на)",
        "Public (everyone)",
        "Да, моё имя может быть опубликовано",
    ],
)
def test_answers_of_a_form_that_show(cell: str) -> None:
    assert visibility_of(cell) is visibility_of(cell, "May we show your name?") is Visibility.PUBLIC


@pytest.mark.parametrize("cell", ["Yes", "No", "Да", "нет", "Yes, please", "Да, всем"])
@pytest.mark.parametrize(
    "title",
    ["Do not show my name", "Не показывать имя", "Would you mind if we show your name?", "Только организаторам?"],
)
def test_yes_and_no_below_a_title_that_says_no(cell: str, title: str) -> None:
    assert visibility_of(cell, title) is None


def test_below_a_title_that_says_no() -> None:
    assert visibility_of("everyone", "Hide my name from") is None
    assert visibility_of("Только организаторам", "Не показывать имя?") is Visibility.ORGANIZERS
    choice = "Who sees the name (everyone, organizers)"
    assert visibility_of("everyone", choice) is Visibility.PUBLIC
    assert visibility_of("yes", choice) is None


def test_a_file_with_a_title_that_says_no() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    plan = column_mapping.Plan(("name", "visibility"), visibility=Visibility.PUBLIC)
    lines = [(1, ["Name", "Do not show my name"]), (2, ["Vera Novak", "yes"]), (3, ["Petr Orel", "organizers"])]
    first, second = column_mapping.Mapper(plan, (None, None), now, ("en",)).rows(iter(lines))
    assert isinstance(first, Problem)
    assert (first.line, first.reason, first.column) == (2, column_mapping.NO_VISIBILITY, "visibility")
    assert isinstance(second, Row)


@pytest.mark.parametrize(
    "cell",
    ["Сотрудник компании", "Employee of a company", "member of an NGO", "Юрист", "Организатор", "not an organization"],
)
def test_who_works_for_an_organization_is_none(cell: str) -> None:
    assert kind_of(cell) is not Kind.ORGANIZATION


@pytest.mark.parametrize(
    ("cell", "kind"),
    [
        ("Организация", Kind.ORGANIZATION),
        ("От имени организации", Kind.ORGANIZATION),
        ("Как юридическое лицо", Kind.ORGANIZATION),
        ("Юрлицо", Kind.ORGANIZATION),
        ("Юр. лицо", Kind.ORGANIZATION),
        ("Некоммерческая организация", Kind.ORGANIZATION),
        ("Legal entity", Kind.ORGANIZATION),
        ("As an organisation", Kind.ORGANIZATION),
        ("I represent a non-profit organization", Kind.ORGANIZATION),
        ("Individual", Kind.PERSON),
    ],
)
def test_who_signs_in_other_words(cell: str, kind: Kind) -> None:
    assert kind_of(cell) is kind
