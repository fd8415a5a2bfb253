"""POST …/sign: a row and a mail job, or the page again with everything typed."""

import asyncio
import secrets
from urllib.parse import quote, urlencode

import pytest

from petition.core.database import Database
from petition.core.ids import SignatureId
from petition.stored_data.notice import NOTICE_VERSION
from tests import rows
from tests.pages import assert_redirect, check_page, form_in
from tests.running import SLUG, Installation

SIGN = f"/en/{SLUG}/sign"
INBOX = f"/en/{SLUG}/check-your-inbox"
ALL = {"city": "Уфа", "country": "Germany", "affiliation": 'Teacher & "poet" <3', "updates": "yes"}


def short(value: object) -> str:
    """Name a case."""
    return repr(value)[:50]


def fresh() -> str:
    """Return an address that nobody has used."""
    return f"v{secrets.token_hex(6)}@letters.example"


async def stored(database: Database) -> tuple[int, int]:
    """Return how many pending rows and mail jobs there are."""
    (row,) = await rows.rows_of(
        database, "SELECT (SELECT count(*) FROM pending) AS pending, (SELECT count(*) FROM outbox) AS outbox"
    )
    return row["pending"], row["outbox"]


async def newest(site: Installation) -> tuple[dict[str, object], dict[str, str]]:
    """Return the newest pending row, and what was typed into it."""
    row = (await rows.rows_of(site.database, "SELECT * FROM pending ORDER BY created_at DESC LIMIT 1"))[0]
    async with site.database.connection() as conn:
        letter = await rows.letter(conn)
    return row, letter.keys.reveal(row["fields"])


@pytest.mark.parametrize("lang", ["en", "ru"])
async def test_a_row_and_a_mail_job_are_stored(shared_site: Installation, lang: str) -> None:
    pending, outbox = await stored(shared_site.database)
    assert_redirect(await shared_site.sign(lang, email=fresh(), **ALL), f"/{lang}/{SLUG}/check-your-inbox")
    assert await stored(shared_site.database) == (pending + 1, outbox + 1)
    row, fields = await newest(shared_site)
    assert (row["kind"], row["version"], row["consent"], row["read_lang"], row["mail_lang"]) == (
        *("person", 1, NOTICE_VERSION),
        *(lang, lang),
    )
    typed = {"name": "Vera Novak", "city": "Уфа", "affiliation": ALL["affiliation"], "country": "DE", "updates": "1"}
    assert fields == typed | {"visibility": "public"}


async def test_for_nobody_nothing_that_tells_who_it_was_is_written(shared_site: Installation) -> None:
    assert_redirect(await shared_site.sign(email=fresh(), visibility="counted", **ALL), INBOX)
    _, fields = await newest(shared_site)
    assert fields == {"visibility": "counted", "updates": "1"}
    assert_redirect(await shared_site.sign(email=fresh(), visibility="counted", name=""), INBOX)


async def test_an_organization_is_signed_for(shared_site: Installation) -> None:
    answer = await shared_site.sign(
        kind="organization",
        email=fresh(),
        organization_en='"IT.Partners LLP',
        organization_ru="ИП «Ветров",
        website="northpier.example/о-нас",
        country="россия",
        visibility="organizers",
    )
    assert_redirect(answer, INBOX)
    row, fields = await newest(shared_site)
    assert row["kind"] == "organization"
    assert fields == {
        "organization_en": '"IT.Partners LLP',
        "organization_ru": "ИП «Ветров",
        "website": "https://northpier.example/о-нас",
        "name": "Vera Novak",
        "position": "Director",
        "country": "RU",
        "visibility": "organizers",
    }


async def test_a_form_that_is_not_escaped_is_read_as_utf_8(shared_site: Installation) -> None:
    form = await shared_site.form(email=fresh(), name="ИМЯ")
    body = urlencode(form).replace(quote("ИМЯ"), "Вера").encode()
    head = {"content-type": "application/x-www-form-urlencoded", **shared_site.new_network()}
    assert_redirect(await shared_site.client.post(SIGN, content=body, headers=head), INBOX)
    assert (await newest(shared_site))[1]["name"] == "Вера"


async def test_the_same_form_twice_is_answered_twice_and_stored_once(shared_site: Installation) -> None:
    form, before = await shared_site.form(email=fresh(), **ALL), await stored(shared_site.database)
    both = [shared_site.client.post(SIGN, data=form, headers=shared_site.new_network()) for _ in range(2)]
    for answer in [*await asyncio.gather(*both), await shared_site.client.post(SIGN, data=form)]:
        assert_redirect(answer, INBOX)
    assert await stored(shared_site.database) == (before[0] + 1, before[1] + 1)


