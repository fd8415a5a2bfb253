"""Letters that are not open, and texts that have changed: what signing says then, and the page of versions."""

import asyncio
from pathlib import Path

import httpx2
import pytest

from petition.drafts import publishing
from tests import rows
from tests.letters.folders import other_letter
from tests.pages import assert_redirect, check_page, form_in
from tests.running import SLUG, Installation, publish
from tests.signatures.waiting import SIGNED, VERA, Waiting, execute

SIGN = f"/en/{SLUG}/sign"


async def page_shows(site: Installation, text: str) -> httpx2.Response:
    """Wait until the letter's page shows something."""
    async with asyncio.timeout(120):
        while text not in (page := await site.client.get(f"/en/{SLUG}")).text:
            await asyncio.sleep(0.05)
    return page


@pytest.mark.parametrize("change", ["state = 'closed', closed_at = now()", "closes_at = now()", "state = 'archived'"])
@pytest.mark.parametrize("known", [True, False])
async def test_a_closed_letter_takes_nothing_and_gives_back_what_was_typed(
    site: Installation, change: str, known: bool
) -> None:
    form = await site.form(city="Уфа")
    assert (await site.client.get(f"/en/{SLUG}")).status_code == 200
    await execute(site, f"UPDATE letter SET {change}, revision = revision + 1")
    if known:  # the web has heard of it; else the database's clock is asked in the last moment
        await page_shows(site, "Signing is closed")
    page = await site.client.post(SIGN, data=form, headers=site.new_network())
    check_page(page, 409)
    assert "Signing is closed" in page.text
    assert await rows.rows_of(site.database, "SELECT 1 FROM pending UNION ALL SELECT 1 FROM outbox") == []


async def test_a_draft_is_not_there(site: Installation) -> None:
    await execute(site, "UPDATE letter SET state = 'draft', version = NULL, revision = revision + 1")
    async with asyncio.timeout(120):
        while (await site.client.get(f"/en/{SLUG}/check-your-inbox")).status_code != 404:
            await asyncio.sleep(0.05)
    form = {"email": "vera@letters.example", "code": "123456"}
    for path in ("sign", "find", "confirm"):
        check_page(await site.client.post(f"/en/{SLUG}/{path}", data=form), 404)


@pytest.mark.parametrize("known", [True, False])
async def test_an_outdated_text_is_answered_with_the_new_one(site: Installation, known: bool) -> None:
    form = await site.form(city="Уфа", updates="yes")
    assert (await site.client.get(f"/en/{SLUG}")).status_code == 200
    await execute(site, "UPDATE translation SET markdown = markdown || '\n\nOne more demand.'")
    assert await publishing.publish(site.database, SLUG) == 2
    if known:
        await page_shows(site, "One more demand.")
    page = await site.client.post(SIGN, data=form, headers=site.new_network())
    check_page(page, 422)
    assert "One more demand." in page.text
    shown_form = form_in(page, "sign-form")
    assert shown_form["version"] == await site.digest() != form["version"]
    assert "consent" not in shown_form  # has to be given again
    sent = {key: value for key, value in form.items() if key not in {"version", "consent", "altcha"}}
    assert {key: shown_form.get(key) for key in sent} == sent
    assert await rows.rows_of(site.database, "SELECT 1 FROM pending") == []
    agreed = shown_form | {"consent": "yes", "altcha": await site.challenge()}
    assert_redirect(
        await site.client.post(SIGN, data=agreed, headers=site.new_network()), f"/en/{SLUG}/check-your-inbox"
    )
    (row,) = await rows.rows_of(site.database, "SELECT version FROM pending")
    assert row["version"] == 2


async def test_versions_say_what_changed_and_how_many_had_signed(site: Installation) -> None:
    async with site.database.transaction() as conn:
        letter = await rows.letter(conn)
        ids = await rows.add_pending(conn, letter, [f"voice{n}@letters.example" for n in range(3)])
    for signature_id in ids:
        await site.client.post(f"/en/confirm/{rows.token(letter, signature_id)}")
    await execute(site, "UPDATE translation SET markdown = markdown || '\n\nOne more demand.' WHERE lang = 'en'")
    note = {"en": "Because it was forgotten.", "ru": "Потому что забыли."}
    assert await publishing.publish(site.database, SLUG, note) == 2
    await page_shows(site, "One more demand.")
    page = await site.client.get(f"/en/{SLUG}/versions")
    assert page.status_code == 200
    assert page.headers["cache-control"].startswith("public")
    assert "set-cookie" not in page.headers
    for text in ("One more demand.", "Because it was forgotten.", ">3<"):
        assert text in page.text or text.strip("<>") in page.text
    russian = await site.client.get(f"/ru/{SLUG}/versions")
    assert "Потому что забыли." in russian.text
    for method in ("POST", "PUT", "DELETE"):
        check_page(await site.client.request(method, f"/en/{SLUG}/versions"), 405)
    check_page(await site.client.get("/en/no-such-letter/versions"), 404)


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ("state = 'closed', closed_at = now() - interval '23 hours'", 303),
        ("state = 'closed', closed_at = now() - interval '25 hours'", 410),
        ("closes_at = now() - interval '23 hours'", 303),
        ("closes_at = now() - interval '25 hours'", 410),
        ("state = 'archived', closed_at = now() - interval '1 hour'", 410),
    ],
)
async def test_until_a_day_after_closing(site: Installation, change: str, status: int) -> None:
    waiting = await Waiting.of(site)
    await execute(site, f"UPDATE letter SET {change}, revision = revision + 1")
    check_page(await site.client.get(waiting.link), 200 if status == 303 else 410)
    assert (await waiting.type_code()).status_code == status
    assert (await site.client.post(waiting.link)).status_code == status
    assert (await site.count())["people"] == (status == 303)


async def test_the_text_may_change_meanwhile(site: Installation) -> None:
    waiting = await Waiting.of(site)
    await execute(site, "UPDATE translation SET markdown = markdown || 'And one more thing.'")
    assert await publishing.publish(site.database, SLUG) == 2
    page = await site.client.get(waiting.link)
    check_page(page, 200)
    assert_redirect(await site.client.post(waiting.link), SIGNED)
    (row,) = await rows.rows_of(site.database, "SELECT version FROM signature")
    assert row["version"] == 1, "a signature belongs to the text that was read"


async def test_the_code_of_another_address_or_letter_does_not_fit(two: Installation) -> None:
    waiting = await Waiting.of(two)
    await Waiting.of(two, "other@letters.example")
    check_page(await waiting.type_code(email="other@letters.example"), 422)
    form = {"email": VERA, "code": waiting.code}
    check_page(await two.client.post("/en/second-letter/confirm", data=form, headers=two.new_network()), 422)
    assert (await two.count())["people"] == 0


@pytest.fixture
async def two(site: Installation, tmp_path: Path) -> Installation:
    """Give an installation with another letter beside the sample."""
    await publish(site.settings, site.database, other_letter(tmp_path, "second-letter"))
    return site
