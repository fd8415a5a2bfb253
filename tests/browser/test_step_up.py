"""The second factor asked for again: by passkey, by code without scripts, with the form kept; the journal beside it."""

import os
from typing import Literal

import pyotp
import pytest
from playwright.async_api import Browser

from tests.browser.desk import Seat, seat
from tests.browser.hardships import hardships
from tests.browser.visitor import DESK, PHONE, Town
from tests.organizers import people
from tests.rows import rows_of
from tests.running import SLUG

pytestmark = pytest.mark.browser

AGE = "UPDATE session SET proved_at = now() - interval '20 minutes' WHERE proved_at IS NOT NULL"
INVITED = "SELECT count(*) AS number FROM invitation WHERE name = $1"


async def age(town: Town) -> None:
    async with town.site.database.connection() as conn:
        await conn.execute(AGE)


async def invite(one: Seat, name: str) -> None:
    """Send the form of an invitation, with a factor that was proved too long ago."""
    await one.open(f"{SLUG}/members")
    await age(one.town)
    await one.page.fill("#f-name", name)
    await one.page.fill("#f-email", f"{name.lower()}@letters.example")
    await one.page.check("[name=role][value=viewer]")
    await one.page.click("form[action$=invite] button")
    await one.page.wait_for_selector("[name=factor-code]")


async def test_a_passkey_carries_out_what_was_sent(chromium: Browser, town: Town) -> None:
    async with seat(chromium, town) as one:
        await one.sit("passkey@desk.example", "owner", name="Vera")
        await one.authenticator()
        await one.open("security")
        await one.page.click("text=Set up a passkey")
        await one.page.wait_for_selector("ol.codes")
        await invite(one, "Timur")
        await one.page.click("text=Use your passkey")
        await one.page.wait_for_url("**/members?done=invited")
        assert "Timur" in await one.text()
    assert await rows_of(town.site.database, INVITED, "Timur") == [{"number": 1}]


async def test_a_code_does_without_scripts(chromium: Browser, town: Town) -> None:
    async with seat(chromium, town, java_script_enabled=False) as one:
        await one.sit("code@desk.example", "owner", name="Vera")
        await invite(one, "Nadia")
        await one.page.fill("[name=factor-code]", "000000")
        await one.page.click("text=Verify and continue")
        assert "This code is wrong" in await one.text()
        await one.page.fill("[name=factor-code]", pyotp.TOTP(people.SECRET).now())
        await one.page.click("text=Verify and continue")
        await one.page.wait_for_url("**/members?done=invited")
        assert "Nadia" in await one.text()


LOOKS: list[tuple[str, int, Literal["light", "dark"]]] = [("ru", PHONE, "light"), ("en", DESK, "dark")]


@pytest.mark.parametrize(("lang", "width", "scheme"), LOOKS)
async def test_axe_finds_nothing(
    chromium: Browser, town: Town, lang: str, width: int, scheme: Literal["light", "dark"]
) -> None:
    async with seat(chromium, town, width=width, color_scheme=scheme, locale=lang) as one:
        await one.sit(f"axe-{lang}@desk.example", "owner", name="Vera", lang=lang, admin=True)
        await invite(one, f"Axe{lang}")
        await _shot(one, f"step_up_{lang}")
        assert [*await one.barriers(), *await hardships(one.page)] == []
        await one.page.fill("[name=factor-code]", "111111")
        await one.page.press("[name=factor-code]", "Enter")
        await one.page.wait_for_selector("[aria-invalid]")
        assert await one.barriers() == []
        for path in (f"{SLUG}/access", "installation/access"):
            await one.open("security")
            await one.page.goto(f"{one.town.base}/organizer/{path}")
            assert await one.page.locator("tbody tr").count() > 0
            await _shot(one, f"access_{path.partition('/')[0]}_{lang}")
            assert [*await one.barriers(), *await hardships(one.page)] == []


async def _shot(one: Seat, name: str) -> None:
    if folder := os.environ.get("SHOTS"):
        await one.page.screenshot(path=f"{folder}/{name}.png", full_page=True)
