"""States, switches and updates in a real browser: worked without scripts, read by everybody, seen by readers."""

from typing import Any

import pytest
from playwright.async_api import Browser

from tests.browser.desk import seat
from tests.browser.visitor import LOOKS, Meet, Town
from tests.html_checker import Documents
from tests.running import SLUG

pytestmark = pytest.mark.browser

LONG = "Из-за поддельных подписей сбор остановлен до понедельника; ваши данные в безопасности. " * 3


async def test_signing_is_stopped_and_goes_on_without_scripts(chromium: Browser, hamlet: Town, meet: Meet) -> None:
    visitor = await meet(hamlet)
    async with seat(chromium, hamlet, java_script_enabled=False) as vera:
        await vera.sit("vera@letters.example", "editor", name="Vera Novak")
        await vera.open(f"{SLUG}/switches")
        await vera.page.fill("#stop-en", "Forged signatures came in.")
        await vera.page.click("section:has(#s-stop) button[value=on]")
        assert "Stop signing — on." in await vera.text(".notice")
        assert "Stop signing" in await vera.text(".switched")
        await visitor.open()
        assert "Forged signatures came in." in await visitor.text("#sign")
        assert await visitor.page.locator("#sign-form").count() == 0
        await vera.page.click(".notice button")  # undo
        assert await vera.page.locator(".switched").count() == 0
        await visitor.open()
        assert await visitor.page.locator("#sign-form").count() == 1


async def test_a_letter_is_closed_reopened_and_taken_down(chromium: Browser, hamlet: Town, meet: Meet) -> None:
    visitor = await meet(hamlet)
    async with seat(chromium, hamlet) as vera:
        await vera.sit("vera@letters.example", "owner", name="Vera Novak")
        await vera.open(f"{SLUG}/state")
        await vera.page.click("text=Close the letter")
        assert "The letter is closed." in await vera.text()
        await visitor.open()
        assert "Signing is closed" in await visitor.text("#sign")
        await vera.page.click(".notice button")
        assert "The letter is open again." in await vera.text()
        await vera.page.fill("#f-slug", "another")
        await vera.page.keyboard.press("Enter")
        assert "Nothing has been deleted" in await vera.text(".problem")
        assert await vera.page.evaluate("document.activeElement.id") == "f-slug"
        await vera.page.fill("#f-slug", SLUG)
        await vera.page.keyboard.press("Enter")
        await vera.page.wait_for_url("**/organizer/?done=down")
        assert "has been taken down" in await vera.text()
    answer = await visitor.page.goto(visitor.address())
    assert answer is not None
    assert answer.status == 410
    assert "taken down" in await visitor.text("main")
    visitor.complaints.clear()  # the browser's own remark about 410


async def test_an_update_is_written_previewed_and_read(chromium: Browser, hamlet: Town, meet: Meet) -> None:
    visitor = await meet(hamlet)
    async with seat(chromium, hamlet, java_script_enabled=False) as vera:
        await vera.sit("vera@letters.example", "editor", name="Vera Novak")
        await vera.open(f"{SLUG}/updates")
        await vera.page.fill("#f-title_en", "They have answered")
        await vera.page.fill("#f-text_en", "With a **yes**.")
        await vera.page.click("main button[value=preview]")
        assert await vera.page.locator(".preview strong").inner_text() == "yes"
        await vera.page.click("main button[value=publish]")
        assert "Published" in await vera.text()
    await hamlet.site.page_when(f"/en/{SLUG}", lambda page: "They have answered" in page)
    await visitor.open()
    assert "They have answered" in await visitor.text(".news")
    await visitor.page.click("text=They have answered")
    await visitor.page.wait_for_url("**/updates#u1")
    assert "With a yes." in await visitor.text("#u1")


@pytest.mark.parametrize("lang", LOOKS)
async def test_nobody_is_shut_out(chromium: Browser, hamlet: Town, lang: str) -> None:
    found: dict[str, Any] = {}
    documents = Documents()
    async with seat(chromium, hamlet, looks=LOOKS[lang], locale=lang) as one:
        documents.watch(one.context)
        await one.sit("anna@letters.example", "owner", name="Анна", lang=lang, admin=True)
        for path in (f"{SLUG}/state", f"{SLUG}/switches", "installation/switches", f"{SLUG}/updates"):
            await one.open(path)
            assert await one.page.get_attribute("html", "lang") == lang
            found[path] = await one.barriers()
        await one.page.fill("#f-title_en", "T" * 200)
        await one.page.click("main button[value=save]")
        found["update wrong"] = await one.barriers()
        await one.page.fill("#f-text_en", "**Text** " * 200)
        await one.page.click("main button[value=preview]")
        found["preview"] = await one.barriers()
        await one.page.click("main button[value=publish]")
        found["update"] = await one.barriers()
        for where in (f"{SLUG}/switches", "installation/switches"):
            await one.open(where)
            await one.page.click("section:has(#s-banner) button[value=on]")
            found["switch wrong"] = await one.barriers()
            await one.page.fill("#banner-ru", LONG[:300])
            await one.page.click("section:has(#s-banner) button[value=on]")
            found["switched"] = await one.barriers()
        await one.page.fill("#stop-ru", LONG[:300])
        await one.page.click("section:has(#s-stop) button[value=on]")
        await one.page.click("section:has(#s-hide_list) button[value=on]")
        await one.page.click("section:has(#s-read_only) button[value=off], section:has(#s-hold) button[value=on]")
        found["all on"] = await one.barriers()
        await hamlet.site.page_when(f"/{lang}/{SLUG}", lambda page: 'id="sign-form"' not in page)
        for path in ("", "/updates", "/signatories", "/find", "/signed?as=waiting"):
            await one.page.goto(f"{hamlet.base}/{lang}/{SLUG}{path}")
            found[f"public {path}"] = await one.barriers()
        await one.open(f"{SLUG}/state")
        await one.page.click("main button[value=close]")
        found["closed"] = await one.barriers()
        await one.page.click("main button[value=archive]")
        found["archived"] = await one.barriers()
        await one.page.fill("#f-slug", "another")
        await one.page.click("button.grave")
        found["wrong name"] = await one.barriers()
        await one.page.fill("#f-slug", SLUG)
        await one.page.click("button.grave")
        found["down"] = await one.barriers()
        await one.page.goto(f"{hamlet.base}/{lang}/{SLUG}")
        found["gone"] = await one.barriers()
        found["documents"] = await documents.problems()
    assert {page: barriers for page, barriers in found.items() if barriers} == {}
