"""Two forms of one mailbox, the second with the name put right: confirming the second puts it right."""

import asyncio
import secrets
from datetime import timedelta

import pytest

from petition.core.ids import SignatureId
from tests import rows
from tests.pages import check_page
from tests.running import SLUG, Installation
from tests.signatures.waiting import VERA, Waiting


async def pending_link(site: Installation, **fields: str) -> str:
    """Sign and return the link to confirm."""
    assert (await site.sign(**fields)).status_code == 303
    (row,) = await rows.rows_of(site.database, "SELECT id FROM pending ORDER BY created_at DESC LIMIT 1")
    async with site.database.connection() as conn:
        letter = await rows.letter(conn)
    return f"/en/confirm/{rows.token(letter, SignatureId(row['id']))}"


async def confirm(site: Installation, link: str) -> str:
    """Press the button; return the text of the page that follows."""
    answer = await site.client.post(link)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith(f"/en/{SLUG}/signed")
    page = await site.client.get(answer.headers["location"])
    check_page(page, 200)
    return page.text


async def stored(site: Installation, link: str) -> dict[str, str]:
    data = await site.client.get(link.replace("/confirm/", "/signature/") + "/data.json")
    return {key: value for key, value in data.json().items() if key in {"name", "city", "country", "visibility"}}


def own_page(link: str) -> str:
    return link.replace("/confirm/", "/signature/")


async def check_leads(site: Installation, link: str, own: str) -> None:
    """Check that a used link, opened or pressed again, leads to the own page."""
    for answer in (
        await site.client.get(link),
        await site.client.get(own_page(link)),
        await site.client.post(link),
        await site.client.post(link),
    ):
        assert (answer.status_code, answer.headers["location"]) == (303, own)


async def two_links(site: Installation) -> tuple[str, str]:
    """Sign twice, the second time with the name put right; return both links."""
    email = f"{secrets.token_hex(6)}@letters.example"
    first = await pending_link(site, email=email, name="Vera Nowak")
    return first, await pending_link(site, email=email, name="Vera Novak")


async def test_the_later_form_replaces_the_earlier(site: Installation) -> None:
    email = f"{secrets.token_hex(6)}@letters.example"
    first = await pending_link(site, email=email, name="Vera Nowak", city="Рига")
    second = await pending_link(site, email=email, name="Vera Novak", country="DE")
    await confirm(site, first)
    assert "has replaced it" in await confirm(site, second)
    assert await stored(site, first) == {"name": "Vera Novak", "city": None, "country": "DE", "visibility": "public"}
    assert await site.count() == {"people": 1, "organizations": 0, "hidden": 0, "imported": 0}
    listed = (await site.client.get(f"/en/{SLUG}/signatories")).text
    assert "Vera Novak" in listed
    assert "Vera Nowak" not in listed


async def test_the_earlier_form_does_not_come_back(site: Installation) -> None:
    email = f"{secrets.token_hex(6)}@letters.example"
    first = await pending_link(site, email=email, name="Vera Nowak")
    second = await pending_link(site, email=email, name="Vera Novak")
    await confirm(site, second)
    assert "That one stays" in await confirm(site, first)
    assert (await stored(site, second))["name"] == "Vera Novak"


async def test_the_later_form_may_show_the_name(site: Installation) -> None:
    email = f"{secrets.token_hex(6)}@letters.example"
    first = await pending_link(site, email=email, visibility="counted", name="")
    second = await pending_link(site, email=email, name="Vera Novak", city="Рига", country="LV")
    await confirm(site, first)
    assert "has replaced it" in await confirm(site, second)
    assert await stored(site, first) == {"name": "Vera Novak", "city": "Рига", "country": "LV", "visibility": "public"}


async def test_the_later_form_may_hide_the_name(site: Installation) -> None:
    email = f"{secrets.token_hex(6)}@letters.example"
    first = await pending_link(site, email=email, name="Vera Novak", city="Рига", country="LV")
    second = await pending_link(site, email=email, visibility="counted", name="")
    await confirm(site, first)
    await confirm(site, second)
    assert await stored(site, first) == {"name": None, "city": None, "country": None, "visibility": "counted"}
    assert await site.count() == {"people": 1, "organizations": 0, "hidden": 1, "imported": 0}


async def test_an_organization_that_waits_takes_the_later_names(site: Installation) -> None:
    email = f"{secrets.token_hex(6)}@northpier.example"
    names = {"kind": "organization", "email": email}
    first = await pending_link(site, **names, organization_en="North Peer")
    second = await pending_link(site, **names, organization_en="North Pier")
    await confirm(site, first)
    assert "has replaced it" in await confirm(site, second)
    page = (await site.client.get(first.replace("/confirm/", "/signature/"))).text
    assert "North Pier" in page
    assert "North Peer" not in page


@pytest.mark.parametrize("is_reversed", [False, True], ids=["in order", "reversed"])
async def test_both_links_lead_to_the_one_signature(site: Installation, is_reversed: bool) -> None:
    links = await two_links(site)
    used, other = reversed(links) if is_reversed else links
    await confirm(site, used)
    check_page(await site.client.get(other), 200)  # it can still be confirmed
    await confirm(site, other)
    await check_leads(site, other, own_page(used))
    assert (await site.client.get(used)).headers["location"] == own_page(used)
    page = await site.client.get(own_page(used))
    check_page(page, 200)
    assert "Vera Novak" in page.text
    assert await stored(site, other) == await stored(site, used)


async def test_a_correction_stays_when_the_later_link_is_pressed_again(site: Installation) -> None:
    first, second = await two_links(site)
    await confirm(site, first)
    await confirm(site, second)
    await site.client.post(own_page(first), data={"action": "correct", "name": "Vera Nováková"})
    await check_leads(site, second, own_page(first))
    assert (await stored(site, second))["name"] == "Vera Nováková"


async def test_after_withdrawing_the_later_link_says_so(site: Installation) -> None:
    first, second = await two_links(site)
    await confirm(site, first)
    await confirm(site, second)
    assert (await site.client.post(own_page(second), data={"action": "withdraw"})).status_code == 303
    await check_leads(site, second, own_page(first))
    assert await site.count() == {"people": 0, "organizations": 0, "hidden": 0, "imported": 0}


async def test_after_deleting_neither_link_knows_anything(site: Installation) -> None:
    first, second = await two_links(site)
    await confirm(site, first)
    await confirm(site, second)
    await site.client.post(own_page(first), data={"action": "delete"})
    assert await rows.rows_of(site.database, "SELECT FROM other_link") == []
    for link in (first, second):
        for answer in (await site.client.get(link), await site.client.post(link)):
            check_page(answer, 410)
            assert "This link has no signature any more" in answer.text


async def test_the_later_form_is_used_once_when_pressed_twice_at_once(site: Installation) -> None:
    first, second = await two_links(site)
    await confirm(site, first)
    answers = await asyncio.gather(*(site.client.post(second) for _ in range(2)))
    locations = [answer.headers["location"] for answer in answers]
    assert sum("again=replaced" in location for location in locations) == 1
    assert own_page(first) in locations


async def test_the_code_of_a_used_later_form_leads_to_the_own_page(site: Installation) -> None:
    first = await Waiting.of(site, VERA, timedelta(minutes=1))
    second = await Waiting.of(site)
    await confirm(site, first.link)
    await confirm(site, second.link)
    answer = await second.type_code()
    assert (answer.status_code, answer.headers["location"]) == (303, first.own)
