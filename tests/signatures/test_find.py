"""The lost link: asked for by address, and the answer is the same either way."""

import asyncio

import httpx2
import pytest

from tests import rows
from tests.pages import check_page, check_sent_on, form_in
from tests.running import SLUG, Installation, link_in
from tests.signatures.waiting import VERA, Waiting

FIND = f"/en/{SLUG}/find"


async def ask(site: Installation, email: str, **changes: str) -> httpx2.Response:
    """Send the form."""
    form = {"email": email, "altcha": await site.challenge(), **changes}
    return await site.client.post(FIND, data=form, headers=site.elsewhere())


async def test_the_page(shared: Installation) -> None:
    check_page(await shared.client.get(FIND), 200)
    check_page(await shared.client.get(f"/ru/{SLUG}/find?sent=1"), 200, "ru")
    assert form_in(await shared.client.get(FIND), FIND) == {"email": ""}


async def test_a_job_is_stored_for_anybody(shared: Installation) -> None:
    jobs = "SELECT purpose, kind, pending, lang FROM outbox ORDER BY id DESC LIMIT 1"
    check_sent_on(await ask(shared, "anybody@letters.example"), f"{FIND}?sent=1")
    assert await rows.rows_of(shared.database, jobs) == [
        {"purpose": "find", "kind": None, "pending": None, "lang": "en"}
    ]


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
async def test_another_method_is_refused(shared: Installation, method: str) -> None:
    check_page(await shared.client.request(method, FIND), 405)


async def test_another_site_is_refused(shared: Installation) -> None:
    answer = await shared.client.post(FIND, data={"email": VERA}, headers={"sec-fetch-site": "cross-site"})
    check_page(answer, 403)


@pytest.mark.parametrize("email", ["", "vera", "vera@", "a b@letters.example"])
async def test_what_is_no_address_comes_back(shared: Installation, email: str) -> None:
    page = await ask(shared, email)
    check_page(page, 422)
    assert 'id="e-email"' in page.text
    assert form_in(page, FIND)["email"] == email


async def test_a_challenge_is_needed_and_serves_once(shared: Installation) -> None:
    page = await ask(shared, VERA, altcha="")
    check_page(page, 422)
    assert form_in(page, FIND)["email"] == VERA
    once = await shared.challenge()
    check_sent_on(await ask(shared, VERA, altcha=once), f"{FIND}?sent=1")
    check_page(await ask(shared, "other@letters.example", altcha=once), 422)
    # The button pressed twice: answered as the first time, and mailed once.
    asked = "SELECT count(*) AS n FROM outbox"
    before = await rows.rows_of(shared.database, asked)
    check_sent_on(await ask(shared, VERA, altcha=once), f"{FIND}?sent=1")
    assert await rows.rows_of(shared.database, asked) == before


async def test_the_link_comes_to_whoever_waits_or_has_signed(road: Installation) -> None:
    waiting = await Waiting.of(road)
    check_sent_on(await ask(road, VERA), f"{FIND}?sent=1")
    assert link_in(await road.mail_to(VERA)) == waiting.link
    check_sent_on(await road.client.post(waiting.link), f"/en/{SLUG}/signed")
    before = road.inbox.newest
    check_sent_on(await ask(road, VERA.upper()), f"{FIND}?sent=1")
    check_sent_on(await ask(road, "nobody@letters.example"), f"{FIND}?sent=1")
    check_sent_on(await ask(road, "last@letters.example"), f"{FIND}?sent=1")
    await Waiting.of(road, "last@letters.example")
    mail = await road.mail_to(VERA.upper().replace("LETTERS.EXAMPLE", "letters.example"))
    assert link_in(mail) == waiting.own
    assert mail.number > before
    await no_job_is_left(road)
    assert not [mail for mail in road.inbox if "nobody@letters.example" in mail.to]


async def no_job_is_left(site: Installation) -> None:
    """Wait until the outbox is empty."""
    async with asyncio.timeout(120):
        while await rows.rows_of(site.database, "SELECT 1 FROM outbox"):
            await asyncio.sleep(0.05)


async def test_a_closed_letter_still_finds(site: Installation) -> None:
    async with site.database.connection() as conn:
        await conn.execute("UPDATE letter SET state = 'closed', closed_at = now(), revision = revision + 1")
    check_sent_on(await ask(site, VERA), f"{FIND}?sent=1")
