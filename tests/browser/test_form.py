"""The signing form: short on a phone, one for both kinds; what was typed stays, and the inbox knows the address."""

import asyncio

import pytest
from playwright.async_api import Route, expect

from tests.browser.visitor import Meet, Town
from tests.running import SLUG, link_in

pytestmark = pytest.mark.browser

MAX_HEIGHT = 1280  # CSS pixels: 1.7 screens of a phone
SCRIPTS = pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
TYPED = {"name": "Анна Лебедева", "email": "anna@typed.example"}
WIDER = """[...document.querySelectorAll("body *")]
  .filter((each) => each.offsetWidth && !each.closest(".vh, .skip")
    && each.getBoundingClientRect().right > 361)
  .map((each) => `${each.tagName}.${each.className}`)"""


async def test_it_is_short_on_a_phone(town: Town, meet: Meet) -> None:
    visitor = await meet(town, "ru", scripts=False)
    await visitor.open()
    box = await visitor.page.locator("#sign").bounding_box()
    assert box
    assert box["height"] <= MAX_HEIGHT


@SCRIPTS
async def test_the_other_kind_keeps_what_was_typed_and_loads_no_page(town: Town, meet: Meet, scripts: bool) -> None:
    visitor = await meet(town, scripts=scripts)
    page = visitor.page
    await visitor.open()
    await visitor.fill(email="anna@typed.example", name="Anna", city="Riga")
    before = len(visitor.requests)
    await page.check("#sign-form [value=organization]")
    await expect(page.locator("#f-organization_en")).to_be_visible()
    await expect(page.locator("#f-city")).to_be_hidden()
    await expect(page.locator("#sign-form [value=counted]")).to_be_hidden()
    await page.fill("#f-organization_en", "North Pier")
    await page.check("#sign-form [value=person]")
    await expect(page.locator("#f-organization_en")).to_be_hidden()
    assert await page.input_value("#f-city") == "Riga"
    assert await page.input_value("#f-name") == "Anna"
    assert [kind for kind, _ in visitor.requests[before:] if kind == "document"] == []
    await page.check("#sign-form [value=counted]")
    await expect(page.locator("#f-name")).to_be_hidden()
    await expect(page.locator("#f-city")).to_be_hidden()


@SCRIPTS
async def test_the_other_language_keeps_what_was_typed(town: Town, meet: Meet, scripts: bool) -> None:
    visitor = await meet(town, "ru", scripts=scripts)
    page = visitor.page
    await visitor.open()
    await expect(page.locator(".langs a[lang=en]")).to_be_visible()
    for name, value in TYPED.items():
        await page.fill(f"#f-{name}", value)
    await page.check("#sign-form [value=organizers]")
    await page.click(".langs button[lang=en]")
    await page.wait_for_url(f"**/en/{SLUG}/form#sign")
    for name, value in TYPED.items():
        assert await page.input_value(f"#f-{name}") == value
    await expect(page.locator("#sign-form [value=organizers]")).to_be_checked()
    assert await page.locator(".problems").count() == 0
    await expect(page.locator("#sign-title")).to_be_in_viewport()
    await page.check("#f-consent")
    await page.press("#f-name", "Enter")  # signs, and does not change the language
    if not scripts:
        await visitor.page.wait_for_selector("form:has([name=drawn])")
        await visitor.type_code()
        await visitor.page.click("form:has([name=drawn]) button")
    await page.wait_for_url("**/en/**/check-your-inbox")


async def test_a_mailbox_in_cyrillic_signs(town: Town, meet: Meet) -> None:
    visitor = await meet(town, "ru")
    await visitor.sign(name="Иван", email="иван@почта.рф")
    assert await visitor.text("[data-address]") == "иван@почта.рф"


async def test_a_likely_slip_is_asked_about_and_the_inbox_shows_the_answer(town: Town, meet: Meet) -> None:
    visitor = await meet(town, scripts=False)
    page = visitor.page
    await visitor.open()
    await visitor.fill(email="vera@gmail.con")
    await page.click("#sign-form button")
    await page.wait_for_selector("#ask-form")
    assert "vera@gmail.con" in await visitor.text()
    await page.click("#ask-form button[value='vera@gmail.com']")
    await page.wait_for_selector("form:has([name=drawn])")
    await visitor.type_code()
    await page.click("form:has([name=drawn]) button")
    await page.wait_for_url("**/check-your-inbox")
    assert "Sign again with the right address" in (await page.text_content("[data-back]") or "")


async def test_the_address_is_shown_changed_and_known_to_the_code(town: Town, meet: Meet) -> None:
    visitor = await meet(town)
    page = visitor.page
    await visitor.sign(email="wrong@typed.example")
    await expect(page.locator("[data-address]")).to_have_text("wrong@typed.example")
    assert "typed.example" not in page.url
    await page.click("details.change > summary")
    await page.fill("#f-new", "right@typed.example")
    await page.click("[data-changing] button")
    await expect(page.locator("[data-address]")).to_have_text("right@typed.example")
    mail = await town.mail_to("right@typed.example")
    await visitor.follow(link_in(mail))
    await page.click("main form button")
    await page.wait_for_url("**/signed*")
    assert await page.evaluate("sessionStorage.length") == 0


async def test_send_again_waits_and_then_sends(town: Town, meet: Meet) -> None:
    visitor = await meet(town, "ru")
    page = visitor.page
    await visitor.sign(email="again@typed.example")
    button = page.locator("#again button")
    await expect(button).to_be_disabled()
    assert "через" in await button.inner_text()
    await expect(button).to_be_enabled()
    await button.click()
    assert len(await town.mails_to("again@typed.example", 2)) == 2
    assert page.url.endswith("/check-your-inbox")


async def test_the_button_says_that_it_is_sending(town: Town, meet: Meet) -> None:
    visitor = await meet(town)
    page, held = visitor.page, asyncio.Event()

    async def slowly(route: Route) -> None:
        await held.wait()
        await route.continue_()

    await page.route("**/captcha/challenge*", slowly)
    await visitor.open()
    await visitor.fill(email="busy@typed.example")
    button = page.locator("#sign-form button")
    before = await button.bounding_box()
    await button.click()
    await expect(button).to_have_attribute("aria-busy", "true")
    await expect(button).to_have_text("Sending…")
    after = await button.bounding_box()
    assert before
    assert after
    assert (after["width"], after["height"]) == pytest.approx((before["width"], before["height"]), abs=1)
    held.set()
    await page.wait_for_url("**/check-your-inbox")
    await page.unroute("**/captcha/challenge*")


@pytest.mark.parametrize("path", ["", "?as=organization", "/check-your-inbox", "/find"])
async def test_large_letters_push_nothing_off_a_phone(town: Town, meet: Meet, path: str) -> None:
    visitor = await meet(town, "ru", scripts=False)
    await visitor.open(path)
    await visitor.page.evaluate("document.documentElement.style.fontSize = '200%'")
    assert await visitor.page.evaluate(WIDER) == []
    assert await visitor.page.evaluate("document.documentElement.scrollWidth") <= 360
