"""The mailed link and the mailed code: who may confirm, until when, how often."""

from datetime import timedelta
from pathlib import Path

import pytest

from petition.core.ids import SignatureId
from tests import rows
from tests.pages import assert_redirect, check_page, form_in
from tests.running import SLUG, Installation, installation
from tests.signatures.waiting import CODE, SIGNED, VERA, Waiting, execute

pytestmark = pytest.mark.usefixtures("one_hour")

DAY = timedelta(days=1)


@pytest.fixture
def site(clean: Installation) -> Installation:
    """Have the tests of this file share an installation; none of them changes the letter."""
    return clean


async def test_the_link_shows_and_only_the_button_confirms(site: Installation) -> None:
    waiting = await Waiting.of(site, city="Уфа", name="Vera <i>Novak</i>")
    for _ in range(3):  # a scanner, a preview, a reader
        page = await site.client.get(waiting.link)
        check_page(page, 200)
        assert (await site.client.head(waiting.link)).status_code == 200
    assert "Vera &lt;i&gt;Novak" in page.text
    assert "Уфа" in page.text
    assert (await site.count())["people"] == 0
    assert form_in(page, waiting.link) == {}
    assert_redirect(await site.client.post(waiting.link), SIGNED)
    assert (await site.count())["people"] == 1
    assert_redirect(await site.client.post(waiting.link), SIGNED)
    assert (await site.count())["people"] == 1
    assert_redirect(await site.client.get(waiting.link), waiting.own)
    check_page(await site.client.get(waiting.own), 200)


async def test_before_it_is_confirmed_ones_own_page_is_the_button(site: Installation) -> None:
    waiting = await Waiting.of(site)
    assert_redirect(await site.client.get(waiting.own), waiting.link)
    check_page(await site.client.get(f"{waiting.own}/data.json"), 404)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
async def test_another_method_is_refused(site: Installation, method: str) -> None:
    waiting = await Waiting.of(site)
    check_page(await site.client.request(method, waiting.link), 405)
    check_page(await site.client.request(method, CODE), 405)
    assert_redirect(await site.client.get(CODE), f"/en/{SLUG}")
    assert (await site.count())["people"] == 0


async def test_another_site_cannot_press_the_button(site: Installation) -> None:
    waiting = await Waiting.of(site)
    for headers in ({"sec-fetch-site": "cross-site"}, {"origin": "https://elsewhere.example"}):
        check_page(await site.client.post(waiting.link, headers=headers), 403)
        check_page(await waiting.type_code(**headers), 403)
    assert (await site.count())["people"] == 0


async def test_a_row_that_is_not_there_is_gone(site: Installation) -> None:
    async with site.database.connection() as conn:
        letter = await rows.letter(conn)
    link = f"/ru/confirm/{rows.token(letter, SignatureId(12345))}"
    check_page(await site.client.get(link), 410, "ru")
    check_page(await site.client.post(link), 410, "ru")


@pytest.mark.parametrize(("age", "status"), [(timedelta(days=6, hours=23), 303), (timedelta(days=7, minutes=1), 410)])
async def test_seven_days(site: Installation, age: timedelta, status: int) -> None:
    waiting = await Waiting.of(site, VERA, age)
    check_page(await site.client.get(waiting.link), 200 if status == 303 else 410)
    assert (await site.client.post(waiting.link)).status_code == status
    assert (await site.count())["people"] == (status == 303)


async def test_an_organization_waits_and_is_told_so(site: Installation) -> None:
    waiting = await Waiting.of(site, organization_en="North Pier", organization_ru="Северный пирс", position="Director")
    page = await site.client.get(waiting.link)
    assert "North Pier" in page.text
    assert "Северный пирс" in page.text
    for _ in range(2):
        assert_redirect(await site.client.post(waiting.link), f"{SIGNED}?as=organization")
    assert await site.count() == {"people": 0, "organizations": 0, "hidden": 0, "imported": 0}
    second = await Waiting.of(site, organization_en="North Pier")
    assert_redirect(await site.client.post(second.link), f"{SIGNED}?as=organization&again=replaced")
    page = await site.client.get(f"{SIGNED}?as=organization")
    assert page.status_code == 200
    (row,) = await rows.rows_of(site.database, "SELECT * FROM signature")
    assert row["state"] == "held"
    assert [row[key] for key in ("name", "affiliation", "city", "position", "name_key", "organization")] == [None] * 6
    contacts = await rows.rows_of(site.database, "SELECT purpose FROM contact")
    assert [contact["purpose"] for contact in contacts] == ["representative"]