@pytest.mark.parametrize("changes", [{"name": "Olga"}, {"email": "other@letters.example"}, {"updates": ""}], ids=short)
async def test_a_used_challenge_does_not_pass_with_another_form(
    shared_site: Installation, changes: dict[str, str]
) -> None:
    form = await shared_site.form(email=fresh(), **ALL)
    assert_redirect(await shared_site.client.post(SIGN, data=form, headers=shared_site.new_network()), INBOX)
    before = await stored(shared_site.database)
    check_page(await shared_site.client.post(SIGN, data=form | changes, headers=shared_site.new_network()), 422)
    assert await stored(shared_site.database) == before
    digests = [row["form"] for row in await rows.rows_of(shared_site.database, "SELECT form FROM used_challenge")]
    assert {len(digest) for digest in digests} == {16}


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
async def test_another_method_is_refused(shared_site: Installation, method: str) -> None:
    check_page(await shared_site.client.request(method, SIGN), 405)
    check_page(await shared_site.client.request(method, SIGN.replace("/en/", "/ru/")), 405, "ru")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_whoever_opens_the_address_is_led_to_the_letter(shared_site: Installation, method: str) -> None:
    assert_redirect(await shared_site.client.request(method, SIGN), f"/en/{SLUG}")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"origin": "https://elsewhere.example"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "same-origin", "origin": "https://elsewhere.example"}, 403),
        ({"host": "elsewhere.example"}, 421),
    ],
)
async def test_a_form_from_elsewhere_is_refused(
    shared_site: Installation, headers: dict[str, str], status: int
) -> None:
    before = await stored(shared_site.database)
    form = await shared_site.form(email=fresh())
    check_page(await shared_site.client.post(SIGN, data=form, headers=headers), status)
    assert await stored(shared_site.database) == before
    # The very same form is taken where the headers are ours, or not there at all.
    ours = {"sec-fetch-site": "same-origin", "origin": shared_site.base, **shared_site.new_network()}
    assert_redirect(await shared_site.client.post(SIGN, data=form, headers=ours), INBOX)


@pytest.mark.parametrize("path", ["/en/no-such-letter/sign", "/de/keep-the-channels-open/sign"])
async def test_what_is_not_there_is_not_found(shared_site: Installation, path: str) -> None:
    assert (await shared_site.client.post(path, data=await shared_site.form())).status_code == 404


async def test_signing_twice_is_harmless(shared_site: Installation) -> None:
    form = await shared_site.form(email=fresh())
    pending, _ = await stored(shared_site.database)
    assert_redirect(await shared_site.client.post(SIGN, data=form, headers=shared_site.new_network()), INBOX)
    again = form | {"altcha": await shared_site.challenge()}
    assert_redirect(await shared_site.client.post(SIGN, data=again, headers=shared_site.new_network()), INBOX)
    assert (await stored(shared_site.database))[0] == pending + 2


@pytest.mark.parametrize("answer", [{"altcha": ""}, {"altcha": "bm9uc2Vuc2U="}, {"altcha": "", "code": "ABCDE"}])
async def test_without_a_solved_challenge_one_more_step_keeps_everything(
    shared_site: Installation, answer: dict[str, str]
) -> None:
    before = await stored(shared_site.database)
    form = await shared_site.form(email=fresh(), **ALL) | answer
    page = await shared_site.client.post(SIGN, data=form, headers=shared_site.new_network())
    check_page(page, 422)
    assert await stored(shared_site.database) == before
    shown_form = form_in(page, SIGN)
    assert shown_form.pop("drawn")
    assert shown_form.pop("code", "") == ""
    assert shown_form == {key: value for key, value in form.items() if key not in {"altcha", "code"}}
    assert 'src="data:image/png;base64,' in page.text


PERSON = [
    ({"name": ""}, "name"),
    ({"name": "   \u200b"}, "name"),
    ({"name": "12345"}, "name"),
    ({"name": "vera@letters.example"}, "name"),
    ({"name": "visit https://spam.example"}, "name"),
    ({"name": "spam.com"}, "name"),
    ({"name": "Vera\u0007Novak"}, "name"),
    ({"name": "я" * 201}, "name"),
    ({"name": "", "visibility": "organizers"}, "name"),
    ({"email": ""}, "email"),
    ({"email": "vera"}, "email"),
    ({"email": "vera@"}, "email"),
    ({"email": "vera@localhost"}, "email"),
    ({"email": "vera @letters.example"}, "email"),
    ({"email": f"{'v' * 250}@letters.example"}, "email"),
    ({"email": "Vera <vera@letters.example>"}, "email"),
    ({"visibility": ""}, "visibility"),
    ({"visibility": "everybody"}, "visibility"),
    ({"consent": ""}, "consent"),
]

