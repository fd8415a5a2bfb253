"""The thank-you page: the count contains the signature, its number is right, and no one else learns it."""

import asyncio
import re

import httpx2
import pytest

from petition.core.ids import SignatureId
from petition.web.public import thanks
from tests import rows
from tests.pages import assert_redirect, check_page, without_ticket
from tests.running import SLUG, Installation
from tests.signatures.waiting import SIGNED, VERA, Waiting, execute

pytestmark = pytest.mark.usefixtures("one_hour")


@pytest.fixture
def site(clean: Installation) -> Installation:
    """Have the tests of this file share an installation; none of them changes the letter."""
    return clean


async def follow(site: Installation, answer: httpx2.Response) -> str:
    page = await site.client.get(answer.headers["location"])
    check_page(page, 200, "ru" if answer.headers["location"].startswith("/ru") else "en")
    return re.sub(r"\s+", " ", page.text.replace("\N{NO-BREAK SPACE}", " "))


async def test_it_counts_the_signature_and_says_which_one_it_is(site: Installation) -> None:
    for number, ordinal in enumerate(["1st", "2nd", "3rd", "4th"], 1):
        waiting = await Waiting.of(site, f"reader{number}@letters.example")
        answer = await site.client.post(waiting.link)
        assert_redirect(answer, SIGNED)
        page = await follow(site, answer)
        assert "Thank you. Your signature counts" in page
        assert f"You are the {ordinal} to sign." in page
        assert f"So far: {number} {'person' if number == 1 else 'people'}." in page


async def test_by_code_in_russian(site: Installation) -> None:
    await execute(site, "UPDATE count SET people = 3436, organizations = 35")
    waiting = await Waiting.of(site)
    form = {"email": VERA, "code": waiting.code}
    answer = await site.client.post(f"/ru/{SLUG}/confirm", data=form, headers=site.new_network())
    page = await follow(site, answer)
    assert "Ваша подпись — 3 472-я." in page
    assert "3 437 человек и 35 организаций" in page


async def test_a_crowd_is_numbered_without_gaps(site: Installation) -> None:
    async with site.database.connection() as conn:
        letter = await rows.letter(conn)
        ids = await rows.add_pending(conn, letter, [f"voice{n}@letters.example" for n in range(60)])

    async def confirm(signature_id: SignatureId) -> int:
        page = await follow(site, await site.client.post(f"/en/confirm/{rows.token(letter, signature_id)}"))
        (number,) = re.findall(r"You are the (\d+)", page)
        (people,) = re.findall(r"So far: (\d+) ", page)
        assert int(people) >= int(number)
        return int(number)

    assert sorted(await asyncio.gather(*map(confirm, ids))) == list(range(1, 61))


async def test_a_button_pressed_twice_is_answered_as_the_first_time(site: Installation) -> None:
    first, second = await Waiting.of(site), await Waiting.of(site)
    for _ in range(2):
        page = await follow(site, await site.client.post(first.link))
        assert "You are the 1st to sign." in page
        assert "So far: 1 person" in page
    # Another link of the same mailbox: it counts, as the first one.
    page = await follow(site, await site.client.post(second.link))
    assert "Your signature counts" in page
    assert "You are the" not in page
    assert "So far: 1 person" in page


async def test_it_says_no_number_while_the_list_is_hidden(site: Installation) -> None:
    await execute(site, "INSERT INTO switch (name, value) VALUES ('hide_list', 'on')")
    try:
        async with asyncio.timeout(60):
            while "is hidden at the moment" not in (await site.client.get(f"/en/{SLUG}")).text:
                await asyncio.sleep(0.05)
        page = await follow(site, await site.client.post((await Waiting.of(site)).link))
    finally:
        await execute(site, "DELETE FROM switch")
    assert "Your signature counts" in page
    assert "So far: 1 person" in page
    assert "You are the" not in page


async def test_an_organization_waits_and_has_no_number(site: Installation) -> None:
    waiting = await Waiting.of(site, organization_en="North Pier")
    answer = await site.client.post(waiting.link)
    page = await follow(site, answer)
    assert "Confirmed. It now waits for approval" in page
    assert "You are the" not in page
    assert "So far" not in page


@pytest.mark.parametrize("query", ["", "?as=organization", "?as=waiting", "?ticket=x", "?ticket=%00", "?as=x", "?n=7"])
async def test_opened_directly_it_claims_nothing_about_its_reader(site: Installation, query: str) -> None:
    page = await site.client.get(f"{SIGNED}{query}")
    check_page(page, 200)
    for claim in ("Your signature counts", "Confirmed", "You are the", "Yours"):
        assert claim not in page.text


async def test_a_ticket_is_void_after_a_while_and_nowhere_else(
    site: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = await site.client.post((await Waiting.of(site)).link)
    address = answer.headers["location"]
    assert "You are the 1st" in await follow(site, answer)
    assert without_ticket(address) == SIGNED
    cut = await site.client.get(address[:-3])
    assert "You are the" not in cut.text
    held = await site.client.get(f"{address}&as=organization")
    assert "Confirmed" not in held.text
    monkeypatch.setattr(thanks, "LIFETIME", -1)
    assert "You are the" not in await follow(site, answer)
