"""Over a slow line people type before the scripts arrive: what they typed counts as if the scripts had been there."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Browser, Page, Request, Route, expect

from tests.browser.desk import Seat, seat
from tests.browser.visitor import Town
from tests.running import SLUG

pytestmark = pytest.mark.browser

TITLE_EN = '[id="f-title.en"]'


@asynccontextmanager
async def late(page: Page, script: str, address: str) -> AsyncIterator[None]:
    """Open a page whose script arrives only at the end of the block."""
    arrives = asyncio.Event()

    async def hold(route: Route) -> None:
        await arrives.wait()
        await route.continue_()

    await page.route(f"**/{script}?*", hold)
    # Not "load", nor "domcontentloaded": both wait for the script.
    await page.goto(address, wait_until="commit")
    yield
    async with page.expect_response(f"**/{script}?*"):
        arrives.set()


@asynccontextmanager
async def sits(chromium: Browser, town: Town, email: str) -> AsyncIterator[Seat]:
    async with seat(chromium, town) as one:
        await one.sit(email, "owner")
        yield one


def desk(town: Town, path: str) -> str:
    return f"{town.base}/organizer/{path}"


async def test_an_address_is_suggested(chromium: Browser, town: Town) -> None:
    async with sits(chromium, town, "title@late.example") as one:
        async with late(one.page, "new.js", desk(town, "letters/new")):
            await one.page.fill("[name='title.ru']", "Оставьте каналы открытыми")
        await expect(one.page.locator("[name=slug]")).to_have_value("ostavte-kanaly-otkrytymi")


async def test_an_address_of_ones_own_is_looked_up(chromium: Browser, town: Town) -> None:
    async with sits(chromium, town, "slug@late.example") as one:
        async with late(one.page, "new.js", desk(town, "letters/new")):
            await one.page.fill("[name=slug]", SLUG)
            await one.page.fill("[name='title.en']", "A title")
        await expect(one.page.locator("#e-slug")).to_have_text("This address is taken. Choose another one.")
        assert await one.page.input_value("[name=slug]") == SLUG


async def test_a_text_is_saved(chromium: Browser, hamlet: Town) -> None:
    async with sits(chromium, hamlet, "text@late.example") as one:
        async with late(one.page, "text.js", desk(hamlet, f"{SLUG}/text")):
            await one.page.fill(TITLE_EN, "Typed early")
        await expect(one.page.locator("iframe").content_frame.locator("h1")).to_have_text("Typed early")


async def test_a_text_that_was_not_touched_is_not_saved(chromium: Browser, hamlet: Town) -> None:
    async with sits(chromium, hamlet, "read@late.example") as one:
        sent: list[str] = []

        def note(request: Request) -> None:
            if request.method == "POST":
                sent.append(request.url)

        one.page.on("request", note)
        await one.open(f"{SLUG}/text")
        status = await one.page.inner_text("[data-status]")
        await one.page.wait_for_timeout(1_500)  # longer than it waits after a key
        assert (await one.page.inner_text("[data-status]"), sent) == (status, [])


async def test_it_is_stored_until_it_is_sent(chromium: Browser, town: Town) -> None:
    async with sits(chromium, town, "update@late.example") as one:
        async with late(one.page, "unsent.js", desk(town, f"{SLUG}/updates")):
            await one.page.fill("#f-title_en", "An answer")
        await one.page.wait_for_function("sessionStorage.length > 0")
        await one.open(f"{SLUG}/updates")
        assert await one.page.input_value("#f-title_en") == "An answer"


async def test_what_is_typed_is_not_replaced_by_what_was_stored(chromium: Browser, town: Town) -> None:
    async with sits(chromium, town, "twice@late.example") as one:
        await one.open(f"{SLUG}/updates")
        await one.page.fill("#f-title_en", "Stored")
        async with late(one.page, "unsent.js", desk(town, f"{SLUG}/updates")):
            await one.page.fill("#f-title_en", "Typed again")
        await one.page.wait_for_function("Object.values(sessionStorage).some((each) => each.includes('again'))")
        assert await one.page.input_value("#f-title_en") == "Typed again"


async def test_the_preview_shows_the_name(chromium: Browser, town: Town) -> None:
    page = await chromium.new_page(extra_http_headers=town.site.new_network())
    async with late(page, "sign.js", f"{town.base}/en/{SLUG}"):
        await page.fill("#f-name", "Anna Early")
    await expect(page.locator("[data-typed=name]").first).to_have_text("Anna Early")
    await page.close()


async def test_the_builder_follows(chromium: Browser, town: Town) -> None:
    page = await chromium.new_page(extra_http_headers=town.site.new_network())
    async with late(page, "builder.js", f"{town.base}/en/{SLUG}/embed"):
        await page.select_option("[name=show]", "button")
    await expect(page.locator("iframe")).to_have_attribute("src", f"/embed/{SLUG}?show=button")
    await page.close()