ORGANIZATION = [
    ({"organization_en": "", "organization_ru": ""}, "organization_en"),
    ({"organization_en": "see www.pier.example"}, "organization_en"),
    ({"organization_ru": "Пирс info@пирс.рф"}, "organization_ru"),
    ({"organization_ru": "я" * 201}, "organization_ru"),
    ({"name": ""}, "name"),
    ({"visibility": "counted"}, "visibility"),
    ({"email": "nobody"}, "email"),
    ({"consent": ""}, "consent"),
]


@pytest.mark.parametrize(("changes", "field"), PERSON, ids=short)
async def test_what_is_wrong_is_said_and_nothing_typed_is_lost(
    shared_site: Installation, changes: dict[str, str], field: str
) -> None:
    await see_refused(shared_site, await shared_site.form(email=fresh(), **ALL) | changes, field)


OPTIONAL = [
    ({"country": "Atlantis"}, "country"),
    ({"country": "СССР"}, "country"),
    ({"city": "www.spam.example"}, "city"),
    ({"city": "я" * 201}, "city"),
    ({"affiliation": "write to me@letters.example"}, "affiliation"),
    ({"affiliation": "x" * 1500}, "affiliation"),
    ({"kind": "organization", "position": "http://spam.example"}, "position"),
    ({"kind": "organization", "website": "not a website"}, "website"),
    ({"kind": "organization", "website": "ftp://northpier.example"}, "website"),
    ({"kind": "organization", "website": "javascript:alert(1)"}, "website"),
    ({"kind": "organization", "website": f"https://northpier.example/{'x' * 200}"}, "website"),
    ({"kind": "organization", "website": "https://:secret@northpier.example"}, "website"),
    ({"kind": "organization", "website": "https://northpier.example@spam.example"}, "website"),
    ({"kind": "organization", "website": "https://north\u0007pier.example"}, "website"),
]


@pytest.mark.parametrize(("changes", "field"), OPTIONAL, ids=short)
async def test_what_is_optional_stops_no_signature_and_is_left_out_with_a_word(
    shared_site: Installation, changes: dict[str, str], field: str
) -> None:
    assert_redirect(await shared_site.sign(email=fresh(), **changes), INBOX)
    row, fields = await newest(shared_site)
    assert field not in fields
    async with shared_site.database.connection() as conn:
        letter = await rows.letter(conn)
    token = rows.token(letter, SignatureId(int(str(row["id"]))))
    page = await shared_site.client.get(f"/en/confirm/{token}")
    check_page(page, 200)
    assert "Left out, because we could not use what was entered:" in page.text
    assert (await shared_site.client.post(f"/en/confirm/{token}")).status_code == 303
    data = (await shared_site.client.get(f"/en/signature/{token}/data.json")).json()
    assert not data.get(field)
    assert "left_out" not in str(data)


@pytest.mark.parametrize(
    ("changes", "stored_fields"),
    [
        ({"name": "\u2068Ahmed\u2069 Ali\u200f"}, {"name": "Ahmed Ali"}),
        ({"name": "Vera\tNovak"}, {"name": "Vera Novak"}),
        ({"affiliation": "Engineer @ Acme"}, {"affiliation": "Engineer @ Acme"}),
        ({"affiliation": "@annlee, Void Editors"}, {"affiliation": "@annlee, Void Editors"}),
        ({"city": "\u200eРига\u200f", "country": "🇱🇻"}, {"city": "Рига", "country": "LV"}),
        ({"country": "Moscow, Russia"}, {"country": "RU"}),
        (
            {"kind": "organization", "organization_ru": "Клуб @ Университет", "website": "\u200ehttps://club.example"},
            {"organization_ru": "Клуб @ Университет", "website": "https://club.example"},
        ),
    ],
    ids=short,
)
async def test_what_phones_and_people_add_is_no_fault(
    shared_site: Installation, changes: dict[str, str], stored_fields: dict[str, str]
) -> None:
    assert_redirect(await shared_site.sign(email=fresh(), **changes), INBOX)
    _, fields = await newest(shared_site)
    assert fields.items() >= stored_fields.items()
    assert "left_out" not in fields