@pytest.mark.parametrize(("updates", "purposes"), [({}, []), ({"updates": "1"}, ["updates"])])
async def test_the_address_goes_unless_updates_were_asked_for(
    site: Installation, updates: dict[str, str], purposes: list[str]
) -> None:
    waiting = await Waiting.of(site, **updates)
    await site.client.post(waiting.link)
    assert [row["purpose"] for row in await rows.rows_of(site.database, "SELECT purpose FROM contact")] == purposes
    assert await rows.rows_of(site.database, "SELECT 1 FROM pending") == []


async def test_a_barred_mailbox_is_told_that_it_was_removed(site: Installation) -> None:
    waiting = await Waiting.of(site)
    await execute(site, "INSERT INTO bar SELECT letter, digest FROM pending")
    page = await site.client.post(waiting.link)
    check_page(page, 410)
    assert "removed" in page.text
    assert (await site.count())["people"] == 0


async def test_a_removed_signature_stays_removed(site: Installation) -> None:
    waiting, second = await Waiting.of(site), await Waiting.of(site)
    await site.client.post(waiting.link)
    await execute(site, "UPDATE signature SET state = 'removed'")
    await execute(site, "UPDATE count SET people = 0")
    check_page(await site.client.post(waiting.link), 410)
    check_page(await site.client.post(second.link), 410)  # another try of the same mailbox
    check_page(await waiting.type_code(), 410)
    page = await site.client.get(waiting.own)
    check_page(page, 200)
    assert "removed" in page.text
    assert (await site.count())["people"] == 0


async def test_the_code_confirms_and_twice_is_calm(site: Installation) -> None:
    waiting = await Waiting.of(site)
    for typed in (waiting.code, f" {waiting.code[:3]} {waiting.code[3:]} "):
        assert_redirect(await waiting.type_code(typed), SIGNED)
    assert_redirect(await waiting.type_code(email="VERA@letters.example"), SIGNED)
    assert (await site.count())["people"] == 1


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"email": "", "code": "123456"}, "email"),
        ({"email": "vera", "code": "123456"}, "email"),
        ({"email": VERA, "code": ""}, "code"),
        ({"email": VERA, "code": "12345"}, "code"),
        ({"email": VERA, "code": "12345a"}, "code"),
        ({"email": VERA, "code": "１２３４５６"}, "code"),
    ],
)
async def test_what_is_wrong_is_said(shared_site: Installation, form: dict[str, str], field: str) -> None:
    page = await shared_site.client.post(CODE, data=form, headers=shared_site.new_network())
    check_page(page, 422)
    assert f'id="e-{field}"' in page.text
    assert form_in(page, CODE) == form


@pytest.mark.parametrize("known", [True, False])
async def test_five_tries_a_day_known_or_not(site: Installation, known: bool) -> None:
    waiting = await Waiting.of(site)
    email = VERA if known else "nobody@letters.example"
    wrong = f"{(int(waiting.code) + 1) % 10**6:06}"
    for _ in range(5):
        check_page(await waiting.type_code(wrong, email), 422)
    page = await waiting.type_code(None, email)
    check_page(page, 429)
    assert int(page.headers["retry-after"]) > 0
    assert form_in(page, CODE)["email"] == email
    assert_redirect(await site.client.post(waiting.link), SIGNED)  # the link still works


async def test_a_network_has_a_ceiling(database_url: str, tmp_path: Path) -> None:
    async with installation(database_url, tmp_path, LIMIT_CODE_NETWORK="3") as site:
        waiting = await Waiting.of(site)
        here = {"x-forwarded-for": "192.0.2.1"}
        for n in range(3):
            check_page(await waiting.type_code("000000", f"voice{n}@letters.example", **here), 422)
        check_page(await waiting.type_code(**here), 429)
        assert_redirect(await waiting.type_code(), SIGNED)


async def test_a_code_is_valid_for_a_day_and_the_link_for_longer(site: Installation) -> None:
    late = await Waiting.of(site, VERA, timedelta(hours=24, minutes=1))
    check_page(await late.type_code(), 422)
    assert_redirect(await site.client.post(late.link), SIGNED)
    early = await Waiting.of(site, "early@letters.example", timedelta(hours=23, minutes=59))
    assert_redirect(await early.type_code(email="early@letters.example"), SIGNED)
