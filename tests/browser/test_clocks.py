"""While a time is typed in the organizer's zone, the page says what the clock says then in other places."""

import pytest
from playwright.async_api import Browser, expect

from tests.browser.desk import seat
from tests.browser.visitor import Town
from tests.running import SLUG

pytestmark = pytest.mark.browser


async def test_other_clocks_are_shown_while_typing(chromium: Browser, hamlet: Town) -> None:
    async with seat(chromium, hamlet) as vera:
        await vera.sit("vera@letters.example", "editor", name="Vera Novak")
        async with hamlet.site.database.connection() as conn:
            await conn.execute("UPDATE organizer SET zone = 'Europe/Berlin'")
        await vera.open(f"{SLUG}/updates")
        await vera.page.click("summary:has-text('Publish later')")
        clocks = vera.page.locator("[data-clocks=f-publish_at]")
        for typed, other in (
            ("2099-07-01T18:00", "UTC 4:00 PM · Moscow 7:00 PM"),
            ("2099-01-01T00:30", "UTC Dec 31, 11:30 PM · Moscow 2:30 AM"),
            ("2026-10-25T03:00", "UTC 2:00 AM · Moscow 5:00 AM"),
            ("2026-03-29T03:00", "UTC 1:00 AM · Moscow 4:00 AM"),
        ):
            await vera.page.fill("#f-publish_at", typed)
            await expect(clocks).to_have_text(other)
        await vera.page.fill("#f-publish_at", "")
        await expect(clocks).to_have_text("")
