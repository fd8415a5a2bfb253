"""Messages to a representative: ready sentences, an answer by the mailed form, the thread at the desk."""

import re

import pytest
from playwright.async_api import Browser

from tests import rows
from tests.browser.desk import Seat, seat
from tests.browser.visitor import Town
from tests.moderation.desk import Bench
from tests.running import SLUG

pytestmark = pytest.mark.browser


async def test_an_answer_comes_back_to_the_desk(hamlet: Town, chromium: Browser) -> None:
    async with seat(chromium, hamlet) as ada:
        await ada.sit("ada@desk.example", "moderator", name="Ada")
        await write_and_answer(hamlet, ada)


async def write_and_answer(hamlet: Town, ada: Seat) -> None:
    async with hamlet.site.database.connection() as conn:
        bench = Bench(hamlet.site.database, await rows.letter(conn))
    held = await bench.sign_for("North Pier", website="https://northpier.example")
    await ada.open(f"{SLUG}/signatures/{held}")
    await ada.page.click("#message ~ form details summary")
    await ada.page.locator("[data-fill]").first.click()
    sentence = await ada.page.input_value("#f-message")
    assert sentence == await ada.page.locator("li:has([data-fill]) span").first.text_content()
    await ada.page.click("button[value=message]")
    body = (await hamlet.mail_to("office1@letters.example")).body("plain") or ""
    link = re.search(r"http://\S+/reply/\S+", body)
    assert link
    assert sentence in body

    page = await ada.page.context.new_page()
    await page.goto(link[0])
    assert await page.locator("blockquote").inner_text() == sentence
    await page.fill("#f-text", "The director.\nAnna")
    await page.click("main form button")
    assert "Your answer was sent" in await page.inner_text("main")
    await page.close()

    await ada.open(f"{SLUG}/signatures/{held}")
    thread = await ada.text("section:has(#message)")
    assert sentence in thread
    assert "The director." in thread
    assert await ada.barriers() == []
    await ada.page.click("button[value=read_messages]")
    assert await ada.page.locator("button[value=read_messages]").count() == 0