@pytest.mark.parametrize("kind", ["organisation", "Person", "robot", "", "person organization"])
async def test_an_unknown_kind_is_refused(shared_site: Installation, kind: str) -> None:
    before = await stored(shared_site.database)
    form = await shared_site.form(email=fresh()) | {"kind": kind}
    page = await shared_site.client.post(SIGN, data=form, headers=shared_site.new_network())
    check_page(page, 422)
    assert 'id="e-kind"' in page.text
    assert await stored(shared_site.database) == before


@pytest.mark.parametrize("value", ["no", "0", " ", "false"])
async def test_no_is_no_consent(shared_site: Installation, value: str) -> None:
    pending, _ = await stored(shared_site.database)
    page = await shared_site.sign(email=fresh(), consent=value, updates=value)
    check_page(page, 422)
    assert 'id="e-consent"' in page.text
    assert not {"consent", "updates"} & form_in(page, "sign-form").keys(), "the box comes back ticked"
    assert (await stored(shared_site.database))[0] == pending


@pytest.mark.parametrize(("changes", "field"), ORGANIZATION, ids=short)
async def test_the_same_for_an_organization(shared_site: Installation, changes: dict[str, str], field: str) -> None:
    form = await shared_site.organization_form(email=fresh(), organization_ru="Северный пирс", country="Чехия")
    await see_refused(shared_site, form | changes, field)


async def see_refused(site: Installation, form: dict[str, str], field: str) -> None:
    """Fail unless the page comes back with the field's error, and with all that was typed."""
    before = await stored(site.database)
    lang = "ru" if len(str(form)) % 2 else "en"
    page = await site.client.post(f"/{lang}/{SLUG}/sign", data=form, headers=site.new_network())
    check_page(page, 422, lang)
    assert await stored(site.database) == before
    assert f'id="e-{field}"' in page.text
    assert f'href="#f-{field}"' in page.text
    assert page.text.count('class="problem"') == 1, "another field is blamed"
    shown_form = form_in(page, "sign-form")
    browser = {key: value.replace("\n", "") for key, value in form.items()}  # a browser's fields are one line
    sent = {key: value for key, value in browser.items() if key != "altcha" and value}
    if form["visibility"] in {"", "everybody"} or (form["kind"], field) == ("organization", "visibility"):
        sent.pop("visibility", None)  # nothing that is offered was chosen
    assert {key: value.replace("\n", "") for key, value in shown_form.items() if value} == sent


@pytest.mark.parametrize(
    "name",
    [
        "О’Брайен-Петрова Анна",
        "X",
        "Ё",
        "李小龙",
        "محمد رضا شجریان",
        "نرگس می\u200cخواهد",
        "ನಿರ್ಮಲಾ ಸೀತಾರಾಮನ್",
        "Αλέξανδρος Παπαδόπουλος",
        "გიორგი მაისურაძე",
        "יהודה עמיחי",
        "ธนพล สุขใจ",
        "김철수",
        "Nguyễn Thị Ánh",
        "Đorđe Čvarković Jr.",
        'Иван "Гром" Кузнецов',
        "<b>Tag</b> & Co",
        "Robert'); DROP TABLE signature;--",
        "{{ 7 * 7 }} Novak",
        "𠮷野家 太郎",
        "А.С. Пушкин",
        "㌖" * 100 + "Я",
        "я" * 200,
    ],
    ids=short,
)
async def test_names_of_all_scripts_go_all_the_way(shared_site: Installation, name: str) -> None:
    assert_redirect(await shared_site.sign(email=fresh(), name=name), INBOX)
    row, fields = await newest(shared_site)
    async with shared_site.database.connection() as conn:
        letter = await rows.letter(conn)
    token = rows.token(letter, SignatureId(int(str(row["id"]))))
    confirmed = await shared_site.client.post(f"/en/confirm/{token}")
    assert_redirect(confirmed, f"/en/{SLUG}/signed")
    page = await shared_site.client.get(f"/en/signature/{token}")
    check_page(page, 200)
    data = await shared_site.client.get(f"/en/signature/{token}/data.json")
    assert data.json()["name"] == fields["name"]
    assert form_in(page, f"/en/signature/{token}")["name"] == fields["name"]
    assert "<b>Tag" not in page.text
    page = await shared_site.client.get(f"/en/{SLUG}/signatories", params={"q": fields["name"]})
    assert page.status_code == 200
