"""Two forms of one mailbox, the second with the name put right: confirming the second puts it right."""

import secrets

import pytest

from petition.core.ids import SignatureId
from tests import rows
from tests.pages import check_page
from tests.running import SLUG, Installation


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


@pytest.mark.parametrize("again", [1, 2], ids=["once", "twice"])
async def test_the_later_form_replaces_the_earlier(site: Installation, again: int) -> None:
    email = f"{secrets.token_hex(6)}@letters.example"
    first = await pending_link(site, email=email, name="Vera Nowak", city="Рига")
    second = await pending_link(site, email=email, name="Vera Novak", country="DE")
    await confirm(site, first)
    for _ in range(again):  # the second time is harmless
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
