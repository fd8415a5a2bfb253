"""What is typed at the desk outlives going away, a lost session and a lost connection."""

import pytest
from playwright.async_api import Browser

from tests.browser.desk import Seat, seat
from tests.browser.visitor import Town
from tests.rows import rows_of
from tests.running import SLUG

pytestmark = pytest.mark.browser

UPDATES = f"{SLUG}/updates"
TYPED = "We have an answer.\n\nIt is long, and it took an hour to write it down here."
TEXTS = "SELECT texts->'en'->>'markdown' AS text FROM news ORDER BY id"


async def type_update(one: Seat) -> None:
    await one.open(UPDATES)
    await one.page.fill("#f-title_en", "An answer")
    await one.page.fill("#f-text_en", TYPED)


async def typed(one: Seat) -> str:
    return await one.page.input_value("#f-text_en")


async def test_it_is_there_after_going_away(chromium: Browser, town: Town) -> None:
    async with seat(chromium, town) as one:
        await one.sit("away@desk.example", "owner")
        await type_update(one)
        await one.open(f"{SLUG}/")
        await one.page.go_back()
        assert await typed(one) == TYPED
        await one.open(UPDATES)
        assert await typed(one) == TYPED
        assert "was not sent" in await one.text()
        await one.page.click("button[value=save]")
        await one.page.wait_for_url("**?done=save#preview")
        await one.open(UPDATES)
        assert await typed(one) == ""


async def test_it_is_there_after_the_connection_was_lost(chromium: Browser, town: Town) -> None:
    async with seat(chromium, town) as one:
        await one.sit("offline@desk.example", "owner")
        await type_update(one)
        await one.page.context.set_offline(True)
        await one.page.click("button[value=save]")
        await one.page.wait_for_url("chrome-error://**")
        await one.page.context.set_offline(False)
        await one.open(UPDATES)
        assert await typed(one) == TYPED
        one.complaints.clear()  # the browser's own of being offline


async def test_what_was_refused_is_not_restored_twice(chromium: Browser, town: Town) -> None:
    async with seat(chromium, town) as one:
        await one.sit("refused@desk.example", "owner")
        await one.open(UPDATES)
        await one.page.fill("#f-text_en", TYPED)
        await one.page.click("button[value=save]")
        assert await one.page.get_attribute("#f-title_en", "aria-invalid") == "true"
        assert await typed(one) == TYPED
        assert "was not sent" not in await one.text()


async def test_nothing_stays_after_signing_out(chromium: Browser, town: Town) -> None:
    async with seat(chromium, town) as one:
        await one.sit("leaves@desk.example", "owner")
        await type_update(one)
        await one.page.evaluate("document.querySelector(`form[action='/organizer/leave']`).requestSubmit()")
        await one.page.wait_for_url("**/organizer/enter**")
        assert await one.page.evaluate("sessionStorage.length") == 0


@pytest.mark.parametrize("scripts", [True, False])
async def test_a_lost_session_costs_no_text(chromium: Browser, town: Town, scripts: bool) -> None:
    async with seat(chromium, town, java_script_enabled=scripts) as one:
        await one.sit(f"lost-{scripts}@desk.example", "owner")
        cookies = await one.context.cookies()
        await type_update(one)
        await one.context.clear_cookies()
        await one.page.click("button[value=save]")
        assert "Nothing is lost" in await one.text()
        assert await one.page.input_value("textarea") == TYPED
        assert await one.page.get_attribute("a[target=_blank]", "href") == "/organizer/enter"
        before = len(await rows_of(town.site.database, TEXTS))
        await one.context.add_cookies(cookies)  # type: ignore[arg-type]
        await one.page.click("button:text('Send again')")
        await one.page.wait_for_url("**?done=save")
        rows = await rows_of(town.site.database, TEXTS)
        assert len(rows) == before + 1
        assert rows[-1]["text"] == TYPED
