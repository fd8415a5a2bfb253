"""The lost link: asked for by address, and the answer is the same either way."""

import asyncio

import httpx2
import pytest

from tests import rows
from tests.pages import assert_redirect, check_page, form_in
from tests.running import SLUG, Installation, link_in
from tests.signatures.waiting import VERA, Waiting

FIND = f"/en/{SLUG}/find"


async def ask(site: Installation, email: str, **changes: str) -> httpx2.Response:
    """Send the form."""
    form = {"email": email, "altcha": await site.challenge(), **changes}
    return await site.client.post(FIND, data=form, headers=site.new_network())


async def test_the_page(shared_site: Installation) -> None:
    check_page(await shared_site.client.get(FIND), 200)
    check_page(await shared_site.client.get(f"/ru/{SLUG}/find?sent=1"), 200, "ru")
    assert form_in(await shared_site.client.get(FIND), FIND) == {"email": ""}


async def test_a_job_is_stored_for_anybody(shared_site: Installation) -> None:
    jobs = "SELECT purpose, kind, pending, lang FROM outbox ORDER BY id DESC LIMIT 1"
    assert_redirect(await ask(shared_site, "anybody@letters.example"), f"{FIND}?sent=1")
    assert await rows.rows_of(shared_site.database, jobs) == [
        {"purpose": "find", "kind": None, "pending": None, "lang": "en"}
    ]


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
async def test_another_method_is_refused(shared_site: Installation, method: str) -> None:
    check_page(await shared_site.client.request(method, FIND), 405)


async def test_another_site_is_refused(shared_site: Installation) -> None:
    answer = await shared_site.client.post(FIND, data={"email": VERA}, headers={"sec-fetch-site": "cross-site"})
    check_page(answer, 403)


@pytest.mark.parametrize("email", ["", "vera", "vera@", "a b@letters.example"])
async def test_what_is_no_address_comes_back(shared_site: Installation, email: str) -> None:
    page = await ask(shared_site, email)
    check_page(page, 422)
    assert 'id="e-email"' in page.text
    assert form_in(page, FIND)["email"] == email


async def test_a_challenge_is_needed_and_serves_once(shared_site: Installation) -> None:
    page = await ask(shared_site, VERA, altcha="")
    check_page(page, 422)
    assert form_in(page, FIND)["email"] == VERA
    once = await shared_site.challenge()
    assert_redirect(await ask(shared_site, VERA, altcha=once), f"{FIND}?sent=1")
    check_page(await ask(shared_site, "other@letters.example", altcha=once), 422)
    # The button pressed twice: answered as the first time, and mailed once.
    asked = "SELECT count(*) AS n FROM outbox"
    before = await rows.rows_of(shared_site.database, asked)
    assert_redirect(await ask(shared_site, VERA, altcha=once), f"{FIND}?sent=1")
    assert await rows.rows_of(shared_site.database, asked) == before


async def test_the_link_comes_to_whoever_waits_or_has_signed(site_with_worker: Installation) -> None:
    waiting = await Waiting.of(site_with_worker)
    assert_redirect(await ask(site_with_worker, VERA), f"{FIND}?sent=1")
    assert link_in(await site_with_worker.mail_to(VERA)) == waiting.link
    assert_redirect(await site_with_worker.client.post(waiting.link), f"/en/{SLUG}/signed")
    before = site_with_worker.inbox.newest
    assert_redirect(await ask(site_with_worker, VERA.upper()), f"{FIND}?sent=1")
    assert_redirect(await ask(site_with_worker, "nobody@letters.example"), f"{FIND}?sent=1")
    assert_redirect(await ask(site_with_worker, "last@letters.example"), f"{FIND}?sent=1")
    await Waiting.of(site_with_worker, "last@letters.example")
    mail = await site_with_worker.mail_to(VERA.upper().replace("LETTERS.EXAMPLE", "letters.example"))
    assert link_in(mail) == waiting.own
    assert mail.number > before
    await no_job_is_left(site_with_worker)
    assert not [mail for mail in site_with_worker.inbox if "nobody@letters.example" in mail.to]


async def no_job_is_left(site: Installation) -> None:
    """Wait until the outbox is empty."""
    async with asyncio.timeout(120):
        while await rows.rows_of(site.database, "SELECT 1 FROM outbox"):
            await asyncio.sleep(0.05)


async def test_a_closed_letter_still_finds(site: Installation) -> None:
    async with site.database.connection() as conn:
        await conn.execute("UPDATE letter SET state = 'closed', closed_at = now(), revision = revision + 1")
    assert_redirect(await ask(site, VERA), f"{FIND}?sent=1")
