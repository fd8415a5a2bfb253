"""The mailed link and the mailed code: who may confirm, until when, how often."""

from datetime import timedelta
from pathlib import Path

import httpx2
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
async def test_a_network_has_a_few_tries_known_or_not_and_a_stranger_does_not_spend_the_owners(
    site: Installation, known: bool
) -> None:
    waiting = await Waiting.of(site)
    email = VERA if known else "nobody@letters.example"
    wrong = f"{(int(waiting.code) + 1) % 10**6:06}"
    here = {"x-forwarded-for": "192.0.2.1"}
    answers = [await waiting.type_code(wrong, email, **here) for _ in range(16)]
    statuses = [answer.status_code for answer in answers]
    assert statuses == [422] * statuses.count(422) + [429] * statuses.count(429)
    assert 5 <= statuses.count(422) <= 15
    page = await waiting.type_code(None, email, **here)
    check_page(page, 429)
    assert int(page.headers["retry-after"]) > 0
    assert form_in(page, CODE)["email"] == email
    if known:
        assert_redirect(await waiting.type_code(), SIGNED)
    assert_redirect(await site.client.post(waiting.link), SIGNED)  # the link still works


async def test_right_codes_do_not_count(site: Installation) -> None:
    here = {"x-forwarded-for": "192.0.2.1"}
    waiting = await Waiting.of(site)
    for _ in range(20):
        assert_redirect(await waiting.type_code(**here), SIGNED)
    assert await rows.rows_of(site.database, "SELECT 1 FROM limit_use WHERE used > 0") == []


async def test_a_network_has_a_ceiling(database_url: str, tmp_path: Path, with_letter: None) -> None:
    async with installation(database_url, tmp_path, LIMIT_CODE_NETWORK="3") as site:
        waiting = await Waiting.of(site)
        here = {"x-forwarded-for": "192.0.2.1"}
        answers = [await waiting.type_code("000000", f"voice{n}@letters.example", **here) for n in range(6)]
        assert 2 <= [answer.status_code for answer in answers].count(422) <= 5
        check_page(await waiting.type_code(**here), 429)
        assert_redirect(await waiting.type_code(), SIGNED)


async def test_many_wrong_tries_of_a_mailbox_cost_a_challenge_each_and_its_owner_is_let_in(
    database_url: str, tmp_path: Path, with_letter: None
) -> None:
    async with installation(database_url, tmp_path, LIMIT_CODE="1") as site:
        waiting = await Waiting.of(site)
        wrong = f"{(int(waiting.code) + 1) % 10**6:06}"
        for _ in range(31):  # over ten to thirty, each from another network
            await waiting.type_code(wrong)
        page = await waiting.type_code()
        check_page(page, 422)
        form = form_in(page, CODE)
        assert form["mailed_code"] == waiting.code
        assert form["email"] == VERA
        free = await used(site)
        for _ in range(50):  # what may not be compared counts nowhere
            check_page(await waiting.type_code(), 422)
        assert await used(site) == free
        answer = {"altcha": await site.challenge()}
        check_page(await post_code(site, form | answer | {"mailed_code": wrong}), 422)
        check_page(await post_code(site, form | answer), 422)  # a challenge is good for one try
        fresh = form | {"altcha": await site.challenge()}
        assert_redirect(await post_code(site, fresh), SIGNED)
        # There is an end to it, for a program with very many networks and challenges; the link works on.
        answers = [
            await post_code(site, form | {"altcha": await site.challenge(), "mailed_code": wrong}) for _ in range(91)
        ]
        assert answers[-1].status_code == 429
        assert (await site.client.get(waiting.own)).status_code == 200


async def used(site: Installation) -> int:
    """Return how much of all limits is spent."""
    (row,) = await rows.rows_of(site.database, "SELECT sum(used)::int AS used FROM limit_use")
    return int(row["used"])


async def post_code(site: Installation, form: dict[str, str]) -> httpx2.Response:
    """Send the page that asks for a challenge, from a network of its own."""
    return await site.client.post(CODE, data=form, headers=site.new_network())


async def test_a_code_is_valid_for_a_day_and_the_link_for_longer(site: Installation) -> None:
    late = await Waiting.of(site, VERA, timedelta(hours=24, minutes=1))
    check_page(await late.type_code(), 422)
    assert_redirect(await site.client.post(late.link), SIGNED)
    early = await Waiting.of(site, "early@letters.example", timedelta(hours=23, minutes=59))
    assert_redirect(await early.type_code(email="early@letters.example"), SIGNED)
