"""The link that stops updates about one letter: by one click, by a button, and the way back."""

import asyncio

import httpx2
import pytest

from petition.core.ids import LetterId, SignatureId
from petition.core.tokens import Tokens
from tests import rows
from tests.pages import check_page
from tests.rows import rows_of
from tests.running import KEY, SLUG, Installation, link_in

NEMO = "nemo@letters.example"
ONE_CLICK = {"List-Unsubscribe": "One-Click"}
ELSEWHERE = {"origin": "https://mail.example", "sec-fetch-site": "cross-site"}
STORED = "SELECT purpose FROM contact WHERE purpose <> 'representative' ORDER BY 1"


async def subscribed(site: Installation, lang: str = "en") -> str:
    """Sign, asking for updates, and confirm; return the link that a mail of an update has."""
    await site.sign(lang, email=NEMO, updates="yes")
    assert (await site.client.post(link_in(await site.mail_to(NEMO)))).status_code == 303
    (row,) = await rows_of(site.database, "SELECT letter, id FROM signature")
    return f"/{lang}/{SLUG}/unsubscribe/{Tokens([KEY]).for_updates(row['letter'], row['id'])}"


async def stored(site: Installation) -> list[str]:
    return [row["purpose"] for row in await rows_of(site.database, STORED)]


@pytest.mark.parametrize("lang", ["en", "ru"])
async def test_opening_the_link_changes_nothing(site_with_worker: Installation, lang: str) -> None:
    link = await subscribed(site_with_worker, lang)
    for _ in range(2):
        page = await site_with_worker.client.get(link)
        check_page(page, 200, lang)
        assert 'value="stop"' in page.text
    assert (await site_with_worker.client.head(link)).status_code == 200
    assert await stored(site_with_worker) == ["updates"]


@pytest.mark.parametrize("as_files", [False, True])
async def test_one_click_from_a_mail_program_deletes_the_address(
    site_with_worker: Installation, as_files: bool
) -> None:
    site = site_with_worker
    link = await subscribed(site)
    for _ in range(2):
        if as_files:
            files = {"List-Unsubscribe": (None, "One-Click")}
            answer = await site.client.post(link, files=files, headers=ELSEWHERE)
        else:
            answer = await site.client.post(link, data=ONE_CLICK, headers=ELSEWHERE)
        check_page(answer, 200)
    assert await stored(site) == []
    assert [row["state"] for row in await rows_of(site.database, "SELECT state FROM signature")] == ["confirmed"]


async def test_one_click_ends_the_mail_to_a_mailbox_that_signed_twice(site_with_worker: Installation) -> None:
    """One mail comes to it, so one click must end it; what others asked for stays."""
    site = site_with_worker
    link = await subscribed(site)
    for email, kind in ((NEMO, "organization"), ("ned@letters.example", "person")):
        number = site.inbox.newest
        await site.sign(email=email, kind=kind, updates="yes")
        async with asyncio.timeout(120):
            while site.inbox.newest == number:
                await asyncio.sleep(0.02)
        assert (await site.client.post(link_in(await site.mail_to(email)))).status_code == 303
    assert await stored(site) == ["updates"] * 3
    check_page(await site.client.post(link, data=ONE_CLICK, headers=ELSEWHERE), 200)
    assert await stored(site) == ["updates"]


async def test_who_hit_it_by_accident_comes_back_by_the_same_link(site_with_worker: Installation) -> None:
    site = site_with_worker
    link = await subscribed(site)
    await site.client.post(link, data=ONE_CLICK, headers=ELSEWHERE)
    page = await site.client.get(link)
    assert "We send you no news" in page.text
    assert 'name="email"' in page.text
    again = {"action": "start", "email": NEMO}
    assert (await site.client.post(link, data=again)).status_code == 303
    assert await stored(site) == ["updates"]
    assert "You get the news again" in (await site.client.get(f"{link}?done=1")).text
    assert (await site.client.post(link, data={"action": "stop"})).status_code == 303
    assert await stored(site) == []


async def test_another_address_is_refused_and_only_five_are_tried(site_with_worker: Installation) -> None:
    site = site_with_worker
    link = await subscribed(site)
    await site.client.post(link, data={"action": "stop"})
    for number in range(5):
        answer = await start(site, link, f"stranger{number}@letters.example")
        assert answer.status_code == 422
    assert (await start(site, link, NEMO)).status_code == 422
    assert "Too many addresses" in (await start(site, link, NEMO)).text
    assert await stored(site) == []


async def start(site: Installation, link: str, email: str) -> httpx2.Response:
    return await site.client.post(link, data={"action": "start", "email": email})


async def test_of_a_withdrawn_signature_nothing_is_left(site_with_worker: Installation) -> None:
    site = site_with_worker
    link = await subscribed(site)
    (row,) = await rows_of(site.database, "SELECT letter, id FROM signature")
    own = f"/en/signature/{Tokens([KEY]).for_signature(row['letter'], row['id'])}"
    assert (await site.client.post(own, data={"action": "withdraw"})).status_code == 303
    assert "is gone" in (await site.client.get(link)).text
    check_page(await site.client.post(link, data=ONE_CLICK), 200)
    check_page(await start(site, link, NEMO), 422)


async def test_links_of_other_kinds_and_letters_are_none(site: Installation) -> None:
    async with site.database.connection() as conn:
        letter = await rows.letter(conn)
    tokens = Tokens([KEY])
    for token in (
        tokens.for_signature(letter.id, SignatureId(7)),
        tokens.for_updates(LetterId(letter.id + 1), SignatureId(7)),
        "nonsense",
    ):
        assert (await site.client.get(f"/en/{SLUG}/unsubscribe/{token}")).status_code in {404, 410}
        assert (await site.client.post(f"/en/{SLUG}/unsubscribe/{token}")).status_code in {404, 410}
    page = await site.client.get(f"/en/{SLUG}/unsubscribe/{tokens.for_updates(LetterId(0), SignatureId(0))}")
    assert "A link from a test" in page.text
