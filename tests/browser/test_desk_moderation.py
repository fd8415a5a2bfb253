"""Two moderators at work at the same time, and a campaign over ten thousand that is cancelled half-way and reverted."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from playwright.async_api import Browser, expect

from petition.core.database import Database
from petition.core.encryption import Wrapper
from petition.moderation import bulk_acts
from tests import rows
from tests.browser.desk import Seat, seat
from tests.browser.visitor import PATIENCE, Town
from tests.moderation.desk import Bench
from tests.running import SLUG

pytestmark = pytest.mark.browser

MANY = 10_000
Sit = Callable[..., Awaitable[Seat]]


@pytest.fixture
async def bench(hamlet: Town) -> Bench:
    """Give what stands on the letter, and the count checked against it."""
    async with hamlet.site.database.connection() as conn:
        return Bench(hamlet.site.database, await rows.letter(conn))


@pytest.fixture
async def sit(chromium: Browser, hamlet: Town) -> AsyncIterator[Sit]:
    """Give a function that has a moderator sit down at the desk."""
    async with AsyncExitStack() as stack:

        async def come(name: str, **more: Any) -> Seat:
            one = await stack.enter_async_context(seat(chromium, hamlet, **more))
            await one.sit(f"{name.lower()}@desk.example", "moderator", name=name)
            return one

        yield come


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> asyncio.Semaphore:
    """Give the number of steps of campaigns that the worker may still take; it waits when there are none left."""
    left = asyncio.Semaphore(0)
    step = bulk_acts.step

    async def measured(database: Database, wrapper: Wrapper) -> bool:
        if left.locked():
            return False
        await left.acquire()
        if await step(database, wrapper):
            return True
        left.release()
        return False

    monkeypatch.setattr(bulk_acts, "step", measured)
    return left


async def changed_becomes(one: Seat, number: str) -> None:
    """Wait until the page says how many were changed, by itself."""
    await expect(one.page.locator("#facts")).to_contain_text(number, timeout=PATIENCE)


async def press(one: Seat, text: str) -> None:
    """Press a button, and wait until the page is there again."""
    await one.page.get_by_role("button", name=text).click()
    await one.page.wait_for_load_state()


async def test_ten_thousand_half_way_and_back(hamlet: Town, bench: Bench, sit: Sit, steps: asyncio.Semaphore) -> None:
    crowd = await bench.crowd(MANY, country="FJ")
    (vera,) = await bench.sign("Vera Novak")
    ada, bo = await sit("Ada"), await sit("Bo", java_script_enabled=False)

    await ada.open(f"{SLUG}/queue?country=FJ")
    await ada.page.locator(".more summary").click()
    await press(ada, "Remove all…")
    assert "10,000 signatures" in await ada.text("#facts")
    assert "Vera Crowd" in await ada.text()
    assert (await bench.check())["people"] == MANY + 1  # nothing has happened yet
    await press(ada, "Start: 10,000 signatures")
    assert "Choose a reason." in await ada.text()
    await ada.page.select_option("#reason", "fake")
    await press(ada, "Start: 10,000 signatures")
    for _ in range(10):
        steps.release()
    await changed_becomes(ada, "5,000")
    assert (await bench.check())["people"] == MANY + 1 - 5000
    assert await ada.barriers() == []  # while it is under way

    # Meanwhile the second moderator removes one whose turn has not come, and one that is not concerned at all.
    for one, left in ((crowd[-1], 5000), (vera, 4999)):
        await bo.open(f"{SLUG}/signatures/{one}")
        await bo.page.select_option("#reason", "duplicate")
        await press(bo, "Remove")
        assert (await bench.check())["people"] == left

    await press(ada, "Cancel")
    assert "cancelled" in await ada.text("#facts")
    for _ in range(50):
        steps.release()
    await asyncio.sleep(0)
    assert (await bench.check())["people"] == 4999

    await press(ada, "Revert all of it")
    await changed_becomes(ada, "Ended")
    assert "State reverted" in await ada.text("#facts")
    assert "Changed 0" in await ada.text("#facts")
    assert (await bench.check())["people"] == MANY - 1
    assert await bench.states(crowd[0], crowd[-1], vera) == ["confirmed", "removed", "removed"]

    # Readers see the same count; and all of it stands in the log, by whom.
    async with asyncio.timeout(PATIENCE / 1000):
        while (await hamlet.site.client.get(f"/api/v1/letters/{SLUG}/count")).json()["total"] != MANY - 1:
            await asyncio.sleep(0.1)
    await bo.open(f"{SLUG}/log")
    told = await bo.text()
    for words in ("Ada", "bulk act started", "bulk act cancelled", "bulk act being reverted", "Bo", "duplicate"):
        assert words in told


async def test_two_on_one_row_by_keyboard(bench: Bench, sit: Sit) -> None:
    held = [await bench.sign_for(name) for name in ("North Pier", "Third Line", "West Gate")]
    ada, bo = await sit("Ada"), await sit("Bo")
    for one in (ada, bo):
        await one.open(f"{SLUG}/queue?state=held")
        await one.page.keyboard.press("j")  # the newest: West Gate
    await ada.page.keyboard.press("a")
    await ada.page.wait_for_url("**done=**")
    assert "Approved: West Gate" in await ada.text(".did")
    await bo.page.keyboard.press("r")
    await bo.page.keyboard.press("1")
    await bo.page.wait_for_url("**missed=1**")
    told = await bo.text(".notice.bad")
    assert "A colleague has changed it meanwhile" in told
    assert "Ada" in told
    assert "approved" in told
    assert await bench.states(*held) == ["held", "held", "confirmed"]
    await bench.check()
    # Each undoes their own last act only.
    await bo.page.keyboard.press("u")
    await ada.page.keyboard.press("u")
    await expect(ada.page.locator(".did")).to_contain_text("Undone: West Gate", timeout=PATIENCE)
    assert await bench.states(*held) == ["held"] * 3
    assert (await bench.check())["organizations"] == 0
    await ada.page.keyboard.press("?")
    assert await ada.page.locator("dialog#keys").is_visible()


async def strike(one: Seat, key: str, code: str, *, shift: bool = False) -> None:
    """Press the physical key ``code`` while it writes ``key``."""
    session = await one.page.context.new_cdp_session(one.page)
    given = {"key": key, "code": code, "modifiers": 8 * shift}
    await session.send("Input.dispatchKeyEvent", {"type": "keyDown", "text": key, **given})
    await session.send("Input.dispatchKeyEvent", {"type": "keyUp", **given})


async def test_keys_in_a_russian_layout(bench: Bench, sit: Sit) -> None:
    held = [await bench.sign_for(name) for name in ("North Pier", "Third Line", "West Gate")]
    ada = await sit("Ada")
    await ada.open(f"{SLUG}/queue?state=held")
    await strike(ada, "о", "KeyJ")
    await strike(ada, "О", "KeyJ", shift=True)  # with caps lock
    await strike(ada, "л", "KeyK")
    await strike(ada, "ф", "KeyA")
    await ada.page.wait_for_url("**done=**")
    assert await bench.states(*held) == ["held", "held", "confirmed"]
    await strike(ada, "г", "KeyU")
    await expect(ada.page.locator(".did")).to_contain_text("Undone: West Gate", timeout=PATIENCE)
    assert await bench.states(*held) == ["held"] * 3
    # While somebody types, the same keys are letters; and a Latin letter counts wherever its key lies.
    await strike(ada, "а", "KeyF")
    await expect(ada.page.locator("input[name=q]")).to_be_focused()
    await strike(ada, "ф", "KeyA")
    await strike(ada, ",", "Slash", shift=True)
    assert await ada.page.input_value("input[name=q]") == "ф,"
    await ada.page.locator("h1").click()
    await strike(ada, "w", "KeyU")
    assert not await ada.page.locator("dialog#keys").is_visible()
    await strike(ada, ",", "Slash", shift=True)
    assert await ada.page.locator("dialog#keys").is_visible()
    assert await bench.states(*held) == ["held"] * 3


async def test_the_keyboard_keeps_its_place(bench: Bench, sit: Sit) -> None:
    held = [await bench.sign_for(name) for name in ("Fifth Wall", "North Pier", "Third Line", "West Gate")]
    ada = await sit("Ada")
    focused = ada.page.locator("[data-row]:focus-within")
    await ada.open(f"{SLUG}/queue")  # without a word in the address it opens on what waits
    for _ in range(2):
        await ada.page.keyboard.press("j")
    await expect(focused).to_contain_text("Third Line")
    await ada.page.keyboard.press("r")
    await expect(ada.page.locator("tr.asking button").first).to_be_focused()
    await ada.page.keyboard.press("Escape")
    await expect(focused).to_contain_text("Third Line")
    await ada.page.keyboard.press("r")
    await ada.page.keyboard.press("2")
    await expect(ada.page.locator(".did")).to_contain_text("Removed: Third Line, duplicate", timeout=PATIENCE)
    await expect(focused).to_contain_text("North Pier")  # the next row, not the top
    await ada.page.keyboard.press("a")
    await expect(ada.page.locator(".did")).to_contain_text("Approved: North Pier", timeout=PATIENCE)
    await expect(focused).to_contain_text("Fifth Wall")
    assert await bench.states(*held) == ["held", "confirmed", "removed", "held"]
    await ada.page.keyboard.press("u")
    await expect(focused).to_contain_text("North Pier", timeout=PATIENCE)  # what was undone
    assert await bench.states(*held) == ["held", "held", "removed", "held"]


async def test_ticking_the_page_offers_all_that_match(bench: Bench, sit: Sit) -> None:
    await bench.crowd(120, country="FJ")
    ada = await sit("Ada")
    await ada.open(f"{SLUG}/queue?country=FJ")
    assert "1–40 of 120" in await ada.text(".range")
    await ada.page.locator("[data-all]").check()
    assert "Ticked: 40" in await ada.text(".bar")
    await ada.page.get_by_role("button", name="Tick all 120").click()
    await ada.page.keyboard.press("r")
    await ada.page.keyboard.press("1")
    await ada.page.wait_for_url("**/campaigns/*")
    assert "120 signatures" in await ada.text("#facts")
    assert await ada.page.locator("#reason").input_value() == "fake"
    assert (await bench.check())["people"] == 120  # nothing has happened yet


async def test_why_is_asked_at_the_row_without_scripts(bench: Bench, sit: Sit) -> None:
    held = [await bench.sign_for(name) for name in ("North Pier", "Third Line", "West Gate")]
    ada = await sit("Ada", java_script_enabled=False)
    await ada.open(f"{SLUG}/queue")
    row = ada.page.locator("[data-row]", has_text="Third Line")
    assert await ada.page.locator("tr.asking").count() == 0
    await row.get_by_role("button", name="Remove…").click()
    await ada.page.locator("tr.asking").get_by_role("button", name="made up").click()
    await ada.page.wait_for_url("**done=**")
    assert ada.page.url.endswith(f"#n{held[0]}")
    assert "Removed: Third Line, made up" in await ada.text(".did")
    await ada.page.locator(".did").get_by_role("button", name="Undo").click()
    await ada.page.wait_for_load_state()
    assert await bench.states(*held) == ["held"] * 3
