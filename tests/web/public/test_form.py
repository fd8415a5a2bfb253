"""The form comes back as it is filled in: in another language, for the other kind."""

import pytest

from tests.pages import check_page, form_in
from tests.running import SLUG, Installation

TYPED = {"name": '"Zoë" <b>', "email": "vera@", "city": "Рига", "country": "Atlantis", "updates": "yes"}


@pytest.mark.parametrize("lang", ["en", "ru"])
async def test_nothing_typed_is_lost_and_nothing_is_said_or_stored(shared_site: Installation, lang: str) -> None:
    form = await shared_site.form(**TYPED, visibility="organizers")
    page = await shared_site.client.post(f"/{lang}/{SLUG}/form", data=form, headers=shared_site.new_network())
    check_page(page, 200, lang)
    assert 'class="problem' not in page.text
    shown_form = form_in(page, "sign-form")
    assert {key: value for key, value in shown_form.items() if value} == {
        key: value for key, value in form.items() if key != "altcha"
    }
    assert '<details class="own" open>' in page.text, "what is filled in is unfolded"


async def test_errors_stay_in_the_other_language(shared_site: Installation) -> None:
    form = await shared_site.form(**TYPED, checked="yes")
    page = await shared_site.client.post(f"/ru/{SLUG}/form", data=form, headers=shared_site.new_network())
    check_page(page, 200, "ru")
    assert 'id="e-email"' in page.text
    assert page.text.count('class="problem"') == 1


async def test_the_other_kind_keeps_what_was_typed(shared_site: Installation) -> None:
    form = await shared_site.form(**TYPED, switch_to="organization", organization_ru="Северный пирс")
    page = await shared_site.client.post(f"/en/{SLUG}/form", data=form, headers=shared_site.new_network())
    check_page(page, 200)
    shown_form = form_in(page, "sign-form")
    assert shown_form["kind"] == "organization"
    assert shown_form["organization_ru"] == "Северный пирс"
    assert shown_form["city"] == "Рига"
    back = await shared_site.client.post(
        f"/en/{SLUG}/form", data=shown_form | {"switch_to": "person"}, headers=shared_site.new_network()
    )
    assert form_in(back, "sign-form") == shown_form | {"kind": "person"}


async def test_a_text_that_has_changed_is_said(shared_site: Installation) -> None:
    form = await shared_site.form(**TYPED, version="0" * 64)
    page = await shared_site.client.post(f"/en/{SLUG}/form", data=form, headers=shared_site.new_network())
    check_page(page, 422)
    assert "has changed" in page.text


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("vera@gmail.con", "vera@gmail.com"), ("vera@yandex.ry", "vera@yandex.ru"), ("vera@mail.tu", "vera@mail.ru")],
)
async def test_a_likely_slip_is_asked_about_once(shared_site: Installation, typed: str, meant: str) -> None:
    form = await shared_site.form(email=typed, city="Рига")
    page = await shared_site.client.post(f"/en/{SLUG}/sign", data=form, headers=shared_site.new_network())
    check_page(page, 422)
    for address in (typed, meant):
        assert f'name="email_is" value="{address}"' in page.text
    kept = form_in(page, "ask-form")
    assert kept["city"] == "Рига"
    for address in (typed, meant):
        answer = await shared_site.client.post(
            f"/en/{SLUG}/sign",
            data=kept | {"email_is": address, "altcha": await shared_site.challenge()},
            headers=shared_site.new_network(),
        )
        assert answer.status_code == 303, answer.text
        assert answer.headers["location"] == f"/en/{SLUG}/check-your-inbox"


async def test_the_lost_link_is_asked_about_too(shared_site: Installation) -> None:
    data = {"email": "vera@gmial.com", "altcha": await shared_site.challenge()}
    page = await shared_site.client.post(f"/ru/{SLUG}/find", data=data, headers=shared_site.new_network())
    check_page(page, 422, "ru")
    assert 'value="vera@gmail.com"' in page.text
    data |= {"email_is": "vera@gmial.com"}
    answer = await shared_site.client.post(f"/ru/{SLUG}/find", data=data, headers=shared_site.new_network())
    assert answer.status_code == 303


async def test_without_the_picture_the_question_signs(shared_site: Installation) -> None:
    form = await shared_site.form(email="unseen@letters.example") | {"altcha": ""}
    headers = shared_site.new_network()
    page = await shared_site.client.post(f"/en/{SLUG}/sign", data=form, headers=headers)
    check_page(page, 422)
    sentence = page.text.partition('id="q-code">')[2].partition("</p>")[0]
    listed = sentence.rpartition(": ")[2].strip(" .\n").split(", ")
    ordinals = ("first", "second", "third", "fourth", "fifth")
    asked = [word for at, word in enumerate(listed) if f"the {ordinals[at]}" in sentence]
    assert len(asked) == 2
    again = form_in(page, f"/en/{SLUG}/sign")
    wrong = await shared_site.client.post(f"/en/{SLUG}/sign", data=again | {"code": "no words"}, headers=headers)
    check_page(wrong, 422)
    assert sentence not in wrong.text, "a new question"
    answer = await shared_site.client.post(f"/en/{SLUG}/sign", data=again | {"code": " ".join(asked)}, headers=headers)
    assert answer.status_code == 303, answer.text
